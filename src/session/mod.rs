//! The one loop: events are folded into the ledger and shown to observers, until the run has ended.

mod circuit_breaker;

pub use circuit_breaker::CircuitBreaker;

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::{Observer, RunEvent};
use crate::measure::generator_vitals::MachineVitals;
use crate::measure::ledger::Ledger;
use crate::measure::summary::PhaseRun;
use crate::measure::window::Batch;

/// Faults that can be asked for, to show what comes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// One success is lost on its way to the ledger.
    LoseASample,
    /// The session panics.
    Panic,
}

/// Looks at the generator's own use of the machine: passed in, so that no clock is read here.
pub trait SelfUsage {
    /// Processor time used so far.
    fn cpu(&self) -> Duration;
    /// Time passed so far.
    fn wall(&self) -> Duration;
    /// The most memory had so far, in bytes.
    fn peak_memory(&self) -> u64;
    /// What happened to the machine since this was asked last.
    fn machine(&self) -> MachineVitals;
}

/// Follows a run.
pub struct Session<'s> {
    /// Where windows are folded.
    pub ledger: Ledger,
    /// Who sees every event.
    pub observers: Vec<&'s mut dyn Observer>,
    /// The generator's own use of the machine.
    pub self_usage: &'s dyn SelfUsage,
    /// A fault to be shown.
    pub failpoint: Option<Failpoint>,
    /// The phases seen so far.
    pub phases: Vec<PhaseRun>,
}

impl Session<'_> {
    /// Takes events until there are no more.
    pub async fn follow(&mut self, events: &mut UnboundedReceiver<RunEvent>) {
        while let Some(event) = events.recv().await {
            self.take(event);
        }
    }

    fn take(&mut self, mut event: RunEvent) {
        if let (Some(failpoint), RunEvent::Recorded { batch, .. }) = (self.failpoint, &mut event) {
            self.fail(failpoint, batch);
        }
        match &mut event {
            RunEvent::PhaseStarted { phase, at } => {
                self.ledger.begin(phase.0, *at);
                // What happened between two phases is no one's.
                let _ = self.self_usage.machine();
                self.phases.push(PhaseRun {
                    phase: *phase,
                    started_at: *at,
                    cpu: self.self_usage.cpu(),
                    wall: self.self_usage.wall(),
                    peak_memory_bytes: 0,
                });
            }
            RunEvent::Recorded { batch, .. } => {
                // Once a second is enough.
                if batch.worker == 0 {
                    add_machine(batch, &self.self_usage.machine());
                }
                self.ledger.fold(batch);
            }
            RunEvent::PhaseEnded { phase, ran } => {
                self.ledger.finish(phase.0, *ran);
                if let Some(run) = self.phases.last_mut() {
                    run.cpu = self.self_usage.cpu().saturating_sub(run.cpu);
                    run.wall = self.self_usage.wall().saturating_sub(run.wall);
                    run.peak_memory_bytes = self.self_usage.peak_memory();
                }
            }
            RunEvent::HostReading(reading) => self.ledger.read(reading),
            RunEvent::Verbose(_) => {}
        }
        for observer in &mut self.observers {
            observer.observe(&event, self.ledger.summary());
        }
    }

    fn fail(&mut self, failpoint: Failpoint, batch: &mut Batch) {
        assert!(failpoint != Failpoint::Panic, "asked to fail");
        let cells = batch.windows.values_mut().flat_map(|window| window.cells.values_mut());
        if let Some(cell) = cells.into_iter().find(|cell| cell.succeeded > 0) {
            cell.succeeded -= 1;
            self.failpoint = None;
        }
    }
}

/// Adds what happened to the machine to the second in which a worker's first look at itself began.
fn add_machine(batch: &mut Batch, machine: &MachineVitals) {
    let sampled = batch
        .windows
        .values_mut()
        .find(|window| window.vitals.workers.get(&batch.worker).is_some_and(|thread| thread.cpu_samples > 0));
    if let Some(window) = sampled {
        window.vitals.machine.merge(machine);
    }
}
