//! Early stop: ends a run on a proven breach of an `abort` objective, or by the circuit breaker.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::app::output;
use crate::event::{Observer, RunEvent, StopHandle};
use crate::measure::summary::Summary;
use crate::measure::window::Batch;
use crate::plan::model::{PhaseId, Plan};
use crate::session::CircuitBreaker;
use crate::slo::abort::AbortCheck;
use crate::slo::objective::Objective;

/// Observes a run and stops it when a breach is proven or when the circuit breaker trips.
pub(super) struct EarlyStopper<'g> {
    plan: &'g Plan,
    aborts: AbortCheck<'g>,
    breaker: Option<CircuitBreaker>,
    /// Whether the generator checks of a phase hold so far.
    generator_holds: &'g dyn Fn(PhaseId, &Summary) -> bool,
    stop: StopHandle,
    started: Instant,
    phase: Option<PhaseId>,
    ended: Option<EndedEarly>,
}

/// The reason for an early stop, and its time and phase.
#[derive(Debug, Clone)]
pub(super) struct EndedEarly {
    /// The index of the objective whose breach was proven; `None` if the circuit breaker tripped.
    pub(super) objective: Option<usize>,
    pub(super) at: Timestamp,
    pub(super) phase: PhaseId,
    pub(super) why: String,
}

impl<'g> EarlyStopper<'g> {
    pub(super) fn new(
        plan: &'g Plan,
        objectives: &'g [Objective],
        generator_holds: &'g dyn Fn(PhaseId, &Summary) -> bool,
        stop: StopHandle,
    ) -> Self {
        let breaker = plan.gate.breaker.then(CircuitBreaker::default);
        let aborts = AbortCheck::new(objectives, &plan.gate);
        Self {
            plan,
            aborts,
            breaker,
            generator_holds,
            stop,
            started: Instant::now(),
            phase: None,
            ended: None,
        }
    }

    /// The reason for the early stop; `None` if there was none.
    pub(super) fn into_ended(self) -> Option<EndedEarly> {
        self.ended
    }

    fn check_batch(&mut self, phase: PhaseId, batch: &Batch, summary: &Summary) {
        let now = self.started.elapsed();
        let tripped = self.breaker.as_mut().and_then(|breaker| take(breaker, now, batch));
        if let Some(why) = tripped {
            return self.end(phase, None, format!("the circuit breaker ended the run: {why}"));
        }
        // If a generator check fails, the load generator may have caused the numbers, so they prove no breach.
        if let Some(abort) = self.aborts.check(phase, summary)
            && (self.generator_holds)(phase, summary)
        {
            self.end(phase, Some(abort.objective), abort.why);
        }
    }

    fn end(&mut self, phase: PhaseId, objective: Option<usize>, why: String) {
        let name = &self.plan.phases[phase.index()].name;
        output::stderr(&format!("ending the run early, in phase `{name}`: {why}\n"));
        self.ended = Some(EndedEarly { objective, at: Timestamp::now(), phase, why });
        self.stop.stop();
    }
}

fn take(breaker: &mut CircuitBreaker, now: Duration, batch: &Batch) -> Option<String> {
    let cells = || batch.windows.values().flat_map(|window| window.cells.values());
    let ended = cells().map(|cell| u64::from(cell.requests + cell.dropped)).sum();
    let failed = cells().map(|cell| u64::from(cell.failed() + cell.dropped)).sum();
    breaker.take(now, ended, failed)
}

impl Observer for EarlyStopper<'_> {
    fn observe(&mut self, event: &RunEvent, summary: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => self.phase = Some(*phase),
            RunEvent::PhaseEnded { .. } => self.phase = None,
            RunEvent::Recorded { batch, .. } => {
                if let Some(phase) = self.phase.filter(|_| self.ended.is_none()) {
                    self.check_batch(phase, batch, summary);
                }
            }
            RunEvent::HostReading(_) | RunEvent::Verbose(_) => {}
        }
    }
}
