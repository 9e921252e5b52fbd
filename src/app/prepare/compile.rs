//! Compiles a plan with its objectives as the command line selects them.

use std::path::Path;

use crate::app::prepare::rehearsal;
use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::event::RunOptions;
use crate::forecast::{self, PhaseForecast};
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{self, Environment, PlanInputs, Settings, ThresholdsFile, WrittenPlan};
use crate::slo::judge::RunLength;
use crate::slo::{self, Objectives};

/// A plan as it runs, with everything by which it is judged.
pub(in crate::app) struct RunPlan {
    pub(in crate::app) plan: Plan,
    pub(in crate::app) objectives: Objectives,
    /// By phase of the plan.
    pub(in crate::app) forecasts: Vec<PhaseForecast>,
    /// The phases to run, in the order of the plan.
    pub(in crate::app) phases: Vec<PhaseId>,
    pub(in crate::app) length: RunLength,
    /// Whether the target is on this machine.
    pub(in crate::app) target_is_local: bool,
}

/// A valid plan with its objectives, not yet in its place.
pub(super) struct CompiledPlan {
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    pub(super) phases: Vec<PhaseId>,
    pub(super) length: RunLength,
    pub(super) documents: PlanDocuments,
    pub(super) inputs: PlanInputs,
}

/// The documents that a plan was compiled from.
pub(in crate::app) struct PlanDocuments {
    pub(in crate::app) written: WrittenPlan,
    pub(in crate::app) thresholds: Vec<ThresholdsFile>,
}

/// Whether a run lies ahead or was recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunState {
    /// For `check`: a plan whose objectives can never be decided is refused.
    Checked,
    /// The same, but a query that looks back too far only leaves its own objective undecided.
    Planned,
    /// The measurements decide.
    Recorded,
}

/// Where a plan comes from, besides its options.
pub(super) struct PlanOrigin<'o> {
    pub(super) path: &'o Path,
    pub(super) environment: &'o Environment<'o>,
    /// Threshold files in place of the plan's own.
    pub(super) thresholds: Option<&'o [ThresholdsFile]>,
}

/// Compiles a plan and reports every problem in it; `None` if it is refused.
pub(super) fn compile(
    origin: &PlanOrigin<'_>,
    options: &RunOptions,
    state: RunState,
    problems: &mut Problems,
) -> Option<CompiledPlan> {
    let PlanOrigin { path, environment, thresholds } = *origin;
    // The stand-in replaces the plan's URL, so the environment variables in that URL need not be set.
    let stand_in = options.stand_in.then(|| "http://127.0.0.1:8008".to_owned());
    let settings = Settings {
        overrides: options.overrides.clone(),
        target: options.target.clone().or(stand_in),
        allow_outside: options.allow_outside,
    };
    let mut loaded = plan::load(path, &settings, environment, problems);
    if let (Some(plan), Some(tier)) = (&mut loaded.plan, options.gate) {
        plan.gate.tier = tier;
    }
    let thresholds = thresholds.map_or(loaded.thresholds, <[_]>::to_vec);
    let mut objectives = slo::load(&thresholds, &loaded.names, loaded.plan.as_ref(), problems);
    // The objectives of a recorded run were checked when it began.
    let is_new = state != RunState::Recorded || origin.thresholds.is_some();
    let is_checked = is_new && !problems.has_errors();
    if let Some(plan) = loaded.plan.as_ref().filter(|_| is_checked) {
        let looks_back = match state {
            RunState::Checked => Code::NeverProven,
            RunState::Planned | RunState::Recorded => Code::LooksBack,
        };
        forecast::check(plan, &objectives.all, &forecast::forecast(plan), looks_back, problems);
    }
    let mut plan = loaded.plan?;
    let phases = select_phases(&plan, &options.phases, problems);
    if let Some(total) = options.rehearse.filter(|_| !problems.has_errors()) {
        rehearsal::apply(total, &mut plan, &mut objectives, &phases, problems);
    }
    let length = if options.rehearse.is_some() { RunLength::Rehearsed } else { RunLength::Full };
    let documents = PlanDocuments { written: loaded.written, thresholds };
    let inputs = loaded.inputs;
    (!problems.has_errors()).then_some(CompiledPlan { plan, objectives, phases, length, documents, inputs })
}

/// The phases that `--phase` names, or all phases without it.
fn select_phases(plan: &Plan, wanted: &[String], problems: &mut Problems) -> Vec<PhaseId> {
    let names = || plan.phases.iter().map(|phase| phase.name.as_str());
    for name in wanted.iter().filter(|name| !names().any(|known| known == name.as_str())) {
        let listed = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let diagnostic = Diagnostic::new(Code::UnknownPhase, format!("the plan has no phase `{name}`"))
            .at(problems.add_option("--phase", name), "no such phase")
            .suggest(name, names());
        problems.report(diagnostic.help(format!("the plan's phases are {listed}")));
    }
    let ids = (0..).map(PhaseId).zip(names());
    let chosen = ids.filter(|(_, name)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name));
    chosen.map(|(id, _)| id).collect()
}
