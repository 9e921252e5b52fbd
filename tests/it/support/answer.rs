//! A plan loaded in this process, with the problems that a user would see.

use std::path::Path;
use std::time::Duration;

use runner::diagnostic::{Problems, render};
use runner::plan::model::Plan;
use runner::plan::{Environment, Settings};
use runner::slo::Objectives;

/// The result of loading a plan: the plan and its objectives, or its problems.
pub(crate) struct Answer {
    pub(crate) plan: Option<Plan>,
    pub(crate) objectives: Objectives,
    pub(crate) problems: Problems,
    /// The problems as rendered text, without colour.
    pub(crate) shown: String,
    /// Processor time of this thread from the path to the text; other load on the machine does not count.
    pub(crate) took: Duration,
}

impl Answer {
    /// Loads a plan from the disk, with an empty environment.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self::of(path, &|path| std::fs::read(path))
    }

    /// Loads a plan of one file from memory.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self::of(Path::new("plan.toml"), &|_| Ok(bytes.to_vec()))
    }

    fn of(path: &Path, read: &dyn Fn(&Path) -> std::io::Result<Vec<u8>>) -> Self {
        let environment = Environment { read, variable: &|_| None };
        let mut problems = Problems::default();
        let begin = thread_time();
        let loaded = runner::plan::load(path, &Settings::default(), &environment, &mut problems);
        let objectives =
            runner::slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
        if let Some(plan) = loaded.plan.as_ref().filter(|_| !problems.has_errors()) {
            runner::forecast::check(
                plan,
                &objectives.all,
                &runner::forecast::forecast(plan),
                runner::diagnostic::Code::NeverProven,
                &mut problems,
            );
        }
        let shown = render(&problems, false);
        Self { plan: loaded.plan, objectives, shown, problems, took: thread_time() - begin }
    }

    /// The rules for answers to wrong plans that this one breaks: a refusal within 2 s, and help for each problem.
    pub(crate) fn shortcomings(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.problems.has_errors() {
            missing.push("the plan is not refused".to_owned());
        }
        if self.took >= Duration::from_secs(2) {
            missing.push(format!("the answer took {:?}", self.took));
        }
        let helpless = self.problems.all().iter().filter(|diagnostic| diagnostic.help.is_empty());
        missing.extend(helpless.map(|diagnostic| format!("no help for `{}`", diagnostic.message)));
        missing
    }
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread's time is not negative")
}
