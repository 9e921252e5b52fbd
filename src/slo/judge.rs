//! From what was counted to a verdict on each objective.

use crate::measure::counts::Times;
use crate::measure::summary::{Evidence, PhaseSummary, Summary, Trials};
use crate::measure::watch::Tally;
use crate::plan::GateTier;
use crate::slo::objective::{EveryWindow, Objective, Statistic, Tier};
use crate::units::TimeSpan;

/// What became of one objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Within the gate's limit.
    Met,
    /// Beyond the gate's limit.
    Missed,
    /// The data cannot decide it.
    Inconclusive,
    /// There was nothing to judge.
    NoData,
    /// A rehearsal that is too short for it.
    NotAssessed,
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Inconclusive => "inconclusive",
            Self::NoData => "no data",
            Self::NotAssessed => "not assessed",
        }
    }
}

/// An objective, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What was observed, in the statistic's unit; `None` without data.
    pub observed: Option<f64>,
    /// How many requests that is based on.
    pub samples: u64,
    /// The best tier that holds; `None` where none does or nothing is known.
    pub tier: Option<Tier>,
    /// The verdict at the gate's tier.
    pub verdict: Verdict,
    /// Whether it counts.
    pub gated: bool,
    /// Why, in one sentence for people.
    pub why: String,
}

/// Whether the plan ran as written or shrunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As written.
    Full,
    /// Shrunk: what is too short to decide is not assessed.
    Rehearsed,
}

/// How what was counted compares with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Within,
    Beyond,
    Undecided,
    NoData,
}

impl Compared {
    fn of(within: bool) -> Self {
        if within { Self::Within } else { Self::Beyond }
    }
}

/// Judges every objective by comparing what was observed with its limits: exact counts decide, not histograms.
///
/// The result has one entry per objective, in their order; those of phases that were not run are `None`.
pub fn judge(
    objectives: &[Objective],
    summary: &Summary,
    gate: GateTier,
    length: Length,
) -> Vec<Option<Judged>> {
    objectives
        .iter()
        .map(|objective| {
            let phase = summary.phases.get(objective.phase.index()).filter(|phase| phase.ran.is_some())?;
            Some(judge_one(objective, phase, &summary.evidence, gate, length))
        })
        .collect()
}

fn judge_one(
    objective: &Objective,
    phase: &PhaseSummary,
    evidence: &[Evidence],
    gate: GateTier,
    length: Length,
) -> Judged {
    let at_gate = objective.tiers.at_gate(gate);
    let gated = objective.gated && at_gate.is_some();
    let (judged_tier, limit) = at_gate.unwrap_or((Tier::Maximum, objective.tiers.last));
    let of_tier = |tier: Tier| {
        let (_, watch) = objective.watches.iter().find(|(t, _)| *t == tier).expect("every tier is watched");
        &evidence[*watch]
    };
    let at_limit = of_tier(judged_tier);
    let samples = samples(objective, phase, at_limit);
    let observed = observed(objective, phase, at_limit);
    // Seconds pass without a request too: for throughput they alone are no data.
    let untried = objective.statistic == Statistic::Throughput && observed.is_none();
    let compared = |tier: Tier, limit: f64| match untried {
        true => Compared::NoData,
        false => compare(objective, limit, of_tier(tier)),
    };
    let within = |(tier, limit): &(Tier, f64)| compared(*tier, *limit) == Compared::Within;
    let tier = objective.tiers.all().find(within).map(|(tier, _)| tier);
    let fewest = objective.statistic.fewest_samples(limit).unwrap_or(0);
    let verdict = match compared(judged_tier, limit) {
        Compared::Within => Verdict::Met,
        Compared::Beyond => Verdict::Missed,
        Compared::Undecided => Verdict::Inconclusive,
        Compared::NoData => Verdict::NoData,
    };
    let why = match verdict {
        Verdict::NoData => no_data(objective, phase, at_limit),
        _ => reason(objective, observed, at_limit, (judged_tier, limit)),
    };
    let too_short = samples < fewest || matches!(verdict, Verdict::NoData | Verdict::Inconclusive);
    let (verdict, why) = match length {
        Length::Rehearsed if too_short => (
            Verdict::NotAssessed,
            format!("{samples} samples in this rehearsal; {fewest} are needed to decide it"),
        ),
        _ => (verdict, why),
    };
    Judged { observed, samples, tier, verdict, gated, why }
}

/// The requests that an objective is based on.
fn samples(objective: &Objective, phase: &PhaseSummary, evidence: &Evidence) -> u64 {
    match objective.statistic {
        Statistic::Throughput => completed(objective, phase),
        _ => evidence.counts.n as u64,
    }
}

fn completed(objective: &Objective, phase: &PhaseSummary) -> u64 {
    let operations = objective.operations.iter().filter_map(|id| phase.operations.get(id));
    operations.map(|operation| operation.completed).sum()
}

/// What was observed, for showing, in the statistic's unit.
fn observed(objective: &Objective, phase: &PhaseSummary, evidence: &Evidence) -> Option<f64> {
    let Tally { n, k, f } = evidence.counts;
    let times = || {
        let mut times = Times::default();
        for id in &objective.operations {
            if let Some(operation) = phase.operations.get(id) {
                times.merge(&operation.response);
            }
        }
        times
    };
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    match objective.statistic {
        Statistic::Quantile(part) => {
            // Dropped arrivals have no time but are the slowest of all: the rank is among them too.
            let times = times();
            let rank = part * (n - f) / (times.count().max(1) as f64);
            times.quantile(rank.min(1.0)).filter(|_| rank <= 1.0).map(ms)
        }
        Statistic::Max => times().max().map(ms),
        Statistic::Mean => (n > 0.0).then(|| k / n / 1000.0),
        Statistic::Throughput => {
            // What was sent before the judged window says nothing of it.
            let tried = phase.send_lag.count() > 0 || phase.dropped() > 0;
            (n > 0.0 && tried).then(|| k / n)
        }
        Statistic::ErrorRate => (n > 0.0).then(|| 100.0 * k / n),
    }
}

/// Compares what was counted with a limit.
fn compare(objective: &Objective, limit: f64, evidence: &Evidence) -> Compared {
    if let Some(EveryWindow { allow, .. }) = objective.windows {
        let Trials { judged, missed, .. } = evidence.trials;
        return match judged {
            0 => Compared::NoData,
            _ => Compared::of(missed as f64 <= allow * judged as f64 + 1e-9),
        };
    }
    let Tally { n, f, .. } = evidence.counts;
    match objective.statistic.rule(limit).holds(evidence.counts) {
        Some(within) => Compared::of(within),
        None if n - f > 0.0 => Compared::Undecided,
        None => Compared::NoData,
    }
}

fn no_data(objective: &Objective, phase: &PhaseSummary, evidence: &Evidence) -> String {
    match (phase.judged_seconds > 0.0, evidence.counts.f > 0.0) {
        (false, _) => "the phase ended before its judged window began".to_owned(),
        (true, true) => format!("all {} requests failed, so none has a response time", evidence.counts.f),
        (true, false) => format!("no request in {:.0} judged seconds", phase.judged_seconds) + of(objective),
    }
}

fn of(objective: &Objective) -> &'static str {
    match objective.statistic {
        Statistic::Throughput => "",
        _ => " was one of these operations",
    }
}

fn reason(objective: &Objective, observed: Option<f64>, evidence: &Evidence, judged: (Tier, f64)) -> String {
    let Tally { n, k, f } = evidence.counts;
    let (tier, limit) = judged;
    let unit = objective.statistic.unit();
    let tier = match (objective.statistic, tier) {
        (Statistic::Throughput, Tier::Maximum) => "minimum",
        (_, tier) => tier.word(),
    };
    let told = match observed {
        Some(observed) => format!("observed {} {}; ", objective.statistic, Shown(observed, unit)),
        None => format!("the {} is an arrival that was never sent; ", objective.statistic),
    };
    let limit_text = format!("{tier} is {}", Shown(limit, unit));
    let counted = match objective.statistic {
        _ if let Some(windows) = objective.windows => windows_told(windows, evidence.trials),
        Statistic::Quantile(part) => format!(
            "{} % of {} requests may take longer than {} and {k} did",
            Shown((1.0 - part) * 100.0, ""),
            n - f,
            Shown(limit, unit)
        ),
        Statistic::Max => {
            format!(
                "no request may take longer than {} and {k} of {} did; {f} failed without a time",
                Shown(limit, unit),
                n - f
            )
        }
        Statistic::Mean => format!("over {n} requests"),
        Statistic::ErrorRate => format!("{k} of {n} requests failed or were dropped"),
        Statistic::Throughput => format!("{k} successful requests in {n:.1} s"),
    };
    format!("{told}{limit_text}; {counted}; observed, not proven")
}

fn windows_told(windows: EveryWindow, trials: Trials) -> String {
    let length = TimeSpan::from(std::time::Duration::from_secs(windows.every.into()));
    let Trials { judged, missed, .. } = trials;
    format!(
        "{missed} of {judged} windows of {length} missed it, and {} may",
        Shown(100.0 * windows.allow, "%")
    )
}

/// A value with its unit, in as many digits as people read.
struct Shown(f64, &'static str);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(value, unit) = self;
        let digits = match value.abs() {
            v if v >= 100.0 => 0,
            v if v >= 10.0 => 1,
            _ => 2,
        };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        match *unit {
            "ms" => write!(f, "{text} ms"),
            "%" => write!(f, "{text} %"),
            unit => write!(f, "{text}{unit}"),
        }
    }
}

#[cfg(test)]
mod tests;
