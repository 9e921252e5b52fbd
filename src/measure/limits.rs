//! Response time limits: the identity under which requests are counted against them, and these counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::indicator::{Indicator, IndicatorKind};
use crate::plan::model::OperationId;

/// Identifies a response time limit within a run. Equal times have equal ids, and a longer time has a greater id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LimitId(pub u32);

/// A response time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub id: LimitId,
    pub time: Duration,
}

/// The response time limits of a run, by operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// By operation, ascending.
    by_operation: Vec<Vec<Limit>>,
}

impl Limits {
    /// The limits of these indicators.
    pub fn of(indicators: &[Indicator], operations: usize) -> Self {
        let slower = |indicator: &Indicator| match indicator.kind {
            IndicatorKind::Slower(time) => Some(time),
            _ => None,
        };
        let mut times: Vec<Duration> = indicators.iter().filter_map(slower).collect();
        times.sort_unstable();
        times.dedup();
        let mut by_operation = vec![Vec::new(); operations];
        for (indicator, time) in indicators.iter().filter_map(|it| Some((it, slower(it)?))) {
            let at = times.binary_search(&time).expect("every time is in the list");
            let id = LimitId(u32::try_from(at).expect("threshold files are far below 4 GiB"));
            for operation in &indicator.operations {
                by_operation[operation.index()].push(Limit { id, time });
            }
        }
        for limits in &mut by_operation {
            limits.sort_unstable_by_key(|limit| limit.id);
            limits.dedup();
        }
        Self { by_operation }
    }

    /// The limits of an operation, ascending.
    pub fn of_operation(&self, operation: OperationId) -> &[Limit] {
        self.by_operation.get(operation.index()).map_or(&[], Vec::as_slice)
    }

    /// The shortest limit of any operation.
    pub fn shortest(&self) -> Option<Duration> {
        self.by_operation.iter().filter_map(|limits| limits.first()).map(|limit| limit.time).min()
    }

    /// The id of a time, if requests of the operation are counted against it.
    pub fn id(&self, operation: OperationId, time: Duration) -> Option<LimitId> {
        let limits = self.of_operation(operation);
        let found = limits.binary_search_by_key(&time, |limit| limit.time).ok()?;
        Some(limits[found].id)
    }
}

/// Cases that took longer than each limit, ascending by limit. A limit without an entry has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LimitCounts(Vec<(LimitId, u32)>);

impl LimitCounts {
    /// Counts a case that took this time.
    pub fn add(&mut self, time: Duration, limits: &[Limit]) {
        if self.0.is_empty() {
            self.0.extend(limits.iter().map(|limit| (limit.id, 0)));
        }
        for ((_, count), limit) in self.0.iter_mut().zip(limits) {
            *count += u32::from(time > limit.time);
        }
    }

    /// Counts a case that took longer than a limit by one time and not by a shorter one.
    pub fn add_between(&mut self, shorter: Duration, longer: Duration, limits: &[Limit]) {
        // Limits are ascending, and most cases are faster than all of them.
        for limit in limits.iter().take_while(|limit| limit.time < longer) {
            if shorter <= limit.time {
                self.add_to(limit.id, 1);
            }
        }
    }

    /// The cases that took longer than a limit.
    pub fn above(&self, limit: LimitId) -> u32 {
        self.0.binary_search_by_key(&limit, |(id, _)| *id).map_or(0, |at| self.0[at].1)
    }

    /// Adds the counts of another worker.
    pub fn merge(&mut self, other: &Self) {
        for (limit, count) in &other.0 {
            self.add_to(*limit, *count);
        }
    }

    fn add_to(&mut self, limit: LimitId, count: u32) {
        match self.0.binary_search_by_key(&limit, |(id, _)| *id) {
            Ok(at) => self.0[at].1 += count,
            Err(at) => self.0.insert(at, (limit, count)),
        }
    }
}

impl FromIterator<(LimitId, u32)> for LimitCounts {
    fn from_iter<T: IntoIterator<Item = (LimitId, u32)>>(counts: T) -> Self {
        let mut counts: Vec<(LimitId, u32)> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(limit, _)| *limit);
        Self(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::PhaseId;

    fn slower(operation: u16, ms: u64) -> Indicator {
        Indicator {
            phase: PhaseId(0),
            operations: vec![OperationId(operation)],
            kind: IndicatorKind::Slower(Duration::from_millis(ms)),
            intervals: None,
            keeps_timeline: false,
        }
    }

    #[test]
    fn a_time_has_one_id_in_all_operations() {
        let limits = Limits::of(&[slower(0, 200), slower(1, 200), slower(1, 100)], 2);
        let id = |operation, ms| limits.id(OperationId(operation), Duration::from_millis(ms));
        assert_eq!((id(0, 200), id(1, 200)), (Some(LimitId(1)), Some(LimitId(1))));
        assert_eq!((id(0, 100), id(1, 100)), (None, Some(LimitId(0))));
    }

    #[test]
    fn counts_merge_by_limit_and_not_by_position() {
        let counts = |counts: &[(u32, u32)]| -> LimitCounts {
            counts.iter().map(|(id, count)| (LimitId(*id), *count)).collect()
        };
        let mut merged = counts(&[(3, 1)]);
        merged.merge(&counts(&[(1, 10), (3, 2), (7, 30)]));
        assert_eq!(merged, counts(&[(1, 10), (3, 3), (7, 30)]));
        assert_eq!([1, 2, 3].map(|id| merged.above(LimitId(id))), [10, 0, 3]);
    }
}
