//! The event loop of a run: folds events and passes them to observers until the run has ended.

mod fold;

pub use fold::RunFold;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::{Observer, RunEvent};
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
    pub fold: &'s mut RunFold,
    /// Called with every event.
    pub observers: Vec<&'s mut dyn Observer>,
    /// The fault to inject, if any.
    pub failpoint: Option<Failpoint>,
}

impl Session<'_> {
    /// Processes events until there are no more.
    pub async fn follow(&mut self, events: &mut UnboundedReceiver<RunEvent>) {
        while let Some(event) = events.recv().await {
            self.take(event);
        }
    }

    /// Folds an event and passes it to the observers.
    pub fn take(&mut self, mut event: RunEvent) {
        if let (Some(failpoint), RunEvent::Recorded(batch)) = (self.failpoint, &mut event) {
            self.fail(failpoint, batch);
        }
        self.fold.add(&event);
        for observer in &mut self.observers {
            observer.observe(&event, self.fold.ledger.summary());
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
