//! The verdict on each objective, from the summary of a run.

mod case_data;
mod drift;
mod excuses;
mod explain;
pub(in crate::slo) mod readings;
mod requests;

pub use excuses::Excuses;
pub use readings::MIN_READINGS;

use crate::measure::summary::{PhaseSummary, Summary};
use crate::plan::model::Gate;
use crate::plan::{Decision, Tier};
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::case_data::{CaseData, Counted, HostCase};
use crate::slo::objective::{Aggregation, Family, Objective};
use crate::statistics::holm;
use crate::units::text_enum;

text_enum! {
    /// The verdict on one objective.
    pub enum Verdict {
        /// Within the gate's limit.
        Met = "met",
        /// Beyond the gate's limit.
        Missed = "missed",
        /// The data cannot decide it.
        Inconclusive = "inconclusive",
        /// The judged period has no data for it.
        NoData = "no data",
        /// The rehearsal was too short for it.
        NotAssessed = "not assessed",
        /// Its phase did not run.
        NotJudged = "not judged",
    }
}

/// The verdict on an objective, with the numbers and the sentence that explain it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The observed value, in the statistic's unit; `None` without data.
    pub observed: Option<f64>,
    /// The confidence interval, each end at the gate's confidence; `None` if an end is unknown.
    pub interval: Option<[f64; 2]>,
    /// The number of requests or readings behind the observed value.
    pub samples: u64,
    /// The effective sample size: independent samples with the same information. For means and throughput the number of
    /// batches; with `every` the number of intervals.
    pub effective_samples: Option<f64>,
    /// The best proven tier; `None` if none is proven.
    pub tier: Option<Tier>,
    /// Whether a breach of even the last limit is proven.
    pub beyond_all: bool,
    /// The verdict at the gate's tier.
    pub verdict: Verdict,
    /// The verdict that the counts prove and that a check of the load generator takes away.
    pub excused: Option<Verdict>,
    /// Whether it counts for the verdict of the run.
    pub gated: bool,
    /// The explanation, in one sentence.
    pub why: String,
    /// The reason alone, the last part of the explanation.
    pub reason: String,
}

impl Judgement {
    /// An objective of a phase that did not run.
    pub fn of_phase_not_run(gated: bool) -> Self {
        let why = "its phase did not run".to_owned();
        Self {
            observed: None,
            interval: None,
            samples: 0,
            effective_samples: None,
            tier: None,
            beyond_all: false,
            verdict: Verdict::NotJudged,
            excused: None,
            gated,
            reason: why.clone(),
            why,
        }
    }
}

/// Whether the plan ran as written or shrunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunLength {
    Full,
    /// A rehearsal: an objective that is too short to decide is not assessed.
    Rehearsed,
}

/// The policy by which objectives are judged.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'t> {
    /// Tier, confidence and kind of decision.
    pub gate: &'t Gate,
    /// Whether the run is a rehearsal.
    pub length: RunLength,
    /// By phase.
    pub excuses: &'t [Excuses],
    /// By phase: the cycle of its users, in seconds. A judged period shorter than one cycle does not decide throughput.
    pub cycle_seconds: &'t [f64],
    /// The objective whose proven breach ended the run.
    pub aborted: Option<usize>,
}

/// An objective with its data and decision rules.
struct ObjectiveCase<'c> {
    objective: &'c Objective,
    phase: &'c PhaseSummary,
    data: CaseData<'c>,
    /// By tier, best first.
    decision_rules: Vec<(Tier, f64, DecisionRule)>,
    /// The index of the gate's tier in `decision_rules`.
    at_gate: usize,
    gated: bool,
    /// The reasons why a pass and a breach are excused.
    excused_pass: Option<&'c str>,
    excused_breach: Option<&'c str>,
    /// The reason why the data cannot decide, if there is one.
    not_assessable: Option<String>,
    aborted: bool,
}

/// Judges every objective. Exact counts decide, not histograms.
///
/// The result has one entry per objective, in their order; `None` if its phase was not run.
pub fn judge(objectives: &[Objective], summary: &Summary, policy: Policy<'_>) -> Vec<Option<Judgement>> {
    let cases: Vec<Option<ObjectiveCase<'_>>> =
        (0..objectives.len()).map(|index| ObjectiveCase::of(index, objectives, summary, policy)).collect();
    // A breach that is excused shares no risk with the others.
    let all = breaches(&cases, policy.gate.alpha, |_| true);
    let rest = breaches(&cases, policy.gate.alpha, |case| case.excused_breach.is_none());
    let judge = |(case, (all, rest)): (&Option<ObjectiveCase<'_>>, (bool, bool))| {
        let case = case.as_ref()?;
        Some(case.judge(if case.excused_breach.is_some() { all } else { rest }, policy))
    };
    cases.iter().zip(all.into_iter().zip(rest)).map(judge).collect()
}

/// Whether each objective's breach at the gate's tier is proven. One false alarm would fail the run, so the gated
/// objectives that are `included` share α (Holm).
fn breaches(
    cases: &[Option<ObjectiveCase<'_>>],
    alpha: f64,
    included: impl Fn(&ObjectiveCase<'_>) -> bool,
) -> Vec<bool> {
    let shares = |case: &ObjectiveCase<'_>| {
        case.gated && included(case) && case.has_data() && case.decision_rule().shares_risk()
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
    /// The limits of all tiers.
    fn limits(&self) -> Vec<f64> {
        self.decision_rules.iter().map(|(_, limit, _)| *limit).collect()
    }

    /// The case of the objective at an index; `None` if its phase was not run.
    fn of(
        index: usize,
        objectives: &'c [Objective],
        summary: &'c Summary,
        policy: Policy<'c>,
    ) -> Option<Self> {
        let objective = &objectives[index];
        let phase = summary.phases.get(objective.phase.index()).filter(|phase| phase.ran.is_some())?;
        let tiers: Vec<(Tier, f64)> = objective.tiers.all().collect();
        let gate = objective.tiers.at_gate(policy.gate.tier);
        let at_gate = gate.and_then(|(tier, _)| tiers.iter().position(|(known, _)| *known == tier));
        let at_gate = at_gate.unwrap_or(tiers.len() - 1);
        let counts = Counted { phase, evidence: &summary.evidence };
        let data = CaseData::of(&objective.family, tiers[at_gate].0, counts, policy.gate.alpha);
        let excuses = policy.excuses.get(objective.phase.index());
        let missing_load = excuses.map_or(0.0, |excuses| excuses.missing_load);
        let decision_rule = |tier: Tier, limit: f64| {
            data.decision_rule(tier, limit, &summary.evidence).without_load(missing_load)
        };
        let not_assessable = data.not_assessable(tiers[at_gate].1, objective.phase, policy);
        let (excused_pass, excused_breach) = excuses.map_or((None, None), |of| of.of(&objective.family));
        Some(Self {
            decision_rules: tiers
                .into_iter()
                .map(|(tier, limit)| (tier, limit, decision_rule(tier, limit)))
                .collect(),
            gated: objective.gated && gate.is_some(),
            excused_pass,
            excused_breach,
            not_assessable,
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
        let is_assessable = has_data && self.not_assessable.is_none();
        let observed = self.observed();
        let holds = |index: usize| match policy.gate.decision {
            Decision::Proven => self.decision_rules[index].2.is_kept(alpha),
            Decision::Observed => self.within(index, observed) == Some(true),
        };
        let broken = |index: usize| match policy.gate.decision {
            Decision::Proven => self.decision_rules[index].2.risk_of_breach() <= alpha,
            Decision::Observed => self.within(index, observed) == Some(false),
        };
        let kept = is_assessable && self.excused_pass.is_none();
        let best = (0..self.decision_rules.len()).find(|index| kept && holds(*index));
        let missed = match policy.gate.decision {
            Decision::Proven => breach_is_proven,
            Decision::Observed => broken(self.at_gate),
        };
        let by_counts = match () {
            () if !has_data => Verdict::NoData,
            () if self.is_seen_beyond() => Verdict::Missed,
            () if !is_assessable => Verdict::Inconclusive,
            () if self.aborted || missed => Verdict::Missed,
            () if holds(self.at_gate) => Verdict::Met,
            () => Verdict::Inconclusive,
        };
        let excused = Some(by_counts).filter(|_| self.excuse(by_counts).is_some());
        let verdict = if excused.is_some() { Verdict::Inconclusive } else { by_counts };
        let proven = policy.gate.decision == Decision::Proven;
        let interval = self.interval(alpha).filter(|_| has_data && proven);
        let explain::Explanation { why, reason } = explain::explain(
            self,
            &explain::Conclusion { verdict, excused, best, observed, interval, policy },
        );
        let (verdict, why) = match policy.length {
            RunLength::Rehearsed if excused.is_none() && self.is_too_short(verdict, policy) => {
                (Verdict::NotAssessed, format!("not decided in a rehearsal: {why}"))
            }
            _ => (verdict, why),
        };
        Judgement {
            observed,
            interval,
            samples: self.samples(),
            effective_samples: self.effective().filter(|_| has_data),
            tier: best.map(|index| self.decision_rules[index].0),
            beyond_all: (is_assessable || self.is_seen_beyond())
                && self.excused_breach.is_none()
                && best.is_none()
                && broken(self.decision_rules.len() - 1),
            verdict,
            excused,
            gated: self.gated,
            why,
            reason,
        }
    }

    /// The reason why a verdict that the counts prove is excused.
    fn excuse(&self, verdict: Verdict) -> Option<&'c str> {
        match verdict {
            Verdict::Met => self.excused_pass,
            Verdict::Missed => self.excused_breach,
            _ => None,
        }
    }

    /// Whether a rehearsal cannot assess it. An observed decision needs as many samples as a proof.
    fn is_too_short(&self, verdict: Verdict, policy: Policy<'_>) -> bool {
        let min_cases = explain::min_cases(self.decision_rule(), policy.gate.alpha).unwrap_or(0);
        let few =
            policy.gate.decision == Decision::Observed && self.decision_rule().cases() < min_cases as f64;
        few || matches!(verdict, Verdict::NoData | Verdict::Inconclusive)
    }

    /// Whether the observed value is within the limit of a tier; `None` if it is unknown, or is only on one side because
    /// of the generator's own part.
    fn within(&self, index: usize, observed: Option<f64>) -> Option<bool> {
        let (_, limit, decision_rule) = &self.decision_rules[index];
        match (&self.objective.family, &self.data, decision_rule) {
            (Family::Requests(objective), CaseData::Requests(requests), DecisionRule::Mean { .. }) => {
                let holds = objective.statistic.bound(*limit).holds(observed?);
                // Without the generator's own part a mean is only better.
                let certain = decision_rule.is_broken_by(requests.certain_mean()?);
                (holds != certain).then_some(holds)
            }
            _ => decision_rule.holds(),
        }
    }

    /// Whether a single reading is beyond the limit where none may be: further readings would not change that.
    fn is_seen_beyond(&self) -> bool {
        let CaseData::Host(HostCase { objective, readings }) = &self.data else { return false };
        objective.of == Aggregation::Max
            && objective.interval.is_none()
            && !readings.is_of_other_host()
            && self.decision_rule().holds() == Some(false)
    }

    fn has_data(&self) -> bool {
        match &self.data {
            CaseData::Requests(requests) => requests.has_data(),
            CaseData::Host(host) => host.readings.has_data(),
            CaseData::Drift(drift) => drift.has_data(),
            CaseData::Outage(case) => case.outages.has_data(),
        }
    }

    /// The number of requests or readings.
    fn samples(&self) -> u64 {
        match &self.data {
            CaseData::Requests(requests) => requests.samples(),
            CaseData::Host(host) => u64::from(host.readings.coverage.seen),
            CaseData::Drift(drift) => drift.samples,
            CaseData::Outage(_) => self.phase.operations.values().map(|operation| operation.judged).sum(),
        }
    }

    /// The observed value for reports, in the statistic's unit.
    fn observed(&self) -> Option<f64> {
        match &self.data {
            CaseData::Requests(requests) => requests.observed(),
            CaseData::Host(host) => host.readings.observed(host.objective.of),
            CaseData::Drift(drift) => drift.change.map(|[_, estimate, _]| estimate),
            CaseData::Outage(case) => Some(case.outages.longest_s()),
        }
    }

    /// The confidence interval, each end at risk α.
    fn interval(&self, alpha: f64) -> Option<[f64; 2]> {
        match &self.data {
            CaseData::Requests(requests) => requests.interval(alpha),
            CaseData::Host(_) | CaseData::Outage(_) => None,
            CaseData::Drift(drift) => drift.change.map(|[low, _, high]| [low, high]),
        }
    }

    /// The effective sample size of the decision.
    fn effective(&self) -> Option<f64> {
        match &self.data {
            CaseData::Drift(drift) => drift.segments,
            _ => self.decision_rule().effective(),
        }
    }
}

#[cfg(test)]
mod tests;
