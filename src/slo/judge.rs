//! From what was counted to a verdict on each objective.

mod why;

use crate::measure::counts::Times;
use crate::measure::summary::{Evidence, PhaseSummary, Summary};
use crate::measure::watch::Tally;
use crate::plan::Decision;
use crate::plan::model::Gate;
use crate::proof::{Share, holm};
use crate::slo::objective::{Objective, Statistic, Tier};
use crate::slo::scale::Scale;

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
    /// Between these the true value is, each end at the gate's confidence; `None` where one end is unknown.
    pub interval: Option<[f64; 2]>,
    /// How many requests that is based on.
    pub samples: u64,
    /// How many independent ones would tell as much; for means and throughput, how many batches there are, and with
    /// `every` how many windows.
    pub effective_samples: Option<f64>,
    /// The best tier that is proven; `None` where none is.
    pub tier: Option<Tier>,
    /// Whether it is proven that even the last limit is exceeded.
    pub beyond_all: bool,
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

/// On which terms objectives are judged.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'t> {
    /// Tier, confidence and kind of decision.
    pub gate: &'t Gate,
    /// Whether the plan was shrunk.
    pub length: Length,
    /// By phase: why its numbers may be the generator's doing, where they may.
    pub invalid: &'t [Option<String>],
    /// By phase: how long its users take to come round, in seconds. Before, its throughput is not yet the one that they
    /// make, and proves nothing.
    pub rounds: &'t [f64],
    /// The objective whose breach was proven while the run went on, and ended it.
    pub aborted: Option<usize>,
}

/// An objective with what was counted for it.
struct Case<'c> {
    objective: &'c Objective,
    phase: &'c PhaseSummary,
    /// By tier, best first.
    scales: Vec<(Tier, f64, Scale)>,
    /// The place of the gate's tier among them.
    at_gate: usize,
    /// Of the gate's tier.
    evidence: &'c Evidence,
    gated: bool,
    invalid: Option<&'c str>,
    aborted: bool,
}

/// Judges every objective: exact counts decide, not histograms.
///
/// The result has one entry per objective, in their order; those of phases that were not run are `None`.
pub fn judge(objectives: &[Objective], summary: &Summary, terms: Terms<'_>) -> Vec<Option<Judged>> {
    let cases: Vec<Option<Case<'_>>> =
        (0..objectives.len()).map(|index| Case::of((index, objectives), summary, terms)).collect();
    let proven = breaches(&cases, terms.gate.alpha);
    cases.iter().zip(proven).map(|(case, proven)| Some(case.as_ref()?.judge(proven, terms))).collect()
}

/// Whether each objective's breach at the gate's tier is proven. One false alarm would condemn the run, so those that are
/// gated share α.
fn breaches(cases: &[Option<Case<'_>>], alpha: f64) -> Vec<bool> {
    let shares = |case: &Case<'_>| {
        case.gated && case.invalid.is_none() && case.has_data() && case.scale().shares_risk()
    };
    let sharing = || cases.iter().map(|case| case.as_ref().filter(|case| shares(case)));
    let risks: Vec<f64> = sharing().flatten().map(|case| case.scale().risk_of_breach()).collect();
    let mut together = holm(&risks, alpha).into_iter();
    let alone =
        |case: &Option<Case<'_>>| case.as_ref().is_some_and(|case| case.scale().risk_of_breach() <= alpha);
    let proven = sharing().zip(cases).map(|(sharing, case)| match sharing {
        Some(_) => together.next().unwrap_or(false),
        None => alone(case),
    });
    proven.collect()
}

impl<'c> Case<'c> {
    /// The objective at a place; `None` where its phase was not run.
    fn of(
        (index, objectives): (usize, &'c [Objective]),
        summary: &'c Summary,
        terms: Terms<'c>,
    ) -> Option<Self> {
        let objective = &objectives[index];
        let phase = summary.phases.get(objective.phase.index()).filter(|phase| phase.ran.is_some())?;
        let of_tier = |tier: Tier| {
            let (_, watch) =
                objective.watches.iter().find(|(t, _)| *t == tier).expect("every tier is watched");
            &summary.evidence[*watch]
        };
        let tiers = objective.tiers.all();
        let scales: Vec<_> =
            tiers.map(|(tier, limit)| (tier, limit, Scale::of(objective, limit, of_tier(tier)))).collect();
        let gate = objective.tiers.at_gate(terms.gate.tier);
        let at = |(tier, _)| scales.iter().position(|(known, ..)| *known == tier);
        let at_gate = gate.and_then(at).unwrap_or(scales.len() - 1);
        Some(Self {
            evidence: of_tier(scales[at_gate].0),
            gated: objective.gated && gate.is_some(),
            invalid: terms.invalid.get(objective.phase.index()).and_then(Option::as_deref),
            aborted: terms.aborted == Some(index),
            objective,
            phase,
            scales,
            at_gate,
        })
    }

    /// Whether it was judged for less time than users take to come round.
    fn is_unsteady(&self, terms: Terms<'_>) -> bool {
        let away = terms.rounds.get(self.objective.phase.index()).copied().unwrap_or(0.0);
        let answered = || self.times().quantile(0.5).unwrap_or_default().as_secs_f64();
        self.objective.statistic == Statistic::Throughput && self.phase.judged_seconds < away + answered()
    }

    fn scale(&self) -> &Scale {
        &self.scales[self.at_gate].2
    }

    fn judge(&self, breach_is_proven: bool, terms: Terms<'_>) -> Judged {
        let alpha = terms.gate.alpha;
        let has_data = self.has_data();
        let unsteady = self.is_unsteady(terms);
        let trusted = has_data && self.invalid.is_none() && !unsteady;
        let observed = self.observed();
        let holds = |index: usize| match terms.gate.decision {
            Decision::Proven => self.scales[index].2.is_kept(alpha),
            Decision::Observed => self.within(index, observed) == Some(true),
        };
        let broken = |index: usize| match terms.gate.decision {
            Decision::Proven => self.scales[index].2.risk_of_breach() <= alpha,
            Decision::Observed => self.within(index, observed) == Some(false),
        };
        let best = (0..self.scales.len()).find(|index| trusted && holds(*index));
        let missed = match terms.gate.decision {
            Decision::Proven => breach_is_proven,
            Decision::Observed => broken(self.at_gate),
        };
        let verdict = match best {
            _ if !has_data => Verdict::NoData,
            _ if self.invalid.is_some() || unsteady => Verdict::Inconclusive,
            _ if self.aborted || missed => Verdict::Missed,
            _ if holds(self.at_gate) => Verdict::Met,
            _ => Verdict::Inconclusive,
        };
        let proven = terms.gate.decision == Decision::Proven;
        let interval = self.interval(alpha).filter(|_| has_data && proven);
        let why = why::why(self, &why::Facts { verdict, best, observed, interval, unsteady, terms });
        let (verdict, why) = match terms.length {
            Length::Rehearsed if self.is_too_short(verdict, terms) => {
                (Verdict::NotAssessed, format!("a rehearsal does not decide it: {why}"))
            }
            _ => (verdict, why),
        };
        Judged {
            observed,
            interval,
            samples: self.samples(),
            effective_samples: self.scale().effective().filter(|_| has_data),
            tier: best.map(|index| self.scales[index].0),
            beyond_all: trusted && best.is_none() && broken(self.scales.len() - 1),
            verdict,
            gated: self.gated,
            why,
        }
    }

    /// Whether a rehearsal cannot assess it. What was only observed needs as many samples as a proof.
    fn is_too_short(&self, verdict: Verdict, terms: Terms<'_>) -> bool {
        let fewest = why::fewest(self.scale(), terms.gate.alpha).unwrap_or(0);
        let few = terms.gate.decision == Decision::Observed && self.scale().cases() < fewest as f64;
        few || matches!(verdict, Verdict::NoData | Verdict::Inconclusive)
    }

    /// Whether what was observed is within the limit of a tier.
    fn within(&self, index: usize, observed: Option<f64>) -> Option<bool> {
        let (_, limit, scale) = &self.scales[index];
        match self.objective.statistic {
            Statistic::Mean | Statistic::Throughput if self.objective.windows.is_none() => {
                observed.map(|observed| self.objective.statistic.bound(*limit).holds(observed))
            }
            _ => scale.holds(),
        }
    }

    fn has_data(&self) -> bool {
        let Tally { n, f, .. } = self.evidence.counts;
        match self.objective.statistic {
            // What was sent before the judged window says nothing of it, nor do users that never began, and seconds pass
            // without a task too.
            Statistic::Throughput => {
                let tried = self.phase.health.draws.iter().any(|drawn| *drawn > 0);
                n > 0.0 && (tried || self.phase.dropped() > 0)
            }
            _ if self.objective.windows.is_some() => self.evidence.trials.judged > 0,
            Statistic::Mean => n > 0.0,
            _ => n - f > 0.0,
        }
    }

    /// The requests that it is based on.
    fn samples(&self) -> u64 {
        match self.objective.statistic {
            Statistic::Throughput => {
                let operations = self.objective.operations.iter();
                operations.filter_map(|id| self.phase.operations.get(id)).map(|o| o.completed).sum()
            }
            _ => self.evidence.counts.n as u64,
        }
    }

    fn times(&self) -> Times {
        let mut times = Times::default();
        for operation in self.objective.operations.iter().filter_map(|id| self.phase.operations.get(id)) {
            times.merge(&operation.response);
        }
        times
    }

    /// What was observed, for showing, in the statistic's unit.
    fn observed(&self) -> Option<f64> {
        let Tally { n, k, .. } = self.evidence.counts;
        match self.objective.statistic {
            Statistic::Quantile(part) => self.quantile(&self.times(), part),
            Statistic::Max => self.times().max().map(ms),
            Statistic::Mean => (n > 0.0).then(|| k / n / 1000.0),
            Statistic::Throughput => self.has_data().then(|| k / n),
            Statistic::ErrorRate => (n > 0.0).then(|| 100.0 * k / n),
        }
    }

    /// The time at a rank among answers and dropped arrivals, which have no time but are the slowest of all.
    fn quantile(&self, times: &Times, rank: f64) -> Option<f64> {
        let Tally { n, f, .. } = self.evidence.counts;
        let rank = rank * (n - f) / (times.count().max(1) as f64);
        times.quantile(rank.min(1.0)).filter(|_| rank <= 1.0).map(ms)
    }

    /// Between which values the true one is, each end at risk α.
    fn interval(&self, alpha: f64) -> Option<[f64; 2]> {
        let Evidence { counts: Tally { n, k, f }, broken, .. } = self.evidence;
        let mean = |unit: f64| {
            let (low, high) = crate::proof::Means::of(broken)?.interval(alpha);
            Some([low.max(0.0) / unit, high / unit])
        };
        match self.objective.statistic {
            Statistic::Quantile(part) => {
                let (low, high) = Share::of(n - f, *k, broken).ranks(part, alpha);
                let times = self.times();
                Some([self.quantile(&times, low)?, self.quantile(&times, high?)?])
            }
            Statistic::ErrorRate => {
                let (low, high) = Share::of(*n, *k, broken).interval(alpha);
                Some([100.0 * low, 100.0 * high])
            }
            Statistic::Mean => mean(1000.0),
            Statistic::Throughput => mean(1.0),
            Statistic::Max => None,
        }
    }
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests;
