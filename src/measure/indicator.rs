//! What is to be counted so that an objective can be decided.

use std::time::Duration;

use crate::plan::model::{OperationId, PhaseId};

/// A count that is kept exactly, second by second, over the judged window of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicator {
    /// In this phase.
    pub phase: PhaseId,
    /// Over these operations, pooled.
    pub operations: Vec<OperationId>,
    /// Of these.
    pub kind: IndicatorKind,
    /// The windows that are judged each, if they are.
    pub intervals: Option<Intervals>,
    /// Whether it is kept how the count went over the phase.
    pub keeps_timeline: bool,
}

/// Windows that are judged each by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intervals {
    /// How many seconds each has.
    pub every: u32,
    /// When one is within the limit.
    pub rule: IntervalRule,
}

/// When what was counted is within a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntervalRule {
    /// At most this share of the cases counts: slow, or failed.
    Share(f64),
    /// No case counts.
    None,
    /// The mean time is at most this, in microseconds.
    Mean(f64),
    /// At least so many per second.
    Throughput(f64),
}

impl IntervalRule {
    /// Whether k of n are within the limit; `None` where there is no case.
    pub fn holds(self, n: f64, k: f64) -> Option<bool> {
        if n <= 0.0 {
            return None;
        }
        Some(match self {
            // A share of exactly the allowed one is within; rounding of 1 − 0.95 must not decide.
            Self::Share(share) => k <= share * n + 1e-9,
            Self::None => k == 0.0,
            Self::Mean(limit) => k / n <= limit,
            Self::Throughput(limit) => k / n >= limit,
        })
    }
}

/// n cases, k of them counted, and f failures that are neither.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Cases: requests and dropped arrivals; for throughput, seconds.
    pub n: f64,
    /// Of these, the ones counted; for means, the sum of the times in microseconds.
    pub k: f64,
    /// Failures that have no time.
    pub untimed: f64,
}

/// What counts for and against a limit: n cases and k of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountBounds {
    /// For proving that it is kept: a failure without a time may have taken any time, so it counts.
    pub kept: (f64, f64),
    /// For proving that it is broken: such a failure is left out.
    pub broken: (f64, f64),
}

impl Counts {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        let Self { n, k, untimed } = other;
        self.n += n;
        self.k += k;
        self.untimed += untimed;
    }
}

/// Which requests a watch counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IndicatorKind {
    /// Those whose response time is above a limit; timeouts and dropped arrivals are.
    Slower(Duration),
    /// Those that failed or were dropped.
    Failed,
    /// Those that succeeded, by the second in which they finished.
    Completed,
    /// The sum of the response times, in microseconds, of those that have one. For proving that a limit is kept,
    /// failures without a time enter at this one.
    Time(Duration),
}

impl IndicatorKind {
    /// What of a tally counts for and against a limit.
    pub fn bounds(self, counts: Counts) -> CountBounds {
        let Counts { n, k, untimed } = counts;
        match self {
            Self::Slower(_) | Self::Failed | Self::Completed => {
                CountBounds { kept: (n, k + untimed), broken: (n - untimed, k) }
            }
            // The cases of a mean are those with a time.
            Self::Time(failure) => {
                CountBounds { kept: (n + untimed, k + untimed * failure.as_micros() as f64), broken: (n, k) }
            }
        }
    }
}

/// For every operation the limits that its response times are counted against, ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    by_operation: Vec<Vec<Duration>>,
}

impl Limits {
    /// The limits that some watches need.
    pub fn of(indicators: &[Indicator], operations: usize) -> Self {
        let mut by_operation = vec![Vec::new(); operations];
        for indicator in indicators {
            if let IndicatorKind::Slower(limit) = indicator.kind {
                for operation in &indicator.operations {
                    by_operation[operation.index()].push(limit);
                }
            }
        }
        for limits in &mut by_operation {
            limits.sort_unstable();
            limits.dedup();
        }
        Self { by_operation }
    }

    /// The limits of an operation.
    pub fn of_operation(&self, operation: OperationId) -> &[Duration] {
        self.by_operation.get(operation.index()).map_or(&[], Vec::as_slice)
    }

    /// Where a limit stands among those of an operation.
    pub fn index(&self, operation: OperationId, limit: Duration) -> Option<usize> {
        self.of_operation(operation).binary_search(&limit).ok()
    }
}
