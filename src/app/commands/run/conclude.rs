//! The end of a run: has the gate conclude it, and builds and writes the report.

use jiff::Timestamp;

use crate::app::arguments::Format;
use crate::app::commands::run::{Run, folder};
use crate::app::output;
use crate::app::prepare::PreparedPlan;
use crate::gate::{EndedEarly, Ending, FinishedRun, RunConclusion, RunOutcome, conclude};
use crate::report::model::{EndedBy, EndedEarlyReport, Report};
use crate::report::{self, RunFacts};

impl Run<'_> {
    /// Judges the run and writes the report. Returns the ending with its exit code, and the report to print.
    pub(super) fn conclude(&mut self, outcome: &RunOutcome) -> (Ending, String) {
        let cycle_seconds: Vec<f64> =
            self.prepared.forecasts.iter().map(|forecast| forecast.cycle_seconds).collect();
        let mut conclusion = conclude(&FinishedRun {
            context: self.check_context(),
            cycle_seconds: &cycle_seconds,
            length: self.prepared.length,
            outcome,
            is_storable: self.folder.is_some(),
        });
        let mut report = self.report(&conclusion, outcome);
        if let Some(folder) = &self.folder {
            let json = serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n";
            if let Err(error) = folder::write(folder, "report.json", &json) {
                output::stderr(&format!("error: {error:#}; choose another `--out`\n"));
                conclusion.ending = Ending::most_severe([conclusion.ending, Ending::Unwritten]);
                report = self.report(&conclusion, outcome);
            }
        }
        let printed = match self.arguments.plan.format {
            Format::Json => serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n",
            Format::Human => report::console::render(&report),
        };
        (conclusion.ending, printed)
    }

    fn report(&self, conclusion: &RunConclusion, outcome: &RunOutcome) -> Report {
        let facts = RunFacts {
            seed: self.seed,
            started_at: self.started_at,
            ended_at: Timestamp::now(),
            length: self.prepared.length,
            ending: conclusion.ending,
            gate: &self.prepared.plan.gate,
            selected: &self.prepared.phases,
            phases: &outcome.phases,
            reason: outcome.ending.as_ref().map(|(_, reason)| reason.clone()),
            ended_early: outcome.ended_early.as_ref().map(|ended| self.ended_early(ended)),
            checks: &conclusion.checks,
            cores: std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64),
            notices: self.notices.iter().chain(&conclusion.notices).cloned().collect(),
        };
        report::build(
            &self.prepared.plan,
            &self.prepared.objectives.all,
            &conclusion.judged,
            &outcome.summary,
            facts,
        )
    }

    fn ended_early(&self, ended: &EndedEarly) -> EndedEarlyReport {
        let PreparedPlan { plan, objectives, .. } = &self.prepared;
        EndedEarlyReport {
            by: if ended.objective.is_some() { EndedBy::Abort } else { EndedBy::Breaker },
            objective: ended.objective.map(|index| objectives.all[index].name.clone()),
            phase: plan.phases[ended.phase.index()].name.clone(),
            at: ended.at.to_string(),
            why: ended.why.clone(),
        }
    }
}
