//! Silences: stretches in which the target answered nobody, and who was answered first when one ended.
//!
//! Whoever holds a whole service is answered as soon as it lets go, before all those who waited. A second is too coarse
//! to see that: under a load that fills a service, everything is under way in every second. So a second keeps in which of
//! its fiftieths an answer came, and what ended the silences that its worker heard.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::response_gaps::{Burst, MIN_GAP, SLOT_LENGTH, SLOTS_PER_SECOND};
use crate::measure::window::Window;
use crate::plan::model::OperationId;

/// In the shortest silence so many slots at least are empty.
const MIN_EMPTY_SLOTS: u32 = 3;
/// Fewer silences with the same first answer are chance.
const MIN_GAPS: u64 = 5;
/// What ends a silence by chance does not end this share of its answers.
const MIN_END_RATE: f64 = 0.5;
/// So many standard errors from what the other operations do.
const MIN_Z: f64 = 4.0;
/// Shorter silences, as a share of the phase, do not make a phase slow.
const MIN_SILENT_SHARE: f64 = 0.02;

/// The silences of a phase, by what was answered first when they ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FreezeDetector {
    by_first: BTreeMap<OperationId, GapsEnded>,
    answers: BTreeMap<OperationId, u64>,
    seconds: u64,
    /// Empty slots in a row up to now.
    empty: Option<u32>,
}

/// The silences that ended with an answer to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct GapsEnded {
    times: u64,
    silent: Duration,
    held: u64,
    holding: u64,
}

/// An operation whose answers end silences of the whole target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Freeze {
    /// Which.
    pub operation: OperationId,
    /// How many silences its answer ended.
    pub times: u64,
    /// How many silences there were.
    pub of: u64,
    /// How long those of its own were together.
    pub silent: Duration,
    /// How many of its requests were answered.
    pub answers: u64,
    /// How many requests of other operations were answered within 20 ms of the ends.
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
        // While nothing is under way, nothing can be answered.
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

    /// The operation that the silences point at, if they do: its answers end silences far more often than those of the
    /// others do, and others had waited.
    ///
    /// The comparison is that of two proportions: of its own answers so many came first after a silence, of all others'
    /// so many.
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

/// By how many standard errors the first proportion is above the second, if both were the same in truth; `None` where
/// there is nothing to compare.
fn z_of_proportions(first: (u64, u64), second: (u64, u64)) -> Option<f64> {
    let ((k1, n1), (k2, n2)) = ((first.0 as f64, first.1 as f64), (second.0 as f64, second.1 as f64));
    let pooled = (k1 + k2) / (n1 + n2);
    let error = (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    (n1 > 0.0 && n2 > 0.0 && error > 0.0).then(|| (k1 / n1 - k2 / n2) / error)
}
