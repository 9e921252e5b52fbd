//! The events of a run, their observers, and the stop signal.

mod start;

pub use start::{GeneratorMachine, RunOptions, RunPlace, RunStart, StandInAddress};

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::gate::{EndedEarly, Ending};
use crate::measure::generator_vitals::GeneratorUsage;
use crate::measure::reading::Reading;
use crate::measure::sample::Sample;
use crate::measure::summary::Summary;
use crate::measure::window::Batch;
use crate::plan::model::PhaseId;

/// An event of a run. The events of a run tell everything that its report says; [`is_stored`](Self::is_stored) says which
/// ones that takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// The run begins; the first event.
    Started(Box<RunStart>),
    /// A phase begins.
    PhaseStarted {
        phase: PhaseId,
        /// The wall-clock time of the start.
        at: Timestamp,
    },
    /// A worker handed over its windows, or the process those of its own vitals.
    Recorded(Batch),
    /// Requests for the request log, if it was asked for.
    Sampled { phase: PhaseId, samples: Vec<Sample> },
    /// A host was read.
    HostReading(Reading),
    /// A phase has drained; its workers send nothing more.
    PhaseEnded {
        phase: PhaseId,
        /// How long it ran, without the drain.
        ran: Duration,
        /// `None` on a simulated clock.
        usage: Option<GeneratorUsage>,
    },
    /// The runner stops the run before its end.
    EndedEarly(EndedEarly),
    /// A fact that readers need to interpret the numbers, in one sentence.
    Notice(String),
    /// A message about connections and users, in a verbose run.
    Verbose(String),
    /// The run is over; the last event.
    Ended(RunEnd),
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The wall-clock time of the end, drain included.
    pub at: Timestamp,
    /// The ending of a run that was interrupted or never sent load, and its reason.
    pub without_verdict: Option<(Ending, String)>,
}

impl RunEvent {
    /// Whether the report depends on this event.
    pub fn is_stored(&self) -> bool {
        !matches!(self, Self::Sampled { .. } | Self::Verbose(_))
    }
}

/// A receiver of the events of a run.
pub trait Observer {
    /// Called with each event, after it was folded into the summary.
    fn observe(&mut self, event: &RunEvent, summary: &Summary);
}

/// How far a run has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stopped {
    Not,
    /// No new request is intended, and requests in flight drain.
    Draining,
    /// Requests in flight are cancelled.
    Cancelled,
}

/// Stops a run.
#[derive(Debug, Clone)]
pub struct StopHandle(watch::Sender<Stopped>);

/// The receiving side of a [`StopHandle`].
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Stopped>);

impl StopHandle {
    /// Creates a handle and the signal that it sets.
    pub fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(Stopped::Not);
        (Self(sender), StopSignal(receiver))
    }

    /// Stops the run: no new request is intended, and requests in flight drain.
    pub fn stop(&self) {
        self.advance(Stopped::Draining);
    }

    /// Ends the drain: requests in flight are cancelled.
    pub fn cancel(&self) {
        self.advance(Stopped::Cancelled);
    }

    fn advance(&self, to: Stopped) {
        self.0.send_if_modified(|stopped| std::mem::replace(stopped, to.max(*stopped)) < to);
    }
}

impl StopSignal {
    /// Whether the run has been stopped.
    pub fn is_set(&self) -> bool {
        *self.0.borrow() > Stopped::Not
    }

    /// Returns when the run is stopped; never, if the handle is dropped before.
    pub async fn wait(&mut self) {
        self.wait_for(Stopped::Draining).await;
    }

    /// Returns when requests in flight are cancelled; never, if the handle is dropped before.
    pub async fn wait_for_cancel(&mut self) {
        self.wait_for(Stopped::Cancelled).await;
    }

    async fn wait_for(&mut self, state: Stopped) {
        if self.0.wait_for(|stopped| *stopped >= state).await.is_err() {
            // The handle is gone, so the run can no longer be stopped.
            std::future::pending::<()>().await;
        }
    }
}
