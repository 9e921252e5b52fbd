//! Why a verdict is what it is, in one sentence.

use crate::measure::hosts::Coverage;
use crate::measure::indicator::Counts;
use crate::measure::summary::{Evidence, Trials};
use crate::plan::Decision;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::drift::{Drift, DriftSubject};
use crate::slo::judge::readings::Readings;
use crate::slo::judge::{CaseData, ObjectiveCase, Policy, Verdict};
use crate::slo::objective::{EveryInterval, Statistic, Tier};
use crate::statistics::{Allowed, Proportion, min_samples};
use crate::units::{TimeSpan, format_amount, format_number};

/// Above this design effect it is told that requests came in bursts.
const BURSTY_DESIGN_EFFECT: f64 = 1.5;

/// What was found out about a case.
pub(super) struct Conclusion<'f> {
    pub(super) verdict: Verdict,
    /// The place of the best tier that is proven.
    pub(super) best: Option<usize>,
    pub(super) observed: Option<f64>,
    pub(super) interval: Option<[f64; 2]>,
    pub(super) policy: Policy<'f>,
}

/// The fewest cases that could prove a share.
pub(super) fn min_cases(decision_rule: &DecisionRule, alpha: f64) -> Option<u64> {
    match *decision_rule {
        DecisionRule::Proportion { allowed, .. } => min_samples(Allowed { share: allowed, alpha }),
        _ => None,
    }
}

pub(super) fn explain(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>) -> String {
    if conclusion.verdict == Verdict::NoData {
        return no_data(case);
    }
    let summary = match &case.data {
        CaseData::Requests(requests) => {
            format!("{}; {}", observed(case, conclusion), counted(case, requests.evidence))
        }
        CaseData::Readings(readings) => {
            format!("{}; {}", readings.describe(conclusion.observed), read(case, readings))
        }
        CaseData::Drift(drift) => format!("{}; {}", drift.describe(), changed(case, drift)),
    };
    match (case.invalid, &case.not_assessable) {
        (Some(invalid), _) => format!("{summary}; the generator may have shaped this: {invalid}"),
        (None, Some(not_assessable)) => format!("{summary}; {not_assessable}"),
        (None, None) => format!("{summary}; {}", concluded(case, conclusion)),
    }
}

fn no_data(case: &ObjectiveCase<'_>) -> String {
    if case.phase.judged_seconds <= 0.0 {
        return "the phase ended before its judged window began".to_owned();
    }
    let evidence = match &case.data {
        CaseData::Requests(requests) => requests.evidence,
        CaseData::Drift(Drift { of: DriftSubject::Requests(evidence), .. }) => evidence,
        CaseData::Readings(readings)
        | CaseData::Drift(Drift { of: DriftSubject::Readings(readings), .. }) => {
            return readings.no_data_reason();
        }
    };
    let failed = evidence.counts.untimed;
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
fn observed(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>) -> String {
    let statistic = case.objective.statistic;
    let unit = statistic.unit();
    let between = match conclusion.interval {
        Some([low, high]) => {
            format!(" [{}, {}]", format_number(low), format_number(high))
        }
        None => String::new(),
    };
    match conclusion.observed {
        Some(observed) => format!("{statistic} is {}{between}", format_amount(observed, unit)),
        None => format!("the {statistic} is an arrival that was never sent"),
    }
}

/// "5 % of 8 214 requests may exceed 200 ms and 312 did".
fn counted(case: &ObjectiveCase<'_>, evidence: &Evidence) -> String {
    let Counts { n, k, untimed } = evidence.counts;
    let (tier, limit, _) = &case.decision_rules[case.at_gate];
    let statistic = case.objective.statistic;
    let shown = format_amount(*limit, statistic.unit());
    let failed =
        if untimed > 0.0 { format!(", and {} failed without a time", Count(untimed)) } else { String::new() };
    if let Some(windows) = case.objective.windows {
        return of_windows(&evidence.trials, windows, &format!("{} of {shown}", name(statistic, *tier)));
    }
    match statistic {
        Statistic::Quantile(part) => format!(
            "{} of {} requests may exceed {shown} and {} did{failed}",
            format_amount((1.0 - part) * 100.0, "%"),
            Count(n - untimed),
            HowMany(k)
        ),
        Statistic::Max => {
            format!(
                "none of {} requests may exceed {shown} and {} did{failed}",
                Count(n - untimed),
                HowMany(k)
            )
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
fn read(case: &ObjectiveCase<'_>, readings: &Readings<'_>) -> String {
    let (tier, limit, decision_rule) = &case.decision_rules[case.at_gate];
    let statistic = case.objective.statistic;
    let shown = format_amount(*limit, statistic.unit());
    let Coverage { expected, seen, .. } = &readings.coverage;
    let by = format!("{} of {} readings", Count(f64::from(*seen)), Count(f64::from(*expected)));
    match (case.objective.windows, statistic) {
        (Some(windows), Statistic::Resource(resource)) => {
            let trials = readings.trials(resource.of, windows, *limit);
            let limit = format!("{} of {shown}", name(statistic, *tier));
            format!("{}, by {by}", of_windows(&trials, windows, &limit))
        }
        _ if matches!(decision_rule, DecisionRule::Observed { within: None, .. }) => {
            format!("there is no whole minute in {by}")
        }
        _ => format!("it may be {shown}, by {by}"),
    }
}

/// "it may be 5 %, by the trend of 48 windows".
fn changed(case: &ObjectiveCase<'_>, drift: &Drift<'_>) -> String {
    let (_, limit, _) = &case.decision_rules[case.at_gate];
    let by = match (&drift.of, drift.windows) {
        (DriftSubject::Readings(_), Some(windows)) => {
            format!(", by the lowest readings of {windows:.0} windows")
        }
        _ => String::new(),
    };
    let note = drift.note.as_ref().map_or(String::new(), |note| format!("; {note}"));
    format!("it may be {}{by}{note}", format_amount(*limit, case.objective.statistic.unit()))
}

fn of_windows(trials: &Trials, windows: EveryInterval, limit: &str) -> String {
    let length = TimeSpan::from(std::time::Duration::from_secs(windows.every.into()));
    let may = match windows.allow {
        allow if allow > 0.0 => format_amount(100.0 * allow, "%"),
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
fn concluded(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>) -> String {
    let statistic = case.objective.statistic;
    let (inside, outside) = match statistic {
        Statistic::Throughput => ("at or above", "below"),
        _ => ("within", "beyond"),
    };
    let tier = |index: usize| name(statistic, case.decision_rules[index].0);
    let at_gate = tier(case.at_gate);
    let certain =
        matches!(case.decision_rule(), DecisionRule::NoneAllowed { .. } | DecisionRule::Observed { .. });
    let (proven, summary) = match conclusion.policy.gate.decision {
        Decision::Observed => ("", "; observed, not proven"),
        Decision::Proven if certain => ("", ""),
        Decision::Proven => ("proven ", ""),
    };
    let text = match (conclusion.verdict, conclusion.best) {
        (Verdict::Missed, _) if case.aborted => {
            format!("proven {outside} {at_gate} while the run went on, which ended it")
        }
        (Verdict::Missed, _) => format!("{proven}{outside} {at_gate}"),
        (Verdict::Met, Some(0)) => format!("{proven}{inside} {}", tier(0)),
        (Verdict::Met, Some(best)) => {
            format!("{proven}{inside} {}, not {inside} {}", tier(best), tier(best - 1))
        }
        _ => undecided(case, conclusion, &format!("neither {inside} nor {outside} {at_gate}")),
    };
    // What ended the run was proven, whatever the gate asks of the others.
    if case.aborted { text } else { text + summary }
}

/// Why it is not decided, and what would help.
fn undecided(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>, sides: &str) -> String {
    let alpha = conclusion.policy.gate.alpha;
    let confidence = format_amount(100.0 * (1.0 - alpha), "%");
    let because = match case.decision_rule() {
        DecisionRule::NoneAllowed { .. } => {
            return "whether those that failed would have exceeded it is not known".to_owned();
        }
        DecisionRule::Observed { .. } => {
            return "what cannot be compared with a limit is neither within it nor beyond".to_owned();
        }
        DecisionRule::Change { .. } => String::new(),
        DecisionRule::Mean { kept: None, .. } => {
            ": requests in at least 16 seconds are needed, or in 4 of a shorter time".to_owned()
        }
        decision_rule if decision_rule.risk_of_breach() <= alpha => {
            ": alone it would be proven, among all objectives of the gate it is not".to_owned()
        }
        DecisionRule::Mean { .. } => String::new(),
        DecisionRule::Proportion { kept, broken, allowed } => {
            let min_cases = min_cases(case.decision_rule(), alpha).unwrap_or(0);
            let within = |share: &Proportion| share.counted <= allowed * share.cases;
            match () {
                () if kept.cases < min_cases as f64 => {
                    format!(": at least {} are needed", Count(min_cases as f64))
                }
                () if within(broken) && !within(kept) => {
                    ": those that failed might have been slow".to_owned()
                }
                () if !kept.bursts_resolved => {
                    format!(
                        ": slow spells are too long beside {:.0} judged seconds",
                        case.phase.judged_seconds
                    )
                }
                () if kept.design_effect > BURSTY_DESIGN_EFFECT => format!(
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
        (_, tier) => tier.as_str(),
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
