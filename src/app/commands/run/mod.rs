//! `runner PLAN`: runs a plan, judges it, writes the report and exits with the verdict.

mod conclude;
mod early_stopper;
mod folder;
mod progress;
mod request_log;
#[cfg(test)]
#[path = "../../../../tests/simulated_clock/mod.rs"]
mod simulated_clock;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::app::arguments::RunArgs;
use crate::app::commands::check::{headline, outlook};
use crate::app::output;
use crate::app::prepare::{PlanPurpose, PreparedPlan, hosts, prepare};
use crate::app::signals::Signals;
use crate::engine::{self, Dialer, Job};
use crate::event::{Observer, RunEvent, StopHandle};
use crate::gate::{self, Ending, RunOutcome, Signal};
use crate::generator::CheckContext;
use crate::journal::format::Manifest;
use crate::journal::{self, writer::JournalWriter};
use crate::measure::ledger::Ledger;
use crate::measure::limits::Limits;
use crate::monitor::Watcher;
use crate::plan::model::Plan;
use crate::session::{Failpoint, Session};
use crate::slo::objective::Objective;
use crate::units::TimeSpan;
use early_stopper::EarlyStopper;
use progress::Progress;
use request_log::RequestLog;

/// A run about to start.
struct Run<'r> {
    arguments: &'r RunArgs,
    prepared: PreparedPlan,
    seed: u64,
    started_at: Timestamp,
    dialer: Dialer,
    /// Whether the real clock is used; `false` in tests on a simulated clock.
    real_time: bool,
    /// The folder for its files; `None` if it could not be created.
    folder: Option<PathBuf>,
    notices: Vec<String>,
}

/// Runs a plan and returns the verdict as an exit code.
pub(in crate::app) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let prepared = prepare(&arguments.plan, PlanPurpose::Run(arguments))?;
    let dialer = Dialer::new(&prepared.plan.target).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = Run::new(arguments, prepared, dialer);
    let ending = runtime.block_on(async { run.execute(Signals::new()).await });
    Ok(ExitCode::from(ending.code()))
}

impl<'r> Run<'r> {
    fn new(arguments: &'r RunArgs, prepared: PreparedPlan, dialer: Dialer) -> Self {
        let started_at = Timestamp::now();
        // A 32-bit seed is short enough to type when the run is repeated.
        let seed = prepared.plan.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let mut notices = Vec::new();
        let folder = match folder::create(&arguments.out, &prepared.plan.name, started_at) {
            Ok((folder, notice)) => {
                notices.extend(notice);
                Some(folder)
            }
            Err(error) => {
                notices.push(format!("no report will be written: {error:#}; choose another `--out`"));
                None
            }
        };
        notices.extend(prepared.notices.iter().cloned());
        Self { arguments, prepared, seed, started_at, folder, notices, dialer, real_time: true }
    }

    async fn execute(mut self, mut signals: Signals) -> Ending {
        self.print_status(&self.prepared.warnings());
        if let Some(insecure) = gate::insecure(&self.prepared.plan) {
            output::stderr(&format!("warning: {insecure}\n"));
        }
        self.print_status(&format!(
            "{}\n{}target {}, seed {}, {} workers\n",
            headline(&self.prepared),
            outlook(&self.prepared),
            self.prepared.plan.secrets.redact(&self.prepared.plan.target.url.to_string()),
            self.seed,
            self.prepared.workers
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
            ready = engine::wait_until_ready(&self.prepared.plan.target, &self.dialer) => {
                let tried = self.prepared.plan.secrets.redact(&ready.err()?);
                let within = self.prepared.plan.target.ready_within;
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
        let PreparedPlan { plan, objectives, phases, .. } = &self.prepared;
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
        let plan = Arc::new(self.prepared.plan.clone());
        let indicators = self.prepared.objectives.indicators.clone();
        let ledger = Ledger::new(&plan, indicators, usize::from(self.prepared.workers) + 1);
        let log_path = self.arguments.log_requests.as_deref();
        let target_is_local = self.prepared.target_is_local;
        let (sender, mut events) = unbounded_channel();
        let watched = plan.monitor.is_some();
        let watcher = watched.then(|| Watcher::start(&plan, sender.downgrade())).transpose();
        let mut watcher = watcher.context("could not start to monitor hosts (check `ulimit -u`)")?;
        let stop = engine::start(self.job(&plan, ledger.limits()), sender)?;
        let mut progress = Progress::new(&plan, self.arguments.quiet);
        let mut journal = self.journal();
        let mut log = self.request_log(log_path, &plan);
        let objectives = self.prepared.objectives.all.clone();
        let context = CheckContext { plan: &plan, objectives: &objectives, target_is_local };
        let mut early_stop = EarlyStopper::new(context, stop.clone());
        let mut observers: Vec<&mut dyn Observer> = vec![&mut progress, &mut early_stop];
        observers.extend(journal.as_mut().map(|journal| -> &mut dyn Observer { journal }));
        observers.extend(watcher.as_mut().map(|watcher| -> &mut dyn Observer { watcher }));
        observers.extend(log.as_mut().map(|log| -> &mut dyn Observer { log }));
        let failpoint = self.arguments.failpoint.map(Failpoint::from);
        let mut session = Session { ledger, observers, failpoint, phases: Vec::new() };
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
        let PreparedPlan { plan, objectives, .. } = &self.prepared;
        CheckContext { plan, objectives: &objectives.all, target_is_local: self.prepared.target_is_local }
    }

    fn job(&self, plan: &Arc<Plan>, limits: &Limits) -> Job {
        let logs = self.arguments.log_requests.is_some();
        Job {
            dialer: self.dialer.clone(),
            plan: Arc::clone(plan),
            phases: self.prepared.phases.clone(),
            seed: self.seed,
            workers: usize::from(self.prepared.workers),
            limits: Arc::new(limits.clone()),
            // One more than the log writes, so that it can report that it is incomplete.
            log_capacity: if logs { self.arguments.log_limit.saturating_add(1) } else { 0 },
            max_drain: self.arguments.drain.duration(),
            verbose: self.arguments.verbose,
            real_time: self.real_time,
        }
    }

    fn journal(&self) -> Option<JournalWriter> {
        let plan = &self.prepared.plan;
        let manifest = Manifest {
            runner: env!("CARGO_PKG_VERSION").to_owned(),
            plan: plan.name.clone(),
            digest: plan.digest.clone(),
            seed: self.seed,
            workers: self.prepared.workers,
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
