//! The generator's health over the judged periods of a phase.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::generator_vitals::{
    ArrivalClocks, GeneratorVitals, MachineVitals, STALL_THRESHOLD, ThreadVitals,
};
use crate::measure::sample::ErrorKind;
use crate::measure::window::Window;

/// The sums of the generator's self-metrics over the judged periods: the input of its own checks.
#[derive(Debug, Clone, Default)]
pub struct GeneratorHealth {
    /// By worker.
    pub workers: BTreeMap<u16, WorkerHealth>,
    pub machine: MachineVitals,
    /// Arrivals of the schedule.
    pub scheduled: u64,
    /// Of these, the ones that were issued to the users before the end of the phase.
    pub issued: u64,
    /// Arrivals that waited for a user for longer than a stall, or were dropped, while workers were
    /// saturated. Each second contributes its number of such arrivals times the share of saturated workers.
    pub starved: f64,
    /// Time by which the generator's own lag lengthened the cycles of users with think time.
    pub lost: Duration,
    /// The largest part of it in one second.
    pub max_lost_in_a_second: Duration,
    /// The number of draws of each task, by its index among all tasks of the plan.
    pub draws: Vec<u64>,
    /// Requests that failed because of the generator's own machine.
    pub local_errors: u64,
    /// Responses whose arrival is known by the kernel's stamp.
    pub stamped: u64,
    /// Responses without such a stamp.
    pub unstamped: u64,
    /// Responses whose stamp could not be right.
    pub bad_stamps: u64,
}

/// The health of a worker's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerHealth {
    /// Stalls, counted in each second that they overlap.
    pub stalls: u64,
    /// Their total length.
    pub stalled: Duration,
    /// The longest stall of the whole phase. Before the judged period, a stall delays requests into it. In
    /// the drain, it delays requests that were intended in the judged period.
    pub longest: Duration,
    /// Seconds in which its processor time was sampled.
    pub seconds: u64,
    /// Of these, the ones in which it had little processor time to spare.
    pub pressed: u64,
    /// Of these, the ones in which it could not have done more.
    pub saturated: u64,
    /// The largest share of processor time in a second, per mille.
    pub cpu: u16,
    /// The largest share of a second in which it was ready to run and had no core, per mille. `None` if the
    /// kernel does not report it.
    pub delay: Option<u16>,
}

impl GeneratorHealth {
    /// Adds a second that is not judged: only the length of its stalls counts.
    pub fn add_unjudged(&mut self, window: &Window) {
        for (worker, thread) in &window.vitals.workers {
            let longest = &mut self.workers.entry(*worker).or_default().longest;
            *longest = (*longest).max(Duration::from_micros(thread.longest));
        }
    }

    /// Adds a judged second.
    pub fn add(&mut self, window: &Window) {
        let GeneratorVitals { workers, machine, issued, lost, draws, arrival_clocks } = &window.vitals;
        let ArrivalClocks { kernel, own, bad_stamps } = arrival_clocks;
        self.stamped += u64::from(*kernel);
        self.unstamped += u64::from(*own);
        self.bad_stamps += u64::from(*bad_stamps);

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
