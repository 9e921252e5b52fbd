//! The compiled objective: a limit on a statistic of one phase, with its tiers.

use crate::units::{Unit, text_enum};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::measure::indicator::{Indicator, IndicatorKind, IntervalRule, Intervals};
use crate::plan::GateTier;
use crate::plan::model::{HostId, OperationId, PhaseId};
use crate::resources::metric::Metric;
use crate::statistics::{Allowed, min_samples};

/// An objective in one phase. The threshold file's objective becomes one of these for each phase in which it applies.
#[derive(Debug, Clone)]
pub struct Objective {
    /// The name in the threshold file.
    pub name: String,
    pub phase: PhaseId,
    /// The pooled operations of this phase; for throughput all of them, for host readings none.
    pub operations: Vec<OperationId>,
    /// The scenario of a throughput objective.
    pub scenario: Option<String>,
    /// For host readings, the host and its name.
    pub host: Option<(HostId, String)>,
    pub statistic: Statistic,
    /// The limits, in the statistic's unit.
    pub tiers: Tiers,
    /// Whether the objective counts for the verdict of the run.
    pub gated: bool,
    /// The intervals that are judged instead of the whole judged period, if `every` is set.
    pub interval: Option<EveryInterval>,
    /// Whether the run ends as soon as a breach is proven.
    pub abort: bool,
    /// The place of its name.
    pub span: Span,
    /// For each tier, the index of its limit's indicator among all indicators.
    pub indicators: Vec<(Tier, usize)>,
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

/// The number that is compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The response time that this share of the requests does not exceed, in ms.
    Quantile(f64),
    /// The mean response time, in ms.
    Mean,
    /// The longest response time, in ms.
    Max,
    /// Successful requests of tasks per second.
    Throughput,
    /// The share of requests that failed, in percent.
    ErrorRate,
    /// The usage of a resource of a host, in the metric's unit.
    Resource(Resource),
    /// The growth of a metric of a host over the phase, in percent of its level at the beginning.
    Growth(Growth),
    /// The mean response time in the last tenth of the phase, divided by that in the first tenth.
    Slowdown {
        /// In seconds; a shorter judged period is not enough to decide.
        min_length: f64,
    },
}

/// A metric of a host and the aggregation of its readings that is compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resource {
    pub metric: Metric,
    pub of: Aggregation,
}

/// The aggregation of many readings into one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    Mean,
    Max,
    /// The value that this share of the readings' means over 60 s does not exceed.
    Quantile(f64),
}

/// A metric of a host whose growth is limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    pub metric: Metric,
    /// In seconds; a shorter judged period is not enough to decide.
    pub min_length: f64,
}

text_enum! {
    /// The kind of an objective: the table of threshold files that it stands in.
    pub enum ObjectiveKind {
        ResponseTime = "response_time",
        Throughput = "throughput",
        ErrorRate = "error_rate",
        Resource = "resource",
        Drift = "drift",
    }
}

text_enum! {
    /// A tier of limits, best first.
    pub enum Tier {
        Target = "target",
        Acceptable = "acceptable",
        /// For throughput the minimum.
        Maximum = "maximum",
    }
}

/// The limits of an objective, best first. Only the last one is required.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiers {
    pub target: Option<f64>,
    pub acceptable: Option<f64>,
    /// The limit of the tier maximum; for throughput the minimum.
    pub last: f64,
}

/// A limit and its good side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// Whether a value is at the limit or on its good side.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// Whether another limit is at least as loose as this one.
    pub fn allows(self, looser: f64) -> bool {
        match self {
            Self::AtMost(limit) => looser >= limit,
            Self::AtLeast(limit) => looser <= limit,
        }
    }
}

impl Tiers {
    /// The present limits with their tiers, best first.
    pub fn all(&self) -> impl Iterator<Item = (Tier, f64)> {
        let target = self.target.map(|limit| (Tier::Target, limit));
        let acceptable = self.acceptable.map(|limit| (Tier::Acceptable, limit));
        [target, acceptable, Some((Tier::Maximum, self.last))].into_iter().flatten()
    }

    /// The tier at which an objective is judged: the gate's tier, or the next looser one that has a limit.
    pub fn at_gate(&self, gate: GateTier) -> Option<(Tier, f64)> {
        let wanted = match gate {
            GateTier::Target => Tier::Target,
            GateTier::Acceptable => Tier::Acceptable,
            GateTier::Maximum => Tier::Maximum,
            GateTier::Nothing => return None,
        };
        self.all().find(|(tier, _)| *tier >= wanted)
    }
}

impl Statistic {
    /// The limit with its good side.
    pub fn bound(self, limit: f64) -> Bound {
        match self {
            Self::Throughput => Bound::AtLeast(limit),
            _ => Bound::AtMost(limit),
        }
    }

    /// The unit of its values, as reports have it.
    pub fn unit(self) -> Unit {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Max => Unit::Milliseconds,
            Self::Throughput => Unit::PerSecond,
            Self::ErrorRate | Self::Growth(_) => Unit::Percent,
            Self::Resource(resource) => resource.metric.unit(),
            Self::Slowdown { .. } => Unit::Ratio,
        }
    }

    /// The kind of objective, as reports have it.
    pub fn kind(self) -> ObjectiveKind {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Max => ObjectiveKind::ResponseTime,
            Self::Throughput => ObjectiveKind::Throughput,
            Self::ErrorRate => ObjectiveKind::ErrorRate,
            Self::Resource(_) => ObjectiveKind::Resource,
            Self::Growth(_) | Self::Slowdown { .. } => ObjectiveKind::Drift,
        }
    }

    /// The indicator and the rule of its intervals that decide a limit. `failure` is the time at which failures enter a
    /// mean. `None` for host readings.
    pub fn counted(self, limit: f64, failure: Duration) -> Option<(IndicatorKind, IntervalRule)> {
        let slower = || IndicatorKind::Slower(Duration::from_nanos((limit * 1e6).round() as u64));
        Some(match self {
            Self::Quantile(part) => (slower(), IntervalRule::Share(1.0 - part)),
            Self::Max => (slower(), IntervalRule::None),
            Self::Mean => (IndicatorKind::Time(failure), IntervalRule::Mean(limit * 1000.0)),
            Self::Throughput => (IndicatorKind::Completed, IntervalRule::Throughput(limit)),
            Self::ErrorRate => (IndicatorKind::Failed, IntervalRule::Share(limit / 100.0)),
            // Only the times are needed: the limit is a ratio.
            Self::Slowdown { .. } => (IndicatorKind::Time(failure), IntervalRule::Mean(f64::INFINITY)),
            Self::Resource(_) | Self::Growth(_) => return None,
        })
    }

    /// The metric of a host, for host readings.
    pub fn metric(self) -> Option<Metric> {
        match self {
            Self::Resource(Resource { metric, .. }) | Self::Growth(Growth { metric, .. }) => Some(metric),
            _ => None,
        }
    }

    /// The shortest judged period that decides a drift objective, in seconds.
    pub fn min_length(self) -> Option<f64> {
        match self {
            Self::Growth(Growth { min_length, .. }) | Self::Slowdown { min_length } => Some(min_length),
            _ => None,
        }
    }

    /// The smallest number of samples that can prove a share at risk `alpha`, if none of them exceeds the limit. `None`
    /// for statistics that are not shares.
    pub fn min_samples(self, limit: f64, alpha: f64) -> Option<u64> {
        let share = match self {
            Self::Quantile(part) => 1.0 - part,
            Self::ErrorRate => limit / 100.0,
            _ => return None,
        };
        min_samples(Allowed { share, alpha })
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile(part) | Self::Resource(Resource { of: Aggregation::Quantile(part), .. }) => {
                // 0.999 · 100 is 99.9 only after rounding.
                write!(f, "p{}", (part * 1e6).round() / 1e4)
            }
            Self::Mean | Self::Resource(Resource { of: Aggregation::Mean, .. }) => f.write_str("mean"),
            Self::Max | Self::Resource(Resource { of: Aggregation::Max, .. }) => f.write_str("max"),
            Self::Growth(_) => f.write_str("growth"),
            Self::Slowdown { .. } => f.write_str("ratio"),
            Self::Throughput => f.write_str("throughput"),
            Self::ErrorRate => f.write_str("error rate"),
        }
    }
}

impl Objective {
    /// Its name and kind.
    pub fn full_name(&self) -> ObjectiveName {
        ObjectiveName { kind: self.statistic.kind(), name: self.name.clone() }
    }

    /// The tier and limit that decide at a gate; `None` if the objective is not gated.
    pub fn gated_limit(&self, gate: GateTier) -> Option<(Tier, f64)> {
        self.tiers.at_gate(gate).filter(|_| self.gated)
    }

    /// The indicator that decides one of its limits; `None` for host readings.
    pub fn indicator(&self, limit: f64, failure: Duration) -> Option<Indicator> {
        let (kind, rule) = self.statistic.counted(limit, failure)?;
        Some(Indicator {
            phase: self.phase,
            operations: self.operations.clone(),
            kind,
            intervals: self.interval.map(|interval| Intervals { every: interval.every, rule }),
            keeps_timeline: matches!(self.statistic, Statistic::Slowdown { .. }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_samples_are_the_known_ones() {
        let fewest = |part| Statistic::Quantile(part).min_samples(200.0, 0.05);
        assert_eq!(fewest(0.95), Some(59));
        assert_eq!(fewest(0.99), Some(299));
        assert_eq!(fewest(0.999), Some(2995));
        assert_eq!(Statistic::ErrorRate.min_samples(1.0, 0.05), Some(299));
        assert_eq!(Statistic::Quantile(0.95).min_samples(200.0, 0.001), Some(135));
    }

    #[test]
    fn without_the_gates_tier_the_next_looser_one_is_judged() {
        let tiers = Tiers { target: Some(50.0), acceptable: None, last: 200.0 };
        assert_eq!(tiers.at_gate(GateTier::Target), Some((Tier::Target, 50.0)));
        assert_eq!(tiers.at_gate(GateTier::Acceptable), Some((Tier::Maximum, 200.0)));
        assert_eq!(tiers.at_gate(GateTier::Nothing), None);
    }

    #[test]
    fn a_statistic_is_shown_as_it_is_written() {
        assert_eq!(Statistic::Quantile(0.999).to_string(), "p99.9");
        assert_eq!(Statistic::Quantile(0.95).to_string(), "p95");
    }
}
