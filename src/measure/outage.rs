//! Outages: times in which requests waited or failed and none of any operation succeeded.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::response_gaps::{SLOT_LENGTH, SLOTS_PER_SECOND, slot};
use crate::measure::sample::{ErrorKind, Outcome, Sample};
use crate::measure::window::Window;

/// A request that succeeded within this time was not kept waiting.
const MIN_WAIT: Duration = Duration::from_secs(1);
const SLOT_MS: u64 = SLOT_LENGTH.as_millis() as u64;

/// The 20 ms slots of a second in which requests succeeded or were kept waiting, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SuccessSlots {
    /// A request succeeded.
    succeeded: u64,
    /// A request was under way that failed in the end, or took at least a second.
    denied: u64,
}

impl SuccessSlots {
    /// Marks the slot in which a request of this second succeeded.
    pub(super) fn succeed(&mut self, finished: Duration) {
        self.succeeded |= 1 << slot(finished);
    }

    /// Adds the slots of another worker in the same second.
    pub fn merge(&mut self, other: Self) {
        self.succeeded |= other.succeeded;
        self.denied |= other.denied;
    }
}

/// Marks the slots in which a request was denied, if it was: without the generator's own part of the time. Requests that may
/// be slow or have failed because of it show nothing.
pub(super) fn mark_denied(sample: &Sample, windows: &mut BTreeMap<u32, Window>) {
    let from = sample.sent.saturating_sub(sample.connect.unwrap_or_default());
    if sample.outcome == Outcome::Succeeded && sample.finished < from + MIN_WAIT {
        return;
    }
    // It waited for the target until here for certain.
    let until = sample.finished.saturating_sub(sample.ours.saturating_sub(sample.send_lag()));
    let is_denied = match sample.outcome {
        _ if sample.is_in_wake || until < from => false,
        Outcome::Succeeded => until - from >= MIN_WAIT,
        Outcome::Failed(kind) => !matches!(kind, ErrorKind::Cancelled | ErrorKind::Local),
    };
    if is_denied {
        for slot in slot_since_start(from)..=slot_since_start(until) {
            let second = u32::try_from(slot / u64::from(SLOTS_PER_SECOND)).unwrap_or(u32::MAX);
            let bit = 1 << (slot % u64::from(SLOTS_PER_SECOND));
            windows.entry(second).or_default().successes.denied |= bit;
        }
    }
}

fn slot_since_start(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX) / SLOT_MS
}

/// The longest outage of the judged periods. Seconds must be added in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutageDetector {
    /// Since the last success: the first slot in which a request was kept waiting, and the one after the last.
    denied: Option<(u64, u64)>,
    longest: Option<Outage>,
    /// Requests that succeeded or were kept waiting, in slots.
    seen: bool,
}

/// A time without a success, from the first to the last moment in which a request was kept waiting or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From the start of the phase.
    pub from: Duration,
    pub to: Duration,
}

impl Outage {
    pub fn length(self) -> Duration {
        self.to - self.from
    }
}

impl OutageDetector {
    /// Adds a judged second of the phase.
    pub fn add_second(&mut self, second: u32, slots: SuccessSlots) {
        let SuccessSlots { succeeded, denied } = slots;
        self.seen |= succeeded | denied != 0;
        for slot in 0..SLOTS_PER_SECOND {
            let at = u64::from(second) * u64::from(SLOTS_PER_SECOND) + u64::from(slot);
            if denied & (1 << slot) != 0 {
                let from = self.denied.map_or(at, |(from, _)| from);
                self.denied = Some((from, at + 1));
            }
            if succeeded & (1 << slot) != 0 {
                self.cut();
            }
        }
    }

    /// Ends the current outage: with a success, or because the next judged second does not follow directly.
    pub fn cut(&mut self) {
        self.longest = self.longest();
        self.denied = None;
    }

    /// Whether a request ended in the judged periods.
    pub fn has_data(&self) -> bool {
        self.seen
    }

    /// The length of the longest outage so far, in seconds; 0 without one.
    pub fn longest_s(&self) -> f64 {
        self.longest().map_or(0.0, |outage| outage.length().as_secs_f64())
    }

    /// The longest outage so far.
    pub fn longest(&self) -> Option<Outage> {
        let at = |slot: u64| Duration::from_millis(slot * SLOT_MS);
        let current = self.denied.map(|(from, to)| Outage { from: at(from), to: at(to) });
        let longer = |one: Outage, other: Outage| if other.length() > one.length() { other } else { one };
        self.longest.into_iter().chain(current).reduce(longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::OperationId;

    /// The longest outage, in ms, of requests with these starts, ends and outcomes, judged from a second on.
    fn longest(from_second: u32, requests: &[(u64, u64, Outcome)]) -> Option<(u128, u128)> {
        let mut windows = BTreeMap::new();
        for (sent, finished, outcome) in requests {
            let sample = Sample { outcome: *outcome, ..Sample::succeeded(OperationId(0), *sent, *finished) };
            mark_denied(&sample, &mut windows);
            if *outcome == OK {
                let second = u32::try_from(finished / 1000).unwrap();
                windows.entry(second).or_insert_with(Window::default).successes.succeed(sample.finished);
            }
        }
        let mut detector = OutageDetector::default();
        for (second, window) in windows.range(from_second..) {
            detector.add_second(*second, window.successes);
        }
        detector.longest().map(|outage| (outage.from.as_millis(), outage.to.as_millis()))
    }

    const OK: Outcome = Outcome::Succeeded;
    const RESET: Outcome = Outcome::Failed(ErrorKind::Reset);

    #[test]
    fn an_outage_lasts_from_the_first_to_the_last_denied_request() {
        let refused = |at| (at, at + 1, RESET);
        let down = [(0, 20, OK), refused(1000), refused(2500), refused(4000), (9000, 9020, OK)];
        assert_eq!(longest(0, &down), Some((1000, 4020)));
        // A success in between ends it.
        let flaky = [refused(1000), (2000, 2020, OK), refused(4000), refused(5000)];
        assert_eq!(longest(0, &flaky), Some((4000, 5020)));
        assert_eq!(longest(0, &[(0, 20, OK), (900, 1800, OK)]), None);
    }

    #[test]
    fn a_request_that_waits_is_denied_until_it_succeeds_or_gives_up() {
        assert_eq!(longest(0, &[(0, 20, OK), (100, 5100, OK)]), Some((100, 5120)));
        assert_eq!(longest(0, &[(0, 20, OK), (100, 10_100, RESET)]), Some((100, 10_120)));
        // Others that succeed meanwhile show that the target is up.
        let busy = [(100, 5100, OK), (1000, 1020, OK), (2000, 2020, OK), (3000, 3020, OK), (4000, 4020, OK)];
        assert_eq!(longest(0, &busy), Some((4040, 5120)));
    }

    #[test]
    fn only_the_judged_part_of_an_outage_counts() {
        assert_eq!(longest(2, &[(500, 4500, OK)]), Some((2000, 4520)));
    }

    #[test]
    fn failures_that_may_be_the_generators_own_show_nothing() {
        let mut windows = BTreeMap::new();
        let wake = Sample { outcome: RESET, is_in_wake: true, ..Sample::succeeded(OperationId(0), 0, 9000) };
        let local = Outcome::Failed(ErrorKind::Local);
        mark_denied(&wake, &mut windows);
        mark_denied(&Sample { outcome: local, is_in_wake: false, ..wake }, &mut windows);
        assert!(windows.is_empty());
        // A success that was late because the generator was stopped for 6 s of its 7.
        let stopped = Sample { ours: Duration::from_secs(6), ..Sample::succeeded(OperationId(0), 0, 7000) };
        mark_denied(&stopped, &mut windows);
        assert_eq!(windows.keys().copied().collect::<Vec<_>>(), [0, 1]);
        mark_denied(
            &Sample { is_in_wake: true, ..Sample::succeeded(OperationId(0), 3000, 7000) },
            &mut windows,
        );
        assert_eq!(windows.len(), 2);
    }

    #[test]
    fn a_connection_attempt_is_a_part_of_an_outage() {
        let mut windows = BTreeMap::new();
        let timed_out = Outcome::Failed(ErrorKind::ConnectTimeout);
        let sample = Sample { outcome: timed_out, ..Sample::succeeded(OperationId(0), 3000, 3000) };
        mark_denied(&Sample { connect: Some(Duration::from_secs(2)), ..sample }, &mut windows);
        assert_eq!(windows.into_keys().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
