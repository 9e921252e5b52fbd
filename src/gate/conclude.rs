//! The conclusion of a run: its judged objectives, its ending and its notices.

use crate::gate::ending::{self, Ending};
use crate::gate::{EndedEarly, notices};
use crate::generator::{self, Check, CheckContext};
use crate::measure::summary::{PhaseRun, Summary};
use crate::plan::model::{Load, PhaseId, Plan};
use crate::plan::{Decision, GateTier, Inconclusive};
use crate::slo::judge::{Excuses, Judgement, Policy, RunLength, judge};

/// The measurements of a run and the reasons why it ended.
#[derive(Clone, Copy)]
pub struct RunOutcome<'o> {
    pub summary: &'o Summary,
    /// The phases that started.
    pub phases: &'o [PhaseRun],
    /// The ending of a run that was interrupted or never sent load.
    pub ending: Option<Ending>,
    /// The reason if the runner itself stopped the run early.
    pub ended_early: Option<&'o EndedEarly>,
}

/// A run that has ended, with everything that its conclusion follows from.
pub struct FinishedRun<'f> {
    pub context: CheckContext<'f>,
    /// The seconds that a user of each phase needs for one cycle.
    pub cycle_seconds: &'f [f64],
    pub length: RunLength,
    pub outcome: RunOutcome<'f>,
    /// The index of the objective whose proven breach ended the run.
    pub aborted: Option<usize>,
}

/// The conclusion of a run.
pub struct RunConclusion {
    /// The judgement of each objective; `None` if its phase did not run.
    pub judged: Vec<Option<Judgement>>,
    /// The generator checks, by phase of the plan.
    pub checks: Vec<Vec<Check>>,
    pub ending: Ending,
    /// Remarks that readers need to interpret the numbers.
    pub notices: Vec<String>,
}

/// Judges a run and decides how it ended.
pub fn conclude(run: &FinishedRun<'_>) -> RunConclusion {
    let FinishedRun { context, outcome, .. } = run;
    let (plan, summary) = (context.plan, outcome.summary);
    let checks_of = |id: PhaseId| generator::checks(*context, id, &summary.phases[id.index()]);
    let checks: Vec<Vec<Check>> = (0..).map(PhaseId).take(summary.phases.len()).map(checks_of).collect();
    let excuses_of = |(id, checks): (PhaseId, &Vec<Check>)| {
        generator::excuses(*context, id, &summary.phases[id.index()], checks)
    };
    let excuses: Vec<Excuses> = (0..).map(PhaseId).zip(&checks).map(excuses_of).collect();
    let policy = Policy {
        gate: &plan.gate,
        length: run.length,
        excuses: &excuses,
        cycle_seconds: run.cycle_seconds,
        aborted: run.aborted,
    };
    let judged = judge(context.objectives, summary, policy);
    let contradictions = contradictions(plan, summary);
    let mut endings = vec![of_objectives(plan, run.length, &judged, summary)];
    endings.extend(outcome.ending);
    endings.extend(outcome.ended_early.map(|ended| match ended.objective {
        None if plan.gate.tier != GateTier::NOTHING => Ending::Breached,
        // The objectives of the phases that did not run are undecided.
        _ => Ending::Inconclusive,
    }));
    endings.extend((!contradictions.is_empty()).then_some(Ending::Internal));
    let is_excused = |judged: &Judgement| judged.gated && judged.excused.is_some();
    endings.extend(judged.iter().flatten().any(is_excused).then_some(Ending::Invalid));
    let unfinished = if run.length == RunLength::Full { unfinished(plan, summary) } else { Vec::new() };
    if !unfinished.is_empty() && plan.gate.tier != GateTier::NOTHING {
        endings.push(undecided(plan));
    }
    let notices = contradictions.into_iter().chain(unfinished).chain(remarks(run, &judged)).collect();
    RunConclusion { judged, checks, ending: Ending::most_severe(endings), notices }
}

/// The notices about the run as a whole.
fn remarks(run: &FinishedRun<'_>, judged: &[Option<Judgement>]) -> Vec<String> {
    let FinishedRun { context, outcome, .. } = run;
    let plan = context.plan;
    let ran: Vec<PhaseId> = outcome.phases.iter().map(|run| run.phase).collect();
    let mut found = notices::notices(plan, context.objectives, outcome.summary);
    let is_silent = outcome.summary.phases.iter().all(|phase| phase.operations.is_empty());
    if run.length == RunLength::Rehearsed && !ran.is_empty() && is_silent {
        found.push("the rehearsal sent no request, so it shows nothing; rehearse for longer".to_owned());
    }
    found.extend(notices::host_notices(plan, context.objectives, &ran));
    let is_gated = judged.iter().flatten().any(|judged| judged.gated);
    if !is_gated && !ran.is_empty() && plan.gate.tier != GateTier::NOTHING {
        found.push(
            "no gated objective applies to the phases that ran, so the run cannot pass; \
             add one, or set `tier = \"none\"` under `[gate]`"
                .to_owned(),
        );
    }
    if is_gated && plan.gate.decision == Decision::Proven && run.length == RunLength::Full {
        found.extend(notices::slow_spell_notice(plan, outcome.summary));
    }
    found
}

/// One message for each phase whose numbers do not add up, which is a bug in the runner.
fn contradictions(plan: &Plan, summary: &Summary) -> Vec<String> {
    let phases = plan.phases.iter().zip(&summary.phases);
    let found = phases.filter(|(_, counted)| counted.ran.is_some()).filter_map(|(phase, counted)| {
        let why = counted.contradiction(matches!(phase.load, Load::Open(_)))?;
        Some(format!("the numbers of phase `{}` do not add up: {why}; please report this", phase.name))
    });
    found.collect()
}

/// The ending by the objectives alone, before interrupts, generator checks and write errors are considered.
fn of_objectives(plan: &Plan, length: RunLength, judged: &[Option<Judgement>], summary: &Summary) -> Ending {
    let nothing_gated = !judged.iter().flatten().any(|judged| judged.gated);
    let ending = match ending::of_objectives(judged.iter().flatten()) {
        Ending::Passed if nothing_gated && plan.gate.tier != GateTier::NOTHING => Ending::Inconclusive,
        Ending::Passed if length == RunLength::Rehearsed => rehearsed(summary),
        ending => ending,
    };
    if ending == Ending::Inconclusive { undecided(plan) } else { ending }
}

/// The ending of a run without a decision.
fn undecided(plan: &Plan) -> Ending {
    match plan.gate.inconclusive {
        Inconclusive::Warn => Ending::Tolerated,
        Inconclusive::Fail => Ending::Inconclusive,
    }
}

/// One message for each phase whose longest time was over before all of its tasks had begun.
fn unfinished(plan: &Plan, summary: &Summary) -> Vec<String> {
    let phases = plan.phases.iter().zip(&summary.phases).filter(|(phase, _)| phase.ends_with_its_tasks());
    let found = phases.filter_map(|(phase, counted)| {
        let planned = phase.iterations?;
        let is_over = counted.ran? >= phase.duration.duration();
        (is_over && counted.iterations < planned).then(|| {
            format!(
                "only {} of the {planned} iterations of `{}` began within its `max_duration` of {}: the plan asks for \
                 more than the phase did",
                counted.iterations, phase.name, phase.duration
            )
        })
    });
    found.collect()
}

/// A rehearsal has shown that the plan works if every operation that ran succeeded at least once.
fn rehearsed(summary: &Summary) -> Ending {
    let operations = || summary.phases.iter().flat_map(|phase| phase.operations.values());
    let never = operations().filter(|o| o.requests + o.dropped > 0).any(|o| o.succeeded == 0);
    if never || operations().next().is_none() { Ending::Inconclusive } else { Ending::Rehearsed }
}
