//! Prepares a plan in one order for every command: load, select phases, rehearse, check, point at the stand-in, find the
//! hosts, compare needs with this machine. The result is complete; commands only read it.

mod compile;
mod headroom;
pub(super) mod hosts;
mod place;
mod preflight;
mod rehearsal;
mod stand_in_process;

pub(super) use compile::PlanDocuments;
pub(super) use headroom::Headroom;

use std::path::Path;

use crate::app::arguments::{Format, PlanArgs, RunArgs};
use crate::app::output;
use crate::app::prepare::compile::CompiledPlan;
use crate::app::prepare::stand_in_process::StandInProcess;
use crate::diagnostic::{Code, Diagnostic, Problems, render, to_json};
use crate::engine;
use crate::forecast::{self, PhaseForecast};
use crate::plan::Environment;
use crate::plan::model::{PhaseId, Plan};
use crate::slo::Objectives;
use crate::slo::judge::RunLength;

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
    pub(super) plan: Plan,
    pub(super) objectives: Objectives,
    /// By phase of the plan.
    pub(super) forecasts: Vec<PhaseForecast>,
    /// The phases to run, in the order of the plan.
    pub(super) phases: Vec<PhaseId>,
    pub(super) length: RunLength,
    /// The number of sending threads.
    pub(super) workers: u16,
    /// Whether the target is on this machine.
    pub(super) target_is_local: bool,
    pub(super) headroom: Headroom,
    /// The sources that diagnostics refer to, and the warnings.
    pub(super) problems: Problems,
    pub(super) documents: PlanDocuments,
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
    let rehearse = match purpose {
        PlanPurpose::Run(run) => run.rehearse,
        PlanPurpose::Check | PlanPurpose::Try => None,
    };
    let compiled = compile::compile(arguments, rehearse, &environment, &mut problems);
    let workers = match purpose {
        PlanPurpose::Run(run) => run.workers.unwrap_or_else(preflight::workers),
        PlanPurpose::Check | PlanPurpose::Try => preflight::workers(),
    };
    if let Some(compiled) = &compiled {
        check(compiled, arguments, purpose, workers, &mut problems);
    }
    let Some(compiled) = compiled.filter(|_| !problems.has_errors()) else {
        return Err(refuse(&problems, arguments.format));
    };
    place(compiled, Placement { arguments, purpose, workers, problems })
}

/// The choices for [`place`].
struct Placement<'a> {
    arguments: &'a PlanArgs,
    purpose: PlanPurpose<'a>,
    workers: u16,
    problems: Problems,
}

/// Puts a compiled plan in its place: on this machine, against its target or the stand-in.
fn place(compiled: CompiledPlan, placement: Placement<'_>) -> anyhow::Result<PreparedPlan> {
    let Placement { arguments, purpose, workers, mut problems } = placement;
    let CompiledPlan { mut plan, mut objectives, phases, length, documents } = compiled;
    let starts_stand_in = arguments.stand_in && !matches!(purpose, PlanPurpose::Check);
    let stand_in = starts_stand_in.then(StandInProcess::start).transpose()?;
    let mut notices = Vec::new();
    if let Some(address) = stand_in.as_ref().map(StandInProcess::address) {
        notices.extend(place::replace_target(&mut plan.target, address));
        if !matches!(purpose, PlanPurpose::Try) {
            notices.extend(place::replace_hosts(&mut plan, &mut objectives, address));
        }
    }
    let target_is_local = hosts::is_here(&plan.target.url) == Some(true);
    if let Some(monitor) = plan.monitor.as_mut().filter(|_| target_is_local) {
        place::add_hosts(monitor, &plan.target.url);
    }
    let forecasts = forecast::forecast(&plan);
    let (folder, log_limit) = match purpose {
        PlanPurpose::Run(run) => (run.out.as_path(), run.log_requests.as_ref().map_or(0, |_| run.log_limit)),
        PlanPurpose::Check | PlanPurpose::Try => (Path::new("reports"), 0),
    };
    let selected = phases.iter().map(|id| (&plan.phases[id.index()], &forecasts[id.index()]));
    let headroom = Headroom::of(forecast::needs(&plan, selected, workers, log_limit), folder);
    match purpose {
        PlanPurpose::Run(_) => notices.extend(headroom.shortages()),
        PlanPurpose::Check => problems.extend(headroom.shortages().into_iter().map(low_headroom)),
        PlanPurpose::Try => {}
    }
    Ok(PreparedPlan {
        plan,
        objectives,
        forecasts,
        phases,
        length,
        workers,
        target_is_local,
        headroom,
        problems,
        documents,
        notices,
        _stand_in: stand_in,
    })
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
    if !arguments.stand_in {
        problems.extend(hosts::check(plan));
    }
}

fn low_headroom(short: String) -> Diagnostic {
    let help = "the need is an estimate; free some space, or use a machine with more";
    Diagnostic::new(Code::LowHeadroom, short).help(help)
}

/// Prints the problems of a refused plan.
pub(super) fn refuse(problems: &Problems, format: Format) -> anyhow::Error {
    match format {
        Format::Human => {
            output::stderr(&render(problems, output::stderr_is_interactive()));
            output::stderr("the plan is refused; nothing was sent\n");
        }
        Format::Json => output::stdout(&format!("{:#}\n", to_json(problems))),
    }
    Refused.into()
}
