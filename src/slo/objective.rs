//! The compiled objective: a limit on a statistic of one phase, with its tiers.

mod tiers;

pub use tiers::{Bound, LimitSpans, Tiers};

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::measure::indicator::{Indicator, IndicatorKind, IntervalRule, Intervals};
use crate::plan::model::{HostId, OperationId, PhaseId};
use crate::plan::{GateTier, Tier};
use crate::resources::metric::Metric;
use crate::units::{Unit, text_enum};

/// An objective in one phase. The threshold file's objective becomes one of these for each phase in which it applies.
#[derive(Debug, Clone)]
pub struct Objective {
    /// The name in the threshold file.
    pub name: String,
    pub phase: PhaseId,
    pub family: Family,
    /// The limits, in the unit of the objective.
    pub tiers: Tiers,
    /// Whether the objective counts for the verdict of the run.
    pub gated: bool,
    /// The place of its name.
    pub span: Span,
    /// The places of its limits.
    pub limit_spans: LimitSpans,
}

/// What is judged.
#[derive(Debug, Clone)]
pub enum Family {
    /// The requests of a phase.
    Requests(RequestObjective),
    /// The usage of a resource of a host.
    Host(HostObjective),
    /// A change over the phase.
    Drift(DriftObjective),
    /// The longest time without a success.
    Outage,
}

/// A limit on a statistic of requests.
#[derive(Debug, Clone)]
pub struct RequestObjective {
    pub statistic: RequestStatistic,
    /// The pooled operations of this phase; for throughput all of them.
    pub operations: Vec<OperationId>,
    /// The scenario of a throughput objective.
    pub scenario: Option<String>,
    /// The intervals that are judged instead of the whole judged period, if `every` is set.
    pub interval: Option<EveryInterval>,
    /// Whether the run ends as soon as a breach is proven.
    pub abort: bool,
    /// For each tier, the index of its limit's indicator among all indicators.
    pub indicators: Vec<(Tier, usize)>,
}

/// The number that is compared with the limits of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RequestStatistic {
    /// Of the response times, in ms.
    ResponseTime(Aggregation),
    /// Successful requests of tasks per second.
    Throughput,
    /// The share of requests that failed, in percent.
    ErrorRate,
}

/// A limit on a metric of a host.
#[derive(Debug, Clone)]
pub struct HostObjective {
    pub host: JudgedHost,
    pub metric: Metric,
    /// The aggregation of its readings.
    pub of: Aggregation,
    /// The intervals that are judged instead of the whole judged period, if `every` is set.
    pub interval: Option<EveryInterval>,
    /// Whether the run ends as soon as a breach is certain.
    pub abort: bool,
}

/// The host of an objective.
#[derive(Debug, Clone)]
pub struct JudgedHost {
    pub id: HostId,
    pub name: String,
    /// The target's own part of this host, if it is measured.
    pub target: Option<TargetPart>,
}

/// The processes and control groups of the target on a host.
#[derive(Debug, Clone)]
pub struct TargetPart {
    pub hosts: Vec<HostId>,
    /// Whether the plan names them. Otherwise they were found by the target's port.
    pub is_named: bool,
}

/// The aggregation of many values into one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    Mean,
    Max,
    /// The value that this share does not exceed: of the requests, or of a host's means over 60 s.
    Quantile(f64),
}

/// A limit on a change over the phase.
#[derive(Debug, Clone)]
pub struct DriftObjective {
    pub change: Change,
    /// In seconds; a shorter judged period is not enough to decide.
    pub min_length: f64,
}

/// A change over the phase.
#[derive(Debug, Clone)]
pub enum Change {
    /// The growth of a metric of a host, in percent of its level at the beginning.
    Growth { host: JudgedHost, metric: Metric },
    /// The mean response time of these operations in the last tenth, divided by that in the first tenth. `indicator` is
    /// the index of their times among all indicators.
    Slowdown { operations: Vec<OperationId>, indicator: usize },
}

/// The name by which an objective is known in its threshold files: names are unique within a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectiveName {
    pub kind: ObjectiveKind,
    pub name: String,
}

/// Intervals that are judged one by one, and the share of them that may miss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EveryInterval {
    /// The length of an interval in seconds.
    pub every: u32,
    /// The share of the intervals that may miss, from 0 to 1.
    pub allow: f64,
}

text_enum! {
    /// The kind of an objective: the table of threshold files that it stands in.
    pub enum ObjectiveKind {
        ResponseTime = "response_time",
        Throughput = "throughput",
        ErrorRate = "error_rate",
        Resource = "resource",
        Drift = "drift",
        Outage = "outage",
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Max => f.write_str("max"),
            // 0.999 · 100 is 99.9 only after rounding.
            Self::Quantile(part) => write!(f, "p{}", (part * 1e6).round() / 1e4),
        }
    }
}

impl RequestStatistic {
    /// The limit with its good side.
    pub fn bound(self, limit: f64) -> Bound {
        match self {
            Self::Throughput => Bound::AtLeast(limit),
            Self::ResponseTime(_) | Self::ErrorRate => Bound::AtMost(limit),
        }
    }

    /// The indicator and the rule of its intervals that decide a limit. `failure` is the time at which failures enter a
    /// mean.
    pub fn counted(self, limit: f64, failure: Duration) -> (IndicatorKind, IntervalRule) {
        let slower = || IndicatorKind::Slower(Duration::from_nanos((limit * 1e6).round() as u64));
        match self {
            Self::ResponseTime(Aggregation::Quantile(part)) => (slower(), IntervalRule::Share(1.0 - part)),
            Self::ResponseTime(Aggregation::Max) => (slower(), IntervalRule::None),
            Self::ResponseTime(Aggregation::Mean) => {
                (IndicatorKind::Time(failure), IntervalRule::Mean(limit * 1000.0))
            }
            Self::Throughput => (IndicatorKind::Completed, IntervalRule::Throughput(limit)),
            Self::ErrorRate => (IndicatorKind::Failed, IntervalRule::Share(limit / 100.0)),
        }
    }

    /// The share of bad requests that a limit allows, from 0 to 1. `None` for statistics that are not shares.
    pub fn allowed_share(self, limit: f64) -> Option<f64> {
        match self {
            Self::ResponseTime(Aggregation::Quantile(part)) => Some(1.0 - part),
            Self::ErrorRate => Some(limit / 100.0),
            Self::ResponseTime(Aggregation::Mean | Aggregation::Max) | Self::Throughput => None,
        }
    }
}

impl fmt::Display for RequestStatistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResponseTime(of) => of.fmt(f),
            Self::Throughput => f.write_str("throughput"),
            Self::ErrorRate => f.write_str("error rate"),
        }
    }
}

impl Family {
    /// The kind of objective, as reports have it.
    pub fn kind(&self) -> ObjectiveKind {
        match self {
            Self::Requests(requests) => match requests.statistic {
                RequestStatistic::ResponseTime(_) => ObjectiveKind::ResponseTime,
                RequestStatistic::Throughput => ObjectiveKind::Throughput,
                RequestStatistic::ErrorRate => ObjectiveKind::ErrorRate,
            },
            Self::Host(_) => ObjectiveKind::Resource,
            Self::Drift(_) => ObjectiveKind::Drift,
            Self::Outage => ObjectiveKind::Outage,
        }
    }

    /// The unit of its values, as reports have it.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Requests(requests) => match requests.statistic {
                RequestStatistic::ResponseTime(_) => Unit::Milliseconds,
                RequestStatistic::Throughput => Unit::PerSecond,
                RequestStatistic::ErrorRate => Unit::Percent,
            },
            Self::Host(host) => host.metric.unit(),
            Self::Drift(DriftObjective { change: Change::Growth { .. }, .. }) => Unit::Percent,
            Self::Drift(DriftObjective { change: Change::Slowdown { .. }, .. }) => Unit::Ratio,
            Self::Outage => Unit::Seconds,
        }
    }

    /// The statistic as reports have it, such as `p95`.
    pub fn statistic(&self) -> String {
        match self {
            Self::Requests(requests) => requests.statistic.to_string(),
            Self::Host(host) => host.of.to_string(),
            Self::Drift(DriftObjective { change: Change::Growth { .. }, .. }) => "growth".to_owned(),
            Self::Drift(DriftObjective { change: Change::Slowdown { .. }, .. }) => "ratio".to_owned(),
            Self::Outage => "longest".to_owned(),
        }
    }

    /// Leaves only one of its operations.
    pub(in crate::slo) fn select(&mut self, operation: OperationId) {
        if let Self::Requests(requests) = self {
            requests.operations = vec![operation];
        }
    }

    /// The operations whose requests are pooled; none for readings of a host.
    pub fn operations(&self) -> &[OperationId] {
        match self {
            Self::Requests(RequestObjective { operations, .. })
            | Self::Drift(DriftObjective { change: Change::Slowdown { operations, .. }, .. }) => operations,
            Self::Host(_)
            | Self::Outage
            | Self::Drift(DriftObjective { change: Change::Growth { .. }, .. }) => &[],
        }
    }

    /// The host and the metric, for readings of a host.
    pub fn readings(&self) -> Option<(&JudgedHost, Metric)> {
        match self {
            Self::Host(HostObjective { host, metric, .. })
            | Self::Drift(DriftObjective { change: Change::Growth { host, metric }, .. }) => {
                Some((host, *metric))
            }
            Self::Requests(_)
            | Self::Outage
            | Self::Drift(DriftObjective { change: Change::Slowdown { .. }, .. }) => None,
        }
    }

    /// The intervals that are judged, if `every` is set.
    pub fn interval(&self) -> Option<EveryInterval> {
        match self {
            Self::Requests(RequestObjective { interval, .. })
            | Self::Host(HostObjective { interval, .. }) => *interval,
            Self::Drift(_) | Self::Outage => None,
        }
    }

    /// Replaces the intervals, if there are any.
    pub(in crate::slo) fn set_interval(&mut self, change: impl Fn(EveryInterval) -> EveryInterval) {
        match self {
            Self::Requests(RequestObjective { interval, .. })
            | Self::Host(HostObjective { interval, .. }) => {
                *interval = interval.map(change);
            }
            Self::Drift(_) | Self::Outage => {}
        }
    }

    /// Whether the run ends as soon as a breach is proven.
    pub fn aborts(&self) -> bool {
        match self {
            Self::Requests(RequestObjective { abort, .. }) | Self::Host(HostObjective { abort, .. }) => {
                *abort
            }
            Self::Drift(_) | Self::Outage => false,
        }
    }

    /// Whether its last limit is a minimum.
    pub fn has_minimum(&self) -> bool {
        self.kind() == ObjectiveKind::Throughput
    }

    /// A limit with its good side.
    pub fn bound(&self, limit: f64) -> Bound {
        if self.has_minimum() { Bound::AtLeast(limit) } else { Bound::AtMost(limit) }
    }

    /// The name of a tier's limit: the last one of throughput is a minimum.
    pub fn limit_name(&self, tier: Tier) -> &'static str {
        match tier {
            Tier::Maximum if self.has_minimum() => "minimum",
            tier => tier.as_str(),
        }
    }
}

impl Objective {
    /// Its name and kind.
    pub fn full_name(&self) -> ObjectiveName {
        ObjectiveName { kind: self.family.kind(), name: self.name.clone() }
    }

    /// The tier and limit that decide at a gate; `None` if the objective is not gated.
    pub fn gated_limit(&self, gate: GateTier) -> Option<(Tier, f64)> {
        self.tiers.at_gate(gate).filter(|_| self.gated)
    }

    /// The indicators that decide its limits, by tier; none for readings of a host. `failure` is the time at which failures
    /// enter a mean.
    pub(in crate::slo) fn needed_indicators(&self, failure: Duration) -> Vec<(Tier, Indicator)> {
        let indicator = |operations: &[OperationId], kind, intervals, keeps_timeline| Indicator {
            phase: self.phase,
            operations: operations.to_vec(),
            kind,
            intervals,
            keeps_timeline,
        };
        match &self.family {
            Family::Requests(RequestObjective { statistic, operations, interval, .. }) => {
                let of_tier = |(tier, limit)| {
                    let (kind, rule) = statistic.counted(limit, failure);
                    let intervals = interval.map(|interval| Intervals { every: interval.every, rule });
                    (tier, indicator(operations, kind, intervals, false))
                };
                self.tiers.all().map(of_tier).collect()
            }
            Family::Drift(DriftObjective { change: Change::Slowdown { operations, .. }, .. }) => {
                let kind = IndicatorKind::Time(failure);
                vec![(Tier::Maximum, indicator(operations, kind, None, true))]
            }
            Family::Host(_)
            | Family::Outage
            | Family::Drift(DriftObjective { change: Change::Growth { .. }, .. }) => Vec::new(),
        }
    }

    /// Sets the indices of its indicators, in the order of [`needed_indicators`](Self::needed_indicators).
    pub(in crate::slo) fn set_indicators(&mut self, found: Vec<(Tier, usize)>) {
        match &mut self.family {
            Family::Requests(requests) => requests.indicators = found,
            Family::Drift(DriftObjective { change: Change::Slowdown { indicator, .. }, .. }) => {
                *indicator = found.first().map_or(0, |(_, index)| *index);
            }
            Family::Host(_)
            | Family::Outage
            | Family::Drift(DriftObjective { change: Change::Growth { .. }, .. }) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Allowed, min_samples};

    #[test]
    fn the_fewest_samples_are_the_known_ones() {
        let fewest = |statistic: RequestStatistic, limit, alpha| {
            min_samples(Allowed { share: statistic.allowed_share(limit)?, alpha })
        };
        let percentile = |part| RequestStatistic::ResponseTime(Aggregation::Quantile(part));
        assert_eq!(fewest(percentile(0.95), 200.0, 0.05), Some(59));
        assert_eq!(fewest(percentile(0.99), 200.0, 0.05), Some(299));
        assert_eq!(fewest(percentile(0.999), 200.0, 0.05), Some(2995));
        assert_eq!(fewest(RequestStatistic::ErrorRate, 1.0, 0.05), Some(299));
        assert_eq!(fewest(percentile(0.95), 200.0, 0.001), Some(135));
    }

    #[test]
    fn without_the_gates_tier_the_next_looser_one_is_judged() {
        let tiers = Tiers { target: Some(50.0), acceptable: None, last: 200.0 };
        assert_eq!(tiers.at_gate(Tier::Target.into()), Some((Tier::Target, 50.0)));
        assert_eq!(tiers.at_gate(Tier::Acceptable.into()), Some((Tier::Maximum, 200.0)));
        assert_eq!(tiers.at_gate(GateTier::NOTHING), None);
    }

    #[test]
    fn a_statistic_is_shown_as_it_is_written() {
        assert_eq!(Aggregation::Quantile(0.999).to_string(), "p99.9");
        assert_eq!(Aggregation::Quantile(0.95).to_string(), "p95");
    }
}
