//! The event loop of a run: folds events into the ledger and passes them to observers until the run has ended.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::{Observer, RunEvent};
use crate::measure::generator_vitals::MachineVitals;
use crate::measure::ledger::Ledger;
use crate::measure::summary::PhaseRun;
use crate::measure::window::Batch;

/// Faults that a test can inject, to check how the runner reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// One success is lost before it reaches the ledger.
    LoseASample,
    /// The session panics.
    Panic,
}

/// The generator's own resource usage. It is passed in, so that the session reads no clock.
pub trait SelfUsage {
    /// CPU time used so far.
    fn cpu(&self) -> Duration;
    /// Wall-clock time passed so far.
    fn wall(&self) -> Duration;
    /// Peak memory so far, in bytes.
    fn peak_memory(&self) -> u64;
    /// Events of the machine since the last call, such as suspends and clock steps.
    fn machine(&self) -> MachineVitals;
}

/// Consumes the events of a run.
pub struct Session<'s> {
    /// The ledger into which windows are folded.
    pub ledger: Ledger,
    /// Called with every event.
    pub observers: Vec<&'s mut dyn Observer>,
    /// The source of the generator's own resource usage.
    pub self_usage: &'s dyn SelfUsage,
    /// The fault to inject, if any.
    pub failpoint: Option<Failpoint>,
    /// The phases that have started so far.
    pub phases: Vec<PhaseRun>,
}

impl Session<'_> {
    /// Processes events until there are no more.
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
                // The machine's vitals between two phases belong to neither.
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
                // The machine is sampled once a second, with the batches of the first worker.
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
        assert!(failpoint != Failpoint::Panic, "the failpoint `panic` was set; run without `--failpoint`");
        let cells = batch.windows.values_mut().flat_map(|window| window.cells.values_mut());
        if let Some(cell) = cells.into_iter().find(|cell| cell.succeeded > 0) {
            cell.succeeded -= 1;
            self.failpoint = None;
        }
    }
}

/// Adds the machine's vitals to the first window that holds a CPU sample of the worker.
fn add_machine(batch: &mut Batch, machine: &MachineVitals) {
    let sampled = batch
        .windows
        .values_mut()
        .find(|window| window.vitals.workers.get(&batch.worker).is_some_and(|thread| thread.cpu_samples > 0));
    if let Some(window) = sampled {
        window.vitals.machine.merge(machine);
    }
}
