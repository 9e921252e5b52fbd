//! From what was counted to a verdict on each objective.

mod drift;
pub(in crate::slo) mod readings;
mod requests;
mod why;

pub use readings::FEWEST as FEWEST_READINGS;

use crate::measure::summary::{Evidence, PhaseSummary, Summary};
use crate::plan::Decision;
use crate::plan::model::Gate;
use crate::proof::holm;
use crate::slo::judge::drift::Drift;
use crate::slo::judge::readings::{Holes, Readings};
use crate::slo::judge::requests::Requests;
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

/// An objective with what was found for it.
struct Case<'c> {
    objective: &'c Objective,
    phase: &'c PhaseSummary,
    found: Found<'c>,
    /// By tier, best first.
    scales: Vec<(Tier, f64, Scale)>,
    /// The place of the gate's tier among them.
    at_gate: usize,
    gated: bool,
    invalid: Option<&'c str>,
    /// Why it decides nothing, whatever it comes to.
    unfit: Option<String>,
    aborted: bool,
}

/// What an objective looks at.
enum Found<'c> {
    Requests(Requests<'c>),
    Readings(Readings<'c>),
    Drift(Drift<'c>),
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
            let watched = objective.watches.iter().find(|(t, _)| *t == tier);
            watched.map(|(_, watch)| &summary.evidence[*watch])
        };
        let tiers: Vec<(Tier, f64)> = objective.tiers.all().collect();
        let gate = objective.tiers.at_gate(terms.gate.tier);
        let at_gate = gate.and_then(|(tier, _)| tiers.iter().position(|(known, _)| *known == tier));
        let at_gate = at_gate.unwrap_or(tiers.len() - 1);
        let at_gate_of = of_tier(tiers[at_gate].0);
        let found = Found::of(objective, phase, at_gate_of, terms.gate.alpha);
        let scale = |tier: Tier, limit: f64| found.scale(objective, limit, of_tier(tier));
        Some(Self {
            scales: tiers.into_iter().map(|(tier, limit)| (tier, limit, scale(tier, limit))).collect(),
            gated: objective.gated && gate.is_some(),
            invalid: terms.invalid.get(objective.phase.index()).and_then(Option::as_deref),
            unfit: found.unfit(objective, phase, terms),
            aborted: terms.aborted == Some(index),
            objective,
            phase,
            found,
            at_gate,
        })
    }

    fn scale(&self) -> &Scale {
        &self.scales[self.at_gate].2
    }

    fn judge(&self, breach_is_proven: bool, terms: Terms<'_>) -> Judged {
        let alpha = terms.gate.alpha;
        let has_data = self.has_data();
        let trusted = has_data && self.invalid.is_none() && self.unfit.is_none();
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
            _ if self.invalid.is_some() || self.unfit.is_some() => Verdict::Inconclusive,
            _ if self.aborted || missed => Verdict::Missed,
            _ if holds(self.at_gate) => Verdict::Met,
            _ => Verdict::Inconclusive,
        };
        let proven = terms.gate.decision == Decision::Proven;
        let interval = self.interval(alpha).filter(|_| has_data && proven);
        let why = why::why(self, &why::Facts { verdict, best, observed, interval, terms });
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
            effective_samples: self.effective().filter(|_| has_data),
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
        match &self.found {
            Found::Requests(requests) => requests.has_data(),
            Found::Readings(readings) => readings.has_data(),
            Found::Drift(drift) => drift.has_data(),
        }
    }

    /// The requests or readings that it is based on.
    fn samples(&self) -> u64 {
        match &self.found {
            Found::Requests(requests) => requests.samples(),
            Found::Readings(readings) => u64::from(readings.coverage.seen),
            Found::Drift(drift) => drift.samples,
        }
    }

    /// What was observed, for showing, in the statistic's unit.
    fn observed(&self) -> Option<f64> {
        match (&self.found, self.objective.statistic) {
            (Found::Requests(requests), _) => requests.observed(),
            (Found::Readings(readings), Statistic::Resource(resource)) => readings.observed(resource.of),
            (Found::Readings(_), _) => None,
            (Found::Drift(drift), _) => drift.change.map(|[_, estimate, _]| estimate),
        }
    }

    /// Between which values the true one is, each end at risk α.
    fn interval(&self, alpha: f64) -> Option<[f64; 2]> {
        match &self.found {
            Found::Requests(requests) => requests.interval(alpha),
            Found::Readings(_) => None,
            Found::Drift(drift) => drift.change.map(|[low, _, high]| [low, high]),
        }
    }

    /// How many independent cases the decision rests on.
    fn effective(&self) -> Option<f64> {
        match &self.found {
            Found::Drift(drift) => drift.windows,
            _ => self.scale().effective(),
        }
    }
}

impl<'c> Found<'c> {
    fn of(
        objective: &'c Objective,
        phase: &'c PhaseSummary,
        evidence: Option<&'c Evidence>,
        alpha: f64,
    ) -> Self {
        match (objective.statistic, evidence) {
            (Statistic::Growth(growth), _) => {
                Self::Drift(Drift::of_metric(objective, growth.metric, phase, alpha))
            }
            (Statistic::Resource(resource), _) => {
                Self::Readings(Readings::of(objective, resource.metric, phase))
            }
            (Statistic::Slowdown { .. }, Some(evidence)) => {
                Self::Drift(Drift::of_times(evidence, phase, alpha))
            }
            (_, evidence) => {
                let evidence = evidence.expect("every tier of what is counted is watched");
                Self::Requests(Requests { objective, phase, evidence })
            }
        }
    }

    /// How one of the limits is decided; `evidence` is what was counted against it.
    fn scale(&self, objective: &Objective, limit: f64, evidence: Option<&Evidence>) -> Scale {
        match (self, objective.statistic, evidence) {
            (Self::Drift(drift), ..) => drift.scale(limit),
            (Self::Readings(readings), Statistic::Resource(resource), _) => readings.scale(resource, limit),
            (_, _, Some(evidence)) => Scale::of(objective, limit, evidence),
            _ => Scale::Seen { cases: 0.0, within: None },
        }
    }

    /// Why it decides nothing, whatever it comes to.
    fn unfit(&self, objective: &Objective, phase: &PhaseSummary, terms: Terms<'_>) -> Option<String> {
        match self {
            Self::Requests(requests) => {
                requests.unsteady(terms.rounds.get(objective.phase.index()).copied().unwrap_or(0.0))
            }
            Self::Readings(readings) => readings.unfit(Holes::Short),
            Self::Drift(drift) => {
                drift.unfit(phase.judged_seconds, objective.statistic.min_length().unwrap_or(0.0))
            }
        }
    }
}

#[cfg(test)]
mod tests;
