//! Ends a run early when the gate says so.

use jiff::Timestamp;
use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::time::Instant;

use crate::app::output;
use crate::event::{Observer, RunEvent, StopHandle};
use crate::gate::{EarlyStop, EndedEarly};
use crate::generator::CheckContext;
use crate::measure::limits::Limits;
use crate::measure::summary::Summary;
use crate::plan::model::{PhaseId, Plan};

/// Observes a run and stops it when there is a reason, which becomes an event of the run.
pub(super) struct EarlyStopper<'g> {
    plan: &'g Plan,
    early_stop: EarlyStop<'g>,
    stop: StopHandle,
    /// Weak, because only the engine keeps the stream open.
    events: WeakUnboundedSender<RunEvent>,
    started: Instant,
    phase: Option<PhaseId>,
    has_ended: bool,
    /// The reason, if the stream was closed when it was found.
    late: Option<RunEvent>,
}

impl<'g> EarlyStopper<'g> {
    pub(super) fn new(
        context: CheckContext<'g>,
        limits: &'g Limits,
        stop: StopHandle,
        events: WeakUnboundedSender<RunEvent>,
    ) -> Self {
        Self {
            plan: context.plan,
            early_stop: EarlyStop::new(context, limits),
            stop,
            events,
            started: Instant::now(),
            phase: None,
            has_ended: false,
            late: None,
        }
    }

    /// The event that came too late for the stream, if there is one.
    pub(super) fn into_late(self) -> Option<RunEvent> {
        self.late
    }
}

impl Observer for EarlyStopper<'_> {
    fn observe(&mut self, event: &RunEvent, summary: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => self.phase = Some(*phase),
            RunEvent::PhaseEnded { .. } => self.phase = None,
            RunEvent::Recorded(batch) => {
                let Some(phase) = self.phase.filter(|_| !self.has_ended) else { return };
                let found = self.early_stop.check(phase, self.started.elapsed(), batch, summary);
                let Some((objective, why)) = found else { return };
                let name = &self.plan.phases[phase.index()].name;
                output::stderr(&format!("ending the run early, in phase `{name}`: {why}\n"));
                let ended = EndedEarly { objective, phase, at: Timestamp::now(), why };
                let event = RunEvent::EndedEarly(ended);
                // The last windows of the last phase may arrive when the engine has ended and the stream is closed.
                self.late = match self.events.upgrade() {
                    Some(events) => events.send(event).err().map(|unsent| unsent.0),
                    None => Some(event),
                };
                self.has_ended = true;
                self.stop.stop();
            }
            _ => {}
        }
    }
}
