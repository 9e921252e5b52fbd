//! From what was counted to a verdict on each objective.

mod drift;
mod explain;
pub(in crate::slo) mod readings;
mod requests;

pub use readings::MIN_READINGS;

use crate::measure::summary::{Evidence, PhaseSummary, Summary};
use crate::plan::Decision;
use crate::plan::model::Gate;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::drift::Drift;
use crate::slo::judge::readings::{AllowedGaps, Readings};
use crate::slo::judge::requests::Requests;
use crate::slo::objective::{Objective, Statistic, Tier};
use crate::statistics::holm;

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
    pub fn as_str(self) -> &'static str {
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
pub struct Judgement {
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
pub enum RunLength {
    /// As written.
    Full,
    /// Shrunk: what is too short to decide is not assessed.
    Rehearsed,
}

/// On which terms objectives are judged.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'t> {
    /// Tier, confidence and kind of decision.
    pub gate: &'t Gate,
    /// Whether the plan was shrunk.
    pub length: RunLength,
    /// By phase: why its numbers may be the generator's doing, where they may.
    pub invalid: &'t [Option<String>],
    /// By phase: how long its users take to come round, in seconds. Before, its throughput is not yet the one that they
    /// make, and proves nothing.
    pub cycle_seconds: &'t [f64],
    /// The objective whose breach was proven while the run went on, and ended it.
    pub aborted: Option<usize>,
}

/// An objective with what was found for it.
struct ObjectiveCase<'c> {
    objective: &'c Objective,
    phase: &'c PhaseSummary,
    data: CaseData<'c>,
    /// By tier, best first.
    decision_rules: Vec<(Tier, f64, DecisionRule)>,
    /// The place of the gate's tier among them.
    at_gate: usize,
    gated: bool,
    invalid: Option<&'c str>,
    /// Why it decides nothing, whatever it comes to.
    not_assessable: Option<String>,
    aborted: bool,
}

/// What an objective looks at.
enum CaseData<'c> {
    Requests(Requests<'c>),
    Readings(Readings<'c>),
    Drift(Drift<'c>),
}

/// Judges every objective: exact counts decide, not histograms.
///
/// The result has one entry per objective, in their order; those of phases that were not run are `None`.
pub fn judge(objectives: &[Objective], summary: &Summary, policy: Policy<'_>) -> Vec<Option<Judgement>> {
    let cases: Vec<Option<ObjectiveCase<'_>>> =
        (0..objectives.len()).map(|index| ObjectiveCase::of((index, objectives), summary, policy)).collect();
    let proven = breaches(&cases, policy.gate.alpha);
    cases.iter().zip(proven).map(|(case, proven)| Some(case.as_ref()?.judge(proven, policy))).collect()
}

/// Whether each objective's breach at the gate's tier is proven. One false alarm would condemn the run, so those that are
/// gated share α.
fn breaches(cases: &[Option<ObjectiveCase<'_>>], alpha: f64) -> Vec<bool> {
    let shares = |case: &ObjectiveCase<'_>| {
        case.gated && case.invalid.is_none() && case.has_data() && case.decision_rule().shares_risk()
    };
    let sharing = || cases.iter().map(|case| case.as_ref().filter(|case| shares(case)));
    let risks: Vec<f64> = sharing().flatten().map(|case| case.decision_rule().risk_of_breach()).collect();
    let mut together = holm(&risks, alpha).into_iter();
    let alone = |case: &Option<ObjectiveCase<'_>>| {
        case.as_ref().is_some_and(|case| case.decision_rule().risk_of_breach() <= alpha)
    };
    let proven = sharing().zip(cases).map(|(sharing, case)| match sharing {
        Some(_) => together.next().unwrap_or(false),
        None => alone(case),
    });
    proven.collect()
}

impl<'c> ObjectiveCase<'c> {
    /// The objective at a place; `None` where its phase was not run.
    fn of(
        (index, objectives): (usize, &'c [Objective]),
        summary: &'c Summary,
        policy: Policy<'c>,
    ) -> Option<Self> {
        let objective = &objectives[index];
        let phase = summary.phases.get(objective.phase.index()).filter(|phase| phase.ran.is_some())?;
        let of_tier = |tier: Tier| {
            let watched = objective.indicators.iter().find(|(t, _)| *t == tier);
            watched.map(|(_, indicator)| &summary.evidence[*indicator])
        };
        let tiers: Vec<(Tier, f64)> = objective.tiers.all().collect();
        let gate = objective.tiers.at_gate(policy.gate.tier);
        let at_gate = gate.and_then(|(tier, _)| tiers.iter().position(|(known, _)| *known == tier));
        let at_gate = at_gate.unwrap_or(tiers.len() - 1);
        let at_gate_of = of_tier(tiers[at_gate].0);
        let data = CaseData::of(objective, phase, at_gate_of, policy.gate.alpha);
        let decision_rule = |tier: Tier, limit: f64| data.decision_rule(objective, limit, of_tier(tier));
        Some(Self {
            decision_rules: tiers
                .into_iter()
                .map(|(tier, limit)| (tier, limit, decision_rule(tier, limit)))
                .collect(),
            gated: objective.gated && gate.is_some(),
            invalid: policy.invalid.get(objective.phase.index()).and_then(Option::as_deref),
            not_assessable: data.not_assessable(objective, phase, policy),
            aborted: policy.aborted == Some(index),
            objective,
            phase,
            data,
            at_gate,
        })
    }

    fn decision_rule(&self) -> &DecisionRule {
        &self.decision_rules[self.at_gate].2
    }

    fn judge(&self, breach_is_proven: bool, policy: Policy<'_>) -> Judgement {
        let alpha = policy.gate.alpha;
        let has_data = self.has_data();
        let trusted = has_data && self.invalid.is_none() && self.not_assessable.is_none();
        let observed = self.observed();
        let holds = |index: usize| match policy.gate.decision {
            Decision::Proven => self.decision_rules[index].2.is_kept(alpha),
            Decision::Observed => self.within(index, observed) == Some(true),
        };
        let broken = |index: usize| match policy.gate.decision {
            Decision::Proven => self.decision_rules[index].2.risk_of_breach() <= alpha,
            Decision::Observed => self.within(index, observed) == Some(false),
        };
        let best = (0..self.decision_rules.len()).find(|index| trusted && holds(*index));
        let missed = match policy.gate.decision {
            Decision::Proven => breach_is_proven,
            Decision::Observed => broken(self.at_gate),
        };
        let verdict = match best {
            _ if !has_data => Verdict::NoData,
            _ if self.invalid.is_some() || self.not_assessable.is_some() => Verdict::Inconclusive,
            _ if self.aborted || missed => Verdict::Missed,
            _ if holds(self.at_gate) => Verdict::Met,
            _ => Verdict::Inconclusive,
        };
        let proven = policy.gate.decision == Decision::Proven;
        let interval = self.interval(alpha).filter(|_| has_data && proven);
        let why = explain::explain(self, &explain::Conclusion { verdict, best, observed, interval, policy });
        let (verdict, why) = match policy.length {
            RunLength::Rehearsed if self.is_too_short(verdict, policy) => {
                (Verdict::NotAssessed, format!("a rehearsal does not decide it: {why}"))
            }
            _ => (verdict, why),
        };
        Judgement {
            observed,
            interval,
            samples: self.samples(),
            effective_samples: self.effective().filter(|_| has_data),
            tier: best.map(|index| self.decision_rules[index].0),
            beyond_all: trusted && best.is_none() && broken(self.decision_rules.len() - 1),
            verdict,
            gated: self.gated,
            why,
        }
    }

    /// Whether a rehearsal cannot assess it. What was only observed needs as many samples as a proof.
    fn is_too_short(&self, verdict: Verdict, policy: Policy<'_>) -> bool {
        let min_cases = explain::min_cases(self.decision_rule(), policy.gate.alpha).unwrap_or(0);
        let few =
            policy.gate.decision == Decision::Observed && self.decision_rule().cases() < min_cases as f64;
        few || matches!(verdict, Verdict::NoData | Verdict::Inconclusive)
    }

    /// Whether what was observed is within the limit of a tier.
    fn within(&self, index: usize, observed: Option<f64>) -> Option<bool> {
        let (_, limit, decision_rule) = &self.decision_rules[index];
        match self.objective.statistic {
            Statistic::Mean | Statistic::Throughput if self.objective.windows.is_none() => {
                observed.map(|observed| self.objective.statistic.bound(*limit).holds(observed))
            }
            _ => decision_rule.holds(),
        }
    }

    fn has_data(&self) -> bool {
        match &self.data {
            CaseData::Requests(requests) => requests.has_data(),
            CaseData::Readings(readings) => readings.has_data(),
            CaseData::Drift(drift) => drift.has_data(),
        }
    }

    /// The requests or readings that it is based on.
    fn samples(&self) -> u64 {
        match &self.data {
            CaseData::Requests(requests) => requests.samples(),
            CaseData::Readings(readings) => u64::from(readings.coverage.seen),
            CaseData::Drift(drift) => drift.samples,
        }
    }

    /// What was observed, for showing, in the statistic's unit.
    fn observed(&self) -> Option<f64> {
        match (&self.data, self.objective.statistic) {
            (CaseData::Requests(requests), _) => requests.observed(),
            (CaseData::Readings(readings), Statistic::Resource(resource)) => readings.observed(resource.of),
            (CaseData::Readings(_), _) => None,
            (CaseData::Drift(drift), _) => drift.change.map(|[_, estimate, _]| estimate),
        }
    }

    /// Between which values the true one is, each end at risk α.
    fn interval(&self, alpha: f64) -> Option<[f64; 2]> {
        match &self.data {
            CaseData::Requests(requests) => requests.interval(alpha),
            CaseData::Readings(_) => None,
            CaseData::Drift(drift) => drift.change.map(|[low, _, high]| [low, high]),
        }
    }

    /// How many independent cases the decision rests on.
    fn effective(&self) -> Option<f64> {
        match &self.data {
            CaseData::Drift(drift) => drift.windows,
            _ => self.decision_rule().effective(),
        }
    }
}

impl<'c> CaseData<'c> {
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
    fn decision_rule(&self, objective: &Objective, limit: f64, evidence: Option<&Evidence>) -> DecisionRule {
        match (self, objective.statistic, evidence) {
            (Self::Drift(drift), ..) => drift.decision_rule(limit),
            (Self::Readings(readings), Statistic::Resource(resource), _) => {
                readings.decision_rule(resource, limit)
            }
            (_, _, Some(evidence)) => DecisionRule::of(objective, limit, evidence),
            _ => DecisionRule::Observed { cases: 0.0, within: None },
        }
    }

    /// Why it decides nothing, whatever it comes to.
    fn not_assessable(
        &self,
        objective: &Objective,
        phase: &PhaseSummary,
        policy: Policy<'_>,
    ) -> Option<String> {
        match self {
            Self::Requests(requests) => {
                requests.unsteady(policy.cycle_seconds.get(objective.phase.index()).copied().unwrap_or(0.0))
            }
            Self::Readings(readings) => readings.not_assessable(AllowedGaps::Short),
            Self::Drift(drift) => {
                drift.not_assessable(phase.judged_seconds, objective.statistic.min_length().unwrap_or(0.0))
            }
        }
    }
}

#[cfg(test)]
mod tests;
