//! `runner PLAN`: runs a plan, judges it, writes the report and exits with the verdict.

mod conclude;
mod early_stopper;
mod folder;
mod progress;
mod request_log;
mod self_usage;
#[cfg(test)]
#[path = "../../../tests/simulated_clock/mod.rs"]
mod simulated_clock;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::app::arguments::RunArgs;
use crate::app::check::{headline, outlook};
use crate::app::headroom::Headroom;
use crate::app::hosts;
use crate::app::load::{ReadyPlan, load, refuse};
use crate::app::output;
use crate::app::preflight;
use crate::app::signals::Signals;
use crate::app::stand_in_process::StandInProcess;
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::{self, Dialer, Job};
use crate::event::{Observer, RunEvent, StopHandle};
use crate::gate::{self, Ending, RunOutcome, Signal};
use crate::generator::CheckContext;
use crate::journal::format::Manifest;
use crate::journal::{self, writer::JournalWriter};
use crate::measure::indicator::Limits;
use crate::measure::ledger::Ledger;
use crate::monitor::Watcher;
use crate::plan::model::Plan;
use crate::plan::rehearse;
use crate::session::{Failpoint, Session};
use crate::slo::judge::RunLength;
use crate::slo::objective::Objective;
use crate::units::TimeSpan;
use early_stopper::EarlyStopper;
use progress::Progress;
use request_log::RequestLog;
use self_usage::ProcessUsage;

/// A run about to start.
struct Run<'r> {
    arguments: &'r RunArgs,
    ready: ReadyPlan,
    headroom: Headroom,
    seed: u64,
    workers: u16,
    length: RunLength,
    started_at: Timestamp,
    target_is_local: bool,
    dialer: Dialer,
    /// Whether the real clock is used; `false` in tests on a simulated clock.
    real_time: bool,
    /// The folder for its files; `None` if it could not be created.
    folder: Option<PathBuf>,
    notices: Vec<String>,
}

/// Runs a plan and returns the verdict as an exit code.
pub(super) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let (mut ready, length) = match ready(arguments) {
        Ok(ready) => ready,
        Err(ending) => return Ok(ExitCode::from(ending.code())),
    };
    let stand_in = if arguments.plan.stand_in { Some(StandInProcess::start()?) } else { None };
    let untried = stand_in.as_ref().map(|it| stand_in_for(it, &mut ready)).unwrap_or_default();
    let dialer = Dialer::new(&ready.plan.target).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut run = Run::prepare(arguments, ready, length, dialer);
    run.notices.extend(untried);
    let ending = runtime.block_on(async { run.execute(Signals::new()).await });
    Ok(ExitCode::from(ending.code()))
}

/// Reads and checks the plan, and shortens it for a rehearsal.
///
/// # Errors
/// The exit code of a refused plan, after all its problems were printed.
fn ready(arguments: &RunArgs) -> Result<(ReadyPlan, RunLength), Ending> {
    let mut ready = load(&arguments.plan)?;
    let length = apply_rehearsal(&mut ready, arguments);
    preflight::connections(&mut ready, workers(arguments));
    if !arguments.plan.stand_in {
        hosts::check(&mut ready);
    }
    if ready.problems.has_errors() {
        return Err(refuse(&ready.problems, arguments.plan.format));
    }
    Ok((ready, length))
}

/// Points the target and the hosts of a plan at the stand-in. Returns notices about settings that are not tested.
fn stand_in_for(stand_in: &StandInProcess, ready: &mut ReadyPlan) -> Vec<String> {
    let untried = stand_in.replace_target(&mut ready.plan.target);
    untried.into_iter().chain(hosts::replace_hosts(ready, stand_in)).collect()
}

/// The number of sending threads: `--workers`, or one per core.
fn workers(arguments: &RunArgs) -> u16 {
    arguments.workers.unwrap_or_else(preflight::workers)
}

/// The maximum number of logged requests; 0 without `--log-requests`.
fn log_limit(arguments: &RunArgs) -> usize {
    arguments.log_requests.as_ref().map_or(0, |_| arguments.log_limit)
}

/// Shortens the plan for `--rehearse`, with objectives and forecasts in proportion.
fn apply_rehearsal(ready: &mut ReadyPlan, arguments: &RunArgs) -> RunLength {
    let Some(total) = arguments.rehearse else { return RunLength::Full };
    let phases = ready.phases.len() as f64;
    if total.seconds() < 2.0 * phases {
        let place = ready.problems.add_option("--rehearse", &total.to_string());
        let message = format!("a rehearsal of {total} is too short for {phases} phases");
        let help = format!("each phase needs at least 2s; use `--rehearse {}s` or longer", 2.0 * phases);
        let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(place, "too short").help(help);
        ready.problems.report(diagnostic);
    }
    let lengths =
        |plan: &Plan| -> Vec<f64> { plan.phases.iter().map(|phase| phase.duration.seconds()).collect() };
    let before = lengths(&ready.plan);
    rehearse(&mut ready.plan, &ready.phases, total);
    let after = lengths(&ready.plan);
    ready.objectives.shrink(|phase| after[phase.index()] / before[phase.index()]);
    ready.forecasts = crate::forecast::forecast(&ready.plan);
    RunLength::Rehearsed
}

impl<'r> Run<'r> {
    fn prepare(arguments: &'r RunArgs, mut ready: ReadyPlan, length: RunLength, dialer: Dialer) -> Self {
        let started_at = Timestamp::now();
        let target_is_local = hosts::is_here(&ready.plan.target.url) == Some(true);
        if let Some(monitor) = ready.plan.monitor.as_mut().filter(|_| target_is_local) {
            hosts::add(monitor, &ready.plan.target.url);
        }
        let workers = workers(arguments);
        // A 32-bit seed is short enough to type when the run is repeated.
        let seed = ready.plan.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let mut notices = Vec::new();
        let folder = match folder::create(&arguments.out, &ready.plan.name, started_at) {
            Ok((folder, notice)) => {
                notices.extend(notice);
                Some(folder)
            }
            Err(error) => {
                notices.push(format!("no report will be written: {error:#}; choose another `--out`"));
                None
            }
        };
        let headroom = Headroom::of(&ready, workers, &arguments.out, log_limit(arguments));
        notices.extend(headroom.shortages());
        Self {
            arguments,
            ready,
            headroom,
            seed,
            workers,
            length,
            started_at,
            target_is_local,
            folder,
            notices,
            dialer,
            real_time: true,
        }
    }

    async fn execute(mut self, mut signals: Signals) -> Ending {
        self.print_status(&self.ready.warnings());
        if let Some(insecure) = gate::insecure(&self.ready.plan) {
            output::stderr(&format!("warning: {insecure}\n"));
        }
        self.print_status(&format!(
            "{}\n{}target {}, seed {}, {} workers\n",
            headline(&self.ready),
            outlook(&self.ready, &self.headroom),
            self.ready.plan.secrets.redact(&self.ready.plan.target.url.to_string()),
            self.seed,
            self.workers
        ));
        for notice in &self.notices {
            self.print_status(&format!("notice: {notice}\n"));
        }
        let unready = match self.wait_for_target(&mut signals).await {
            None => self.wait_for_hosts(&mut signals).await,
            ending => ending,
        };
        let outcome = match unready {
            Some(ending) => RunOutcome::without_load(ending),
            None => match self.load_target(&mut signals).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    output::stderr(&format!("error: {error:#}\n"));
                    RunOutcome::without_load((Ending::Internal, format!("{error:#}")))
                }
            },
        };
        let (ending, printed) = self.conclude(&outcome);
        output::stdout_unless(printed, signals.next()).await;
        if let Some(folder) = &self.folder {
            self.print_status(&format!("report: {}\n", folder.join("report.json").display()));
        }
        ending
    }

    fn print_status(&self, text: &str) {
        if !self.arguments.quiet {
            output::stderr(text);
        }
    }

    /// Waits until the target is ready. Returns the ending of the run if it is not.
    async fn wait_for_target(&self, signals: &mut Signals) -> Option<(Ending, String)> {
        tokio::select! {
            ready = engine::wait_until_ready(&self.ready.plan.target, &self.dialer) => {
                let tried = self.ready.plan.secrets.redact(&ready.err()?);
                let within = self.ready.plan.target.ready_within;
                let reason =
                    format!("the target was not ready within {within}: {tried}; check it, or raise `ready_within`");
                output::stderr(&format!("error: {reason}\n"));
                Some((Ending::Unavailable, reason))
            }
            signal = signals.next() => Some(interrupted_by(signal)),
        }
    }

    /// Checks that the hosts with judged objectives can be read. Returns the ending of the run if they cannot.
    async fn wait_for_hosts(&self, signals: &mut Signals) -> Option<(Ending, String)> {
        let ReadyPlan { plan, objectives, phases, .. } = &self.ready;
        let monitor = plan.monitor.as_ref()?;
        let judged = |objective: &&Objective| {
            let read = objective.host.is_some() && phases.contains(&objective.phase);
            read && objective.gated_limit(plan.gate.tier).is_some()
        };
        let judged: Vec<&Objective> = objectives.all.iter().filter(judged).collect();
        let unread = tokio::select! {
            unread = hosts::unreadable_hosts(monitor, &judged, &plan.secrets) => unread,
            signal = signals.next() => return Some(interrupted_by(signal)),
        };
        if self.arguments.plan.stand_in {
            // The plan describes other machines, so a source that is missing here is no error of the plan.
            unread.iter().for_each(|why| self.print_status(&format!("notice: {why}\n")));
            return None;
        }
        let unread = unread.iter().map(|why| format!("{why}; correct the host's source under `[monitor]`"));
        let unread: Vec<String> = unread.collect();
        unread.iter().for_each(|why| output::stderr(&format!("error: {why}\n")));
        (!unread.is_empty()).then(|| (Ending::Unavailable, unread.join("; ")))
    }

    async fn load_target(&mut self, signals: &mut Signals) -> anyhow::Result<RunOutcome> {
        let plan = Arc::new(self.ready.plan.clone());
        let indicators = self.ready.objectives.indicators.clone();
        let ledger = Ledger::new(&plan, indicators, usize::from(self.workers));
        let log_path = self.arguments.log_requests.as_deref();
        let target_is_local = self.target_is_local;
        let (sender, mut events) = unbounded_channel();
        let watched = plan.monitor.is_some();
        let watcher = watched.then(|| Watcher::start(&plan, sender.downgrade())).transpose();
        let mut watcher = watcher.context("could not start to monitor hosts (check `ulimit -u`)")?;
        let stop = engine::start(self.job(&plan, ledger.limits()), sender)?;
        let mut progress = Progress::new(&plan, self.arguments.quiet);
        let mut journal = self.journal();
        let mut log = self.request_log(log_path, &plan);
        let objectives = self.ready.objectives.all.clone();
        let context = CheckContext { plan: &plan, objectives: &objectives, target_is_local };
        let mut early_stop = EarlyStopper::new(context, stop.clone());
        let mut observers: Vec<&mut dyn Observer> = vec![&mut progress, &mut early_stop];
        observers.extend(journal.as_mut().map(|journal| -> &mut dyn Observer { journal }));
        observers.extend(watcher.as_mut().map(|watcher| -> &mut dyn Observer { watcher }));
        observers.extend(log.as_mut().map(|log| -> &mut dyn Observer { log }));
        let failpoint = self.arguments.failpoint.map(Failpoint::from);
        let this_process = ProcessUsage::new();
        let mut session =
            Session { ledger, observers, self_usage: &this_process, failpoint, phases: Vec::new() };
        let interrupted =
            until_it_ends(&mut session, &mut events, signals, &stop, self.arguments.drain).await;
        let summary = session.ledger.summary().clone();
        let phases = std::mem::take(&mut session.phases);
        drop(session);
        progress.finish();
        let failed = journal.as_ref().and_then(JournalWriter::failure);
        self.notices.extend(failed.map(|why| format!("the run's journal is incomplete: {why}")));
        self.notices.extend(log.as_ref().and_then(RequestLog::notice));
        Ok(RunOutcome { summary, phases, ending: interrupted, ended_early: early_stop.into_ended() })
    }

    /// What the generator's checks need to know.
    fn check_context(&self) -> CheckContext<'_> {
        let ReadyPlan { plan, objectives, .. } = &self.ready;
        CheckContext { plan, objectives: &objectives.all, target_is_local: self.target_is_local }
    }

    fn job(&self, plan: &Arc<Plan>, limits: &Limits) -> Job {
        let logs = self.arguments.log_requests.is_some();
        Job {
            dialer: self.dialer.clone(),
            plan: Arc::clone(plan),
            phases: self.ready.phases.clone(),
            seed: self.seed,
            workers: usize::from(self.workers),
            limits: Arc::new(limits.clone()),
            // One more than the log writes, so that it can report that it is incomplete.
            log_capacity: if logs { self.arguments.log_limit.saturating_add(1) } else { 0 },
            max_drain: self.arguments.drain.duration(),
            verbose: self.arguments.verbose,
            real_time: self.real_time,
        }
    }

    fn journal(&self) -> Option<JournalWriter> {
        let plan = &self.ready.plan;
        let manifest = Manifest {
            runner: env!("CARGO_PKG_VERSION").to_owned(),
            plan: plan.name.clone(),
            digest: plan.digest.clone(),
            seed: self.seed,
            workers: self.workers,
        };
        let folder = self.folder.as_ref()?;
        Some(JournalWriter::create(&folder.join(journal::FILE_NAME), manifest))
    }

    fn request_log<'p>(
        &mut self,
        path: Option<&Path>,
        plan: &'p crate::plan::model::Plan,
    ) -> Option<RequestLog<'p>> {
        let path = path?;
        match RequestLog::create(path, self.arguments.log_limit, plan) {
            Ok(log) => Some(log),
            Err(error) => {
                let notice =
                    format!("requests are not logged: could not create `{}`: {error}", path.display());
                self.print_status(&format!("notice: {notice}\n"));
                self.notices.push(notice);
                None
            }
        }
    }
}

/// The ending of a run that a signal stopped, and its reason.
fn interrupted_by(signal: Signal) -> (Ending, String) {
    let name = match signal {
        Signal::Interrupt => "SIGINT",
        Signal::Terminate => "SIGTERM",
    };
    (Ending::Interrupted(signal), format!("{name} stopped the run before its end"))
}

/// Follows a run to its end. Returns the ending if a signal interrupted it.
async fn until_it_ends(
    session: &mut Session<'_>,
    events: &mut UnboundedReceiver<RunEvent>,
    signals: &mut Signals,
    stop: &StopHandle,
    max_drain: TimeSpan,
) -> Option<(Ending, String)> {
    let mut interrupted: Option<(Ending, String)> = None;
    let mut is_cancelled = false;
    loop {
        tokio::select! {
            () = session.follow(events) => return interrupted,
            signal = signals.next() => {
                match &interrupted {
                    None => {
                        output::stderr(&format!(
                            "stopping: requests in flight may take {max_drain} to finish; a second signal ends the \
                             wait, a third exits without a report\n"
                        ));
                        interrupted = Some(interrupted_by(signal));
                        stop.stop();
                    }
                    Some(_) if !is_cancelled => {
                        is_cancelled = true;
                        stop.cancel();
                    }
                    // The journal on disk has the records so far. The first signal names the exit code.
                    Some((ending, _)) => std::process::exit(ending.code().into()),
                }
            }
        }
    }
}
