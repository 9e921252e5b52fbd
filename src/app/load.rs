//! Loads a plan as the command line selects it, or reports every problem in it.

use std::path::Path;

use crate::app::arguments::{Format, GateArg, PlanArgs};
use crate::app::output;
use crate::diagnostic::{Code, Diagnostic, Problems, render, to_json};
use crate::engine;
use crate::forecast::{self, PhaseForecast};
use crate::gate::Ending;
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{self, Environment, GateTier, Settings, ThresholdsFile, WrittenPlan};
use crate::slo::{self, Objectives};

/// A valid plan with its objectives and forecasts.
pub(super) struct ReadyPlan {
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    pub(super) forecasts: Vec<PhaseForecast>,
    /// The phases to run, in the order of the plan.
    pub(super) phases: Vec<PhaseId>,
    /// The sources that diagnostics refer to, and the warnings so far.
    pub(super) problems: Problems,
}

impl ReadyPlan {
    /// The warnings as text for stderr.
    pub(super) fn warnings(&self) -> String {
        render(&self.problems, output::stderr_is_interactive())
    }
}

/// The documents that a plan was compiled from.
pub(super) struct PlanSources {
    pub(super) written: WrittenPlan,
    pub(super) thresholds: Vec<ThresholdsFile>,
}

/// Reads and checks a plan.
///
/// # Errors
/// The exit code of a refused plan, after all its problems were printed.
pub(super) fn load(arguments: &PlanArgs) -> Result<ReadyPlan, Ending> {
    load_with_sources(arguments).map(|(ready, _)| ready)
}

/// Like [`load`], and also returns the documents as written, for `--explain`.
///
/// # Errors
/// The exit code of a refused plan, after all its problems were printed.
pub(super) fn load_with_sources(arguments: &PlanArgs) -> Result<(ReadyPlan, PlanSources), Ending> {
    let mut problems = Problems::default();
    let environment = Environment { read: &read_file, variable: &|name| std::env::var(name).ok() };
    // The stand-in replaces the plan's URL, so the environment variables in that URL need not be set.
    let stand_in = arguments.stand_in.then(|| "http://127.0.0.1:8008".to_owned());
    let settings = Settings {
        overrides: arguments.set.clone(),
        target: arguments.target.clone().or(stand_in),
        allow_outside: arguments.allow_outside,
    };
    let mut loaded = plan::load(arguments.plan(), &settings, &environment, &mut problems);
    if let (Some(plan), Some(gate)) = (&mut loaded.plan, arguments.gate) {
        plan.gate.tier = match gate {
            GateArg::Target => GateTier::Target,
            GateArg::Acceptable => GateTier::Acceptable,
            GateArg::Maximum => GateTier::Maximum,
            GateArg::None => GateTier::Nothing,
        };
    }
    let objectives = slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
    let forecasts = match &loaded.plan {
        Some(plan) if !problems.has_errors() => {
            let forecasts = forecast::forecast(plan);
            forecast::check(plan, &objectives.all, &forecasts, &mut problems);
            if let Err(why) = engine::check_tls(&plan.target) {
                let diagnostic = Diagnostic::new(Code::BadTls, format!("could not set up TLS: {why}"));
                let tls = plan.target.tls.as_ref().and_then(|tls| tls.span);
                let placed =
                    tls.into_iter().fold(diagnostic, |diagnostic, span| diagnostic.at(span, "in this table"));
                problems.report(
                    placed.help("use PEM files: `-----BEGIN CERTIFICATE-----` or `… PRIVATE KEY-----`"),
                );
            }
            forecasts
        }
        _ => Vec::new(),
    };
    let phases = loaded.plan.as_ref().map(|plan| select_phases(plan, &arguments.phase, &mut problems));
    match (loaded.plan, phases) {
        (Some(mut plan), Some(phases)) if !problems.has_errors() => {
            plan.seed = arguments.seed.or(plan.seed);
            let sources = PlanSources { written: loaded.written, thresholds: loaded.thresholds };
            Ok((ReadyPlan { plan, objectives, forecasts, phases, problems }, sources))
        }
        _ => Err(refuse(&problems, arguments.format)),
    }
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Prints the problems of a refused plan and returns its exit code.
pub(super) fn refuse(problems: &Problems, format: Format) -> Ending {
    match format {
        Format::Human => {
            output::stderr(&render(problems, output::stderr_is_interactive()));
            output::stderr("the plan is refused; nothing was sent\n");
        }
        Format::Json => output::stdout(&format!("{:#}\n", to_json(problems))),
    }
    Ending::Refused
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
