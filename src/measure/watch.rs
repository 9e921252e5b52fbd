//! What is to be counted so that an objective can be decided.

use std::time::Duration;

use crate::plan::model::{OperationId, PhaseId};

/// A count that is kept exactly, second by second, over the judged window of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// In this phase.
    pub phase: PhaseId,
    /// Over these operations, pooled.
    pub operations: Vec<OperationId>,
    /// Of these.
    pub what: What,
    /// The windows that are judged each, if they are.
    pub windows: Option<Windows>,
}

/// Windows that are judged each by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windows {
    /// How many seconds each has.
    pub every: u32,
    /// When one is within the limit.
    pub rule: Rule,
}

/// When what was counted is within a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// At most this share of the answered requests is slower.
    Slower(f64),
    /// No request is slower; where some failed, nobody knows.
    NoneSlower,
    /// At most this share of all requests failed.
    Failed(f64),
    /// The mean time is at most this, in microseconds.
    Mean(f64),
    /// At least so many per second.
    Throughput(f64),
}

impl Rule {
    /// Whether what was counted is within the limit; `None` where it cannot be said.
    pub fn holds(self, counts: Tally) -> Option<bool> {
        let Tally { n, k, f } = counts;
        let cases = match self {
            Self::Slower(_) | Self::NoneSlower => n - f,
            Self::Failed(_) | Self::Mean(_) | Self::Throughput(_) => n,
        };
        if cases <= 0.0 {
            return None;
        }
        match self {
            // A share of exactly the allowed one is within; rounding of 1 − 0.95 must not decide.
            Self::Slower(share) | Self::Failed(share) => Some(k <= share * cases + 1e-9),
            // A request that failed may have taken any time.
            Self::NoneSlower if k == 0.0 && f > 0.0 => None,
            Self::NoneSlower => Some(k == 0.0),
            Self::Mean(limit) => Some(k / n <= limit),
            Self::Throughput(limit) => Some(k / n >= limit),
        }
    }
}

/// n cases, k of them counted, and f failures that are neither.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Cases: requests and dropped arrivals; for throughput, seconds.
    pub n: f64,
    /// Of these, the ones counted; for means, the sum of the times in microseconds.
    pub k: f64,
    /// Failures that have no time.
    pub f: f64,
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        let Self { n, k, f } = other;
        self.n += n;
        self.k += k;
        self.f += f;
    }
}

/// Which requests a watch counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
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

/// For every operation the limits that its response times are counted against, ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    by_operation: Vec<Vec<Duration>>,
}

impl Limits {
    /// The limits that some watches need.
    pub fn of(watches: &[Watch], operations: usize) -> Self {
        let mut by_operation = vec![Vec::new(); operations];
        for watch in watches {
            if let What::Slower(limit) = watch.what {
                for operation in &watch.operations {
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
