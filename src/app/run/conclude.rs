//! The end of a run: judges the objectives, builds and writes the report, and decides the exit code.

use jiff::Timestamp;

use crate::app::arguments::Format;
use crate::app::load::ReadyPlan;
use crate::app::output;
use crate::app::run::early_stop::EndedEarly;
use crate::app::run::{Run, RunOutcome, folder};
use crate::exit::{self, Ending};
use crate::generator;
use crate::measure::summary::Summary;
use crate::plan::model::PhaseId;
use crate::plan::{Decision, GateTier, Inconclusive};
use crate::report::model::{EndedBy, EndedEarlyReport};
use crate::report::{self, RunFacts};
use crate::slo::judge::{Judgement, Policy, RunLength, judge};

impl Run<'_> {
    /// Judges the run and writes the report. Returns the ending with its exit code, and the report to print.
    pub(super) fn conclude(&mut self, outcome: &RunOutcome) -> (Ending, String) {
        let ReadyPlan { plan, objectives, .. } = &self.ready;
        let aborted = outcome.ended_early.as_ref().and_then(|ended| ended.objective);
        let invalid: Vec<Option<String>> = outcome.checks.iter().map(|of| generator::invalid(of)).collect();
        let cycle_seconds: Vec<f64> =
            self.ready.forecasts.iter().map(|forecast| forecast.cycle_seconds).collect();
        let policy = Policy {
            gate: &plan.gate,
            length: self.length,
            invalid: &invalid,
            cycle_seconds: &cycle_seconds,
            aborted,
        };
        let judged = judge(&objectives.all, &outcome.summary, policy);
        let contradictions = self.contradictions(outcome);
        let mut endings = vec![self.of_objectives(&judged, &outcome.summary)];
        endings.extend(outcome.ending.iter().map(|(ending, _)| *ending));
        // The objectives of the phases that did not run are undecided.
        endings.extend(outcome.ended_early.as_ref().map(|_| Ending::Inconclusive));
        endings.extend((!contradictions.is_empty()).then_some(Ending::Internal));
        endings.extend(invalid.iter().flatten().next().map(|_| Ending::Invalid));
        endings.extend(self.folder.is_none().then_some(Ending::Unwritten));
        self.notices.extend(contradictions);
        self.add_notices(&judged, outcome);
        let mut ending = Ending::most_severe(endings);
        let mut report = self.report(&judged, outcome, ending);
        if let Some(folder) = &self.folder {
            let json = serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n";
            if let Err(error) = folder::write(folder, "report.json", &json) {
                output::stderr(&format!("error: {error:#}; choose another `--out`\n"));
                ending = Ending::most_severe([ending, Ending::Unwritten]);
                report = self.report(&judged, outcome, ending);
            }
        }
        let printed = match self.arguments.plan.format {
            Format::Json => serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n",
            Format::Human => report::console::render(&report),
        };
        (ending, printed)
    }

    /// Adds the notices about the run as a whole.
    fn add_notices(&mut self, judged: &[Option<Judgement>], outcome: &RunOutcome) {
        let ReadyPlan { plan, objectives, .. } = &self.ready;
        self.notices.extend(report::notices(plan, &outcome.summary));
        let ran: Vec<PhaseId> = outcome.phases.iter().map(|run| run.phase).collect();
        self.notices.extend(report::host_notices(plan, &objectives.all, &ran));
        let is_gated = judged.iter().flatten().any(|judged| judged.gated);
        if !is_gated && !ran.is_empty() && plan.gate.tier != GateTier::Nothing {
            self.notices.push(
                "no gated objective applies to the phases that ran, so the run cannot pass; \
                 add one, or set `tier = \"none\"` under `[gate]`"
                    .to_owned(),
            );
        }
        if is_gated && plan.gate.decision == Decision::Proven && self.length == RunLength::Full {
            self.notices.extend(report::slow_spell_notice(plan, &outcome.summary));
        }
    }

    fn report(
        &self,
        judged: &[Option<Judgement>],
        outcome: &RunOutcome,
        ending: Ending,
    ) -> report::model::Report {
        let facts = RunFacts {
            seed: self.seed,
            started_at: self.started_at,
            ended_at: Timestamp::now(),
            length: self.length,
            ending,
            gate: &self.ready.plan.gate,
            selected: &self.ready.phases,
            phases: &outcome.phases,
            reason: outcome.ending.as_ref().map(|(_, reason)| reason.clone()),
            ended_early: outcome.ended_early.as_ref().map(|ended| self.ended_early(ended)),
            checks: &outcome.checks,
            cores: std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64),
            notices: self.notices.clone(),
        };
        report::build(&self.ready.plan, &self.ready.objectives.all, judged, &outcome.summary, facts)
    }

    fn ended_early(&self, ended: &EndedEarly) -> EndedEarlyReport {
        let ReadyPlan { plan, objectives, .. } = &self.ready;
        EndedEarlyReport {
            by: if ended.objective.is_some() { EndedBy::Abort } else { EndedBy::Breaker },
            objective: ended.objective.map(|index| objectives.all[index].name.clone()),
            phase: plan.phases[ended.phase.index()].name.clone(),
            at: ended.at.to_string(),
            why: ended.why.clone(),
        }
    }

    /// One message for each phase whose numbers do not add up, which is a bug in the runner.
    fn contradictions(&self, outcome: &RunOutcome) -> Vec<String> {
        use crate::plan::model::Load;
        let phases = self.ready.plan.phases.iter().zip(&outcome.summary.phases);
        let found = phases.filter(|(_, counted)| counted.ran.is_some()).filter_map(|(phase, counted)| {
            let why = counted.contradiction(matches!(phase.load, Load::Open(_)))?;
            Some(format!("the numbers of phase `{}` do not add up: {why}; please report this", phase.name))
        });
        found.collect()
    }

    /// The ending by the objectives alone, before interrupts, generator checks and write errors are considered.
    fn of_objectives(&self, judged: &[Option<Judgement>], summary: &Summary) -> Ending {
        let gate = &self.ready.plan.gate;
        let nothing_gated = !judged.iter().flatten().any(|judged| judged.gated);
        let ending = match exit::of_objectives(judged.iter().flatten()) {
            Ending::Passed if nothing_gated && gate.tier != GateTier::Nothing => Ending::Inconclusive,
            Ending::Passed if self.length == RunLength::Rehearsed => rehearsed(summary),
            ending => ending,
        };
        match ending {
            Ending::Inconclusive if gate.inconclusive == Inconclusive::Warn => Ending::Tolerated,
            ending => ending,
        }
    }
}

/// A rehearsal has shown that the plan works if every operation that ran succeeded at least once.
fn rehearsed(summary: &Summary) -> Ending {
    let operations = || summary.phases.iter().flat_map(|phase| phase.operations.values());
    let never = operations().filter(|o| o.requests + o.dropped > 0).any(|o| o.succeeded == 0);
    if never || operations().next().is_none() { Ending::Inconclusive } else { Ending::Rehearsed }
}
