//! The explanation of a verdict in one sentence: observed value, limit, counts and conclusion.

use std::time::Duration;

use crate::measure::hosts::Coverage;
use crate::measure::indicator::Counts;
use crate::measure::summary::{Evidence, Trials};
use crate::plan::Decision;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::case_data::{CaseData, HostCase, OutageCase};
use crate::slo::judge::drift::{Drift, DriftSubject};
use crate::slo::judge::requests::Requests;
use crate::slo::judge::{ObjectiveCase, Policy, Verdict};
use crate::slo::objective::{Aggregation, EveryInterval, RequestStatistic};
use crate::statistics::{
    Allowed, BURSTY_DESIGN_EFFECT, MIN_BATCHES, MIN_JUDGED_SECONDS, Proportion, min_samples,
};
use crate::units::{Count, TimeSpan, Unit, format_against, format_amount_against, format_limit};

/// The result of a case, which the explanation puts into words.
pub(super) struct Conclusion<'f> {
    pub(super) verdict: Verdict,
    /// The verdict that the counts prove and that is excused.
    pub(super) excused: Option<Verdict>,
    /// The index of the best proven tier.
    pub(super) best: Option<usize>,
    pub(super) observed: Option<f64>,
    pub(super) interval: Option<[f64; 2]>,
    pub(super) policy: Policy<'f>,
}

/// The smallest number of cases that can prove a share; `None` for other rules.
pub(super) fn min_cases(decision_rule: &DecisionRule, alpha: f64) -> Option<u64> {
    match *decision_rule {
        DecisionRule::Proportion { allowed, .. } => min_samples(Allowed { share: allowed, alpha }),
        _ => None,
    }
}

/// A verdict in words.
pub(super) struct Explanation {
    /// Observed value, limit, counts and reason, in one sentence.
    pub(super) why: String,
    /// The reason alone.
    pub(super) reason: String,
}

pub(super) fn explain(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>) -> Explanation {
    if conclusion.verdict == Verdict::NoData {
        let reason = no_data(case);
        return Explanation { why: reason.clone(), reason };
    }
    let summary = match &case.data {
        CaseData::Requests(requests) => {
            format!("{}; {}", observed(case, conclusion), counted(case, requests))
        }
        CaseData::Host(host) => {
            let described = host.readings.describe(host.objective.of, conclusion.observed, &case.limits());
            format!("{described}; {}", read(case, host))
        }
        CaseData::Drift(drift) => format!("{}; {}", drift.describe(&case.limits()), changed(case, drift)),
        CaseData::Outage(outage) => outage_seen(case, outage, conclusion),
    };
    let excuse = conclusion.excused.and_then(|excused| Some((excused, case.excuse(excused)?)));
    let reason = match (excuse, &case.not_assessable) {
        (Some((Verdict::Met, failed)), _) => {
            format!("would be met, but the target got less load than the plan asks for: {failed}")
        }
        (Some((_, failed)), _) => {
            format!("would be missed, but the generator may have caused this: {failed}")
        }
        (None, Some(not_assessable)) if conclusion.verdict != Verdict::Missed => not_assessable.clone(),
        (None, _) => concluded(case, conclusion),
    };
    Explanation { why: format!("{summary}; {reason}"), reason }
}

fn no_data(case: &ObjectiveCase<'_>) -> String {
    if case.phase.judged_seconds <= 0.0 {
        return "the phase ended before its judged period began".to_owned();
    }
    let evidence = match &case.data {
        CaseData::Requests(requests) => requests.evidence,
        CaseData::Drift(Drift { of: DriftSubject::Requests(evidence), .. }) => evidence,
        CaseData::Host(HostCase { readings, .. })
        | CaseData::Drift(Drift { of: DriftSubject::Readings(readings), .. }) => {
            return readings.no_data_reason();
        }
        CaseData::Outage(_) if case.samples() > 0 => return "this run did not record outages".to_owned(),
        CaseData::Outage(_) => {
            return format!("no request in {:.0} judged seconds", case.phase.judged_seconds);
        }
    };
    let failed = evidence.counts.untimed;
    if case.objective.family.interval().is_some() && evidence.counts.n > 0.0 {
        return "no interval of the judged period was complete".to_owned();
    }
    if failed > 0.0 {
        return format!("all {} requests failed, so none has a response time", Count(failed));
    }
    let of = if case.objective.family.has_minimum() { "" } else { " of these operations" };
    format!("no request{of} in {:.0} judged seconds", case.phase.judged_seconds)
}

/// "p95 is 187 ms [181, 194]".
fn observed(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>) -> String {
    let (statistic, unit) = (case.objective.family.statistic(), case.objective.family.unit());
    let between = match conclusion.interval {
        Some([low, high]) => {
            format!(" [{}, {}]", format_against(low, &case.limits()), format_against(high, &case.limits()))
        }
        None => String::new(),
    };
    match conclusion.observed {
        Some(observed) => {
            format!("{statistic} is {}{between}", format_amount_against(observed, &case.limits(), unit))
        }
        None => format!("the {statistic} falls among arrivals that were never sent"),
    }
}

/// "the longest time without a success is 9.1 s, 00:27:49–00:27:58 UTC; at most 5 s is allowed".
fn outage_seen(case: &ObjectiveCase<'_>, outage: &OutageCase<'_>, conclusion: &Conclusion<'_>) -> String {
    let (_, limit, _) = &case.decision_rules[case.at_gate];
    let allowed = format!("at most {} is allowed", format_limit(*limit, Unit::Seconds));
    let (Some(longest), Some(observed)) = (outage.outages.longest(), conclusion.observed) else {
        return format!("no outage; {allowed}");
    };
    let length = format_amount_against(observed, &case.limits(), Unit::Seconds);
    let clock = |at: Duration| {
        let started_at = case.phase.readings.started_at?;
        Some(started_at.checked_add(at).ok()?.strftime("%H:%M:%S").to_string())
    };
    let times = clock(longest.from).zip(clock(longest.to));
    let times = times.map_or_else(String::new, |(from, to)| format!(", {from}–{to} UTC"));
    format!("the longest time without a success is {length}{times}; {allowed}")
}

/// "5 % of 8 214 requests may exceed 200 ms and 312 did".
fn counted(case: &ObjectiveCase<'_>, requests: &Requests<'_>) -> String {
    let Requests { objective, evidence, .. } = requests;
    let Counts { n, k, untimed, .. } = evidence.counts;
    let (tier, limit, _) = &case.decision_rules[case.at_gate];
    let family = &case.objective.family;
    let shown = format_limit(*limit, family.unit());
    let failed = if untimed > 0.0 {
        format!(", and {} failed without a response time", Count(untimed))
    } else {
        String::new()
    };
    if let Some(interval) = objective.interval {
        let limit = format!("{} of {shown}", family.limit_name(*tier));
        let doubt = match evidence.is_by_histogram {
            true => "requests too close to the limit to tell",
            false => "failures without a response time",
        };
        return of_intervals(&evidence.trials, interval, &limit, doubt) + &uncounted(evidence);
    }
    let failed = failed + &uncounted(evidence);
    match objective.statistic {
        RequestStatistic::ResponseTime(Aggregation::Quantile(part)) => format!(
            "{} of {} requests may exceed {shown} and {} did{failed}",
            format_limit((1.0 - part) * 100.0, Unit::Percent),
            Count(n - untimed),
            HowMany(k)
        ),
        RequestStatistic::ResponseTime(Aggregation::Max) => {
            format!(
                "none of {} requests may exceed {shown} and {} did{failed}",
                Count(n - untimed),
                HowMany(k)
            )
        }
        RequestStatistic::ErrorRate => {
            format!("{shown} of {} requests may fail or be dropped and {} did", Count(n), HowMany(k))
        }
        RequestStatistic::ResponseTime(Aggregation::Mean) => {
            format!("the limit is {shown} ({} requests{failed})", Count(n))
        }
        RequestStatistic::Throughput => {
            format!("{} requests succeeded in {n:.1} s and at least {shown} must", Count(k))
        }
    }
}

/// The effect of a limit that the run did not count requests against; empty for any other.
fn uncounted(evidence: &Evidence) -> String {
    if !evidence.is_by_histogram {
        return String::new();
    }
    let unclear = evidence.counts.unclear.sum();
    let decided = "; the run did not count this limit, so histograms decide";
    if unclear == 0.0 {
        return format!("{decided}, and none of them is too close to it to tell");
    }
    format!(
        "{decided}: {} are too close to it to tell, and count as slow for a pass and as not slow for a breach",
        Count(unclear)
    )
}

/// "the limit is 85 % (360 of 360 readings)".
fn read(case: &ObjectiveCase<'_>, host: &HostCase<'_>) -> String {
    let HostCase { objective, readings } = host;
    let (tier, limit, decision_rule) = &case.decision_rules[case.at_gate];
    let shown = format_limit(*limit, objective.metric.unit());
    let Coverage { expected, seen, .. } = &readings.coverage;
    let by = format!("{} of {} readings", Count(f64::from(*seen)), Count(f64::from(*expected)));
    match (objective.interval, decision_rule) {
        (Some(interval), _) => {
            let trials = readings.trials(objective.of, interval, *limit);
            let limit = format!("{} of {shown}", tier.as_str());
            format!("{} ({by})", of_intervals(&trials, interval, &limit, ""))
        }
        (None, DecisionRule::Observed { within: None, .. }) => format!("no whole minute in {by}"),
        (None, rule) => {
            let others = readings
                .of_others(objective.of)
                .filter(|others| rule.holds() != Some(true) && others > limit);
            let others = others.map_or_else(String::new, |others| {
                let others = format_amount_against(others, &case.limits(), objective.metric.unit());
                format!("; other processes than the target's account for at least {others}")
            });
            format!("the limit is {shown} ({by}){others}")
        }
    }
}

/// "the limit is 5 %, by the lowest readings of 32 segments".
fn changed(case: &ObjectiveCase<'_>, drift: &Drift<'_>) -> String {
    let (_, limit, _) = &case.decision_rules[case.at_gate];
    let by = match (&drift.of, drift.segments) {
        (DriftSubject::Readings(_), Some(segments)) => {
            format!(", by the lowest readings of {segments:.0} segments")
        }
        _ => String::new(),
    };
    let note = drift.note.as_ref().map_or(String::new(), |note| format!("; {note}"));
    format!("the limit is {}{by}{note}", format_limit(*limit, case.objective.family.unit()))
}

/// "none of 60 intervals of 1m may miss the maximum of 200 ms and 2 did". `doubt` is the reason why others may have.
fn of_intervals(trials: &Trials, interval: EveryInterval, limit: &str, doubt: &str) -> String {
    let length = TimeSpan::from(std::time::Duration::from_secs(interval.every.into()));
    let may = match interval.allow {
        allow if allow > 0.0 => format_limit(100.0 * allow, Unit::Percent),
        _ => "none".to_owned(),
    };
    let doubted = match trials.doubted - trials.missed {
        0 => String::new(),
        more => format!(", and {more} may have because of {doubt}"),
    };
    format!(
        "{may} of {} intervals of {length} may miss the {limit} and {} did{doubted}",
        Count(trials.judged as f64),
        HowMany(trials.missed as f64)
    )
}

/// "proven within maximum, not within acceptable".
fn concluded(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>) -> String {
    let family = &case.objective.family;
    let (inside, outside) = match family.has_minimum() {
        true => ("at or above", "below"),
        false => ("within", "beyond"),
    };
    let tier = |index: usize| family.limit_name(case.decision_rules[index].0);
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
            format!("proven {outside} {at_gate} during the run, which ended early")
        }
        (Verdict::Missed, _) => format!("{proven}{outside} {at_gate}"),
        (Verdict::Met, Some(0)) => format!("{proven}{inside} {}", tier(0)),
        (Verdict::Met, Some(best)) => {
            format!("{proven}{inside} {}, not {inside} {}", tier(best), tier(best - 1))
        }
        _ => undecided(case, conclusion, at_gate),
    };
    // A breach that ended the run was proven, even if the gate's decision is `observed`.
    if case.aborted { text } else { text + summary }
}

/// The reason why it is not decided, and the samples that are needed.
fn undecided(case: &ObjectiveCase<'_>, conclusion: &Conclusion<'_>, tier: &str) -> String {
    let alpha = conclusion.policy.gate.alpha;
    let confidence = format_limit(100.0 * (1.0 - alpha), Unit::Percent);
    let because = match case.decision_rule() {
        DecisionRule::NoneAllowed { ours, .. } if *ours > 0.0 => {
            return "undecided: without the generator's own part none may have exceeded the limit".to_owned();
        }
        DecisionRule::NoneAllowed { .. } => {
            let doubt = match &case.data {
                CaseData::Requests(requests) if requests.evidence.is_by_histogram => {
                    "requests too close to the limit to tell"
                }
                _ => "failures without a response time",
            };
            return format!("undecided: {doubt} may have exceeded the limit");
        }
        DecisionRule::Observed { by_others: true, .. } => {
            return "undecided: it is beyond the limit without the target too".to_owned();
        }
        DecisionRule::Observed { .. } => {
            return "undecided: there is no value to compare with the limit".to_owned();
        }
        DecisionRule::Change { .. } => ": the confidence interval contains the limit".to_owned(),
        DecisionRule::Mean { kept: None, .. } => {
            format!(
                ": requests in at least {MIN_BATCHES} judged seconds are needed, or in {MIN_JUDGED_SECONDS} of a judged \
                 period below {MIN_BATCHES} s"
            )
        }
        decision_rule if decision_rule.risk_of_breach() <= alpha => {
            ": a breach is proven for this objective alone, but not among all gated objectives".to_owned()
        }
        DecisionRule::Mean { .. } => String::new(),
        DecisionRule::Proportion { .. } => undecided_share(case, alpha),
    };
    format!("undecided{because} ({tier}, {confidence} confidence)")
}

/// The reason why it is not decided whether a share is allowed.
fn undecided_share(case: &ObjectiveCase<'_>, alpha: f64) -> String {
    let DecisionRule::Proportion { kept, broken, allowed, unclear, ours } = case.decision_rule() else {
        return String::new();
    };
    let min_cases = min_cases(case.decision_rule(), alpha).unwrap_or(0);
    let within = |share: &Proportion| share.counted <= allowed * share.cases;
    match () {
        () if within(broken) && broken.counted + ours > allowed * broken.cases => {
            format!(": {} are slow or failed only because the generator was late", Count(ours.round()))
        }
        () if within(broken) && !within(kept) && *unclear > 0.0 => {
            ": requests too close to the limit to tell decide it".to_owned()
        }
        () if kept.cases < min_cases as f64 => {
            let cases = if case.objective.family.interval().is_some() { "intervals" } else { "requests" };
            format!(": at least {} {cases} are needed", Count(min_cases as f64))
        }
        () if within(broken) && !within(kept) => ": failed requests may have been slow".to_owned(),
        () if !kept.bursts_resolved => {
            format!(
                ": slow periods are too long for {:.0} judged seconds; a longer run is needed",
                case.phase.judged_seconds
            )
        }
        () if kept.design_effect > BURSTY_DESIGN_EFFECT => format!(
            ": slow or failed requests come in bursts, so the effective sample size is only {}",
            Count(kept.effective().round())
        ),
        () => ": more requests are needed to tell the share from the limit".to_owned(),
    }
}

/// A count that prints 0 as "none".
struct HowMany(f64);

impl std::fmt::Display for HowMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 > 0.0 { Count(self.0).fmt(f) } else { f.write_str("none") }
    }
}
