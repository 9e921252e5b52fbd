//! Silences: times in which requests are in flight and none of any operation is answered.

use std::time::Duration;

use crate::measure::response_gaps::{SLOT_LENGTH, SLOTS_PER_SECOND};
use crate::measure::window::Window;

/// A shorter silence is not worth a sentence.
const MIN_SILENCE: Duration = Duration::from_secs(1);
/// Fewer requests in flight do not show that the whole target is silent.
const MIN_WAITING: u64 = 2;
const SLOT_MS: u64 = SLOT_LENGTH.as_millis() as u64;
/// If the generator itself did not run for more than this part of a silence, the silence is its own.
const MAX_STALLED_PART: f64 = 0.2;

/// The longest silence of a phase.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SilenceDetector {
    /// The end of the last answer so far, in slots since the start of the phase; `None` before the first answer.
    last_answer: Option<u64>,
    /// Since then: time in which a worker did not run.
    stalled: Duration,
    /// Requests and arrivals that were intended so far, minus those that ended.
    waiting: u64,
    longest: Option<Silence>,
    seconds: u32,
}

/// A time without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// From the start of the phase.
    pub from: Duration,
    pub to: Duration,
    /// The requests that waited at its end.
    pub waiting: u64,
    /// Whether it lasted until the end of the phase.
    pub is_last: bool,
}

impl Silence {
    pub fn length(self) -> Duration {
        self.to - self.from
    }
}

impl SilenceDetector {
    /// Adds the next second of the phase, in which this many requests were in flight when it began.
    pub fn add_second(&mut self, window: &Window, waiting: u64) {
        let first = u64::from(self.seconds) * u64::from(SLOTS_PER_SECOND);
        self.seconds += 1;
        let stalled = window.vitals.workers.values().map(|thread| thread.stalled).max().unwrap_or(0);
        self.stalled += Duration::from_micros(stalled);
        let sent: u64 = window.cells.values().map(|cell| u64::from(cell.requests)).sum();
        if waiting < MIN_WAITING {
            // So far it was idle, not silent.
            self.last_answer = self.last_answer.map(|_| first);
        }
        for slot in (0..SLOTS_PER_SECOND).filter(|slot| window.answers.slots & (1 << slot) != 0) {
            let at = first + u64::from(slot);
            if let Some(last) = self.last_answer.replace(at + 1) {
                // Before the first request that is answered now was sent, nothing shows that the target was silent.
                let waited = window.answers.burst(slot).map_or(0, |burst| u64::from(burst.waited) / SLOT_MS);
                self.end(last.max(at.saturating_sub(waited)), at, waiting, false);
            }
            self.stalled = Duration::ZERO;
        }
        let ended: u64 = window.cells.values().map(|cell| u64::from(cell.ended)).sum();
        self.waiting = (waiting + sent).saturating_sub(ended);
    }

    fn end(&mut self, from: u64, to: u64, waiting: u64, is_last: bool) {
        let at = |slots: u64| SLOT_LENGTH * u32::try_from(slots).unwrap_or(u32::MAX);
        let silence = Silence { from: at(from), to: at(to.max(from)), waiting, is_last };
        let is_ours = self.stalled.as_secs_f64() > MAX_STALLED_PART * silence.length().as_secs_f64();
        let is_longer = self.longest.is_none_or(|longest| longest.length() < silence.length());
        if silence.length() >= MIN_SILENCE && waiting >= MIN_WAITING && !is_ours && is_longer {
            self.longest = Some(silence);
        }
    }

    /// The longest silence, also one that lasts until now.
    pub fn longest(&self) -> Option<Silence> {
        let mut until_now = self.clone();
        let now = u64::from(self.seconds) * u64::from(SLOTS_PER_SECOND);
        until_now.end(self.last_answer.unwrap_or(0), now, self.waiting, true);
        until_now.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::generator_vitals::ThreadVitals;
    use crate::measure::window::Cell;
    use crate::plan::model::OperationId;

    /// A second with answers in these slots, in which this many requests were sent and ended.
    fn second(slots: impl IntoIterator<Item = u8>, sent: u32, ended: u32) -> Window {
        let mut window = Window::default();
        window.answers.slots = slots.into_iter().fold(0, |slots, slot| slots | 1 << slot);
        window.cells.insert(OperationId(0), Cell { requests: sent, ended, ..Cell::default() });
        window
    }

    fn longest(seconds: &[(Window, u64)]) -> Option<Silence> {
        let mut detector = SilenceDetector::default();
        seconds.iter().for_each(|(window, waiting)| detector.add_second(window, *waiting));
        detector.longest()
    }

    #[test]
    fn the_longest_silence_is_found_with_its_end_and_the_waiting_requests() {
        let steady = || (second(0..50, 50, 50), 0);
        let quiet = |waiting| (second([], 10, 0), waiting);
        let mut end = second(41..50, 0, 30);
        end.answers.after_gap(40, Duration::from_secs(10));
        let seconds = [steady(), (second(0..25, 50, 40), 0), quiet(10), quiet(20), (end.clone(), 30)];
        let found = longest(&seconds);
        let expected = Silence {
            from: Duration::from_millis(1500),
            to: Duration::from_millis(4800),
            waiting: 30,
            is_last: false,
        };
        assert_eq!(found, Some(expected));
        // The first answer shows how long the target was silent at least.
        end.answers.after_gap(40, Duration::from_secs(2));
        let seconds = [steady(), (second(0..25, 50, 40), 0), quiet(10), quiet(20), (end, 30)];
        assert_eq!(longest(&seconds).map(Silence::length), Some(Duration::from_secs(2)));
        // Without requests in flight nothing can be answered.
        assert_eq!(longest(&[steady(), (second([], 0, 0), 0), (second([], 0, 0), 0), steady()]), None);
    }

    #[test]
    fn a_silence_at_the_end_lasts_until_the_end() {
        let found = longest(&[(second(0..50, 50, 40), 0), (second([], 10, 0), 10), (second([], 10, 0), 20)]);
        let found = found.unwrap();
        assert_eq!((found.length(), found.waiting, found.is_last), (Duration::from_secs(2), 30, true));
    }

    #[test]
    fn a_generator_that_did_not_run_is_not_taken_for_a_silent_target() {
        let stalled = |waiting| {
            let mut window = second([], 10, 0);
            let vitals = ThreadVitals::stall(Duration::from_secs(2), Duration::from_secs(1));
            window.vitals.workers.insert(0, vitals);
            (window, waiting)
        };
        assert_eq!(longest(&[(second(0..50, 50, 40), 0), stalled(10), stalled(20)]), None);
    }
}
