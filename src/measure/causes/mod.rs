//! Detectors of likely causes: sums of a phase, kept second by second in memory that does not grow with the
//! run.

pub mod freeze;
pub mod interference;
pub mod saturation;
pub mod silence;

use std::collections::BTreeMap;

use crate::measure::causes::freeze::FreezeDetector;
use crate::measure::causes::interference::InterferenceDetector;
use crate::measure::causes::saturation::{LoadSecond, SaturationCurve};
use crate::measure::causes::silence::SilenceDetector;
use crate::measure::ledger::PhasePart;
use crate::measure::mean::Mean;
use crate::measure::sample::ErrorKind;
use crate::measure::window::Window;
use crate::plan::model::OperationId;

/// Work that a request leaves behind is looked for in this time after its end, in seconds.
pub const AFTERMATH_S: u32 = 3;

/// Fewer ends of idle connections show no keep-alive timeout.
const MIN_TIMEOUT_CLOSES: u64 = 3;
/// The part of them that must be near the same time.
const MIN_TIMEOUT_PART: f64 = 0.8;

/// The detectors of one phase. Seconds must be added in order.
#[derive(Debug, Clone, Default)]
pub struct CauseDetectors {
    /// Operations that slow the others, over the judged periods.
    pub interference: InterferenceDetector,
    /// Operations that slow the others after their own end, over the judged periods.
    pub aftermath: InterferenceDetector,
    /// Operations that are answered first after gaps, over the whole phase. Late in a phase all requests may
    /// time out, so that no gap ends any more.
    pub freezes: FreezeDetector,
    /// The longest time without an answer, over the whole phase.
    pub silences: SilenceDetector,
    /// Throughput and requests in flight, over the whole phase.
    pub saturation: SaturationCurve,
    /// The first failures, and the response times before and since.
    pub failures: Failures,
    under_way: BTreeMap<OperationId, u64>,
    /// By operation: the last second in which a request to it ended.
    last_ended: BTreeMap<OperationId, u32>,
    last_judged: Option<u32>,
}

/// The first and the last second of each failure, and the response times before and since the first of all.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// By operation and kind: the first second of the phase in which a failed request was intended.
    pub first: BTreeMap<(OperationId, ErrorKind), u32>,
    /// The same for the last second.
    pub last: BTreeMap<(OperationId, ErrorKind), u32>,
    /// Response times of the judged seconds before the first failure of all.
    pub before: Mean,
    /// Response times of the judged seconds from the first failure on.
    pub since: Mean,
}

impl CauseDetectors {
    /// Adds the next second of the phase.
    pub(super) fn add_second(&mut self, second: u32, window: &Window, part: PhasePart) {
        let before: u64 = self.under_way.values().sum();
        let active: Vec<OperationId> = self.active(window);
        self.silences.add_second(window, before);
        for (operation, cell) in &window.cells {
            let under_way = self.under_way.entry(*operation).or_default();
            *under_way = (*under_way + u64::from(cell.requests)).saturating_sub(u64::from(cell.ended));
        }
        let after: u64 = self.under_way.values().sum();
        let completed = window.cells.values().map(|cell| u64::from(cell.completed)).sum();
        let load = LoadSecond {
            asked: window.scheduled.into(),
            completed,
            under_way: (before + after) as f64 / 2.0,
        };
        self.saturation.add_second(second, load);
        if part == PhasePart::FirstJudged {
            (self.interference, self.aftermath) = Default::default();
            (self.failures.before, self.failures.since) = Default::default();
        }
        self.failures.add_second(second, window, part);
        self.freezes.add_second(window);
        if part == PhasePart::Unjudged {
            return;
        }
        if self.last_judged.is_some_and(|last| last + 1 != second) {
            self.interference.cut();
            self.aftermath.cut();
        }
        self.last_judged = Some(second);
        self.interference.add_second(&active, window);
        self.aftermath.add_second(&self.recent(second), window);
        let ended = window.cells.iter().filter(|(_, cell)| cell.ended > 0);
        self.last_ended.extend(ended.map(|(operation, _)| (*operation, second)));
    }

    /// Operations that ended within the last seconds before this one.
    fn recent(&self, second: u32) -> Vec<OperationId> {
        let is_recent = |(_, ended): &(&OperationId, &u32)| **ended + AFTERMATH_S >= second;
        self.last_ended.iter().filter(is_recent).map(|(operation, _)| *operation).collect()
    }

    /// Operations that were in flight when the second began, or were sent in it.
    fn active(&self, window: &Window) -> Vec<OperationId> {
        let before = self.under_way.iter().filter(|(_, count)| **count > 0).map(|(operation, _)| *operation);
        let sent = window.cells.iter().filter(|(_, cell)| cell.requests > 0).map(|(operation, _)| *operation);
        let mut active: Vec<OperationId> = before.chain(sent).collect();
        active.sort_unstable();
        active.dedup();
        active
    }
}

/// The idle time after which connections ended, in seconds, and the number that did: within a second of it lie most of those
/// that had been idle at all. `None` if there is no such time.
pub fn keep_alive_timeout(ends_by_idle_time: &BTreeMap<u32, u64>) -> Option<(u32, u64)> {
    let all: u64 = ends_by_idle_time.values().sum();
    let (most, _) =
        ends_by_idle_time.iter().max_by_key(|(second, count)| (**count, std::cmp::Reverse(**second)))?;
    let near = ends_by_idle_time.range(most.saturating_sub(1)..=most + 1);
    let found: u64 = near.map(|(_, count)| count).sum();
    let is_most = found as f64 >= MIN_TIMEOUT_PART * all as f64;
    (found >= MIN_TIMEOUT_CLOSES && is_most && *most > 0).then_some((*most, found))
}

impl Failures {
    fn add_second(&mut self, second: u32, window: &Window, part: PhasePart) {
        let mut times = Mean::default();
        for (operation, cell) in &window.cells {
            times.add(Mean { requests: cell.response.count(), sum_ms: cell.response.sum() as f64 / 1000.0 });
            let dropped = (cell.unserved() > 0).then_some(&ErrorKind::Dropped);
            for kind in cell.errors.keys().chain(dropped) {
                self.first.entry((*operation, *kind)).or_insert(second);
                self.last.insert((*operation, *kind), second);
            }
        }
        if part != PhasePart::Unjudged {
            let mean = if self.first.is_empty() { &mut self.before } else { &mut self.since };
            mean.add(times);
        }
    }
}

#[cfg(test)]
mod tests;
