//! A run in this process, on a clock that advances when no task can run.

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use runner_test_support::ran::Ran;
use runner_test_support::setup::Setup;
use runner_test_support::target::Target;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use crate::app::arguments::Arguments;
use crate::app::commands::run::Run;
use crate::app::conclusion::{JudgedBy, RecordedRun};
use crate::app::output::capture;
use crate::app::prepare::{PlanPurpose, prepare};
use crate::app::signals::Signals;
use crate::app::stored_run::{self, StoredRun};
use crate::app::tell;
use crate::diagnostic::Problems;
use crate::engine::Dialer;
use crate::gate::{Ending, Signal};
use crate::journal::FILE_NAME;
use crate::journal::reader::JournalReader;
use crate::report::report_json;

/// A command line to run.
pub(super) struct Runner {
    setup: Setup,
    target: Option<Target>,
    arguments: Vec<String>,
    signals: Vec<(Duration, Signal)>,
}

impl Runner {
    /// A plan of these phases, users and lists, in TOML. Without objectives the gate has the tier `none`.
    pub(super) fn plan(plan: &str) -> Self {
        Self { setup: Setup::new(plan), target: None, arguments: Vec::new(), signals: Vec::new() }
    }

    /// Sets the target; a run needs one.
    pub(super) fn against(self, target: &Target) -> Self {
        Self { target: Some(target.clone()), ..self }
    }

    /// Sets further keys of the plan's `[target]`.
    pub(super) fn target(self, keys: &str) -> Self {
        Self { setup: self.setup.target(keys), ..self }
    }

    /// Sets the content of the threshold file.
    pub(super) fn objectives(self, objectives: &str) -> Self {
        Self { setup: self.setup.objectives(objectives), ..self }
    }

    /// Sets the plan's `thresholds`, if it is more than the threshold file alone.
    pub(super) fn thresholds(self, entries: &str) -> Self {
        Self { setup: self.setup.thresholds(entries), ..self }
    }

    /// Adds a file, with its path below the folder, such as `plans/rows.csv`.
    pub(super) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { setup: self.setup.file(name, bytes), ..self }
    }

    /// Adds arguments, separated by spaces.
    pub(super) fn with(mut self, arguments: &str) -> Self {
        self.arguments.extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    /// Sends a signal at this time from the start of the run.
    pub(super) fn signal(mut self, after: Duration, signal: Signal) -> Self {
        self.signals.push((after, signal));
        self
    }

    /// Logs every request.
    pub(super) fn logging(mut self) -> Self {
        let log = self.setup.folder().join("requests.jsonl").display().to_string();
        self.arguments.extend(["--log-requests".to_owned(), log]);
        self
    }

    /// Runs `runner PLAN` to its end. Paths on the command line are relative to the folder of this package.
    pub(super) fn run(self) -> Ran {
        let Self { setup, target, arguments, signals } = self;
        let target = target.expect("a simulated run needs a target");
        let (folder, plan) = setup.write();
        let mut words = vec!["runner".to_owned(), plan.display().to_string()];
        if !arguments.iter().any(|argument| argument == "--out") {
            words.extend(["--out".to_owned(), folder.path().join("reports").display().to_string()]);
        }
        words.extend(arguments);
        let ((ending, took), written) = capture::while_doing(|| simulate(&words, &target, &signals));
        let run =
            Ran { folder, code: ending.code().into(), stdout: written.stdout, stderr: written.stderr, took };
        assert_rebuilt(&run);
        assert_never_passed_in_part(&run);
        run
    }
}

/// Records the run of the shipped daily plan in a folder. Its hosts are not judged, because reading them takes real time.
pub(super) fn record_day(target: &Target, out: &str) -> Ending {
    let thresholds = "thresholds=[\"../thresholds/response-time.toml\", \"../thresholds/throughput.toml\", \
                      \"../thresholds/errors.toml\"]";
    let words = ["runner", "plans/daily.toml", "--out", out, "--quiet", "--set", thresholds];
    simulate(&words.map(str::to_owned), target, &[]).0
}

/// The ending of a stored run and its report, from the journal in a folder.
#[track_caller]
fn rebuilt(folder: &Path) -> (Ending, String) {
    let mut problems = Problems::default();
    let stored = stored_run::open(folder).and_then(|journal| journal.fold(None, None, &mut problems));
    let StoredRun { run, start, fold } =
        stored.unwrap_or_else(|why| panic!("{why:#}")).unwrap_or_else(|| panic!("{:?}", problems.all()));
    let judged_by = JudgedBy::OwnObjectives;
    let recorded = RecordedRun { run: &run, start: &start, fold: &fold, judged_by };
    let conclusion = recorded.conclude();
    (conclusion.ending, report_json(&recorded.report(&conclusion).report))
}

/// Asserts that the report of a run follows from its journal alone.
#[track_caller]
fn assert_rebuilt(run: &Ran) {
    let Some(report) = run.file("report.json") else { return };
    let journal = run.file(FILE_NAME).expect("a run with a report has a journal");
    let (_, rebuilt) = rebuilt(journal.parent().expect("a file is in a folder"));
    let report = std::fs::read_to_string(report).expect("a report is text");
    assert_eq!(rebuilt, report, "the journal gives another report");
}

/// Asserts that the first parts of a journal, as a killed run leaves them, give no pass and show no fault of the runner.
#[track_caller]
fn assert_never_passed_in_part(run: &Ran) {
    let Some(journal) = run.file(FILE_NAME).filter(|_| run.code != i32::from(Ending::Internal.code())) else {
        return;
    };
    let bytes = std::fs::read(journal).expect("a journal can be read");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let start = JournalReader::new(&*bytes).expect("it is a journal").start_bytes();
    for part in 1..8 {
        let end = start + (bytes.len() - start) * part / 8;
        std::fs::write(folder.path().join(FILE_NAME), &bytes[..end]).expect("it can be written");
        let (ending, report) = rebuilt(folder.path());
        let allowed = matches!(ending, Ending::Breached | Ending::Invalid | Ending::Inconclusive);
        assert!(allowed, "{ending:?} after {end} of {} bytes: {report}", bytes.len());
    }
}

/// Runs a command line; returns the ending, and the simulated time that it took.
fn simulate(words: &[String], target: &Target, signals: &[(Duration, Signal)]) -> (Ending, Duration) {
    let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).run;
    let prepared = match prepare(&arguments.plan, PlanPurpose::Run(&arguments)) {
        Ok(prepared) => prepared,
        Err(error) => return (tell(&error), Duration::ZERO),
    };
    let runtime =
        Builder::new_current_thread().enable_all().start_paused(true).build_local(LocalOptions::default());
    let runtime = runtime.expect("a runtime can be made");
    let (connect, connections) = unbounded_channel();
    let run = match Run::new(&arguments, prepared, Dialer::memory(connect)) {
        Ok(run) => Run { real_time: false, ci: None, ..run },
        Err(error) => return (tell(&error), Duration::ZERO),
    };
    runtime.block_on(async {
        let began = Instant::now();
        tokio::task::spawn_local(target.serve_in_memory(connections));
        (run.execute(Signals::scripted(signals)).await, began.elapsed())
    })
}
