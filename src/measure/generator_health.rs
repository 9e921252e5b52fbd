//! How the generator fared over the judged window of a phase.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::generator_vitals::{GeneratorVitals, MachineVitals, STALL_THRESHOLD, ThreadVitals};
use crate::measure::sample::ErrorKind;
use crate::measure::window::Window;

/// Everything that the generator's own checks look at, over the judged window.
#[derive(Debug, Clone, Default)]
pub struct GeneratorHealth {
    /// By worker.
    pub workers: BTreeMap<u16, WorkerHealth>,
    /// The whole machine.
    pub machine: MachineVitals,
    /// Arrivals that the schedule wanted.
    pub scheduled: u64,
    /// Of these, the ones that were offered to the users before the phase was over.
    pub issued: u64,
    /// Arrivals that waited for a user for longer than a stall, or in vain, while their worker could not have done more:
    /// of a second in which that is so for a part of the workers, this part.
    pub starved: f64,
    /// By how much our own lag lengthened the cycles of users that wait.
    pub lost: Duration,
    /// The most of it in one second.
    pub max_lost_in_a_second: Duration,
    /// How often each task was drawn, by its place among all tasks of the plan.
    pub draws: Vec<u64>,
    /// Requests that failed because of our own machine.
    pub local_errors: u64,
}

/// How a worker's thread fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerHealth {
    /// Stalls, counted in each second that they reached into.
    pub stalls: u64,
    /// By how much, together.
    pub stalled: Duration,
    /// The longest of the whole phase: one before the judged window fills it with what it held up, and one in the drain
    /// holds up what was intended in it.
    pub longest: Duration,
    /// Seconds in which its use of the processor was looked at.
    pub seconds: u64,
    /// Of these, the ones in which it had little to spare.
    pub pressed: u64,
    /// Of these, the ones in which it could not have done more.
    pub saturated: u64,
    /// The most processor time of a second, per mille.
    pub cpu: u16,
    /// The most time of a second without a core, per mille; `None` where the kernel does not tell.
    pub delay: Option<u16>,
}

impl GeneratorHealth {
    /// Adds a second that is not judged: of it only how long a stall was counts.
    pub fn add_unjudged(&mut self, window: &Window) {
        for (worker, thread) in &window.vitals.workers {
            let longest = &mut self.workers.entry(*worker).or_default().longest;
            *longest = (*longest).max(Duration::from_micros(thread.longest));
        }
    }

    /// Adds a judged second.
    pub fn add(&mut self, window: &Window) {
        let GeneratorVitals { workers, machine, issued, lost, draws } = &window.vitals;
        for (worker, thread) in workers {
            self.workers.entry(*worker).or_default().add(thread);
        }
        self.machine.merge(machine);
        self.scheduled += u64::from(window.scheduled);
        self.issued += u64::from(*issued);
        let lost = Duration::from_micros(*lost);
        self.lost += lost;
        self.max_lost_in_a_second = self.max_lost_in_a_second.max(lost);
        if self.draws.len() < draws.len() {
            self.draws.resize(draws.len(), 0);
        }
        for (all, drawn) in self.draws.iter_mut().zip(draws) {
            *all += u64::from(*drawn);
        }
        let mut waited = window.user_wait.count_above(STALL_THRESHOLD);
        for cell in window.cells.values() {
            self.local_errors += u64::from(cell.errors.get(&ErrorKind::Local).copied().unwrap_or(0));
            waited += u64::from(cell.unserved());
        }
        self.starved += window.vitals.saturated() * waited as f64;
    }
}

impl WorkerHealth {
    fn add(&mut self, thread: &ThreadVitals) {
        let ThreadVitals { stalls, stalled, longest, cpu_samples, cpu, delay } = thread;
        self.stalls += u64::from(*stalls);
        self.stalled += Duration::from_micros(*stalled);
        self.longest = self.longest.max(Duration::from_micros(*longest));
        self.seconds += u64::from(*cpu_samples > 0);
        self.pressed += u64::from(thread.pressed());
        self.saturated += u64::from(thread.saturated());
        self.cpu = self.cpu.max(*cpu);
        self.delay = self.delay.max(*delay);
    }
}
