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
