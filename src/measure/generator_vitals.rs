//! The generator's self-metrics of one second: stalls and processor time of its threads, and events of its
//! machine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::measure::sample::ArrivalClock;

/// A heartbeat that is later than this is a stall.
pub const STALL_THRESHOLD: Duration = Duration::from_millis(50);
/// From this processor time on, per mille of a second, a thread is pressed and saturated.
pub const BUSY_PERMILLE: u16 = 900;
/// Above this wait for a core, per mille of a second, a thread is pressed.
pub const PRESSED_PERMILLE: u16 = 250;
/// Above this wait for a core, per mille of a second, a thread is saturated.
pub const STARVED_PERMILLE: u16 = 500;

/// The self-metrics of the workers and the machine in one second.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GeneratorVitals {
    /// By worker.
    pub workers: BTreeMap<u16, ThreadVitals>,
    pub machine: MachineVitals,
    /// Arrivals intended in this second that were issued to the users before the end of the phase.
    pub issued: u32,
    /// Time by which the generator's own lag lengthened the cycles of users with think time, in microseconds.
    pub lost: u64,
    /// The number of draws of each task, by its index among all tasks of the plan.
    pub draws: Vec<u32>,
    /// The clocks by which the arrival of responses is known.
    #[serde(default)]
    pub arrival_clocks: ArrivalClocks,
}

/// The number of responses whose arrival is known by each clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ArrivalClocks {
    /// The kernel's receive stamps.
    pub kernel: u32,
    /// The program's own clock, because the kernel gave no stamp.
    pub own: u32,
    /// The same, because the stamp could not be right.
    pub bad_stamps: u32,
}

impl ArrivalClocks {
    /// Counts a response, or a request without one.
    pub fn add(&mut self, clock: Option<ArrivalClock>) {
        match clock {
            None => {}
            Some(ArrivalClock::Kernel) => self.kernel += 1,
            Some(ArrivalClock::Own) => self.own += 1,
            Some(ArrivalClock::OwnForBadStamp) => self.bad_stamps += 1,
        }
    }
}

/// The vitals of a worker's thread in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ThreadVitals {
    /// Stalls that overlap this second: heartbeats that came later than [`STALL_THRESHOLD`].
    pub stalls: u32,
    /// The part of this second spent in stalls, in microseconds.
    pub stalled: u64,
    /// The longest of them, with its part in other seconds, in microseconds.
    pub longest: u64,
    /// How often its processor time was sampled.
    pub cpu_samples: u32,
    /// The largest share of processor time in a sample, per mille.
    pub cpu: u16,
    /// The largest share of a sample in which it was ready to run and had no core, per mille. `None` if the
    /// kernel does not report it.
    pub delay: Option<u16>,
}

/// The processor time and the clocks of the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachineVitals {
    /// Available processor time, in ticks of all cores; 0 if the kernel does not report it.
    pub ticks: u64,
    /// Of these, the ones that the hypervisor gave to others.
    pub stolen: u64,
    /// Periods in which this process had a limit of processor time; 0 without a limit.
    pub periods: u64,
    /// Of these, the ones in which it was stopped at the limit.
    pub throttled: u64,
    /// Time for which the machine was suspended, in microseconds.
    pub suspended_us: u64,
    /// How often the wall clock was set.
    pub clock_steps: u32,
    /// The largest step of the wall clock, in microseconds.
    pub largest_step_us: u64,
    /// Of `ticks`, the ones that other processes of this machine used.
    #[serde(default)]
    pub used_by_others: u64,
}

/// The resource usage of the generator's process during a phase, drain included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GeneratorUsage {
    /// Processor time of all threads.
    pub cpu: Duration,
    /// The wall-clock time that `cpu` covers.
    pub wall: Duration,
    /// The peak of its memory since it started.
    pub peak_memory_bytes: u64,
}

impl GeneratorUsage {
    /// Processor time in percent of one core; `None` if no time has passed.
    pub fn cpu_percent(&self) -> Option<f64> {
        (!self.wall.is_zero()).then(|| 100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64())
    }
}

impl GeneratorVitals {
    /// Adds the vitals of another worker in the same second.
    pub fn merge(&mut self, other: &Self) {
        let Self { workers, machine, issued, lost, draws, arrival_clocks } = other;
        let ArrivalClocks { kernel, own, bad_stamps } = arrival_clocks;
        self.arrival_clocks.kernel += kernel;
        self.arrival_clocks.own += own;
        self.arrival_clocks.bad_stamps += bad_stamps;
        for (worker, thread) in workers {
            self.workers.entry(*worker).or_default().merge(thread);
        }
        self.machine.merge(machine);
        self.issued += issued;
        self.lost += lost;
        if self.draws.len() < draws.len() {
            self.draws.resize(draws.len(), 0);
        }
        for (mine, theirs) in self.draws.iter_mut().zip(draws) {
            *mine += theirs;
        }
    }

    /// Counts a draw of a task, by its index among all tasks of the plan.
    pub fn record_draw(&mut self, task: usize) {
        if self.draws.len() <= task {
            self.draws.resize(task + 1, 0);
        }
        self.draws[task] += 1;
    }

    /// The share of saturated workers, from 0 to 1.
    pub fn saturated(&self) -> f64 {
        let saturated = self.workers.values().filter(|thread| thread.saturated()).count();
        saturated as f64 / self.workers.len().max(1) as f64
    }
}

impl ThreadVitals {
    /// A heartbeat that came `late`. Of this time `within` lies in the second.
    pub fn stall(late: Duration, within: Duration) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 24);
        Self { stalls: 1, stalled: micros(within), longest: micros(late), ..Self::default() }
    }

    /// A sample of a thread that ran for `ran` and waited for a core for `waited`, over a time of `of`.
    pub fn of_cpu(ran: Duration, waited: Option<Duration>, of: Duration) -> Self {
        let share =
            |part: Duration| (part.as_secs_f64() / of.as_secs_f64() * 1000.0).round().min(1000.0) as u16;
        Self { cpu_samples: 1, cpu: share(ran), delay: waited.map(share), ..Self::default() }
    }

    /// Whether the thread had little processor time to spare.
    pub fn pressed(&self) -> bool {
        self.cpu >= BUSY_PERMILLE || self.delay.is_some_and(|delay| delay > PRESSED_PERMILLE)
    }

    /// Whether the thread could not have done more.
    pub fn saturated(&self) -> bool {
        self.cpu >= BUSY_PERMILLE || self.delay.is_some_and(|delay| delay > STARVED_PERMILLE)
    }

    /// Adds other vitals of the same worker.
    pub fn merge(&mut self, other: &Self) {
        let Self { stalls, stalled, longest, cpu_samples, cpu, delay } = other;
        self.stalls += stalls;
        self.stalled += stalled;
        self.longest = self.longest.max(*longest);
        self.cpu_samples += cpu_samples;
        self.cpu = self.cpu.max(*cpu);
        self.delay = self.delay.max(*delay);
    }
}

impl MachineVitals {
    /// Adds the vitals of another time.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            ticks,
            used_by_others,
            stolen,
            periods,
            throttled,
            suspended_us,
            clock_steps,
            largest_step_us,
        } = other;
        self.ticks += ticks;
        self.used_by_others += used_by_others;
        self.stolen += stolen;
        self.periods += periods;
        self.throttled += throttled;
        self.suspended_us += suspended_us;
        self.clock_steps += clock_steps;
        self.largest_step_us = self.largest_step_us.max(*largest_step_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_cpu(ran: u64, waited: u64) -> ThreadVitals {
        let ms = Duration::from_millis;
        ThreadVitals::of_cpu(ms(ran), Some(ms(waited)), ms(1000))
    }

    #[test]
    fn a_thread_is_pressed_and_saturated_from_its_limits_on() {
        let state = |thread: ThreadVitals| (thread.pressed(), thread.saturated());
        assert_eq!(state(of_cpu(899, 250)), (false, false));
        assert_eq!(state(of_cpu(0, 251)), (true, false));
        assert_eq!(state(of_cpu(0, 500)), (true, false));
        assert_eq!(state(of_cpu(0, 501)), (true, true));
        assert_eq!(state(of_cpu(900, 0)), (true, true));
    }
}
