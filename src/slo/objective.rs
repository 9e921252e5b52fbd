//! What is expected of the target, in one phase.

use std::fmt;
use std::time::Duration;

use crate::diagnostic::Span;
use crate::measure::indicator::{Indicator, IndicatorKind, IntervalRule, Intervals};
use crate::plan::GateTier;
use crate::plan::model::{HostId, OperationId, PhaseId};
use crate::resources::metric::Metric;
use crate::statistics::{Allowed, min_samples};

/// An objective in a phase in which it applies.
#[derive(Debug, Clone)]
pub struct Objective {
    /// Its name, as the threshold file has it.
    pub name: String,
    /// The phase.
    pub phase: PhaseId,
    /// The operations of this phase that it pools; for throughput all of them, for what is read of a host none.
    pub operations: Vec<OperationId>,
    /// For throughput the scenario.
    pub scenario: Option<String>,
    /// For what is read of a host, the host and its name.
    pub host: Option<(HostId, String)>,
    /// What is looked at.
    pub statistic: Statistic,
    /// The limits, in the statistic's unit.
    pub tiers: Tiers,
    /// Whether it counts for the verdict.
    pub gated: bool,
    /// The windows that are judged instead of the whole, where there are any.
    pub windows: Option<EveryInterval>,
    /// Whether the run ends as soon as it is proven to be missed.
    pub abort: bool,
    /// Where its name was written.
    pub span: Span,
    /// The watch of each tier's limit, among all watches.
    pub indicators: Vec<(Tier, usize)>,
}

/// Each window of a length is judged, and some may miss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EveryInterval {
    /// Their length in seconds.
    pub every: u32,
    /// The share of them that may miss.
    pub allow: f64,
}

/// What of the samples is compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The response time that this part of the requests does not exceed, in ms.
    Quantile(f64),
    /// The mean response time, in ms.
    Mean,
    /// The longest response time, in ms.
    Max,
    /// Successful completions per second.
    Throughput,
    /// The share of requests that failed, in percent.
    ErrorRate,
    /// What a host uses of a resource, in the metric's unit.
    Resource(Resource),
    /// How much a metric of a host grows over the phase, in percent of what it is in the beginning.
    Growth(Growth),
    /// The mean response time in the last tenth of the phase, as a multiple of that in the first.
    Slowdown {
        /// In seconds: a shorter phase decides nothing.
        min_length: f64,
    },
}

/// Which of the readings of a host are compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resource {
    /// What was measured.
    pub metric: Metric,
    /// What of the readings.
    pub of: Aggregation,
}

/// One number for many readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// Their mean.
    Mean,
    /// The highest.
    Max,
    /// What this part of their means over 60 s does not exceed.
    Quantile(f64),
}

/// What of a host may grow only so much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// What was measured.
    pub metric: Metric,
    /// In seconds: a shorter phase decides nothing.
    pub min_length: f64,
}

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The best.
    Target,
    /// Good enough.
    Acceptable,
    /// At the limit; for throughput the minimum.
    Maximum,
}

/// The limits of an objective, best first. Only the last is always there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiers {
    /// The best.
    pub target: Option<f64>,
    /// Good enough.
    pub acceptable: Option<f64>,
    /// The limit; for throughput the minimum.
    pub last: f64,
}

/// Which side of a limit is the good one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Bound {
    /// Whether a value is on the good side.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// Whether another limit is at least as loose.
    pub fn allows(self, looser: f64) -> bool {
        match self {
            Self::AtMost(limit) => looser >= limit,
            Self::AtLeast(limit) => looser <= limit,
        }
    }
}

impl Tiers {
    /// The limits that there are, best first.
    pub fn all(&self) -> impl Iterator<Item = (Tier, f64)> {
        let target = self.target.map(|limit| (Tier::Target, limit));
        let acceptable = self.acceptable.map(|limit| (Tier::Acceptable, limit));
        [target, acceptable, Some((Tier::Maximum, self.last))].into_iter().flatten()
    }

    /// The tier at which an objective is judged: the gate's, or the next looser one that it has.
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

impl Tier {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Acceptable => "acceptable",
            Self::Maximum => "maximum",
        }
    }
}

impl Statistic {
    /// A limit and which side of it is the good one.
    pub fn bound(self, limit: f64) -> Bound {
        match self {
            Self::Throughput => Bound::AtLeast(limit),
            _ => Bound::AtMost(limit),
        }
    }

    /// The unit of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Max => "ms",
            Self::Throughput => "/s",
            Self::ErrorRate | Self::Growth(_) => "%",
            Self::Resource(resource) => resource.metric.unit().as_str(),
            Self::Slowdown { .. } => "ratio",
        }
    }

    /// The kind of objective, as reports have it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Max => "response_time",
            Self::Throughput => "throughput",
            Self::ErrorRate => "error_rate",
            Self::Resource(_) => "resource",
            Self::Growth(_) | Self::Slowdown { .. } => "drift",
        }
    }

    /// What has to be counted to decide about a limit, and when that is within it; `failure` is the time at which failures
    /// enter a mean. `None` for what is read of a host.
    pub fn counted(self, limit: f64, failure: Duration) -> Option<(IndicatorKind, IntervalRule)> {
        let slower = || IndicatorKind::Slower(Duration::from_nanos((limit * 1e6).round() as u64));
        Some(match self {
            Self::Quantile(part) => (slower(), IntervalRule::Share(1.0 - part)),
            Self::Max => (slower(), IntervalRule::None),
            Self::Mean => (IndicatorKind::Time(failure), IntervalRule::Mean(limit * 1000.0)),
            Self::Throughput => (IndicatorKind::Completed, IntervalRule::Throughput(limit)),
            Self::ErrorRate => (IndicatorKind::Failed, IntervalRule::Share(limit / 100.0)),
            // Its limit is none of a time: it only needs the times.
            Self::Slowdown { .. } => (IndicatorKind::Time(failure), IntervalRule::Mean(f64::INFINITY)),
            Self::Resource(_) | Self::Growth(_) => return None,
        })
    }

    /// What is measured of a host, where that is what it looks at.
    pub fn metric(self) -> Option<Metric> {
        match self {
            Self::Resource(Resource { metric, .. }) | Self::Growth(Growth { metric, .. }) => Some(metric),
            _ => None,
        }
    }

    /// The shortest phase that decides it, in seconds, where it says so.
    pub fn min_length(self) -> Option<f64> {
        match self {
            Self::Growth(Growth { min_length, .. }) | Self::Slowdown { min_length } => Some(min_length),
            _ => None,
        }
    }

    /// The fewest samples that can prove a share with this risk, if none of them exceeds it.
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
    /// The tier and limit that decide at a gate; `None` where the objective is not gated.
    pub fn gated_limit(&self, gate: GateTier) -> Option<(Tier, f64)> {
        self.tiers.at_gate(gate).filter(|_| self.gated)
    }

    /// What has to be counted to decide about one of its limits; `None` where nothing is counted for it.
    pub fn indicator(&self, limit: f64, failure: Duration) -> Option<Indicator> {
        let (kind, rule) = self.statistic.counted(limit, failure)?;
        Some(Indicator {
            phase: self.phase,
            operations: self.operations.clone(),
            kind,
            intervals: self.windows.map(|windows| Intervals { every: windows.every, rule }),
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
