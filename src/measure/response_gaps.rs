//! Response activity: the 20 ms slots of a second with a response, and the bursts of responses after gaps.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::sample::Sample;
use crate::plan::model::OperationId;

pub(super) const SLOTS_PER_SECOND: u8 = 50;
pub(super) const SLOT_LENGTH: Duration = Duration::from_millis(20);
/// A shorter time without a response is no gap.
pub(super) const MIN_GAP: Duration = Duration::from_millis(80);

/// The responses of one second of a phase: the slots with a response, and the bursts that ended gaps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResponseActivity {
    /// The slots with a response, one bit each.
    pub(super) slots: u64,
    /// By the slot in which a worker observed the first response after a gap.
    bursts: BTreeMap<u8, Burst>,
}

/// The responses at the end of a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Burst {
    /// The offset of the first response in its slot, in microseconds, and its operation.
    pub(super) first: (u16, OperationId),
    /// How long its request had been in flight, in milliseconds.
    pub(super) waited: u32,
    /// By operation: the responses that arrived within the length of a slot and whose requests had been in
    /// flight for at least [`MIN_GAP`].
    pub(super) held: BTreeMap<OperationId, u32>,
}

impl ResponseActivity {
    /// Responses in a slot after a gap; the first had been in flight for this long.
    #[cfg(test)]
    pub(super) fn after_gap(&mut self, slot: u8, waited: Duration) {
        self.slots |= 1 << slot;
        let waited = u32::try_from(waited.as_millis()).unwrap();
        self.bursts.insert(slot, Burst { first: (0, OperationId(0)), waited, held: BTreeMap::new() });
    }

    /// Adds the responses of another worker in the same second.
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

    /// The burst of this slot. Workers may have observed the end of a gap in two neighbouring slots, so the
    /// next slot counts too.
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
        // Of two first responses at the same time, the one that waited longer counts. So the order of merging
        // does not matter.
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

/// Detects gaps in the responses that one worker receives.
#[derive(Debug, Default)]
pub struct GapDetector {
    last: Option<Duration>,
    /// The end of the last gap. Responses that follow at once belong to its burst.
    gap_ended_at: Option<Duration>,
}

impl GapDetector {
    /// Observes a response and records it in the second in which it arrived.
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
        // A response in the next second is left out of the burst, because the record of this second may
        // already be handed over.
        let gap_ended_at = self
            .gap_ended_at
            .filter(|at| now.saturating_sub(*at) < SLOT_LENGTH && at.as_secs() == now.as_secs());
        let burst = gap_ended_at.and_then(|at| answers.bursts.get_mut(&slot(at)));
        if let Some(burst) = burst.filter(|_| waited >= MIN_GAP) {
            *burst.held.entry(sample.operation).or_default() += 1;
        }
    }
}

/// The slot of a moment in its second.
pub(super) fn slot(at: Duration) -> u8 {
    u8::try_from(at.subsec_millis() / 20).expect("a second has 50 slots")
}
