//! What the generator sees of itself in a second.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A heartbeat that is later than this is a stall.
pub const STALL_THRESHOLD: Duration = Duration::from_millis(50);
/// Of a thread's second, per mille: from here on its core is all it has.
pub const BUSY_PERMILLE: u16 = 900;
/// Of a thread's second, per mille, spent waiting for a core: above this it is pressed.
pub const PRESSED_PERMILLE: u16 = 250;
/// Above this it is starved.
pub const STARVED_PERMILLE: u16 = 500;

/// What workers and machine tell of themselves in a second.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GeneratorVitals {
    /// By worker.
    pub workers: BTreeMap<u16, ThreadVitals>,
    /// The whole machine.
    pub machine: MachineVitals,
    /// Arrivals intended in this second that were offered to the users before the phase was over.
    pub issued: u32,
    /// By how much our own lag lengthened the cycles of users that wait, in microseconds.
    pub lost: u64,
    /// How often each task was drawn, by its place among all tasks of the plan.
    pub draws: Vec<u32>,
}

/// How a worker's thread fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ThreadVitals {
    /// Stalls that reached into this second: heartbeats that came later than [`LATE`].
    pub stalls: u32,
    /// The part of this second that they took, in microseconds.
    pub stalled: u64,
    /// The longest of them, also what it took of other seconds.
    pub longest: u64,
    /// How often its use of the processor was looked at.
    pub cpu_samples: u32,
    /// The most processor time of any look, per mille of its time.
    pub cpu: u16,
    /// The most time ready to run without a core, per mille; `None` where the kernel does not tell.
    pub delay: Option<u16>,
}

/// What happened to the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachineVitals {
    /// Processor time that there was, in ticks of all cores; 0 where the kernel does not tell.
    pub ticks: u64,
    /// Of these, the ones that the machine below gave to others.
    pub stolen: u64,
    /// Periods in which this process had a limit of processor time; 0 where it has none.
    pub periods: u64,
    /// Of these, the ones in which it was stopped at the limit.
    pub throttled: u64,
    /// Time in which the machine slept, in microseconds.
    pub suspended_us: u64,
    /// How often the wall clock was set.
    pub clock_steps: u32,
    /// The furthest that it was set, in microseconds.
    pub largest_step_us: u64,
}

impl GeneratorVitals {
    /// Adds others of the same second.
    pub fn merge(&mut self, other: &Self) {
        let Self { workers, machine, issued, lost, draws } = other;
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

    /// Counts a task that was drawn.
    pub fn record_draw(&mut self, task: usize) {
        if self.draws.len() <= task {
            self.draws.resize(task + 1, 0);
        }
        self.draws[task] += 1;
    }

    /// The part of the workers that could not have done more.
    pub fn saturated(&self) -> f64 {
        let saturated = self.workers.values().filter(|thread| thread.saturated()).count();
        saturated as f64 / self.workers.len().max(1) as f64
    }
}

impl ThreadVitals {
    /// A heartbeat that came so late, as far as that was within one second.
    pub fn stall(late: Duration, within: Duration) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 24);
        Self { stalls: 1, stalled: micros(within), longest: micros(late), ..Self::default() }
    }

    /// A look at a thread that ran and waited for a core for so long, of some time.
    pub fn of_cpu(ran: Duration, waited: Option<Duration>, of: Duration) -> Self {
        let share =
            |part: Duration| (part.as_secs_f64() / of.as_secs_f64() * 1000.0).round().min(1000.0) as u16;
        Self { cpu_samples: 1, cpu: share(ran), delay: waited.map(share), ..Self::default() }
    }

    /// Whether the thread had little to spare.
    pub fn pressed(&self) -> bool {
        self.cpu >= BUSY_PERMILLE || self.delay.is_some_and(|delay| delay > PRESSED_PERMILLE)
    }

    /// Whether it could not have done more.
    pub fn saturated(&self) -> bool {
        self.cpu >= BUSY_PERMILLE || self.delay.is_some_and(|delay| delay > STARVED_PERMILLE)
    }

    /// Adds another of the same worker.
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
    /// Adds what happened at another time.
    pub fn merge(&mut self, other: &Self) {
        let Self { ticks, stolen, periods, throttled, suspended_us, clock_steps, largest_step_us } = other;
        self.ticks += ticks;
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
