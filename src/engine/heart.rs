//! Whether a worker's thread gets to run when it should: its heartbeat, and its use of the processor.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::engine::clock::Clock;
use crate::measure::recorder::Recorder;
use crate::measure::vitals::{LATE, Pulse};

/// How often it beats.
const BEAT: Duration = Duration::from_millis(10);
/// A look at less time than this says nothing.
const SHORTEST_LOOK: Duration = Duration::from_millis(500);

/// The heart of a worker in a phase.
pub(super) struct Heart {
    clock: Clock,
    due: Instant,
    looked: Instant,
    used: Used,
}

/// What the kernel has counted for this thread.
#[derive(Clone, Copy)]
struct Used {
    cpu: Duration,
    /// Time ready to run without a core, where it is told.
    delay: Option<Duration>,
}

impl Heart {
    /// It beats from the phase's start on.
    pub(super) fn starting_at(start: Instant, clock: Clock) -> Self {
        Self { clock, due: start + BEAT, looked: Instant::now(), used: Used::by_this_thread() }
    }

    /// When it is to beat next.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Beats if it is time to, and records by how much it is late.
    pub(super) fn beat(&mut self, recorder: &mut Recorder) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        let late = now - self.due;
        if late > LATE {
            self.stalled(late, self.clock.offset(now), recorder);
        }
        self.due = now + BEAT;
    }

    /// Records a stall in every second that it reached into: each is judged by itself, or not at all.
    fn stalled(&self, late: Duration, until: Duration, recorder: &mut Recorder) {
        let mut from = self.clock.offset(self.due);
        while from < until {
            let next = Duration::from_secs(from.as_secs() + 1).min(until);
            recorder.feel(from, &Pulse::stall(late, next - from));
            from = next;
        }
    }

    /// Records how busy the thread was since the last look.
    pub(super) fn look(&mut self, recorder: &mut Recorder) {
        let (now, used) = (Instant::now(), Used::by_this_thread());
        let passed = now - self.looked;
        if passed >= SHORTEST_LOOK {
            let ran = used.cpu.saturating_sub(self.used.cpu);
            let waited = used.delay.zip(self.used.delay).map(|(after, before)| after.saturating_sub(before));
            recorder.feel(self.clock.offset(self.looked), &Pulse::look(ran, waited, passed));
        }
        (self.looked, self.used) = (now, used);
    }
}

impl Used {
    fn by_this_thread() -> Self {
        Self::of_the_scheduler().unwrap_or_else(|| {
            let cpu = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime));
            Self { cpu: cpu.unwrap_or_default(), delay: None }
        })
    }

    /// `schedstat`: nanoseconds that it ran, nanoseconds that it was ready to, and how often it was switched to.
    fn of_the_scheduler() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut numbers = text.split_whitespace().map(|number| number.parse().map(Duration::from_nanos));
        let cpu = numbers.next()?.ok()?;
        Some(Self { cpu, delay: Some(numbers.next()?.ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::measure::recorder::{Latency, Scope};
    use crate::measure::watch::Limits;
    use crate::measure::window::Window;

    const SECOND: Duration = Duration::from_secs(1);

    fn recorder() -> Recorder {
        let scope = Scope { phase: 0, worker: 3, latency: Latency::None };
        Recorder::new(Arc::new(Limits::default()), scope, 3 * SECOND, 0)
    }

    /// Beats, then not for so long, then again.
    async fn paused_for(ms: u64, at: Duration) -> Vec<(u32, Window)> {
        let start = Instant::now();
        let mut heart = Heart::starting_at(start, Clock::starting_at(start));
        let mut recorder = recorder();
        while Instant::now() < start + at {
            tokio::time::advance(BEAT).await;
            heart.beat(&mut recorder);
        }
        tokio::time::advance(BEAT + Duration::from_millis(ms)).await;
        heart.beat(&mut recorder);
        recorder.drain(10 * SECOND).0.windows.into_iter().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_beat_that_is_more_than_50_ms_late_is_a_stall_of_every_second_that_it_takes_a_part_of() {
        assert_eq!(paused_for(50, SECOND).await, []);
        let told = paused_for(1500, SECOND).await;
        let stall = |second: u32, ms: u64| {
            (second, Pulse::stall(Duration::from_millis(1500), Duration::from_millis(ms)))
        };
        let told: Vec<(u32, Pulse)> =
            told.iter().map(|(second, window)| (*second, window.vitals.workers[&3])).collect();
        assert_eq!(told, [stall(1, 990), stall(2, 510)]);
    }

    #[tokio::test(start_paused = true)]
    async fn in_the_drain_a_stall_is_one_too() {
        let told = paused_for(1500, 3 * SECOND).await;
        assert_eq!(told.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [3, 4]);
    }

    #[tokio::test]
    async fn a_thread_that_never_rests_is_busy_or_waits_for_a_core() {
        let start = Instant::now();
        let mut heart = Heart::starting_at(start, Clock::starting_at(start));
        let mut recorder = recorder();
        while heart.looked.elapsed() < SHORTEST_LOOK {
            std::hint::spin_loop();
        }
        heart.look(&mut recorder);
        let told = recorder.drain(10 * SECOND).0.windows[&0].vitals.workers[&3];
        assert_eq!(told.looks, 1);
        assert!(told.cpu + told.delay.unwrap_or(1000 - told.cpu) > 900, "{told:?}");
    }
}
