//! `runner PLAN`: runs a plan, judges it, writes the report and exits with the verdict.

mod early_stopper;
mod progress;
mod request_log;
#[cfg(test)]
#[path = "../../../../tests/simulated_clock/mod.rs"]
mod simulated_clock;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::app::arguments::{Format, RunArgs, RunLabel};
use crate::app::ci::{CiSystem, WrittenObjectives};
use crate::app::commands::check::{headline, outlook};
use crate::app::commands::report::rendered;
use crate::app::conclusion::{self, JudgedBy, RecordedRun};
use crate::app::prepare::hosts::{FirstLook, look_at_hosts};
use crate::app::prepare::{PlanPurpose, PreparedPlan, RunPlan, prepare};
use crate::app::signals::Signals;
use crate::app::written_reports::ReportFile;
use crate::app::{failure, output, run_folder, stored_run, written_reports};
use crate::engine::{self, Dialer, Job};
use crate::event::{GeneratorMachine, Observer, RunEnd, RunEvent, RunOptions, RunStart, StopHandle};
use crate::gate::{self, Ending, Signal};
use crate::journal::{self, writer::JournalWriter};
use crate::kernel::Kernel;
use crate::measure::ledger::Ledger;
use crate::measure::limits::Limits;
use crate::monitor::Watcher;
use crate::plan::model::Plan;
use crate::report::model::Report;
use crate::session::{Failpoint, RunFold, Session};
use crate::slo::objective::Objective;
use crate::units::TimeSpan;
use early_stopper::EarlyStopper;
use progress::Progress;
use request_log::RequestLog;

/// A run about to start.
struct Run<'r> {
    arguments: &'r RunArgs,
    prepared: PreparedPlan,
    start: RunStart,
    dialer: Dialer,
    /// Whether the real clock is used; `false` in tests on a simulated clock.
    real_time: bool,
    /// The CI system in which it runs.
    ci: Option<CiSystem>,
    /// The folder for its files.
    folder: PathBuf,
    /// The file of `--log-requests`.
    request_log: Option<File>,
    notices: Vec<String>,
}

/// The events of a run so far, and the file that keeps them.
struct Record {
    fold: RunFold,
    journal: JournalWriter,
}

impl Record {
    /// Adds an event that does not come from the engine.
    fn add(&mut self, event: RunEvent) {
        let Self { fold, journal } = self;
        Session { fold, observers: vec![journal], failpoint: None }.take(event);
    }
}

/// Runs a plan and returns the verdict as an exit code.
pub(in crate::app) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let prepared = prepare(&arguments.plan, PlanPurpose::Run(arguments))?;
    let dialer = Dialer::new(&prepared.run.plan.target).map_err(anyhow::Error::msg)?;
    let dialer = dialer.for_requests(prepared.run.plan.requests());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = Run::new(arguments, prepared, dialer)?;
    let ending = runtime.block_on(async { run.execute(Signals::new()).await });
    Ok(ExitCode::from(ending.code()))
}

/// The start of a run, as its journal keeps it.
fn start(prepared: &PreparedPlan, labels: &[RunLabel], at: Timestamp) -> RunStart {
    let RunPlan { plan, objectives, .. } = &prepared.run;
    let redact = |text: &String| plan.secrets.redact(text);
    let options = &prepared.options;
    RunStart {
        runner: env!("CARGO_PKG_VERSION").to_owned(),
        at,
        inputs: prepared.inputs.clone(),
        options: RunOptions {
            target: options.target.as_ref().map(redact),
            overrides: options.overrides.iter().map(redact).collect(),
            ..options.clone()
        },
        digest: plan.digest.clone(),
        target: redact(&plan.target.url.to_string()),
        place: prepared.place,
        // A 32-bit seed is short enough to type when the run is repeated.
        seed: plan.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        workers: prepared.workers,
        phases: plan.phases.iter().map(|phase| phase.name.clone()).collect(),
        operations: plan.operations.clone(),
        hosts: plan.monitor.iter().flat_map(|it| &it.hosts).map(|host| host.name.clone()).collect(),
        limits: Limits::of(&objectives.indicators, plan.operations.len()),
        gate: plan.gate.tier,
        labels: labels.iter().map(|it| (it.key.clone(), redact(&it.value))).collect(),
        machine: machine(),
    }
}

/// This machine.
fn machine() -> GeneratorMachine {
    let kernel = Kernel::this_machine();
    let line = |path: &str| kernel.text(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    GeneratorMachine { host: line("proc/sys/kernel/hostname"), kernel: line("proc/sys/kernel/osrelease") }
}

impl<'r> Run<'r> {
    /// # Errors
    /// When the folder of the run or the log of requests cannot be created.
    fn new(arguments: &'r RunArgs, prepared: PreparedPlan, dialer: Dialer) -> anyhow::Result<Self> {
        written_reports::check(&arguments.write)?;
        let start = start(&prepared, &arguments.label, Timestamp::now());
        let request_log = arguments.log_requests.as_deref().map(request_log::create).transpose()?;
        let (folder, notice) = run_folder::create(&arguments.out, &prepared.run.plan.name, start.at)
            .map_err(|error| failure(Ending::Refused, format!("{error:#}; choose another `--out`")))?;
        let mut notices: Vec<String> = notice.into_iter().collect();
        notices.extend(prepared.notices.iter().cloned());
        notices.extend(stored_run::unreadable(&start, &prepared.run));
        let ci = arguments.ci.system(environment);
        Ok(Self { arguments, prepared, start, folder, request_log, notices, dialer, real_time: true, ci })
    }

    async fn execute(self, mut signals: Signals) -> Ending {
        let mut record = self.begin();
        let unready = match self.wait_for_target(&mut signals).await {
            None => self.wait_for_hosts(&mut record, &mut signals).await,
            ending => ending,
        };
        let without_verdict = match unready {
            Some(ending) => Some(ending),
            None => match self.load_target(&mut record, &mut signals).await {
                Ok(interrupted) => interrupted,
                Err(error) => {
                    output::stderr(&format!("error: {error:#}\n"));
                    Some((Ending::Internal, format!("{error:#}")))
                }
            },
        };
        record.add(RunEvent::Ended(RunEnd { at: Timestamp::now(), without_verdict }));
        let (ending, printed) = self.conclude(record);
        let written = output::stdout_unless(printed, signals.next()).await;
        // A program reads only this copy of the report; people have the file too.
        let ending = match (written, self.arguments.plan.format) {
            (Err(error), Format::Json) => {
                output::stderr(&format!("error: could not write the report to standard output: {error}\n"));
                Ending::most_severe([ending, Ending::Unwritten])
            }
            _ => ending,
        };
        self.print_status(&format!("report: {}\n", self.folder.join("report.json").display()));
        ending
    }

    /// Announces the run and begins its record.
    fn begin(&self) -> Record {
        let RunPlan { plan, objectives, .. } = &self.prepared.run;
        if !self.arguments.quiet {
            output::stderr_raw(&self.prepared.warnings());
        }
        if let Some(insecure) = gate::insecure(plan) {
            output::stderr(&format!("warning: {insecure}\n"));
        }
        let RunStart { target, seed, workers, .. } = &self.start;
        self.print_status(&format!(
            "{}\n{}target {target}, seed {seed}, {workers} workers\n",
            headline(&self.prepared),
            outlook(&self.prepared),
        ));
        let (indicators, limits) = (objectives.indicators.clone(), &self.start.limits);
        let ledger = Ledger::new(plan, indicators, limits, self.start.sources());
        let journal = JournalWriter::create(&self.folder.join(journal::FILE_NAME));
        let mut record = Record { fold: RunFold::new(ledger), journal };
        record.add(RunEvent::Started(Box::new(self.start.clone())));
        for notice in &self.notices {
            self.print_status(&format!("notice: {notice}\n"));
            record.add(RunEvent::Notice(notice.clone()));
        }
        record
    }

    fn print_status(&self, text: &str) {
        if !self.arguments.quiet {
            output::stderr(text);
        }
    }

    /// Waits until the target is ready. Returns the ending of the run if it is not.
    async fn wait_for_target(&self, signals: &mut Signals) -> Option<(Ending, String)> {
        tokio::select! {
            ready = engine::wait_until_ready(&self.prepared.run.plan.target, &self.dialer) => {
                let tried = self.prepared.run.plan.secrets.redact(&ready.err()?);
                let within = self.prepared.run.plan.target.ready_within;
                let reason =
                    format!("the target was not ready within {within}: {tried}; check it, or raise `ready_within`");
                output::stderr(&format!("error: {reason}\n"));
                Some((Ending::Unavailable, reason))
            }
            signal = signals.next() => Some(interrupted_by(signal)),
        }
    }

    /// Checks that the hosts with judged objectives can be read. Returns the ending of the run if they cannot.
    async fn wait_for_hosts(&self, record: &mut Record, signals: &mut Signals) -> Option<(Ending, String)> {
        let RunPlan { plan, objectives, phases, .. } = &self.prepared.run;
        let monitor = plan.monitor.as_ref()?;
        let judged = |objective: &&Objective| {
            let read = objective.family.readings().is_some() && phases.contains(&objective.phase);
            read && objective.gated_limit(plan.gate.tier).is_some()
        };
        let judged: Vec<&Objective> = objectives.all.iter().filter(judged).collect();
        let look = tokio::select! {
            look = look_at_hosts(monitor, &judged, &plan.secrets) => look,
            signal = signals.next() => return Some(interrupted_by(signal)),
        };
        let FirstLook { unreadable: unread, notices } = look;
        for notice in notices {
            self.print_status(&format!("notice: {notice}\n"));
            record.add(RunEvent::Notice(notice));
        }
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

    /// Runs the phases. Returns the ending of the run if a signal interrupted it.
    async fn load_target(
        &self,
        record: &mut Record,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<(Ending, String)>> {
        let plan = Arc::new(self.prepared.run.plan.clone());
        let (sender, mut events) = unbounded_channel();
        let watched = plan.monitor.is_some();
        let (stop, signal) = StopHandle::new();
        let watcher = watched.then(|| Watcher::start(&plan, sender.downgrade(), signal.clone())).transpose();
        let mut watcher = watcher.context("could not start to monitor hosts (check `ulimit -u`)")?;
        let weak = sender.downgrade();
        engine::start(self.job(&plan), sender, signal)?;
        let mut progress = Progress::new(&plan, self.arguments.quiet);
        let mut log = self.request_log(&plan)?;
        let mut early_stop =
            EarlyStopper::new(self.prepared.run.check_context(), &self.start.limits, stop.clone(), weak);
        let Record { fold, journal } = &mut *record;
        let mut observers: Vec<&mut dyn Observer> = vec![&mut progress, &mut early_stop, journal];
        observers.extend(watcher.as_mut().map(|watcher| -> &mut dyn Observer { watcher }));
        observers.extend(log.as_mut().map(|log| -> &mut dyn Observer { log }));
        let failpoint = self.arguments.failpoint.map(Failpoint::from);
        let mut session = Session { fold, observers, failpoint };
        let interrupted =
            until_it_ends(&mut session, &mut events, signals, &stop, self.arguments.drain).await;
        drop(session);
        progress.finish();
        if let Some(event) = early_stop.into_late() {
            record.add(event);
        }
        if let Some(notice) = log.and_then(RequestLog::finish) {
            record.add(RunEvent::Notice(notice));
        }
        Ok(interrupted)
    }

    fn job(&self, plan: &Arc<Plan>) -> Job {
        let logs = self.arguments.log_requests.is_some();
        Job {
            dialer: self.dialer.clone().for_limits(&self.start.limits),
            plan: Arc::clone(plan),
            phases: self.prepared.run.phases.clone(),
            seed: self.start.seed,
            workers: usize::from(self.start.workers),
            limits: Arc::new(self.start.limits.clone()),
            // One more than the log writes, so that it can report that it is incomplete.
            log_capacity: if logs { self.arguments.log_limit.saturating_add(1) } else { 0 },
            max_drain: self.arguments.drain.duration(),
            verbose: self.arguments.verbose,
            real_time: self.real_time,
        }
    }

    /// Starts the log of requests, if it was asked for.
    fn request_log<'p>(&self, plan: &'p Plan) -> anyhow::Result<Option<RequestLog<'p>>> {
        let Some(file) = &self.request_log else { return Ok(None) };
        Ok(Some(RequestLog::over(file.try_clone()?, self.arguments.log_limit, plan)?))
    }

    /// Judges the run and writes the report. Returns the ending with its exit code, and the report to print.
    fn conclude(&self, record: Record) -> (Ending, String) {
        let Record { mut fold, journal } = record;
        fold.notices.extend(journal.failure().map(|why| format!("the run's journal is incomplete: {why}")));
        let recorded = RecordedRun {
            run: &self.prepared.run,
            start: &self.start,
            fold: &fold,
            judged_by: JudgedBy::OwnObjectives,
        };
        let mut conclusion = recorded.conclude();
        let mut report = recorded.report(&conclusion);
        let files = [written_reports::of_run(&self.folder), self.arguments.write.clone()].concat();
        let errors = written_reports::write(&files, &report);
        if !errors.is_empty() {
            for error in errors {
                output::stderr(&format!("error: {error:#}; the report on standard output is complete\n"));
            }
            conclusion = conclusion::unwritten(conclusion);
            report = recorded.report(&conclusion);
            // The files that can be written tell the same exit code.
            let _ = written_reports::write(&files, &report);
        }
        let printed = rendered(&report.report, self.arguments.plan.format);
        let printed = match self.ci {
            Some(ci) => self.tell_ci(ci, &report.report, &files, printed),
            None => printed,
        };
        (conclusion.ending, printed)
    }

    /// Tells the CI system how the run ended. Returns what is to be printed.
    fn tell_ci(&self, ci: CiSystem, report: &Report, files: &[ReportFile], printed: String) -> String {
        let PreparedPlan { run, problems, .. } = &self.prepared;
        let objectives = WrittenObjectives { all: &run.objectives.all, problems };
        output::stderr_raw(&ci.commands(report, objectives, &self.folder));
        for error in ci.append(report, &self.folder, environment) {
            output::stderr(&format!("notice: {error:#}\n"));
        }
        match self.arguments.plan.format {
            Format::Human => ci.framed(printed, report, files),
            Format::Json => printed,
        }
    }
}

/// The value of an environment variable.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
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
