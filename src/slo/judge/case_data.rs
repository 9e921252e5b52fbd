//! The data of an objective: its requests, readings, drift or outages.

use crate::measure::outage::OutageDetector;
use crate::measure::summary::{Evidence, PhaseSummary};
use crate::plan::Tier;
use crate::plan::model::PhaseId;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::Policy;
use crate::slo::judge::drift::Drift;
use crate::slo::judge::readings::{AllowedGaps, Readings};
use crate::slo::judge::requests::Requests;
use crate::slo::objective::{Change, DriftObjective, Family, HostObjective, RequestObjective};
use crate::units::format_number;

/// The data of an objective.
pub(super) enum CaseData<'c> {
    Requests(Requests<'c>),
    Host(HostCase<'c>),
    Drift(Drift<'c>),
    Outage(OutageCase<'c>),
}

/// The outages of a phase.
pub(super) struct OutageCase<'c> {
    pub(super) outages: &'c OutageDetector,
    pub(super) judged_seconds: f64,
}

/// The readings of an objective on a host.
pub(super) struct HostCase<'c> {
    pub(super) objective: &'c HostObjective,
    pub(super) readings: Readings<'c>,
}

/// What was counted in a phase.
#[derive(Clone, Copy)]
pub(super) struct Counted<'c> {
    pub(super) phase: &'c PhaseSummary,
    /// By indicator.
    pub(super) evidence: &'c [Evidence],
}

impl<'c> CaseData<'c> {
    /// The data of an objective that is judged at a tier.
    pub(super) fn of(family: &'c Family, tier: Tier, counted: Counted<'c>, alpha: f64) -> Self {
        let Counted { phase, evidence } = counted;
        match family {
            Family::Requests(objective) => {
                Self::Requests(Requests { objective, phase, evidence: objective.evidence(tier, evidence) })
            }
            Family::Host(objective) => {
                Self::Host(HostCase { objective, readings: Readings::of_host(objective, phase) })
            }
            Family::Outage => {
                Self::Outage(OutageCase { outages: &phase.outages, judged_seconds: phase.judged_seconds })
            }
            Family::Drift(DriftObjective { change, min_length }) => Self::Drift(match change {
                Change::Growth { host, metric } => {
                    Drift::of_metric(Readings::of(host, *metric, None, phase), *min_length, phase, alpha)
                }
                Change::Slowdown { indicator, .. } => {
                    Drift::of_times(&evidence[*indicator], *min_length, phase, alpha)
                }
            }),
        }
    }

    /// The decision rule of one limit.
    pub(super) fn decision_rule(&self, tier: Tier, limit: f64, evidence: &[Evidence]) -> DecisionRule {
        match self {
            Self::Requests(Requests { objective, .. }) => {
                DecisionRule::of(objective, limit, objective.evidence(tier, evidence))
            }
            Self::Host(host) => host.readings.decision_rule(host.objective.of, limit),
            Self::Drift(drift) => drift.decision_rule(limit),
            Self::Outage(case) => DecisionRule::observed(1.0, Some(case.outages.longest_s() <= limit)),
        }
    }

    /// The reason why the data cannot decide, if there is one.
    pub(super) fn not_assessable(&self, limit: f64, phase: PhaseId, policy: Policy<'_>) -> Option<String> {
        match self {
            Self::Requests(requests) => {
                requests.unsteady(policy.cycle_seconds.get(phase.index()).copied().unwrap_or(0.0))
            }
            Self::Host(host) => host.readings.not_assessable(AllowedGaps::Short),
            Self::Drift(drift) => drift.not_assessable.clone(),
            Self::Outage(OutageCase { judged_seconds, .. }) => (*judged_seconds <= limit).then(|| {
                format!(
                    "judged for {} s, no longer than the limit; not enough to decide",
                    format_number(*judged_seconds)
                )
            }),
        }
    }
}

impl RequestObjective {
    /// The evidence for the limit of a tier.
    pub(in crate::slo) fn evidence<'e>(&self, tier: Tier, evidence: &'e [Evidence]) -> &'e Evidence {
        let found = self.indicators.iter().find(|(known, _)| *known == tier);
        let (_, indicator) = found.expect("each tier of an objective on requests has an indicator");
        &evidence[*indicator]
    }
}
