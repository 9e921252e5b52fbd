//! Prepares a plan in one order for every command: load, select phases, rehearse, check, point at the stand-in, find the
//! hosts, compare needs with this machine. The result is complete; commands only read it.

mod compile;
mod headroom;
pub(super) mod hosts;
mod place;
mod preflight;
mod rehearsal;
mod stand_in_process;

pub(super) use compile::{PlanDocuments, RunPlan};
pub(super) use headroom::Headroom;

use std::path::Path;

use crate::app::arguments::{ExitZeroOn, Format, PlanArgs, RunArgs};
use crate::app::output;
use crate::app::prepare::compile::{CompiledPlan, PlanOrigin, RunState, compile};
use crate::app::prepare::stand_in_process::StandInProcess;
use crate::diagnostic::{Code, Diagnostic, Problems, render, to_json};
use crate::engine;
use crate::event::{RunOptions, RunPlace, RunStart};
use crate::forecast;
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{Environment, GateTier, PlanInputs, ThresholdsFile};
use crate::slo::Objectives;

/// What a plan is prepared for.
#[derive(Clone, Copy)]
pub(super) enum PlanPurpose<'a> {
    /// `runner PLAN`, with its options.
    Run(&'a RunArgs),
    /// A forecast of the run; nothing is sent or started.
    Check,
    /// Each task once: needs neither hosts nor a connection for each user.
    Try,
}

/// A valid plan as a command uses it.
pub(super) struct PreparedPlan {
    pub(super) run: RunPlan,
    pub(super) options: RunOptions,
    pub(super) inputs: PlanInputs,
    pub(super) place: RunPlace,
    /// The number of sending threads.
    pub(super) workers: u16,
    pub(super) headroom: Headroom,
    /// The sources that diagnostics refer to, and the warnings.
    pub(super) problems: Problems,
    /// The documents of the plan, for a command that only checks it.
    pub(super) documents: Option<PlanDocuments>,
    /// Facts about the preparation that readers of the report need.
    pub(super) notices: Vec<String>,
    /// The built-in target. It exits when this value is dropped.
    _stand_in: Option<StandInProcess>,
}

impl PreparedPlan {
    /// The warnings as text for stderr.
    pub(super) fn warnings(&self) -> String {
        render(&self.problems, output::stderr_is_interactive())
    }
}

/// A plan that was refused after all its problems were printed.
#[derive(Debug)]
pub(super) struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the plan is refused")
    }
}

impl std::error::Error for Refused {}

/// Prepares a plan.
///
/// # Errors
/// [`Refused`] after its problems were printed, or a fault of this machine.
pub(super) fn prepare(arguments: &PlanArgs, purpose: PlanPurpose<'_>) -> anyhow::Result<PreparedPlan> {
    let mut problems = Problems::default();
    let environment =
        Environment { read: &|path| std::fs::read(path), variable: &|name| std::env::var(name).ok() };
    let options = options(arguments, purpose);
    let origin = PlanOrigin { path: arguments.plan(), environment: &environment, thresholds: None };
    let state = if matches!(purpose, PlanPurpose::Check) { RunState::Checked } else { RunState::Planned };
    let compiled = compile(&origin, &options, state, &mut problems);
    let workers = match purpose {
        PlanPurpose::Run(run) => run.workers.unwrap_or_else(preflight::workers),
        PlanPurpose::Check | PlanPurpose::Try => preflight::workers(),
    };
    if let Some(compiled) = &compiled {
        check(compiled, arguments, purpose, workers, &mut problems);
    }
    let Some(compiled) = compiled.filter(|_| !problems.has_errors()) else {
        return Err(refuse(&problems, arguments.format, Refusal::Plan));
    };
    place(compiled, Placement { arguments, options, purpose, workers, problems })
}

/// A valid plan with its objectives, for a command that reads them and runs nothing.
pub(super) struct PlannedObjectives {
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    /// The selected phases, in the order of the plan.
    pub(super) phases: Vec<PhaseId>,
    /// The sources that diagnostics refer to, and the warnings.
    pub(super) problems: Problems,
}

/// Compiles a plan for its objectives. Nothing of this machine plays a part.
///
/// # Errors
/// [`Refused`] after its problems were printed.
pub(super) fn objectives_of(path: &Path, options: &RunOptions) -> anyhow::Result<PlannedObjectives> {
    let mut problems = Problems::default();
    let environment =
        Environment { read: &|path| std::fs::read(path), variable: &|name| std::env::var(name).ok() };
    let origin = PlanOrigin { path, environment: &environment, thresholds: None };
    match compile(&origin, options, RunState::Recorded, &mut problems) {
        Some(CompiledPlan { plan, objectives, phases, .. }) => {
            Ok(PlannedObjectives { plan, objectives, phases, problems })
        }
        None => Err(refuse(&problems, Format::Human, Refusal::Plan)),
    }
}

/// The choices for [`place`].
struct Placement<'a> {
    arguments: &'a PlanArgs,
    options: RunOptions,
    purpose: PlanPurpose<'a>,
    workers: u16,
    problems: Problems,
}

/// Puts a compiled plan in its place: on this machine, against its target or the stand-in.
fn place(compiled: CompiledPlan, placement: Placement<'_>) -> anyhow::Result<PreparedPlan> {
    let Placement { arguments, options, purpose, workers, mut problems } = placement;
    let starts_stand_in = arguments.stand_in && !matches!(purpose, PlanPurpose::Check);
    let stand_in = starts_stand_in.then(StandInProcess::start).transpose()?;
    let address = stand_in.as_ref().map(StandInProcess::address);
    let CompiledPlan { mut plan, mut objectives, phases, length, documents, inputs } = compiled;
    plan.seed = arguments.seed.or(plan.seed);
    let mut notices = Vec::new();
    if let Some(address) = address {
        notices.extend(place::replace_target(&mut plan.target, address));
        if !matches!(purpose, PlanPurpose::Try) {
            notices.extend(place::replace_hosts(&mut plan, &mut objectives, address));
        }
    }
    let target_is_local = hosts::is_here(&plan.target.url) == Some(true);
    place::add_hosts(&mut plan, &mut objectives, target_is_local);
    let forecasts = forecast::forecast(&plan);
    let log_limit = match purpose {
        PlanPurpose::Run(run) => run.log_requests.as_ref().map_or(0, |_| run.log_limit),
        PlanPurpose::Check | PlanPurpose::Try => 0,
    };
    let selected = phases.iter().map(|id| (&plan.phases[id.index()], &forecasts[id.index()]));
    let headroom = Headroom::of(forecast::needs(&plan, selected, workers, log_limit), report_folder(purpose));
    match purpose {
        PlanPurpose::Run(_) => notices.extend(headroom.shortages()),
        PlanPurpose::Check => problems.extend(headroom.shortages().into_iter().map(low_headroom)),
        PlanPurpose::Try => {}
    }
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    Ok(PreparedPlan {
        run: RunPlan { plan, objectives, forecasts, phases, length, target_is_local },
        options,
        inputs,
        place: RunPlace { stand_in: address, target_is_local, cores },
        workers,
        headroom,
        problems,
        documents: Some(documents).filter(|_| matches!(purpose, PlanPurpose::Check)),
        notices,
        _stand_in: stand_in,
    })
}

/// The options that change what the plan does.
fn options(arguments: &PlanArgs, purpose: PlanPurpose<'_>) -> RunOptions {
    let mut overrides = arguments.set.clone();
    if let PlanPurpose::Run(RunArgs { exit_zero_on: Some(ExitZeroOn::Inconclusive), .. }) = purpose {
        overrides.push("gate.inconclusive=warn".to_owned());
    }
    RunOptions {
        plan: arguments.plan().display().to_string(),
        target: arguments.target.clone(),
        stand_in: arguments.stand_in,
        overrides,
        phases: arguments.phase.clone(),
        gate: arguments.gate,
        rehearse: match purpose {
            PlanPurpose::Run(run) => run.rehearse,
            PlanPurpose::Check | PlanPurpose::Try => None,
        },
        allow_outside: arguments.allow_outside,
    }
}

/// Prepares the plan of a stored run from the start of its events, as it was when it ran. `thresholds` and `gate` replace
/// its own; nothing of this machine plays a part. The second value has the notices of the preparation.
pub(super) fn prepare_stored(
    start: &RunStart,
    gate: Option<GateTier>,
    thresholds: Option<&[ThresholdsFile]>,
    problems: &mut Problems,
) -> Option<(RunPlan, Vec<String>)> {
    let RunStart { inputs, place, .. } = start;
    let environment =
        Environment { read: &|path| inputs.read(path), variable: &|name| inputs.variable(name) };
    let options = RunOptions { gate: gate.or(start.options.gate), ..start.options.clone() };
    let origin = PlanOrigin { path: Path::new(&options.plan), environment: &environment, thresholds };
    let compiled = compile(&origin, &options, RunState::Recorded, problems)?;
    let CompiledPlan { mut plan, mut objectives, phases, length, .. } = compiled;
    plan.digest.clone_from(&start.digest);
    let mut notices = Vec::new();
    if let Some(address) = place.stand_in {
        notices.extend(place::replace_target(&mut plan.target, address));
        notices.extend(place::replace_hosts(&mut plan, &mut objectives, address));
    }
    place::add_hosts(&mut plan, &mut objectives, place.target_is_local);
    let forecasts = forecast::forecast(&plan);
    let target_is_local = place.target_is_local;
    Some((RunPlan { plan, objectives, forecasts, phases, length, target_is_local }, notices))
}

/// Checks a compiled plan against this machine.
fn check(
    compiled: &CompiledPlan,
    arguments: &PlanArgs,
    purpose: PlanPurpose<'_>,
    workers: u16,
    problems: &mut Problems,
) {
    let CompiledPlan { plan, phases, .. } = compiled;
    if let Err(why) = engine::check_tls(&plan.target) {
        let diagnostic = Diagnostic::new(Code::BadTls, format!("could not set up TLS: {why}"));
        let tls = plan.target.tls.as_ref().and_then(|tls| tls.span);
        let placed =
            tls.into_iter().fold(diagnostic, |diagnostic, span| diagnostic.at(span, "in this table"));
        let help = "use PEM files: `-----BEGIN CERTIFICATE-----` or `… PRIVATE KEY-----`";
        problems.report(placed.help(help));
    }
    if matches!(purpose, PlanPurpose::Try) {
        return;
    }
    problems.extend(preflight::connections(plan, phases, workers));
    problems.extend(preflight::folder(report_folder(purpose)));
    if !arguments.stand_in {
        problems.extend(hosts::check(plan));
    }
}

/// The folder in which the folder of the run is created.
fn report_folder(purpose: PlanPurpose<'_>) -> &Path {
    match purpose {
        PlanPurpose::Run(run) => &run.out,
        PlanPurpose::Check | PlanPurpose::Try => Path::new("reports"),
    }
}

fn low_headroom(short: String) -> Diagnostic {
    let help = "the need is an estimate; free some space, or use a machine with more";
    Diagnostic::new(Code::LowHeadroom, short).help(help)
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A plan to run, check or try.
    Plan,
    /// The plan of a stored run.
    StoredPlan,
    /// The threshold files for a stored run.
    Thresholds,
}

/// Prints the problems of a plan or of threshold files that are refused.
pub(super) fn refuse(problems: &Problems, format: Format, refusal: Refusal) -> anyhow::Error {
    match format {
        Format::Human => {
            output::stderr_raw(&render(problems, output::stderr_is_interactive()));
            output::stderr(match refusal {
                Refusal::Plan => "the plan is refused; nothing was sent\n",
                Refusal::StoredPlan => {
                    "this version refuses the plan of the run; use the version that ran it\n"
                }
                Refusal::Thresholds => "the objectives are refused; nothing was judged\n",
            });
        }
        Format::Json => output::stdout(&format!("{:#}\n", to_json(problems))),
    }
    Refused.into()
}
