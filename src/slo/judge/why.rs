//! Why a verdict is what it is, in one sentence.

use crate::measure::hosts::Coverage;
use crate::measure::summary::{Evidence, Trials};
use crate::measure::watch::Tally;
use crate::plan::Decision;
use crate::proof::{Allowed, Share, fewest_samples};
use crate::slo::judge::drift::{Drift, Of};
use crate::slo::judge::readings::Readings;
use crate::slo::judge::{Case, Found, Terms, Verdict};
use crate::slo::objective::{EveryWindow, Statistic, Tier};
use crate::slo::scale::Scale;
use crate::units::{TimeSpan, amount, short};

/// Above this design effect it is told that requests came in bursts.
const BURSTY: f64 = 1.5;

/// What was found out about a case.
pub(super) struct Facts<'f> {
    pub(super) verdict: Verdict,
    /// The place of the best tier that is proven.
    pub(super) best: Option<usize>,
    pub(super) observed: Option<f64>,
    pub(super) interval: Option<[f64; 2]>,
    pub(super) terms: Terms<'f>,
}

/// The fewest cases that could prove a share.
pub(super) fn fewest(scale: &Scale, alpha: f64) -> Option<u64> {
    match *scale {
        Scale::Share { allowed, .. } => fewest_samples(Allowed { share: allowed, alpha }),
        _ => None,
    }
}

pub(super) fn why(case: &Case<'_>, facts: &Facts<'_>) -> String {
    if facts.verdict == Verdict::NoData {
        return no_data(case);
    }
    let told = match &case.found {
        Found::Requests(requests) => {
            format!("{}; {}", observed(case, facts), counted(case, requests.evidence))
        }
        Found::Readings(readings) => format!("{}; {}", readings.told(facts.observed), read(case, readings)),
        Found::Drift(drift) => format!("{}; {}", drift.told(), changed(case, drift)),
    };
    match (case.invalid, &case.unfit) {
        (Some(invalid), _) => format!("{told}; the generator may have shaped this: {invalid}"),
        (None, Some(unfit)) => format!("{told}; {unfit}"),
        (None, None) => format!("{told}; {}", concluded(case, facts)),
    }
}

fn no_data(case: &Case<'_>) -> String {
    if case.phase.judged_seconds <= 0.0 {
        return "the phase ended before its judged window began".to_owned();
    }
    let evidence = match &case.found {
        Found::Requests(requests) => requests.evidence,
        Found::Drift(Drift { of: Of::Requests(evidence), .. }) => evidence,
        Found::Readings(readings) | Found::Drift(Drift { of: Of::Readings(readings), .. }) => {
            return readings.why_nothing();
        }
    };
    let failed = evidence.counts.f;
    if case.objective.windows.is_some() && evidence.counts.n > 0.0 {
        return "no window of it was complete".to_owned();
    }
    if failed > 0.0 {
        return format!("all {} requests failed, so none has a response time", Count(failed));
    }
    let of = match case.objective.statistic {
        Statistic::Throughput => "",
        _ => " was one of these operations",
    };
    format!("no request in {:.0} judged seconds{of}", case.phase.judged_seconds)
}

/// "p95 is 187 ms [181, 194]".
fn observed(case: &Case<'_>, facts: &Facts<'_>) -> String {
    let statistic = case.objective.statistic;
    let unit = statistic.unit();
    let between = match facts.interval {
        Some([low, high]) => {
            format!(" [{}, {}]", short(low), short(high))
        }
        None => String::new(),
    };
    match facts.observed {
        Some(observed) => format!("{statistic} is {}{between}", amount(observed, unit)),
        None => format!("the {statistic} is an arrival that was never sent"),
    }
}

/// "5 % of 8 214 requests may exceed 200 ms and 312 did".
fn counted(case: &Case<'_>, evidence: &Evidence) -> String {
    let Tally { n, k, f } = evidence.counts;
    let (tier, limit, _) = &case.scales[case.at_gate];
    let statistic = case.objective.statistic;
    let shown = amount(*limit, statistic.unit());
    let failed = if f > 0.0 { format!(", and {} failed without a time", Count(f)) } else { String::new() };
    if let Some(windows) = case.objective.windows {
        return of_windows(&evidence.trials, windows, &format!("{} of {shown}", name(statistic, *tier)));
    }
    match statistic {
        Statistic::Quantile(part) => format!(
            "{} of {} requests may exceed {shown} and {} did{failed}",
            amount((1.0 - part) * 100.0, "%"),
            Count(n - f),
            HowMany(k)
        ),
        Statistic::Max => {
            format!("none of {} requests may exceed {shown} and {} did{failed}", Count(n - f), HowMany(k))
        }
        Statistic::ErrorRate => {
            format!("{shown} of {} requests may fail and {} did or were dropped", Count(n), HowMany(k))
        }
        Statistic::Mean => format!("over {} requests, of which it may be {shown}{failed}", Count(n)),
        Statistic::Throughput => {
            format!("{} succeeded in {n:.1} s and {shown} must", Count(k))
        }
        Statistic::Resource(_) | Statistic::Growth(_) | Statistic::Slowdown { .. } => String::new(),
    }
}

/// "85 % may be, by 360 of 360 readings".
fn read(case: &Case<'_>, readings: &Readings<'_>) -> String {
    let (tier, limit, scale) = &case.scales[case.at_gate];
    let statistic = case.objective.statistic;
    let shown = amount(*limit, statistic.unit());
    let Coverage { expected, seen, .. } = &readings.coverage;
    let by = format!("{} of {} readings", Count(f64::from(*seen)), Count(f64::from(*expected)));
    match (case.objective.windows, statistic) {
        (Some(windows), Statistic::Resource(resource)) => {
            let trials = readings.trials(resource.of, windows, *limit);
            let limit = format!("{} of {shown}", name(statistic, *tier));
            format!("{}, by {by}", of_windows(&trials, windows, &limit))
        }
        _ if matches!(scale, Scale::Seen { within: None, .. }) => format!("there is no whole minute in {by}"),
        _ => format!("it may be {shown}, by {by}"),
    }
}

/// "it may be 5 %, by the trend of 48 windows".
fn changed(case: &Case<'_>, drift: &Drift<'_>) -> String {
    let (_, limit, _) = &case.scales[case.at_gate];
    let by = match (&drift.of, drift.windows) {
        (Of::Readings(_), Some(windows)) => format!(", by the lowest readings of {windows:.0} windows"),
        _ => String::new(),
    };
    let beside = drift.beside.as_ref().map_or(String::new(), |beside| format!("; {beside}"));
    format!("it may be {}{by}{beside}", amount(*limit, case.objective.statistic.unit()))
}

fn of_windows(trials: &Trials, windows: EveryWindow, limit: &str) -> String {
    let length = TimeSpan::from(std::time::Duration::from_secs(windows.every.into()));
    let may = match windows.allow {
        allow if allow > 0.0 => amount(100.0 * allow, "%"),
        _ => "none".to_owned(),
    };
    let doubted = match trials.doubted - trials.missed {
        0 => String::new(),
        more => format!(", {more} more might have, had their failures been slow"),
    };
    format!(
        "{may} of {} windows of {length} may miss the {limit} and {} did{doubted}",
        Count(trials.judged as f64),
        HowMany(trials.missed as f64)
    )
}

/// "proven within maximum, not within acceptable".
fn concluded(case: &Case<'_>, facts: &Facts<'_>) -> String {
    let statistic = case.objective.statistic;
    let (inside, outside) = match statistic {
        Statistic::Throughput => ("at or above", "below"),
        _ => ("within", "beyond"),
    };
    let tier = |index: usize| name(statistic, case.scales[index].0);
    let at_gate = tier(case.at_gate);
    let certain = matches!(case.scale(), Scale::Nothing { .. } | Scale::Seen { .. });
    let (proven, told) = match facts.terms.gate.decision {
        Decision::Observed => ("", "; observed, not proven"),
        Decision::Proven if certain => ("", ""),
        Decision::Proven => ("proven ", ""),
    };
    let text = match (facts.verdict, facts.best) {
        (Verdict::Missed, _) if case.aborted => {
            format!("proven {outside} {at_gate} while the run went on, which ended it")
        }
        (Verdict::Missed, _) => format!("{proven}{outside} {at_gate}"),
        (Verdict::Met, Some(0)) => format!("{proven}{inside} {}", tier(0)),
        (Verdict::Met, Some(best)) => {
            format!("{proven}{inside} {}, not {inside} {}", tier(best), tier(best - 1))
        }
        _ => undecided(case, facts, &format!("neither {inside} nor {outside} {at_gate}")),
    };
    // What ended the run was proven, whatever the gate asks of the others.
    if case.aborted { text } else { text + told }
}

/// Why it is not decided, and what would help.
fn undecided(case: &Case<'_>, facts: &Facts<'_>, sides: &str) -> String {
    let alpha = facts.terms.gate.alpha;
    let confidence = amount(100.0 * (1.0 - alpha), "%");
    let because = match case.scale() {
        Scale::Nothing { .. } => {
            return "whether those that failed would have exceeded it is not known".to_owned();
        }
        Scale::Seen { .. } => {
            return "what cannot be compared with a limit is neither within it nor beyond".to_owned();
        }
        Scale::Change { .. } => String::new(),
        Scale::Mean { kept: None, .. } => {
            ": requests in at least 16 seconds are needed, or in 4 of a shorter time".to_owned()
        }
        scale if scale.risk_of_breach() <= alpha => {
            ": alone it would be proven, among all objectives of the gate it is not".to_owned()
        }
        Scale::Mean { .. } => String::new(),
        Scale::Share { kept, broken, allowed } => {
            let fewest = fewest(case.scale(), alpha).unwrap_or(0);
            let within = |share: &Share| share.counted <= allowed * share.cases;
            match () {
                () if kept.cases < fewest as f64 => format!(": at least {} are needed", Count(fewest as f64)),
                () if within(broken) && !within(kept) => {
                    ": those that failed might have been slow".to_owned()
                }
                () if !kept.resolved => {
                    format!(
                        ": slow spells are too long beside {:.0} judged seconds",
                        case.phase.judged_seconds
                    )
                }
                () if kept.design > BURSTY => format!(
                    ": they come in bursts, so that all tell no more than {} independent ones",
                    Count(kept.effective().round())
                ),
                () => String::new(),
            }
        }
    };
    format!("{sides} is proven at {confidence}{because}")
}

fn name(statistic: Statistic, tier: Tier) -> &'static str {
    match (statistic, tier) {
        (Statistic::Throughput, Tier::Maximum) => "minimum",
        (_, tier) => tier.word(),
    }
}

/// A count, in groups of three digits.
struct Count(f64);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:.0}", self.0);
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| std::str::from_utf8(group).unwrap_or_default())
            .collect();
        f.write_str(&groups.join(" "))
    }
}

/// How many did something.
struct HowMany(f64);

impl std::fmt::Display for HowMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 > 0.0 { Count(self.0).fmt(f) } else { f.write_str("none") }
    }
}
