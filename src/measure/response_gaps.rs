//! When the target answered, in fiftieths of a second, and what came first after it had answered nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::sample::Sample;
use crate::plan::model::OperationId;

/// A second has so many slots.
pub(super) const SLOTS_PER_SECOND: u8 = 50;
pub(super) const SLOT_LENGTH: Duration = Duration::from_millis(20);
/// A silence is at least this long.
pub(super) const MIN_GAP: Duration = Duration::from_millis(80);

/// The answers of one second of a phase: when any came, and what came first after silences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResponseActivity {
    /// Bit by bit, the slots in which an answer came.
    pub(super) slots: u64,
    /// By the slot in which a worker heard the first answer after a silence.
    bursts: BTreeMap<u8, Burst>,
}

/// What came when a silence had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Burst {
    /// Where in its slot the first answer came, in microseconds, and what it answered.
    pub(super) first: (u16, OperationId),
    /// How long that one had been under way, in milliseconds.
    pub(super) waited: u32,
    /// Answers that came within a slot's length, to requests that had been under way for [`SHORTEST`].
    pub(super) held: BTreeMap<OperationId, u32>,
}

impl ResponseActivity {
    /// Adds another worker's answers in the same second.
    pub fn merge(&mut self, other: &Self) {
        let Self { slots, bursts } = other;
        self.slots |= slots;
        for (slot, burst) in bursts {
            match self.bursts.get_mut(slot) {
                Some(mine) => mine.merge(burst),
                None => {
                    self.bursts.insert(*slot, burst.clone());
                }
            }
        }
    }

    /// What came when a silence had ended in this slot: the workers may have heard it in two neighbouring ones.
    pub(super) fn burst(&self, slot: u8) -> Option<Burst> {
        let mut burst = self.bursts.get(&slot)?.clone();
        if let Some(next) = self.bursts.get(&(slot + 1)) {
            let Burst { first: _, waited: _, held } = next;
            add_all(&mut burst.held, held);
        }
        Some(burst)
    }
}

impl Burst {
    fn merge(&mut self, other: &Self) {
        let Self { first, waited, held } = other;
        // Of two at the same moment the one that waited longer, so that the order of merging decides nothing.
        if (first.0, u32::MAX - waited, first.1) < (self.first.0, u32::MAX - self.waited, self.first.1) {
            (self.first, self.waited) = (*first, *waited);
        }
        add_all(&mut self.held, held);
    }
}

fn add_all(mine: &mut BTreeMap<OperationId, u32>, theirs: &BTreeMap<OperationId, u32>) {
    for (operation, count) in theirs {
        *mine.entry(*operation).or_default() += count;
    }
}

/// One worker's ear.
#[derive(Debug, Default)]
pub struct GapDetector {
    last: Option<Duration>,
    /// When the silence ended after which answers are coming.
    gap_ended_at: Option<Duration>,
}

impl GapDetector {
    /// Hears an answer, and writes it into the second in which it came.
    pub fn observe(&mut self, sample: &Sample, answers: &mut ResponseActivity) {
        let (now, waited) = (sample.finished, sample.service_time());
        answers.slots |= 1 << slot(now);
        let last = self.last.unwrap_or_default();
        self.last = Some(last.max(now));
        let silent = now.saturating_sub(last);
        if silent >= MIN_GAP - SLOT_LENGTH {
            self.gap_ended_at = Some(now);
            let at = u16::try_from(now.subsec_micros() % 20_000).expect("a slot has 20 000 µs");
            let waited = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
            let burst = Burst { first: (at, sample.operation), waited, held: BTreeMap::new() };
            answers.bursts.entry(slot(now)).or_insert(burst);
        }
        // What comes in the next second may no longer be told of this one, and is left out.
        let gap_ended_at = self
            .gap_ended_at
            .filter(|at| now.saturating_sub(*at) < SLOT_LENGTH && at.as_secs() == now.as_secs());
        let burst = gap_ended_at.and_then(|at| answers.bursts.get_mut(&slot(at)));
        if let Some(burst) = burst.filter(|_| waited >= MIN_GAP) {
            *burst.held.entry(sample.operation).or_default() += 1;
        }
    }
}

fn slot(at: Duration) -> u8 {
    u8::try_from(at.subsec_millis() / 20).expect("a second has 50 slots")
}
