//! Compiles a plan with its objectives as the command line selects them.

use crate::app::arguments::{GateArg, PlanArgs};
use crate::app::prepare::rehearsal;
use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::forecast;
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{self, Environment, GateTier, Settings, ThresholdsFile, WrittenPlan};
use crate::slo::judge::RunLength;
use crate::slo::{self, Objectives};
use crate::units::TimeSpan;

/// A valid plan with its objectives.
pub(super) struct CompiledPlan {
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    pub(super) phases: Vec<PhaseId>,
    pub(super) length: RunLength,
    pub(super) documents: PlanDocuments,
}

/// The documents that a plan was compiled from.
pub(in crate::app) struct PlanDocuments {
    pub(in crate::app) written: WrittenPlan,
    pub(in crate::app) thresholds: Vec<ThresholdsFile>,
}

/// Compiles a plan and reports every problem in it; `None` if it is refused.
pub(super) fn compile(
    arguments: &PlanArgs,
    total: Option<TimeSpan>,
    environment: &Environment<'_>,
    problems: &mut Problems,
) -> Option<CompiledPlan> {
    // The stand-in replaces the plan's URL, so the environment variables in that URL need not be set.
    let stand_in = arguments.stand_in.then(|| "http://127.0.0.1:8008".to_owned());
    let settings = Settings {
        overrides: arguments.set.clone(),
        target: arguments.target.clone().or(stand_in),
        allow_outside: arguments.allow_outside,
    };
    let mut loaded = plan::load(arguments.plan(), &settings, environment, problems);
    if let (Some(plan), Some(gate)) = (&mut loaded.plan, arguments.gate) {
        plan.gate.tier = match gate {
            GateArg::Target => GateTier::Target,
            GateArg::Acceptable => GateTier::Acceptable,
            GateArg::Maximum => GateTier::Maximum,
            GateArg::None => GateTier::Nothing,
        };
    }
    let mut objectives = slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), problems);
    if let Some(plan) = loaded.plan.as_ref().filter(|_| !problems.has_errors()) {
        forecast::check(plan, &objectives.all, &forecast::forecast(plan), problems);
    }
    let mut plan = loaded.plan?;
    let phases = select_phases(&plan, &arguments.phase, problems);
    plan.seed = arguments.seed.or(plan.seed);
    if let Some(total) = total.filter(|_| !problems.has_errors()) {
        rehearsal::apply(total, &mut plan, &mut objectives, &phases, problems);
    }
    let length = if total.is_some() { RunLength::Rehearsed } else { RunLength::Full };
    let documents = PlanDocuments { written: loaded.written, thresholds: loaded.thresholds };
    (!problems.has_errors()).then_some(CompiledPlan { plan, objectives, phases, length, documents })
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
