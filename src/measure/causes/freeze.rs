//! Freezes: gaps of at least 80 ms in which no operation gets a response, and the operation that is answered
//! first at their end.
//!
//! An operation that blocks the whole service is answered as soon as it releases it, before all waiting
//! requests. A resolution of one second cannot show this: if the load saturates the service, every operation
//! is in flight in every second. So the record of a second has 50 slots that show when responses arrived, and
//! the bursts that ended gaps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::response_gaps::{Burst, MIN_GAP, SLOT_LENGTH, SLOTS_PER_SECOND};
use crate::measure::window::Window;
use crate::plan::model::OperationId;

/// The shortest gap spans at least this many empty slots.
const MIN_EMPTY_SLOTS: u32 = 3;
/// Fewer gaps with the same first operation may be chance.
const MIN_GAPS: u64 = 5;
/// At least this share of an operation's responses must end a gap.
const MIN_END_RATE: f64 = 0.5;
/// This share must exceed that of the other operations by at least this many standard errors.
const MIN_Z: f64 = 4.0;
/// A smaller total length of the gaps, as a share of the phase, does not make the phase slow.
const MIN_SILENT_SHARE: f64 = 0.02;

/// The gaps of a phase, by the operation of the first response at their end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FreezeDetector {
    by_first: BTreeMap<OperationId, GapsEnded>,
    answers: BTreeMap<OperationId, u64>,
    seconds: u64,
    /// Consecutive empty slots so far. `None` before the first response.
    empty: Option<u32>,
}

/// The gaps that ended with a response to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct GapsEnded {
    times: u64,
    silent: Duration,
    held: u64,
    holding: u64,
}

/// An operation whose responses end freezes of the whole target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Freeze {
    pub operation: OperationId,
    /// The number of gaps that ended with its response.
    pub times: u64,
    /// The number of all gaps.
    pub of: u64,
    /// The total length of the gaps that ended with its response.
    pub silent: Duration,
    /// The number of its responses.
    pub answers: u64,
    /// The number of responses to other operations within 20 ms after these gaps.
    pub held: u64,
}

impl FreezeDetector {
    /// Adds the next second of the phase.
    pub fn add_second(&mut self, window: &Window) {
        self.seconds += 1;
        for (operation, cell) in &window.cells {
            *self.answers.entry(*operation).or_default() += u64::from(cell.answered);
        }
        for slot in 0..SLOTS_PER_SECOND {
            if window.answers.slots & (1 << slot) == 0 {
                self.empty = self.empty.map(|empty| empty.saturating_add(1));
                continue;
            }
            let empty = self.empty.replace(0).unwrap_or(0);
            if let Some(burst) = window.answers.burst(slot).filter(|_| empty >= MIN_EMPTY_SLOTS) {
                self.end(&burst, SLOT_LENGTH * (empty + 1));
            }
        }
    }

    fn end(&mut self, burst: &Burst, gap: Duration) {
        // Without a request in flight there is no response, so this time does not count.
        let silent = gap.min(Duration::from_millis(burst.waited.into()));
        if silent < MIN_GAP {
            return;
        }
        let others = burst.held.iter().filter(|(operation, _)| **operation != burst.first.1);
        let held: u64 = others.map(|(_, count)| u64::from(*count)).sum();
        let ended = self.by_first.entry(burst.first.1).or_default();
        ended.times += 1;
        ended.silent += silent;
        ended.held += held;
        ended.holding += u64::from(held > 0);
    }

    /// The operation that the gaps point at, if any. Its responses end gaps far more often than those of the
    /// other operations, and requests of other operations waited.
    ///
    /// The test compares two proportions: the share of its responses that end a gap, and that share for all
    /// other operations.
    pub fn detect(&self) -> Option<Freeze> {
        let of: u64 = self.by_first.values().map(|ended| ended.times).sum();
        let all: u64 = self.answers.values().sum();
        let accused = self.by_first.iter().filter_map(|(operation, ended)| {
            let answers = self.answers.get(operation).copied().unwrap_or(0);
            let z =
                z_of_proportions((ended.times, answers), (of - ended.times, all.saturating_sub(answers)))?;
            let enough = ended.times >= MIN_GAPS && ended.holding >= 3 && ended.holding * 5 >= ended.times;
            let rate = ended.times as f64 / answers as f64;
            let share = ended.silent.as_secs_f64() / self.seconds.max(1) as f64;
            (enough && z >= MIN_Z && rate >= MIN_END_RATE && share >= MIN_SILENT_SHARE).then_some(Freeze {
                operation: *operation,
                times: ended.times,
                of,
                silent: ended.silent,
                answers,
                held: ended.held,
            })
        });
        accused.max_by_key(|freeze| freeze.silent)
    }
}

/// The difference of two proportions in standard errors, under the hypothesis that they are equal. `None` if
/// there is nothing to compare.
fn z_of_proportions(first: (u64, u64), second: (u64, u64)) -> Option<f64> {
    let ((k1, n1), (k2, n2)) = ((first.0 as f64, first.1 as f64), (second.0 as f64, second.1 as f64));
    let pooled = (k1 + k2) / (n1 + n2);
    let error = (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    (n1 > 0.0 && n2 > 0.0 && error > 0.0).then(|| (k1 / n1 - k2 / n2) / error)
}
