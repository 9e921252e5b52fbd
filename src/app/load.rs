//! From the command line to a plan that can be run, or to everything that is wrong with it.

use std::path::Path;
use std::process::ExitCode;

use crate::app::arguments::{Format, GateArg, PlanArgs};
use crate::app::output;
use crate::diagnostic::{Code, Diagnostic, Problems, render, to_json};
use crate::engine;
use crate::exit::Ending;
use crate::forecast::{self, PhaseForecast};
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{self, Environment, GateTier, Settings, ThresholdsFile, WrittenPlan};
use crate::slo::{self, Objectives};

/// A plan that can be run, and what is known of it before.
pub(super) struct ReadyPlan {
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    pub(super) forecasts: Vec<PhaseForecast>,
    /// The phases to run.
    pub(super) phases: Vec<PhaseId>,
    /// The files, and warnings.
    pub(super) problems: Problems,
}

impl ReadyPlan {
    /// The warnings, as text.
    pub(super) fn warnings(&self) -> String {
        render(&self.problems, output::stderr_is_interactive())
    }
}

/// What a plan was made of.
pub(super) struct PlanSources {
    pub(super) written: WrittenPlan,
    pub(super) thresholds: Vec<ThresholdsFile>,
}

/// Reads and checks a plan. Where it is refused, all problems are shown and the exit code is returned as the error.
pub(super) fn load(arguments: &PlanArgs) -> Result<ReadyPlan, ExitCode> {
    load_with_sources(arguments).map(|(ready, _)| ready)
}

/// The same, for who wants to know what it was made of.
pub(super) fn load_with_sources(arguments: &PlanArgs) -> Result<(ReadyPlan, PlanSources), ExitCode> {
    let mut problems = Problems::default();
    let environment = Environment { read: &read_file, variable: &|name| std::env::var(name).ok() };
    // With the stand-in the plan's own url does not matter, and its variables need not be set.
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
                let diagnostic = Diagnostic::new(Code::BadTls, format!("TLS cannot be used: {why}"));
                let tls = plan.target.tls.as_ref().and_then(|tls| tls.span);
                let placed =
                    tls.into_iter().fold(diagnostic, |diagnostic, span| diagnostic.at(span, "in this table"));
                problems.report(
                    placed.help("files are in PEM: `-----BEGIN CERTIFICATE-----` or `… PRIVATE KEY-----`"),
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

/// Shows why a plan is refused.
pub(super) fn refuse(problems: &Problems, format: Format) -> ExitCode {
    match format {
        Format::Human => {
            output::stderr(&render(problems, output::stderr_is_interactive()));
            output::stderr("the plan is refused; nothing was sent\n");
        }
        Format::Json => output::stdout(&format!("{:#}\n", to_json(problems))),
    }
    ExitCode::from(Ending::Refused.code())
}

/// The phases that `--phase` names; all of them without it.
fn select_phases(plan: &Plan, wanted: &[String], problems: &mut Problems) -> Vec<PhaseId> {
    let names = || plan.phases.iter().map(|phase| phase.name.as_str());
    for name in wanted.iter().filter(|name| !names().any(|known| known == name.as_str())) {
        let listed = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let diagnostic = Diagnostic::new(Code::UnknownPhase, format!("the plan has no phase `{name}`"))
            .at(problems.add_option("--phase", name), "names nothing")
            .suggest(name, names());
        problems.report(diagnostic.help(format!("the plan's phases are {listed}")));
    }
    let ids = (0..).map(PhaseId).zip(names());
    let chosen = ids.filter(|(_, name)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name));
    chosen.map(|(id, _)| id).collect()
}
