//! The heartbeat of a worker's thread: whether the thread runs when it should, and how much CPU time it uses.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::engine::clock::PhaseClock;
use crate::kernel::Kernel;
use crate::measure::generator_vitals::{STALL_THRESHOLD, ThreadVitals};
use crate::measure::recorder::Recorder;

const BEAT_INTERVAL: Duration = Duration::from_millis(10);
/// A CPU sample over a shorter time is too imprecise to be recorded.
const MIN_SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// A beat that is less late than this came when the timer let it.
const TIMER_LATENESS: Duration = Duration::from_millis(3);

/// For how long a worker's thread did not run when it should have, as far as its heartbeat shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Lateness(Rc<Cell<LateTime>>);

#[derive(Debug, Clone, Copy, Default)]
struct LateTime {
    /// Of all beats.
    past: Duration,
    /// When the next beat is due; `None` without a heartbeat.
    due: Option<Instant>,
    /// From the start of a stall until the requests that it held back no longer burden the target: for as long again as
    /// it lasted.
    wake: Option<(Instant, Instant)>,
}

impl Lateness {
    /// The total until the last beat.
    pub(super) fn past(&self) -> Duration {
        self.0.get().past
    }

    /// The total until now.
    pub(super) fn total(&self) -> Duration {
        let LateTime { past, due, .. } = self.0.get();
        past + due.map_or(Duration::ZERO, |due| late_since(due, Instant::now()))
    }

    /// Whether a request that is sent at `now` is one of those that a stall held back, all of which the target gets at
    /// once.
    pub(super) fn is_in_wake(&self, now: Instant) -> bool {
        let LateTime { due, wake, .. } = self.0.get();
        wake.is_some_and(|(from, until)| from <= now && now < until)
            || due.is_some_and(|due| due + STALL_THRESHOLD < now)
    }

    fn beat(&self, now: Instant, next: Instant) {
        let LateTime { past, due, wake } = self.0.get();
        let late = due.map_or(Duration::ZERO, |due| late_since(due, now));
        let wake = match (wake, due) {
            (_, None) => wake,
            _ if late <= STALL_THRESHOLD => wake,
            // A stall in the wake of another one prolongs it.
            (Some((from, until)), Some(due)) if due < until => Some((from, until.max(now + late))),
            (_, Some(due)) => Some((due, now + late)),
        };
        self.0.set(LateTime { past: past + late, due: Some(next), wake });
    }
}

fn late_since(due: Instant, now: Instant) -> Duration {
    let late = now.saturating_duration_since(due);
    if late > TIMER_LATENESS { late } else { Duration::ZERO }
}

/// The heartbeat of a worker in a phase.
pub(super) struct Heartbeat {
    kernel: Kernel,
    clock: PhaseClock,
    due: Instant,
    lateness: Lateness,
    sampled_at: Instant,
    cpu_times: ThreadCpuTimes,
}

/// The kernel's counters of this thread.
#[derive(Clone, Copy)]
struct ThreadCpuTimes {
    cpu: Duration,
    /// Time in which the thread was ready to run but had no core; `None` if the kernel does not report it.
    delay: Option<Duration>,
}

impl Heartbeat {
    /// The first beat is due one interval after `start`.
    pub(super) fn starting_at(start: Instant, clock: PhaseClock, lateness: Lateness) -> Self {
        let kernel = Kernel::this_machine();
        let cpu_times = ThreadCpuTimes::of_this_thread(&kernel);
        let due = start + BEAT_INTERVAL;
        lateness.beat(start, due);
        Self { kernel, clock, due, lateness, sampled_at: Instant::now(), cpu_times }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Beats if a beat is due, and records a stall if the beat is late by more than `STALL_THRESHOLD`.
    pub(super) fn beat(&mut self, recorder: &mut Recorder) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        let late = now - self.due;
        if late > STALL_THRESHOLD {
            self.record_stall(late, self.clock.offset(now), recorder);
        }
        self.due = now + BEAT_INTERVAL;
        self.lateness.beat(now, self.due);
    }

    /// Records a stall in every second that it covers, because each second is judged on its own, or not at all.
    fn record_stall(&self, late: Duration, until: Duration, recorder: &mut Recorder) {
        let mut from = self.clock.offset(self.due);
        while from < until {
            let next = Duration::from_secs(from.as_secs() + 1).min(until);
            recorder.record_thread(from, &ThreadVitals::stall(late, next - from));
            from = next;
        }
    }

    /// Records how busy the thread was since the last sample.
    pub(super) fn sample_cpu(&mut self, recorder: &mut Recorder) {
        let (now, cpu_times) = (Instant::now(), ThreadCpuTimes::of_this_thread(&self.kernel));
        let passed = now - self.sampled_at;
        if passed >= MIN_SAMPLE_INTERVAL {
            let ran = cpu_times.cpu.saturating_sub(self.cpu_times.cpu);
            let waited =
                cpu_times.delay.zip(self.cpu_times.delay).map(|(after, before)| after.saturating_sub(before));
            recorder.record_thread(
                self.clock.offset(self.sampled_at),
                &ThreadVitals::of_cpu(ran, waited, passed),
            );
        }
        (self.sampled_at, self.cpu_times) = (now, cpu_times);
    }
}

impl ThreadCpuTimes {
    fn of_this_thread(kernel: &Kernel) -> Self {
        if let Some((cpu, delay)) = kernel.own_schedule_times() {
            return Self { cpu, delay: Some(delay) };
        }
        let cpu = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime));
        Self { cpu: cpu.unwrap_or_default(), delay: None }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::measure::limits::Limits;
    use crate::measure::recorder::{Latency, RecorderScope};
    use crate::measure::window::Window;
    use crate::plan::model::PhaseId;

    const SECOND: Duration = Duration::from_secs(1);

    fn recorder() -> Recorder {
        let scope = RecorderScope { phase: PhaseId(0), worker: 3, latency: Latency::None };
        Recorder::new(Arc::new(Limits::default()), scope, 3 * SECOND, 0)
    }

    /// Beats on time until `at`, then misses beats for `ms`, then beats once more.
    async fn paused_for(ms: u64, at: Duration) -> Vec<(u32, Window)> {
        let start = Instant::now();
        let mut heartbeat =
            Heartbeat::starting_at(start, PhaseClock::starting_at(start), Lateness::default());
        let mut recorder = recorder();
        while Instant::now() < start + at {
            tokio::time::advance(BEAT_INTERVAL).await;
            heartbeat.beat(&mut recorder);
        }
        tokio::time::advance(BEAT_INTERVAL + Duration::from_millis(ms)).await;
        heartbeat.beat(&mut recorder);
        recorder.drain(10 * SECOND).0.windows.into_iter().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_beat_is_a_stall_in_every_second_it_spans() {
        assert_eq!(paused_for(50, SECOND).await, []);
        let recorded = paused_for(1500, SECOND).await;
        let stall = |second: u32, ms: u64| {
            (second, ThreadVitals::stall(Duration::from_millis(1500), Duration::from_millis(ms)))
        };
        let recorded: Vec<(u32, ThreadVitals)> =
            recorded.iter().map(|(second, window)| (*second, window.vitals.workers[&3])).collect();
        assert_eq!(recorded, [stall(1, 990), stall(2, 510)]);
    }

    #[tokio::test(start_paused = true)]
    async fn lateness_counts_while_it_lasts_and_once() {
        let (start, lateness) = (Instant::now(), Lateness::default());
        assert_eq!(lateness.total(), Duration::ZERO);
        let mut heartbeat = Heartbeat::starting_at(start, PhaseClock::starting_at(start), lateness.clone());
        let ms = Duration::from_millis;
        for (advanced, total) in [(9, 0), (3, 0), (98, 100), (0, 100), (12, 100), (20, 122)] {
            tokio::time::advance(ms(advanced)).await;
            assert_eq!(lateness.total(), ms(total), "after {:?}", start.elapsed());
            if [100, 122].contains(&total) && advanced > 12 {
                heartbeat.beat(&mut recorder());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_the_drain_a_stall_is_one_too() {
        let recorded = paused_for(1500, 3 * SECOND).await;
        assert_eq!(recorded.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [3, 4]);
    }

    #[tokio::test]
    async fn a_thread_that_never_rests_is_busy_or_waits_for_a_core() {
        let start = Instant::now();
        let mut heartbeat =
            Heartbeat::starting_at(start, PhaseClock::starting_at(start), Lateness::default());
        let mut recorder = recorder();
        while heartbeat.sampled_at.elapsed() < MIN_SAMPLE_INTERVAL {
            std::hint::spin_loop();
        }
        heartbeat.sample_cpu(&mut recorder);
        let recorded = recorder.drain(10 * SECOND).0.windows[&0].vitals.workers[&3];
        assert_eq!(recorded.cpu_samples, 1);
        assert!(recorded.cpu + recorded.delay.unwrap_or(1000 - recorded.cpu) > 900, "{recorded:?}");
    }

    #[test]
    fn only_requests_sent_from_the_stall_on_are_in_its_wake() {
        let start = Instant::now();
        let lateness = Lateness::default();
        let at = |ms: u64| start + Duration::from_millis(ms);
        lateness.beat(at(0), at(10));
        // The next beat comes 200 ms late.
        lateness.beat(at(210), at(220));
        let in_wake = [5, 10, 100, 211, 409, 411].map(|ms| lateness.is_in_wake(at(ms)));
        assert_eq!(in_wake, [false, true, true, true, true, true]);
        lateness.beat(at(405), at(1000));
        assert!(lateness.is_in_wake(at(500)) && !lateness.is_in_wake(at(700)));
    }
}
