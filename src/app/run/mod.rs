//! `runner PLAN`: runs a plan, judges it, writes reports and exits with the verdict.

mod folder;
mod guard;
mod machine;
mod progress;
mod request_log;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::app::arguments::{FailpointArg, Format, RunArgs};
use crate::app::check::{headline, outlook};
use crate::app::load::{Ready, load, refuse};
use crate::app::output;
use crate::app::preflight;
use crate::app::room::Room;
use crate::app::target::StandInProcess;
use crate::diagnostic::{Code, Diagnostic};
use crate::engine::{self, Job};
use crate::event::Observer;
use crate::exit::{self, Ending, Signal};
use crate::generator::{self, Check};
use crate::journal::format::Manifest;
use crate::journal::{self, writer::Writer};
use crate::measure::ledger::Ledger;
use crate::measure::summary::{PhaseRun, Summary};
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{Decision, GateTier, Inconclusive, rehearse};
use crate::report::model::EndedEarlyReport;
use crate::report::{self, Facts};
use crate::session::{Failpoint, Session};
use crate::slo::judge::{Judged, Length, Terms, judge};
use guard::{EndedEarly, Guard};
use machine::ThisProcess;
use progress::Progress;
use request_log::RequestLog;

/// A run about to start.
struct Run<'r> {
    arguments: &'r RunArgs,
    ready: Ready,
    room: Room,
    seed: u64,
    workers: u16,
    length: Length,
    started_at: Timestamp,
    /// Where its files go; `None` where the folder could not be made.
    folder: Option<PathBuf>,
    notices: Vec<String>,
}

/// What came of a run.
struct Outcome {
    summary: Summary,
    phases: Vec<PhaseRun>,
    /// The generator's own checks, by phase of the plan.
    checks: Vec<Vec<Check>>,
    ending: Option<Ending>,
    /// Why it ended before its time, if the runner ended it.
    ended_early: Option<EndedEarly>,
}

impl Outcome {
    /// Nothing was sent, or nothing is known of it.
    fn without_load(ending: Ending) -> Self {
        Self {
            summary: Summary::default(),
            phases: Vec::new(),
            checks: Vec::new(),
            ending: Some(ending),
            ended_early: None,
        }
    }
}

/// Runs a plan; returns the verdict as exit code.
pub(super) fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut ready = match load(&arguments.plan) {
        Ok(ready) => ready,
        Err(code) => return Ok(code),
    };
    let length = shrink(&mut ready, arguments);
    preflight::connections(&mut ready, workers(arguments));
    if ready.problems.refused() {
        return Ok(refuse(&ready.problems, arguments.plan.format));
    }
    let stand_in = if arguments.plan.stand_in { Some(StandInProcess::start()?) } else { None };
    let untried = stand_in.as_ref().and_then(|it| it.become_target_of(&mut ready.plan.target));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut run = Run::prepare(arguments, ready, length);
    run.notices.extend(untried);
    Ok(runtime.block_on(run.go()))
}

/// Threads that send: one per core, unless the command line says how many.
fn workers(arguments: &RunArgs) -> u16 {
    arguments.workers.unwrap_or_else(preflight::workers)
}

/// The most requests that are logged.
fn log_limit(arguments: &RunArgs) -> usize {
    arguments.log_requests.as_ref().map_or(0, |_| arguments.log_limit)
}

/// Shrinks the plan for a rehearsal.
fn shrink(ready: &mut Ready, arguments: &RunArgs) -> Length {
    let Some(total) = arguments.rehearse else { return Length::Full };
    let phases = ready.phases.len() as f64;
    if total.seconds() < 2.0 * phases {
        let place = ready.problems.add_option("--rehearse", &total.to_string());
        let message = format!("a rehearsal of {total} is too short for {phases} phases");
        let help = format!("each phase needs 2 s at least: `--rehearse {}s`", 2.0 * phases);
        let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(place, "here").help(help);
        ready.problems.report(diagnostic);
    }
    let lengths =
        |plan: &Plan| -> Vec<f64> { plan.phases.iter().map(|phase| phase.duration.seconds()).collect() };
    let before = lengths(&ready.plan);
    rehearse(&mut ready.plan, &ready.phases, total);
    let after = lengths(&ready.plan);
    ready.objectives.shrink(|phase| after[phase.index()] / before[phase.index()]);
    ready.offers = crate::offer::offer(&ready.plan);
    Length::Rehearsed
}

impl<'r> Run<'r> {
    fn prepare(arguments: &'r RunArgs, ready: Ready, length: Length) -> Self {
        let started_at = Timestamp::now();
        let workers = workers(arguments);
        // Short enough to be typed again.
        let seed = ready.plan.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let mut notices = Vec::new();
        let folder = match folder::create(&arguments.out, &ready.plan.name, started_at) {
            Ok((folder, notice)) => {
                notices.extend(notice);
                Some(folder)
            }
            Err(error) => {
                notices.push(format!("no report can be written: {error:#}"));
                None
            }
        };
        let room = Room::of(&ready, workers, &arguments.out, log_limit(arguments));
        notices.extend(room.shortages());
        Self { arguments, ready, room, seed, workers, length, started_at, folder, notices }
    }

    async fn go(mut self) -> ExitCode {
        self.talk(&self.ready.warnings());
        if let Some(insecure) = report::insecure(&self.ready.plan) {
            output::stderr(&format!("warning: {insecure}\n"));
        }
        self.talk(&format!(
            "{}\n{}target {}, seed {}, {} workers\n",
            headline(&self.ready),
            outlook(&self.ready, &self.room),
            self.ready.plan.secrets.redact(&self.ready.plan.target.url.to_string()),
            self.seed,
            self.workers
        ));
        for notice in &self.notices {
            self.talk(&format!("notice: {notice}\n"));
        }
        let mut signals = Signals::new();
        let outcome = match self.wait_for_target(&mut signals).await {
            Some(ending) => Outcome::without_load(ending),
            None => match self.load_target(&mut signals).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    output::stderr(&format!("error: {error:#}\n"));
                    Outcome::without_load(Ending::Internal)
                }
            },
        };
        ExitCode::from(self.conclude(&outcome).code())
    }

    fn talk(&self, text: &str) {
        if !self.arguments.quiet {
            output::stderr(text);
        }
    }

    /// Waits until the target is ready; says how the run ends if it is not.
    async fn wait_for_target(&self, signals: &mut Signals) -> Option<Ending> {
        tokio::select! {
            ready = engine::wait_until_ready(&self.ready.plan.target) => {
                let tried = self.ready.plan.secrets.redact(&ready.err()?);
                let within = self.ready.plan.target.ready_within;
                output::stderr(&format!("error: the target was not ready within {within}; tried {tried}\n"));
                Some(Ending::Unavailable)
            }
            signal = signals.next() => Some(Ending::Interrupted(signal)),
        }
    }

    async fn load_target(&mut self, signals: &mut Signals) -> anyhow::Result<Outcome> {
        let plan = Arc::new(self.ready.plan.clone());
        let watches = self.ready.objectives.watches.clone();
        let ledger = Ledger::new(&plan, watches, usize::from(self.workers));
        let log_path = self.arguments.log_requests.as_deref();
        let (mut events, stop) = engine::start(Job {
            plan: Arc::clone(&plan),
            phases: self.ready.phases.clone(),
            seed: self.seed,
            workers: usize::from(self.workers),
            limits: Arc::new(ledger.limits().clone()),
            // One more than will be written, so that the log can say that it is not whole.
            log_room: log_path.map_or(0, |_| self.arguments.log_limit.saturating_add(1)),
            verbose: self.arguments.verbose,
            watchful: true,
        })?;
        let target_is_here = machine::is_home_of(&plan.target.url).await;
        let mut progress = Progress::new(&plan, self.arguments.quiet);
        let mut journal = self.journal();
        let mut log = self.request_log(log_path, &plan);
        let objectives = self.ready.objectives.all.clone();
        let mut guard = Guard::new(&plan, &objectives, &|_, _| true, stop.clone());
        let mut observers: Vec<&mut dyn Observer> = vec![&mut progress, &mut guard];
        observers.extend(journal.as_mut().map(|journal| -> &mut dyn Observer { journal }));
        observers.extend(log.as_mut().map(|log| -> &mut dyn Observer { log }));
        let failpoint = self.arguments.failpoint.map(|failpoint| match failpoint {
            FailpointArg::LoseASample => Failpoint::LoseASample,
            FailpointArg::Panic => Failpoint::Panic,
        });
        let this_process = ThisProcess::new();
        let mut session =
            Session { ledger, observers, self_use: &this_process, failpoint, phases: Vec::new() };
        let mut interrupted = None;
        loop {
            tokio::select! {
                () = session.follow(&mut events) => break,
                signal = signals.next() => {
                    if interrupted.is_some() {
                        // Told twice: out at once. What was recorded so far is on disk.
                        std::process::exit(Ending::Interrupted(signal).code().into());
                    }
                    output::stderr("stopping: what is under way drains; once more to leave at once\n");
                    interrupted = Some(Ending::Interrupted(signal));
                    stop.stop();
                }
            }
        }
        let summary = session.ledger.summary().clone();
        let phases = std::mem::take(&mut session.phases);
        drop(session);
        progress.finish();
        let failed = journal.as_ref().and_then(Writer::failure);
        self.notices.extend(failed.map(|why| format!("the run's windows are not whole on disk: {why}")));
        self.notices.extend(log.as_ref().and_then(RequestLog::notice));
        let facts = generator::Facts { plan: &plan, objectives: &self.ready.objectives.all, target_is_here };
        let checks = (0..).map(PhaseId).zip(&summary.phases);
        let checks = checks.map(|(id, counted)| generator::checks(facts, id, counted)).collect();
        Ok(Outcome { summary, phases, checks, ending: interrupted, ended_early: guard.into_ended() })
    }

    fn journal(&self) -> Option<Writer> {
        let plan = &self.ready.plan;
        let manifest = Manifest {
            runner: env!("CARGO_PKG_VERSION").to_owned(),
            plan: plan.name.clone(),
            digest: plan.digest.clone(),
            seed: self.seed,
            workers: self.workers,
        };
        let folder = self.folder.as_ref()?;
        Some(Writer::create(&folder.join(journal::FILE), manifest))
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
                    format!("requests are not logged: could not write `{}`: {error}", path.display());
                self.talk(&format!("notice: {notice}\n"));
                self.notices.push(notice);
                None
            }
        }
    }

    /// Judges, writes and prints the report; returns how the run ended.
    fn conclude(&mut self, outcome: &Outcome) -> Ending {
        let Ready { plan, objectives, .. } = &self.ready;
        let aborted = outcome.ended_early.as_ref().and_then(|ended| ended.objective);
        let terms = Terms { gate: &plan.gate, length: self.length, invalid: &[], aborted };
        let judged = judge(&objectives.all, &outcome.summary, terms);
        let contradictions = self.contradictions(outcome);
        let mut endings = vec![self.of_objectives(&judged, &outcome.summary)];
        endings.extend(outcome.ending);
        // Phases that did not run have decided nothing.
        endings.extend(outcome.ended_early.as_ref().map(|_| Ending::Inconclusive));
        endings.extend((!contradictions.is_empty()).then_some(Ending::Internal));
        let invalid = outcome.checks.iter().any(|checks| generator::invalid(checks).is_some());
        endings.extend(invalid.then_some(Ending::Invalid));
        endings.extend(self.folder.is_none().then_some(Ending::Unwritten));
        self.notices.extend(contradictions);
        self.notices.extend(report::notices(plan, &outcome.summary));
        let proves =
            plan.gate.decision == Decision::Proven && judged.iter().flatten().any(|judged| judged.gated);
        if proves && self.length == Length::Full {
            self.notices.extend(report::spells(plan, &outcome.summary));
        }
        let mut ending = Ending::first(endings);
        let mut report = self.report(&judged, outcome, ending);
        if let Some(folder) = &self.folder {
            let json = serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n";
            if let Err(error) = folder::write(folder, "report.json", &json) {
                output::stderr(&format!("error: {error:#}\n"));
                ending = Ending::first([ending, Ending::Unwritten]);
                report = self.report(&judged, outcome, ending);
            }
        }
        match self.arguments.plan.format {
            Format::Json => {
                output::stdout(
                    &(serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n"),
                );
            }
            Format::Human => output::stdout(&report::console::render(&report)),
        }
        if let Some(folder) = &self.folder {
            self.talk(&format!("report: {}\n", folder.join("report.json").display()));
        }
        ending
    }

    fn report(&self, judged: &[Option<Judged>], outcome: &Outcome, ending: Ending) -> report::model::Report {
        let facts = Facts {
            seed: self.seed,
            started_at: self.started_at,
            ended_at: Timestamp::now(),
            length: self.length,
            ending,
            gate: self.ready.plan.gate.tier,
            phases: &outcome.phases,
            ended_early: outcome.ended_early.as_ref().map(|ended| self.ended_early(ended)),
            checks: &outcome.checks,
            notices: self.notices.clone(),
        };
        report::build(&self.ready.plan, &self.ready.objectives.all, judged, &outcome.summary, facts)
    }

    fn ended_early(&self, ended: &EndedEarly) -> EndedEarlyReport {
        let Ready { plan, objectives, .. } = &self.ready;
        EndedEarlyReport {
            by: if ended.objective.is_some() { "abort" } else { "breaker" },
            objective: ended.objective.map(|index| objectives.all[index].name.clone()),
            phase: plan.phases[ended.phase.index()].name.clone(),
            at: ended.at.to_string(),
            why: ended.why.clone(),
        }
    }

    /// Where the numbers of a phase do not add up.
    fn contradictions(&self, outcome: &Outcome) -> Vec<String> {
        use crate::plan::model::Load;
        let phases = self.ready.plan.phases.iter().zip(&outcome.summary.phases);
        let found = phases.filter(|(_, counted)| counted.ran.is_some()).filter_map(|(phase, counted)| {
            let why = counted.contradiction(matches!(phase.load, Load::Open(_)))?;
            Some(format!("the numbers of phase `{}` do not add up: {why}", phase.name))
        });
        found.collect()
    }

    /// What the objectives come to, before anything else is considered.
    fn of_objectives(&self, judged: &[Option<Judged>], summary: &Summary) -> Ending {
        let gate = &self.ready.plan.gate;
        let nothing_gated = !judged.iter().flatten().any(|judged| judged.gated);
        let ending = match exit::of_objectives(judged.iter().flatten()) {
            Ending::Passed if nothing_gated && gate.tier != GateTier::Nothing => Ending::Inconclusive,
            Ending::Passed if self.length == Length::Rehearsed => rehearsed(summary),
            ending => ending,
        };
        match ending {
            Ending::Inconclusive if gate.inconclusive == Inconclusive::Warn => Ending::Tolerated,
            ending => ending,
        }
    }
}

/// A rehearsal has shown that the plan works if every operation that ran succeeded at least once.
fn rehearsed(summary: &Summary) -> Ending {
    let operations = || summary.phases.iter().flat_map(|phase| phase.operations.values());
    let never = operations().filter(|o| o.requests + o.dropped > 0).any(|o| o.succeeded == 0);
    if never || operations().next().is_none() { Ending::Inconclusive } else { Ending::Rehearsed }
}

/// SIGINT and SIGTERM; SIGHUP is ignored, so that a run outlives its terminal.
struct Signals {
    interrupt: Option<SignalStream>,
    terminate: Option<SignalStream>,
    _hang_up: Option<SignalStream>,
}

impl Signals {
    fn new() -> Self {
        let stream = |kind| signal(kind).ok();
        Self {
            interrupt: stream(SignalKind::interrupt()),
            terminate: stream(SignalKind::terminate()),
            _hang_up: stream(SignalKind::hangup()),
        }
    }

    async fn next(&mut self) -> Signal {
        let heard = async |stream: &mut Option<SignalStream>| match stream {
            Some(stream) => drop(stream.recv().await),
            None => std::future::pending().await,
        };
        tokio::select! {
            () = heard(&mut self.interrupt) => Signal::Interrupt,
            () = heard(&mut self.terminate) => Signal::Terminate,
        }
    }
}
