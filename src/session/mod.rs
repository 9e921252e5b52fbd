//! The event loop of a run: folds events into the ledger and passes them to observers until the run has ended.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::{Observer, RunEvent};
use crate::measure::generator_vitals::GeneratorUsage;
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

/// Consumes the events of a run.
pub struct Session<'s> {
    /// The ledger into which windows are folded.
    pub ledger: Ledger,
    /// Called with every event.
    pub observers: Vec<&'s mut dyn Observer>,
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
        match &event {
            RunEvent::PhaseStarted { phase, at } => {
                self.ledger.begin(phase.0, *at);
                self.phases.push(PhaseRun {
                    phase: *phase,
                    started_at: *at,
                    usage: GeneratorUsage::default(),
                });
            }
            RunEvent::Recorded { batch, .. } => self.ledger.fold(batch),
            RunEvent::PhaseEnded { phase, ran, usage } => {
                self.ledger.finish(phase.0, *ran);
                if let Some(run) = self.phases.last_mut() {
                    run.usage = *usage;
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
