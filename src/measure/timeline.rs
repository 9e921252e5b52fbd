//! The numbers of a phase over time: slices of equal length, bounded in number, that keep the peaks of their seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::histogram::SparseHistogram;
use crate::measure::rollup::{Rollup, RollupItem};
use crate::measure::sample::ErrorKind;
use crate::measure::window::Window;
use crate::plan::model::OperationId;

/// The most slices of a phase. Up to a quarter of an hour each has one second, up to an hour 4, up to 8 hours 32.
pub const MAX_SLICES: usize = 900;
/// The most buckets of the histograms of a phase, with 8 bytes each. If the times of its requests need more, the slices get
/// longer.
pub const MAX_BUCKETS: usize = 3_000_000;

/// The slices of a phase, without its drain.
#[derive(Debug, Clone)]
pub struct Timeline {
    slices: Rollup<Slice>,
    /// Requests that were intended and had not ended by the last second.
    unfinished: i64,
}

/// What happened in one slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    /// The number of its seconds.
    pub seconds: u32,
    pub operations: BTreeMap<OperationId, SliceOperation>,
    /// Arrivals of the schedule.
    pub scheduled: u64,
    /// Requests that ended in a whole second, with any outcome.
    pub ended: Extremes,
    /// Requests that were intended and had not ended, at the end of a second.
    pub in_flight: Extremes,
    /// The 95th percentile of the response times of a second, over all operations, in microseconds.
    pub p95: Extremes,
    /// The longest delay before sending that the generator caused, in microseconds.
    pub longest_send_lag: u64,
    /// The largest share of processor time of a worker, per mille.
    pub busiest_worker: u16,
}

/// The requests of one operation in a slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SliceOperation {
    /// Requests that were intended in it.
    pub requests: u64,
    /// Of these, the ones that failed, by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Successful tasks that finished in it.
    pub completed: u64,
    /// Bytes of response bodies.
    pub bytes: u64,
    /// Response times of requests that succeeded or timed out.
    pub response: SparseHistogram,
}

/// The lowest and the highest of a number that seconds have. `None` if no second has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extremes(Option<(u64, u64)>);

impl Extremes {
    /// Of one second.
    pub fn of(value: u64) -> Self {
        Self(Some((value, value)))
    }

    /// The lowest and the highest.
    pub fn get(self) -> Option<(u64, u64)> {
        self.0
    }

    /// With the values of more seconds.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
            (one, other) => one.or(other),
        })
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self { slices: Rollup::new(1.0, MAX_SLICES).weighing_at_most(MAX_BUCKETS), unfinished: 0 }
    }
}

impl Timeline {
    /// Adds a second of a phase of this length. Seconds must be added in order. A last part of a second has no rate.
    pub(super) fn add_second(&mut self, second: u32, length: Duration, window: &Window) {
        let cells = || window.cells.values();
        let is_whole = u64::from(second) < length.as_secs();
        let ended: u64 = cells().map(|cell| u64::from(cell.ended)).sum();
        let begun: u64 = cells().map(|cell| u64::from(cell.requests)).sum();
        self.unfinished += begun.cast_signed() - ended.cast_signed();
        let operations = window.cells.iter().map(|(id, cell)| {
            let operation = SliceOperation {
                requests: cell.requests.into(),
                errors: cell.errors.iter().map(|(kind, count)| (*kind, u64::from(*count))).collect(),
                dropped: cell.dropped.into(),
                completed: cell.completed.into(),
                bytes: cell.bytes,
                response: cell.response.clone(),
            };
            (*id, operation)
        });
        let mut slice = Slice {
            seconds: 1,
            operations: operations.collect(),
            scheduled: window.scheduled.into(),
            ended: if is_whole { Extremes::of(ended) } else { Extremes::default() },
            in_flight: Extremes::of(u64::try_from(self.unfinished).unwrap_or(0)),
            p95: Extremes::default(),
            longest_send_lag: window.send_lag.max(),
            busiest_worker: window.vitals.workers.values().map(|thread| thread.cpu).max().unwrap_or(0),
        };
        slice.p95 = slice.response().quantile(0.95).map_or_else(Extremes::default, Extremes::of);
        self.slices.push(second.into(), slice);
    }

    /// The slices, each with the second of the phase at which it starts.
    pub fn slices(&self) -> impl Iterator<Item = (f64, &Slice)> {
        self.slices.iter()
    }

    /// The length of a slice, in seconds.
    pub fn width(&self) -> f64 {
        self.slices.width()
    }
}

impl Slice {
    /// The response times of all operations.
    pub fn response(&self) -> SparseHistogram {
        let mut all = SparseHistogram::default();
        self.operations.values().for_each(|operation| all.merge(&operation.response));
        all
    }

    /// The requests of all operations.
    pub fn total(&self) -> SliceOperation {
        let mut all = SliceOperation::default();
        self.operations.values().for_each(|operation| all.merge(operation));
        all
    }
}

impl SliceOperation {
    /// Failed requests of every kind.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Adds the requests of another operation or slice.
    fn merge(&mut self, other: &Self) {
        let Self { requests, errors, dropped, completed, bytes, response } = other;
        self.requests += requests;
        self.dropped += dropped;
        self.completed += completed;
        self.bytes += bytes;
        self.response.merge(response);
        for (kind, count) in errors {
            *self.errors.entry(*kind).or_default() += count;
        }
    }
}

impl RollupItem for Slice {
    fn weight(&self) -> usize {
        self.operations.values().map(|operation| operation.response.buckets().len()).sum()
    }

    fn join(&mut self, later: Self) {
        let Self { seconds, operations, scheduled, ended, in_flight, p95, longest_send_lag, busiest_worker } =
            later;
        self.seconds += seconds;
        self.scheduled += scheduled;
        self.ended = self.ended.and(ended);
        self.in_flight = self.in_flight.and(in_flight);
        self.p95 = self.p95.and(p95);
        self.longest_send_lag = self.longest_send_lag.max(longest_send_lag);
        self.busiest_worker = self.busiest_worker.max(busiest_worker);
        for (id, operation) in operations {
            self.operations.entry(id).or_default().merge(&operation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::window::Cell;

    /// A second in which requests were intended and others ended.
    fn second(requests: u32, ended: u32, micros: u64) -> Window {
        let mut cell = Cell { requests, ended, ..Cell::default() };
        cell.response.record(Duration::from_micros(micros));
        Window { cells: [(OperationId(0), cell)].into(), ..Window::default() }
    }

    #[test]
    fn a_long_phase_keeps_its_sums_and_its_peaks() {
        let mut timeline = Timeline::default();
        for at in 0..28_800 {
            let window = if at == 12_345 { second(100, 90, 2_000_000) } else { second(10, 10, 1000) };
            timeline.add_second(at, Duration::from_secs(28_800), &window);
        }
        let slices: Vec<_> = timeline.slices().collect();
        assert_eq!((slices.len(), timeline.width()), (900, 32.0));
        let requests: u64 = slices.iter().map(|(_, slice)| slice.operations[&OperationId(0)].requests).sum();
        assert_eq!(requests, 28_800 * 10 + 90);
        let (from, peak) = slices.iter().max_by_key(|(_, slice)| slice.ended.get()).unwrap();
        assert!((*from..from + 32.0).contains(&12_345.0));
        assert_eq!(peak.ended.get(), Some((10, 90)));
        assert_eq!(peak.in_flight.get(), Some((0, 10)));
        assert_eq!(peak.p95.get(), Some((1000, 2_000_000)));
        assert_eq!(peak.response().max(), 2_000_000);
    }

    #[test]
    fn a_part_of_a_second_has_no_rate() {
        let mut timeline = Timeline::default();
        for at in 0..2 {
            timeline.add_second(at, Duration::from_millis(1300), &second(10, 10, 1000));
        }
        let ended: Vec<_> = timeline.slices().map(|(_, slice)| slice.ended.get()).collect();
        assert_eq!(ended, [Some((10, 10)), None]);
    }

    #[test]
    fn a_second_without_requests_has_no_percentile() {
        let mut timeline = Timeline::default();
        timeline.add_second(0, Duration::from_secs(1), &Window::default());
        let slice = timeline.slices().next().unwrap().1.clone();
        assert_eq!((slice.p95.get(), slice.ended.get()), (None, Some((0, 0))));
    }
}
