//! Early stop: when a run should end before its time, by a proven breach of an `abort` objective or by the circuit
//! breaker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gate::circuit_breaker::{CircuitBreaker, Collapse, Outcomes};
use crate::generator::{self, CheckContext};
use crate::measure::limits::Limits;
use crate::measure::summary::Summary;
use crate::measure::window::Batch;
use crate::plan::model::PhaseId;
use crate::slo::abort::AbortCheck;
use crate::slo::judge::Excuses;
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
    limits: &'g Limits,
    aborts: AbortCheck<'g>,
    /// The phase that runs, and its circuit breaker.
    breaker: (PhaseId, CircuitBreaker),
}

impl<'g> EarlyStop<'g> {
    pub fn new(context: CheckContext<'g>, limits: &'g Limits) -> Self {
        let gate = &context.plan.gate;
        let aborts = AbortCheck::new(context.objectives, gate);
        Self { context, limits, aborts, breaker: (PhaseId(0), CircuitBreaker::default()) }
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
        if let Some(why) = self.collapse(phase, now, batch, summary) {
            return Some((None, why));
        }
        // A check that excuses a breach excuses it during the run too.
        let abort = self.aborts.check(phase, summary)?;
        let objective = self.context.objectives[abort.objective].full_name();
        let is_excused = self.excuses(phase, summary).breach.is_some();
        (!is_excused).then_some((Some(objective), abort.why))
    }

    /// The reason why the circuit breaker trips, if it does.
    fn collapse(
        &mut self,
        phase: PhaseId,
        now: Duration,
        batch: &Batch,
        summary: &Summary,
    ) -> Option<String> {
        if !self.context.plan.gate.breaker {
            return None;
        }
        if self.breaker.0 != phase {
            self.breaker = (phase, CircuitBreaker::default());
        }
        let Collapse { why, is_certain } = self.breaker.1.take(now, Outcomes::of(batch, self.limits))?;
        let Excuses { pass, breach, .. } = self.excuses(phase, summary);
        // A generator that fails a check of any kind may have had no user in time.
        (breach.is_none() && (is_certain || pass.is_none())).then_some(why)
    }

    /// The verdicts that the checks of the generator take away so far.
    fn excuses(&self, phase: PhaseId, summary: &Summary) -> Excuses {
        let summary = &summary.phases[phase.index()];
        let checks = generator::checks(self.context, phase, summary);
        generator::excuses(self.context, phase, summary, &checks)
    }
}
