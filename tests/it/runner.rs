//! The real binary as a child process, with a plan of its own in a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::target::Target;

/// A run that is silent for longer hangs, and is killed.
const BOUND: Duration = Duration::from_secs(90);
/// The commands that stand before the plan.
const COMMANDS: [&str; 2] = ["check", "try"];

/// A command line about to be run.
pub(crate) struct Runner {
    folder: TempDir,
    plan: String,
    url: String,
    target: String,
    objectives: String,
    thresholds: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// A run under way.
pub(crate) struct Running {
    folder: TempDir,
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    heard: String,
}

/// A run that has ended.
pub(crate) struct Ran {
    pub(crate) folder: TempDir,
    /// The exit code.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A line of `--log-requests`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Logged {
    pub(crate) phase: String,
    pub(crate) operation: String,
    pub(crate) intended_ms: f64,
    pub(crate) sent_ms: f64,
    pub(crate) finished_ms: f64,
    pub(crate) outcome: String,
}

impl Runner {
    /// A plan of these phases, users and lists, in TOML. Without objectives nothing is judged.
    pub(crate) fn plan(plan: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder can be made"),
            plan: plan.to_owned(),
            url: "http://127.0.0.1:9".to_owned(),
            target: String::new(),
            objectives: String::new(),
            thresholds: String::new(),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Whose url the plan has.
    pub(crate) fn against(self, target: &Target) -> Self {
        self.at(&target.url())
    }

    /// The url the plan has.
    pub(crate) fn at(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// More of the plan's `[target]`.
    pub(crate) fn target(self, keys: &str) -> Self {
        Self { target: keys.to_owned(), ..self }
    }

    /// The threshold file.
    pub(crate) fn objectives(self, objectives: &str) -> Self {
        Self { objectives: objectives.to_owned(), ..self }
    }

    /// What stands in the plan as its `thresholds`, where it is more than the threshold file.
    pub(crate) fn thresholds(self, entries: &str) -> Self {
        Self { thresholds: entries.to_owned(), ..self }
    }

    /// A file beside plan and thresholds, such as `plans/rows.csv`.
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        write(&self.folder.path().join(name), bytes.as_ref());
        self
    }

    /// Where plan, thresholds and files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// More arguments, separated by spaces.
    pub(crate) fn with(mut self, arguments: &str) -> Self {
        self.arguments.extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    /// A variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `runner PLAN` to its end.
    pub(crate) fn run(self) -> Ran {
        self.start().end()
    }

    /// `runner check PLAN` to its end.
    pub(crate) fn check(self) -> Ran {
        self.command("check")
    }

    /// `runner try PLAN` to its end.
    pub(crate) fn attempt(self) -> Ran {
        self.command("try")
    }

    fn command(mut self, name: &str) -> Ran {
        self.arguments.insert(0, name.to_owned());
        self.run()
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let plan = self.write();
        let Self { folder, mut arguments, variables, .. } = self;
        let at = usize::from(arguments.first().is_some_and(|first| COMMANDS.contains(&first.as_str())));
        arguments.insert(at, plan.to_owned());
        let mut child = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(arguments)
            .envs(variables)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built for this test");
        let stdout = lines(child.stdout.take().expect("it is piped"));
        let stderr = lines(child.stderr.take().expect("it is piped"));
        Running { folder, child, stdout, stderr, heard: String::new() }
    }

    /// Writes plan and thresholds; returns the plan's path.
    fn write(&self) -> &'static str {
        let Self { folder, plan, url, target, objectives, thresholds, .. } = self;
        let judged = match (thresholds.as_str(), objectives.as_str()) {
            ("", "") => "gate = { tier = \"none\" }".to_owned(),
            ("", _) => "thresholds = [\"../thresholds/t.toml\"]".to_owned(),
            (entries, _) => format!("thresholds = {entries}"),
        };
        let plan = format!("name = \"p\"\n{judged}\n[target]\nurl = \"{url}\"\n{target}\n{plan}\n");
        write(&folder.path().join("thresholds/t.toml"), objectives.as_bytes());
        write(&folder.path().join("plans/p.toml"), plan.as_bytes());
        "plans/p.toml"
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
    std::fs::write(path, bytes).expect("the folder is ours");
}

/// What a process says, line by line, as it says it.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            line.clear();
        }
    });
    receiver
}

impl Running {
    /// Returns as soon as a line of stderr has this in it; the line.
    pub(crate) fn hear(&mut self, what: &str) -> String {
        loop {
            let Ok(line) = self.stderr.recv_timeout(BOUND) else { self.give_up() };
            self.heard.push_str(&line);
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it has not been waited for");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let mut stdout = String::new();
        loop {
            match self.stdout.recv_timeout(BOUND) {
                Ok(line) => stdout.push_str(&line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => self.hear_more(),
            }
        }
        let status = self.child.wait().expect("it is our child");
        let Self { folder, stderr, mut heard, .. } = self;
        while let Ok(line) = stderr.recv_timeout(BOUND) {
            heard.push_str(&line);
        }
        Ran { folder, code: status.code().unwrap_or(-1), stdout, stderr: heard }
    }

    /// Takes what stderr has said meanwhile; a run that said nothing there either hangs.
    fn hear_more(&mut self) {
        let before = self.heard.len();
        self.heard.extend(self.stderr.try_iter());
        if self.heard.len() == before {
            self.give_up();
        }
    }

    fn give_up(&mut self) -> ! {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.heard.extend(self.stderr.try_iter());
        panic!("nothing came for {BOUND:?}; it was killed; stderr:\n{}", self.heard);
    }
}

impl Ran {
    /// Fails, with everything that was said, unless the exit code is this.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// A file of the run's folder; `None` where there is none.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.path().join("reports/latest").join(name);
        path.exists().then_some(path)
    }

    /// `report.json`.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        let path = self.file("report.json").unwrap_or_else(|| panic!("no report:\n{}", self.stderr));
        read_json(&path)
    }

    /// A phase of the report.
    #[track_caller]
    pub(crate) fn phase(&self, name: &str) -> Value {
        named(&self.report()["phases"], name)
    }

    /// An objective of the report.
    #[track_caller]
    pub(crate) fn objective(&self, name: &str) -> Value {
        named(&self.report()["objectives"], name)
    }

    /// A check of the generator in a phase.
    #[track_caller]
    pub(crate) fn generator_check(&self, phase: &str, name: &str) -> Value {
        named(&self.phase(phase)["generator"]["checks"], name)
    }

    /// The log of requests, of a run with `--log-requests requests.jsonl`.
    pub(crate) fn log(&self) -> Vec<Logged> {
        let text = std::fs::read_to_string(self.folder.path().join("requests.jsonl"));
        let text = text.expect("the run was asked for a log");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is a JSON object")).collect()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("it exists")).expect("it is one JSON document")
}

/// The member of an array that has this name.
#[track_caller]
pub(crate) fn named(array: &Value, name: &str) -> Value {
    let found = array.as_array().into_iter().flatten().find(|value| value["name"] == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {array:#}")).clone()
}

/// A count of the report.
#[track_caller]
pub(crate) fn count(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count")) as usize
}

/// A number of the report.
#[track_caller]
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// How many requests of a phase failed in one way.
pub(crate) fn failed_as(phase: &Value, kind: &str) -> usize {
    let kinds = phase["errors_by_kind"].as_array().into_iter().flatten();
    kinds.filter(|error| error["kind"] == kind).map(|error| count(&error["count"])).sum()
}

/// The sums that hold in every report of tasks that are one request each.
#[track_caller]
pub(crate) fn assert_adds_up(phase: &Value) {
    assert_sums(phase);
    let arrivals = &phase["arrivals"];
    if !arrivals.is_null() {
        assert_eq!(count(&phase["requests"]), count(&arrivals["started"]), "{phase:#}");
    }
}

/// The sums that hold in every report.
#[track_caller]
pub(crate) fn assert_sums(phase: &Value) {
    let sum = |array: &str, key: &str| -> usize {
        phase[array].as_array().into_iter().flatten().map(|item| count(&item[key])).sum()
    };
    assert_eq!(count(&phase["requests"]), sum("operations", "requests"), "{phase:#}");
    assert_eq!(count(&phase["errors"]), sum("operations", "errors"), "{phase:#}");
    assert_eq!(count(&phase["errors"]), sum("errors_by_kind", "count"), "{phase:#}");
    assert_eq!(count(&phase["dropped"]), sum("operations", "dropped"), "{phase:#}");
    let arrivals = &phase["arrivals"];
    if !arrivals.is_null() {
        let [scheduled, started, dropped] =
            ["scheduled", "started", "dropped"].map(|key| count(&arrivals[key]));
        assert_eq!(scheduled, started + dropped, "{phase:#}");
        assert_eq!(count(&phase["dropped"]), dropped, "{phase:#}");
    }
}
