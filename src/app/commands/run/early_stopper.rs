//! Ends a run early when the gate says so.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::app::output;
use crate::event::{Observer, RunEvent, StopHandle};
use crate::gate::{EarlyStop, EndedEarly};
use crate::generator::CheckContext;
use crate::measure::summary::Summary;
use crate::plan::model::{PhaseId, Plan};

/// Observes a run and stops it when there is a reason.
pub(super) struct EarlyStopper<'g> {
    plan: &'g Plan,
    early_stop: EarlyStop<'g>,
    stop: StopHandle,
    started: Instant,
    phase: Option<PhaseId>,
    ended: Option<EndedEarly>,
}

impl<'g> EarlyStopper<'g> {
    pub(super) fn new(context: CheckContext<'g>, stop: StopHandle) -> Self {
        let early_stop = EarlyStop::new(context);
        Self { plan: context.plan, early_stop, stop, started: Instant::now(), phase: None, ended: None }
    }

    /// The reason for the early stop; `None` if there was none.
    pub(super) fn into_ended(self) -> Option<EndedEarly> {
        self.ended
    }
}

impl Observer for EarlyStopper<'_> {
    fn observe(&mut self, event: &RunEvent, summary: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => self.phase = Some(*phase),
            RunEvent::PhaseEnded { .. } => self.phase = None,
            RunEvent::Recorded { batch, .. } => {
                let Some(phase) = self.phase.filter(|_| self.ended.is_none()) else { return };
                let found = self.early_stop.check(phase, self.started.elapsed(), batch, summary);
                let Some((objective, why)) = found else { return };
                let name = &self.plan.phases[phase.index()].name;
                output::stderr(&format!("ending the run early, in phase `{name}`: {why}\n"));
                self.ended = Some(EndedEarly { objective, phase, at: Timestamp::now(), why });
                self.stop.stop();
            }
            RunEvent::HostReading(_) | RunEvent::Verbose(_) => {}
        }
    }
}
