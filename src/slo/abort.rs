//! Ends a run early when a breach is proven, by sequential tests that stay valid under repeated checks.

use crate::measure::summary::{Evidence, Summary};
use crate::plan::model::{Gate, PhaseId};
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::readings;
use crate::slo::objective::{Family, Objective};
use crate::statistics::SequentialTest;
use crate::units::{format_against, format_exact};

/// The design effect is itself an estimate, so no breach is proven before this many judged seconds.
const MIN_JUDGED_S: u64 = 300;
/// The minimum time between two checks, in judged seconds.
const CHECK_INTERVAL_S: u64 = 10;

/// The objectives that may end the run, with their past checks.
#[derive(Debug)]
pub struct AbortCheck<'o> {
    objectives: &'o [Objective],
    gate: &'o Gate,
    test: SequentialTest,
    /// By objective: the number of checks and the judged second of the last one.
    checks: Vec<(u64, u64)>,
}

/// A proven breach.
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// The index of the objective.
    pub objective: usize,
    /// The proof, as a sentence.
    pub why: String,
}

impl<'o> AbortCheck<'o> {
    /// Prepares the check of the gated objectives with `abort = true`.
    pub fn new(objectives: &'o [Objective], gate: &'o Gate) -> Self {
        let gated = objectives.iter().filter(|objective| objective.gated_limit(gate.tier).is_some()).count();
        let test = SequentialTest { alpha: gate.alpha, objectives: gated };
        Self { objectives, gate, test, checks: vec![(0, 0); objectives.len()] }
    }

    /// Checks the objectives of a running phase; returns the first with a proven breach.
    pub fn check(&mut self, phase: PhaseId, summary: &Summary) -> Option<Abort> {
        let of_phase =
            |index: &usize| self.objectives[*index].phase == phase && self.objectives[*index].family.aborts();
        let places: Vec<usize> = (0..self.objectives.len()).filter(of_phase).collect();
        places.into_iter().find_map(|objective| {
            let why = self.check_objective(objective, summary)?;
            Some(Abort { objective, why })
        })
    }

    fn check_objective(&mut self, index: usize, summary: &Summary) -> Option<String> {
        let objective = &self.objectives[index];
        let (tier, limit) = objective.gated_limit(self.gate.tier)?;
        let requests = match &objective.family {
            Family::Requests(requests) => requests,
            Family::Host(host) => {
                let phase = &summary.phases[objective.phase.index()];
                let certain = readings::certain_breach(host, phase, limit, self.gate.alpha)?;
                let tier = tier.as_str();
                return Some(format!("`{}` is certain to exceed its {tier}: {certain}", objective.name));
            }
            Family::Drift(_) | Family::Outage => return None,
        };
        let evidence = requests.evidence(tier, &summary.evidence);
        let seconds = seconds(evidence);
        let decision_rule = DecisionRule::of(requests, limit, evidence);
        let (checks, last) = &mut self.checks[index];
        // A certain breach need not wait.
        if decision_rule.shares_risk() {
            if seconds < MIN_JUDGED_S || seconds < *last + CHECK_INTERVAL_S {
                return None;
            }
            (*checks, *last) = (*checks + 1, seconds);
        }
        let number = *checks;
        self.proof(&decision_rule, number).map(|proof| {
            format!(
                "`{}` is proven {} its {} after {seconds} judged seconds: {proof}",
                objective.name,
                if objective.family.has_minimum() { "below" } else { "beyond" },
                objective.family.limit_name(tier),
            )
        })
    }

    /// The proof of a breach, as a clause; `None` if it is not proven.
    fn proof(&self, decision_rule: &DecisionRule, number: u64) -> Option<String> {
        match *decision_rule {
            DecisionRule::Proportion { broken, allowed, .. } => {
                let factor = self.test.bayes_factor(&broken, allowed);
                factor.proves().then(|| {
                    format!(
                        "{:.0} of {:.0} count against it ({} %, and at most {} % may); the effective sample size \
                         is {:.0}; the evidence for a breach is {} to 1, and {:.0} to 1 is needed",
                        broken.counted,
                        broken.cases,
                        format_against(100.0 * broken.counted / broken.cases, &[100.0 * allowed]),
                        format_exact(100.0 * allowed),
                        broken.effective(),
                        odds(factor.ln_factor.exp()),
                        factor.ln_needed.exp(),
                    )
                })
            }
            DecisionRule::NoneAllowed { cases, counted, .. } => {
                (counted > 0.0).then(|| format!("{counted:.0} of {cases:.0} count against it, and none may"))
            }
            DecisionRule::Observed { .. } | DecisionRule::Change { .. } => None,
            DecisionRule::Mean { .. } => {
                let (risk, allowed) = (decision_rule.risk_of_breach(), self.test.risk_at_check(number));
                (risk <= allowed).then(|| {
                    format!("at check {number} the risk of error is {risk:.1e}, and at most {allowed:.1e} is allowed")
                })
            }
        }
    }
}

fn odds(odds: f64) -> String {
    if odds < 1e6 { format!("{odds:.0}") } else { "over a million".to_owned() }
}

/// The number of whole judged seconds so far.
fn seconds(evidence: &Evidence) -> u64 {
    evidence.kept.levels().first().map_or(0, |level| level.blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Problems, Span};
    use crate::measure::indicator::Counts;
    use crate::plan::model::OperationId;
    use crate::plan::{Decision, Inconclusive, Tier};
    use crate::slo::objective::{Aggregation, LimitSpans, RequestObjective, RequestStatistic, Tiers};

    fn gate() -> Gate {
        let (tier, inconclusive, decision) = (Tier::Maximum.into(), Inconclusive::Fail, Decision::Proven);
        Gate { tier, inconclusive, decision, alpha: 0.05, breaker: true }
    }

    const P95: RequestStatistic = RequestStatistic::ResponseTime(Aggregation::Quantile(0.95));
    const MAX: RequestStatistic = RequestStatistic::ResponseTime(Aggregation::Max);

    fn objective(statistic: RequestStatistic, abort: bool) -> Objective {
        let file = Problems::default().add_source("x", "");
        Objective {
            name: "x".into(),
            phase: PhaseId(0),
            family: Family::Requests(RequestObjective {
                statistic,
                operations: vec![OperationId(0)],
                scenario: None,
                interval: None,
                abort,
                indicators: vec![(Tier::Maximum, 0)],
            }),
            tiers: Tiers { target: None, acceptable: None, last: 10.0 },
            gated: true,
            span: Span { file, start: 0, end: 0 },
            limit_spans: LimitSpans::default(),
        }
    }

    /// The second at which a run with the same n and k in each second is ended.
    fn ended(objective: Objective, n: f64, k: f64) -> Option<u32> {
        let (gate, objectives) = (gate(), [objective]);
        let mut aborts = AbortCheck::new(&objectives, &gate);
        let mut summary = Summary { evidence: vec![Evidence::default()], ..Summary::default() };
        (1..1000).find(|_| {
            let evidence = &mut summary.evidence[0];
            evidence.counts.add(Counts { n, k, ..Counts::default() });
            evidence.kept.push(n, k);
            evidence.broken.push(n, k);
            aborts.check(PhaseId(0), &summary).is_some()
        })
    }

    #[test]
    fn a_proof_needs_five_minutes_but_a_certain_breach_none() {
        assert_eq!(ended(objective(P95, true), 10.0, 2.0), Some(300));
        assert_eq!(ended(objective(RequestStatistic::Throughput, true), 1.0, 5.0), Some(300));
        assert_eq!(ended(objective(MAX, true), 10.0, 1.0), Some(1));
    }

    #[test]
    fn the_proof_shows_that_the_share_is_beyond_the_allowed_one() {
        let (gate, objectives) = (gate(), [objective(P95, true)]);
        let mut summary = Summary { evidence: vec![Evidence::default()], ..Summary::default() };
        let evidence = &mut summary.evidence[0];
        for _ in 0..MIN_JUDGED_S {
            let (n, k) = (1e8, 5_004_000.0);
            evidence.counts.add(Counts { n, k, ..Counts::default() });
            evidence.kept.push(n, k);
            evidence.broken.push(n, k);
        }
        let abort = AbortCheck::new(&objectives, &gate).check(PhaseId(0), &summary).unwrap();
        assert!(abort.why.contains("(5.004 %, and at most 5 % may)"), "{}", abort.why);
    }

    #[test]
    fn kept_objectives_and_those_without_abort_end_no_run() {
        assert_eq!(ended(objective(P95, true), 10.0, 0.4), None);
        assert_eq!(ended(objective(RequestStatistic::Throughput, true), 1.0, 20.0), None);
        assert_eq!(ended(objective(MAX, true), 10.0, 0.0), None);
        assert_eq!(ended(objective(P95, false), 10.0, 5.0), None);
    }

    #[test]
    fn checks_are_ten_seconds_apart() {
        let (gate, objectives) = (gate(), [objective(P95, true)]);
        let mut aborts = AbortCheck::new(&objectives, &gate);
        let mut summary = Summary { evidence: vec![Evidence::default()], ..Summary::default() };
        for _ in 0..345 {
            summary.evidence[0].kept.push(1.0, 0.0);
            aborts.check(PhaseId(0), &summary);
        }
        assert_eq!(aborts.checks, [(5, 340)]);
    }
}
