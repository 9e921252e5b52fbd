//! Early stop: when a run should end before its time, by a proven breach of an `abort` objective or by the circuit
//! breaker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gate::circuit_breaker::CircuitBreaker;
use crate::generator::{self, CheckContext};
use crate::measure::summary::Summary;
use crate::measure::window::Batch;
use crate::plan::model::PhaseId;
use crate::slo::abort::AbortCheck;
use crate::slo::objective::ObjectiveName;

/// The reason for an early stop, and its phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedEarly {
    /// The objective whose breach was proven; `None` if the circuit breaker tripped.
    pub objective: Option<ObjectiveName>,
    pub phase: PhaseId,
    /// The wall-clock time of the stop.
    pub at: jiff::Timestamp,
    pub why: String,
}

/// Watches a run for a reason to end it.
pub struct EarlyStop<'g> {
    context: CheckContext<'g>,
    aborts: AbortCheck<'g>,
    breaker: Option<CircuitBreaker>,
}

impl<'g> EarlyStop<'g> {
    pub fn new(context: CheckContext<'g>) -> Self {
        let gate = &context.plan.gate;
        let aborts = AbortCheck::new(context.objectives, gate);
        Self { context, aborts, breaker: gate.breaker.then(CircuitBreaker::default) }
    }

    /// Adds a batch of a phase that was folded into the summary, `now` after the start of the run. Returns the objective
    /// whose breach is proven, if it is one, and why the run should end.
    pub fn check(
        &mut self,
        phase: PhaseId,
        now: Duration,
        batch: &Batch,
        summary: &Summary,
    ) -> Option<(Option<ObjectiveName>, String)> {
        let tripped = self.breaker.as_mut().and_then(|breaker| take(breaker, now, batch));
        if let Some(why) = tripped {
            return Some((None, format!("the circuit breaker ended the run: {why}")));
        }
        // A check that excuses a breach excuses it during the run too.
        let abort = self.aborts.check(phase, summary)?;
        let objective = self.context.objectives[abort.objective].full_name();
        (!self.is_excused(phase, summary)).then_some((Some(objective), abort.why))
    }

    /// Whether a check of the generator excuses a breach in the phase.
    fn is_excused(&self, phase: PhaseId, summary: &Summary) -> bool {
        let summary = &summary.phases[phase.index()];
        let checks = generator::checks(self.context, phase, summary);
        generator::excuses(self.context, phase, summary, &checks).breach.is_some()
    }
}

fn take(breaker: &mut CircuitBreaker, now: Duration, batch: &Batch) -> Option<String> {
    let cells = || batch.windows.values().flat_map(|window| window.cells.values());
    let ended = cells().map(|cell| u64::from(cell.requests + cell.dropped)).sum();
    let failed = cells().map(|cell| u64::from(cell.failed() + cell.dropped)).sum();
    breaker.take(now, ended, failed)
}
