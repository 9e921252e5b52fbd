//! Judges a run and builds its report, from its plan and the fold of its events: for a run that has just ended and for a
//! stored one.

use crate::app::prepare::RunPlan;
use crate::event::RunStart;
use crate::gate::{self, EndedEarly, Ending, FinishedRun, RunConclusion};
use crate::generator::CheckContext;
use crate::report::model::{EndedBy, EndedEarlyReport};
use crate::report::{self, FullReport, RunFacts};
use crate::session::RunFold;
use crate::slo::objective::Objective;

/// A run that has ended, or the part of one that is known.
#[derive(Clone, Copy)]
pub(super) struct RecordedRun<'r> {
    pub(super) run: &'r RunPlan,
    pub(super) start: &'r RunStart,
    pub(super) fold: &'r RunFold,
    /// Whether the objectives are those that the run itself was judged by.
    pub(super) judged_by: JudgedBy,
}

/// The objectives by which a run is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JudgedBy {
    /// Those of its plan. A breach that ended the run stays proven.
    OwnObjectives,
    /// Others, of which the run knew nothing.
    OtherObjectives,
}

impl RunPlan {
    /// The facts that the generator's checks need.
    pub(super) fn check_context(&self) -> CheckContext<'_> {
        CheckContext {
            plan: &self.plan,
            objectives: &self.objectives.all,
            target_is_local: self.target_is_local,
        }
    }
}

impl RecordedRun<'_> {
    /// Judges the run.
    pub(super) fn conclude(&self) -> RunConclusion {
        let RunPlan { forecasts, length, .. } = self.run;
        let cycle_seconds: Vec<f64> = forecasts.iter().map(|forecast| forecast.cycle_seconds).collect();
        gate::conclude(&FinishedRun {
            context: self.run.check_context(),
            cycle_seconds: &cycle_seconds,
            length: *length,
            outcome: self.fold.outcome(),
            aborted: self.aborted(),
        })
    }

    /// The index of the objective whose proven breach ended the run.
    fn aborted(&self) -> Option<usize> {
        let EndedEarly { objective, phase, .. } = self.fold.ended_early.as_ref()?;
        let objective = objective.as_ref().filter(|_| self.judged_by == JudgedBy::OwnObjectives)?;
        let is_it = |known: &Objective| known.phase == *phase && known.full_name() == *objective;
        self.run.objectives.all.iter().position(is_it)
    }

    /// The report of the run with its conclusion, and all that its files show.
    pub(super) fn report(&self, conclusion: &RunConclusion) -> FullReport<'_> {
        let Self { run, start, fold, .. } = self;
        let without_verdict = fold.end.as_ref().and_then(|end| end.without_verdict.as_ref());
        let facts = RunFacts {
            runner: &start.runner,
            labels: &start.labels,
            seed: start.seed,
            started_at: start.at,
            ended_at: fold.end.as_ref().map_or(start.at, |end| end.at),
            length: run.length,
            ending: conclusion.ending,
            gate: &run.plan.gate,
            selected: &run.phases,
            phases: &fold.phases,
            reason: without_verdict.map(|(_, reason)| reason.clone()),
            ended_early: fold.ended_early.as_ref().map(|ended| self.ended_early(ended)),
            checks: &conclusion.checks,
            cores: start.place.cores,
            machine: (&start.machine.host, &start.machine.kernel),
            notices: fold.notices.iter().chain(&conclusion.notices).cloned().collect(),
        };
        let summary = fold.ledger.summary();
        let report = report::build(&run.plan, &run.objectives.all, &conclusion.judged, summary, facts);
        FullReport::of(report, &run.plan, summary, &fold.phases).with_files(&start.inputs.files)
    }

    fn ended_early(&self, ended: &EndedEarly) -> EndedEarlyReport {
        let objective = ended.objective.as_ref();
        EndedEarlyReport {
            by: if objective.is_some() { EndedBy::Abort } else { EndedBy::Breaker },
            objective: objective.map(|objective| objective.name.clone()),
            phase: self.run.plan.phases[ended.phase.index()].name.clone(),
            at: ended.at.to_string(),
            why: ended.why.clone(),
        }
    }
}

/// A run whose report cannot be written ends at least as severely as this.
pub(super) fn unwritten(conclusion: RunConclusion) -> RunConclusion {
    RunConclusion { ending: Ending::most_severe([conclusion.ending, Ending::Unwritten]), ..conclusion }
}
