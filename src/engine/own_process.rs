//! The load generator's own process and its machine: resource usage, and events such as suspends and clock steps, from the
//! kernel.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep_until;

use crate::engine::clock::PhaseClock;
use crate::event::RunEvent;
use crate::kernel::Kernel;
use crate::measure::generator_vitals::{GeneratorUsage, GeneratorVitals, MachineVitals};
use crate::measure::window::{Batch, Window};
use crate::plan::model::PhaseId;
use crate::resources::linux::group_limits::Quota;
use crate::resources::linux::proc::{MachineTicks, TICKS_PER_SECOND};

/// A smaller step of the wall clock between two snapshots is a normal correction, such as NTP slewing.
const CLOCK_STEP_MIN_US: i128 = 50_000;
/// A smaller difference between boot time and monotonic time is measurement error, because the clocks are read one after
/// the other.
const SUSPEND_MIN_US: i128 = 1000;
/// How often the machine's vitals are handed over.
const HAND_OVER_INTERVAL: Duration = Duration::from_secs(1);

/// Records this process during a phase. Its windows follow those of the workers, under the next number.
pub(super) struct OwnProcess {
    scope: OwnScope,
    /// `None` on a simulated clock, on which the kernel's counters mean nothing.
    counters: Option<ProcessCounters>,
    /// The last hand-over, as an offset from the start of the phase.
    last: Duration,
}

/// The phase that is recorded, and the number under which windows are handed over.
pub(super) struct OwnScope {
    pub(super) phase: PhaseId,
    pub(super) number: u16,
    pub(super) clock: PhaseClock,
    /// The planned end of the phase.
    pub(super) end: Duration,
}

/// The kernel's counters at the start of a phase and at the last hand-over.
struct ProcessCounters {
    kernel: Kernel,
    start: Instant,
    cpu: Duration,
    machine: KernelCounters,
}

impl OwnProcess {
    /// Starts to record. Without `real_time` there is nothing to measure, and only empty windows are handed over.
    pub(super) fn new(scope: OwnScope, real_time: bool) -> Self {
        let counters = real_time.then(|| {
            let kernel = Kernel::this_machine();
            let machine = KernelCounters::now(&kernel);
            ProcessCounters { kernel, start: Instant::now(), cpu: cpu_time(), machine }
        });
        let last = scope.clock.now();
        Self { scope, counters, last }
    }

    /// Hands over the machine's vitals once a second, for as long as it is polled.
    pub(super) async fn record(&mut self, events: &UnboundedSender<RunEvent>) {
        loop {
            let next = Duration::from_secs(self.last.as_secs()) + HAND_OVER_INTERVAL;
            sleep_until(self.scope.clock.moment(next)).await;
            self.hand_over(events);
        }
    }

    /// Hands over the vitals since the last time, in the window of the second in which they began.
    pub(super) fn hand_over(&mut self, events: &UnboundedSender<RunEvent>) {
        let OwnScope { phase, number, clock, end } = self.scope;
        let (from, now) = (self.last, clock.now());
        let second = |at: Duration| u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        let windows = self.counters.as_mut().map(|counters| {
            let vitals = GeneratorVitals { machine: counters.machine(), ..GeneratorVitals::default() };
            (second(from), Window { vitals, ..Window::default() })
        });
        let batch = Batch {
            phase,
            source: number,
            windows: windows.into_iter().collect(),
            settled_before: second(now.min(end)),
            recorded_before: second(now.min(end)),
            ..Batch::default()
        };
        self.last = now;
        // The send fails only after the session has ended, when windows are no longer needed.
        let _ = events.send(RunEvent::Recorded(batch));
    }

    /// The resource usage since the start; `None` on a simulated clock.
    pub(super) fn usage(&self) -> Option<GeneratorUsage> {
        self.counters.as_ref().map(|counters| GeneratorUsage {
            cpu: cpu_time().saturating_sub(counters.cpu),
            wall: counters.start.elapsed(),
            peak_memory_bytes: counters.kernel.own_peak_memory().unwrap_or(0),
        })
    }
}

impl ProcessCounters {
    /// The machine's vitals since the last call.
    fn machine(&mut self) -> MachineVitals {
        let now = KernelCounters::now(&self.kernel);
        let vitals = now.since(&self.machine);
        self.machine = now;
        vitals
    }
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// A snapshot of kernel counters.
#[derive(Clone, Default)]
struct KernelCounters {
    ticks: u64,
    /// Used by any process, in ticks.
    used: u64,
    /// Used by this process.
    own: Duration,
    stolen: u64,
    /// The CPU quotas that apply to this process.
    quotas: Vec<Quota>,
    /// Offset of the boot-time clock, which also runs in suspend, from the monotonic clock, in microseconds.
    asleep: i128,
    /// Offset of the wall clock from the monotonic clock, in microseconds.
    wall: i128,
}

impl KernelCounters {
    fn now(kernel: &Kernel) -> Self {
        let MachineTicks { total, used, stolen } = kernel.machine_ticks().unwrap_or_default();
        Self {
            ticks: total,
            used,
            own: cpu_time(),
            stolen,
            quotas: kernel.own_quotas(),
            asleep: clock_offset_us(ClockId::Boottime),
            wall: clock_offset_us(ClockId::Realtime),
        }
    }

    /// The periods of the quota that throttled most since an earlier snapshot, and the throttled ones of them. A quota that
    /// is new has no earlier count.
    fn throttled_since(&self, earlier: &Self) -> (u64, u64) {
        let since = |now: &Quota| {
            let before = earlier.quotas.iter().find(|before| before.level == now.level)?;
            let periods = now.periods.checked_sub(before.periods)?;
            Some((periods, now.throttled.saturating_sub(before.throttled)))
        };
        self.quotas.iter().filter_map(since).max_by_key(|(_, throttled)| *throttled).unwrap_or_default()
    }

    /// The difference from an earlier snapshot.
    fn since(&self, earlier: &Self) -> MachineVitals {
        let asleep = self.asleep - earlier.asleep;
        // The wall clock also runs in suspend; that advance is not a step.
        let set = (self.wall - earlier.wall - asleep.max(0)).abs();
        let (periods, throttled) = self.throttled_since(earlier);
        let micros = |micros: i128| u64::try_from(micros).unwrap_or(0);
        let own_ticks = self.own.saturating_sub(earlier.own).as_secs_f64() * TICKS_PER_SECOND;
        MachineVitals {
            ticks: self.ticks.saturating_sub(earlier.ticks),
            used_by_others: self.used.saturating_sub(earlier.used).saturating_sub(own_ticks as u64),
            stolen: self.stolen.saturating_sub(earlier.stolen),
            periods,
            throttled,
            suspended_us: if asleep >= SUSPEND_MIN_US { micros(asleep) } else { 0 },
            clock_steps: u32::from(set >= CLOCK_STEP_MIN_US),
            largest_step_us: if set >= CLOCK_STEP_MIN_US { micros(set) } else { 0 },
        }
    }
}

/// Offset of a clock from the monotonic clock, which neither suspend nor clock setting affects, in microseconds.
fn clock_offset_us(of: ClockId) -> i128 {
    let micros = |clock| {
        let time = clock_gettime(clock);
        i128::from(time.tv_sec) * 1_000_000 + i128::from(time.tv_nsec) / 1000
    };
    // The thread may be preempted between two reads, so the shortest of several tries is the most accurate.
    let tries = (0..5).map(|_| {
        let before = micros(ClockId::Monotonic);
        let read = micros(of);
        let after = micros(ClockId::Monotonic);
        (after - before, read - (before + after) / 2)
    });
    tries.min_by_key(|(took, _)| *took).map_or(0, |(_, clock_offset_us)| clock_offset_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_slept_did_not_set_its_clock() {
        let at = |asleep, wall| KernelCounters { asleep, wall, ..KernelCounters::default() };
        let fields =
            |machine: MachineVitals| (machine.suspended_us, machine.clock_steps, machine.largest_step_us);
        assert_eq!(fields(at(3_000_000, 3_000_010).since(&at(0, 0))), (3_000_000, 0, 0));
        assert_eq!(fields(at(20, -60_000).since(&at(0, 0))), (0, 1, 60_020));
        assert_eq!(fields(at(20, 49_000).since(&at(0, 0))), (0, 0, 0));
    }

    #[test]
    fn the_quota_that_throttles_most_counts_and_a_new_one_has_no_past() {
        let at = |quotas: &[(&str, u64, u64)]| KernelCounters {
            quotas: quotas
                .iter()
                .map(|(level, periods, throttled)| Quota {
                    level: (*level).to_owned(),
                    periods: *periods,
                    throttled: *throttled,
                })
                .collect(),
            ..KernelCounters::default()
        };
        let before = at(&[("a", 100, 5), ("a/b", 100, 0)]);
        let after = at(&[("a", 110, 9), ("a/b", 110, 0), ("a/b/c", 900, 800)]);
        assert_eq!(after.throttled_since(&before), (10, 4));
        assert_eq!(after.throttled_since(&at(&[])), (0, 0));
    }
}
