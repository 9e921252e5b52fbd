//! The one stream: everything a run tells, and the way to tell it to stop.

use std::time::Duration;

use tokio::sync::watch;

use crate::measure::sample::Sample;
use crate::measure::summary::Summary;
use crate::measure::window::Batch;
use crate::plan::model::PhaseId;
use crate::resources::reading::Reading;

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: PhaseId,
        /// When, by the wall clock.
        at: jiff::Timestamp,
    },
    /// A worker handed over what it recorded.
    Recorded {
        /// Windows.
        batch: Batch,
        /// Whole samples, if they were asked for.
        log: Vec<Sample>,
    },
    /// A host was looked at.
    HostReading(Reading),
    /// A phase has drained; nothing more comes of it.
    PhaseEnded {
        /// Which.
        phase: PhaseId,
        /// How long it ran, without the drain.
        ran: Duration,
    },
    /// Talk about connections and users, if it was asked for.
    Verbose(String),
}

/// Something that follows a run.
pub trait Observer {
    /// Sees an event, after it was folded into the summary.
    fn observe(&mut self, event: &RunEvent, summary: &Summary);
}

/// Tells a run to stop: nothing new is intended, what is under way drains.
#[derive(Debug, Clone)]
pub struct StopHandle(watch::Sender<bool>);

/// Hears whether a run is to stop.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopHandle {
    /// A handle and what hears it.
    pub fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), StopSignal(receiver))
    }

    /// Tells the run to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl StopSignal {
    /// Whether the run is to stop.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the run is to stop.
    pub async fn wait(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            // The handle is gone: no one will ever say stop.
            std::future::pending::<()>().await;
        }
    }
}
