//! A run in this process, by a clock that is advanced whenever nothing is left to do.

use clap::Parser;
use runner_test_support::ran::Ran;
use runner_test_support::setup::Setup;
use runner_test_support::target::Target;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::unbounded_channel;

use crate::app::arguments::Arguments;
use crate::app::output::capture;
use crate::app::run::{Run, ready};
use crate::app::signals::Signals;
use crate::engine::Dialer;
use crate::exit::Ending;

/// A command line about to be run.
pub(super) struct Runner {
    setup: Setup,
    target: Option<Target>,
    arguments: Vec<String>,
}

impl Runner {
    /// A plan of these phases, users and lists, in TOML. Without objectives nothing is judged.
    pub(super) fn plan(plan: &str) -> Self {
        Self { setup: Setup::new(plan), target: None, arguments: Vec::new() }
    }

    /// The target that answers.
    pub(super) fn against(self, target: &Target) -> Self {
        Self { target: Some(target.clone()), ..self }
    }

    /// More keys of the plan's `[target]`.
    pub(super) fn target(self, keys: &str) -> Self {
        Self { setup: self.setup.target(keys), ..self }
    }

    /// The content of the threshold file.
    pub(super) fn objectives(self, objectives: &str) -> Self {
        Self { setup: self.setup.objectives(objectives), ..self }
    }

    /// The plan's `thresholds`, where it is more than the threshold file alone.
    pub(super) fn thresholds(self, entries: &str) -> Self {
        Self { setup: self.setup.thresholds(entries), ..self }
    }

    /// A file next to plan and thresholds, such as `plans/rows.csv`.
    pub(super) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { setup: self.setup.file(name, bytes), ..self }
    }

    /// More arguments, separated by spaces.
    pub(super) fn with(mut self, arguments: &str) -> Self {
        self.arguments.extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    /// Logs every request.
    pub(super) fn logging(self) -> Self {
        let log = self.setup.folder().join("requests.jsonl");
        self.with(&format!("--log-requests {}", log.display()))
    }

    /// `runner PLAN` to its end. Names of files on the command line are relative to this package.
    pub(super) fn run(self) -> Ran {
        let Self { setup, target, arguments } = self;
        let target = target.expect("a simulated run needs a target");
        let (folder, plan) = setup.write();
        let mut words = vec!["runner".to_owned(), plan.display().to_string()];
        if !arguments.iter().any(|argument| argument == "--out") {
            words.extend(["--out".to_owned(), folder.path().join("reports").display().to_string()]);
        }
        words.extend(arguments);
        let (code, written) = capture::while_doing(|| simulate(&words, &target));
        Ran { folder, code: i32::from(code), stdout: written.stdout, stderr: written.stderr }
    }
}

/// Runs a command line; returns its exit code.
fn simulate(words: &[String], target: &Target) -> u8 {
    let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).run;
    let Ok((ready, length)) = ready(&arguments) else { return Ending::Refused.code() };
    let runtime =
        Builder::new_current_thread().enable_all().start_paused(true).build_local(LocalOptions::default());
    let runtime = runtime.expect("a runtime can be made");
    let (connect, connections) = unbounded_channel();
    let run = Run { real_time: false, ..Run::prepare(&arguments, ready, length, Dialer::memory(connect)) };
    let ending = runtime.block_on(async {
        tokio::task::spawn_local(target.serve_in_memory(connections));
        run.execute(Signals::none()).await
    });
    ending.code()
}
