//! The real binary as a child process, with its own plan in its own folder.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use runner_test_support::ran::Ran;
use runner_test_support::setup::Setup;
use runner_test_support::target::Target;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A run without output for longer than this is killed.
const BOUND: Duration = Duration::from_secs(90);
/// The commands that take the plan as their argument.
const COMMANDS: [&str; 2] = ["check", "try"];

/// A command line to run.
pub(crate) struct Runner {
    setup: Setup,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// A running child process.
pub(crate) struct Running {
    folder: TempDir,
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    heard: String,
    began: Instant,
}

impl Runner {
    /// A plan of these phases, users and lists, in TOML. Without objectives the gate has the tier `none`.
    pub(crate) fn plan(plan: &str) -> Self {
        Self { setup: Setup::new(plan), arguments: Vec::new(), variables: Vec::new() }
    }

    /// Sets the plan's `target.url` to that of a target.
    pub(crate) fn against(self, target: &Target) -> Self {
        self.at(&target.url())
    }

    /// Sets the plan's `target.url`.
    pub(crate) fn at(self, url: &str) -> Self {
        Self { setup: self.setup.at(url), ..self }
    }

    /// Sets further keys of the plan's `[target]`.
    pub(crate) fn target(self, keys: &str) -> Self {
        Self { setup: self.setup.target(keys), ..self }
    }

    /// Sets the content of the threshold file.
    pub(crate) fn objectives(self, objectives: &str) -> Self {
        Self { setup: self.setup.objectives(objectives), ..self }
    }

    /// Sets the plan's `thresholds`, if it is more than the threshold file alone.
    pub(crate) fn thresholds(self, entries: &str) -> Self {
        Self { setup: self.setup.thresholds(entries), ..self }
    }

    /// Adds a file, with its path below the folder, such as `plans/rows.csv`.
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { setup: self.setup.file(name, bytes), ..self }
    }

    /// The folder of plan, thresholds and files.
    pub(crate) fn folder(&self) -> &Path {
        self.setup.folder()
    }

    /// Adds arguments, separated by spaces.
    pub(crate) fn with(mut self, arguments: &str) -> Self {
        self.arguments.extend(arguments.split_whitespace().map(str::to_owned));
        self
    }

    /// Adds an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs `runner PLAN` to its end.
    pub(crate) fn run(self) -> Ran {
        self.start().end()
    }

    /// Runs `runner check PLAN` to its end.
    pub(crate) fn check(self) -> Ran {
        self.command("check")
    }

    /// Runs `runner try PLAN` to its end.
    pub(crate) fn attempt(self) -> Ran {
        self.command("try")
    }

    fn command(mut self, name: &str) -> Ran {
        self.arguments.insert(0, name.to_owned());
        self.run()
    }

    /// Starts the process.
    pub(crate) fn start(self) -> Running {
        let (folder, mut child) = self.spawn(Stdio::piped(), Stdio::piped());
        let stdout = lines(child.stdout.take().expect("it is piped"));
        let stderr = lines(child.stderr.take().expect("it is piped"));
        Running { folder, child, stdout, stderr, heard: String::new(), began: Instant::now() }
    }

    /// Starts the process with this output; returns its folder too.
    pub(crate) fn spawn(self, stdout: Stdio, stderr: Stdio) -> (TempDir, Child) {
        let Self { setup, mut arguments, variables } = self;
        let (folder, _) = setup.write();
        let at = usize::from(arguments.first().is_some_and(|first| COMMANDS.contains(&first.as_str())));
        arguments.insert(at, "plans/p.toml".to_owned());
        let child = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(arguments)
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITLAB_CI")
            .env_remove("TF_BUILD")
            .envs(variables)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the binary was built for this test");
        (folder, child)
    }
}

/// The output of another command.
pub(crate) struct Rerun {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command in the folder of a run that has ended. Arguments are separated by spaces.
pub(crate) fn rerun(run: &Ran, arguments: &str) -> Rerun {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
    command.args(arguments.split_whitespace()).current_dir(run.folder.path());
    let output = command.output().expect("the binary was built for this test");
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
    let code = output.status.code().expect("the command ends on its own");
    Rerun { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The output of a process, line by line.
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
    /// Waits for a line of stderr that contains this text; returns the line.
    pub(crate) fn hear(&mut self, what: &str) -> String {
        loop {
            let Ok(line) = self.stderr.recv_timeout(BOUND) else { self.give_up() };
            self.heard.push_str(&line);
            if line.contains(what) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it has not been waited for");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the end of the process.
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
        let Self { folder, stderr, mut heard, began, .. } = self;
        while let Ok(line) = stderr.recv_timeout(BOUND) {
            heard.push_str(&line);
        }
        Ran { folder, code: status.code().unwrap_or(-1), stdout, stderr: heard, took: began.elapsed() }
    }

    /// Reads the available lines of stderr; without any, the run hangs and is killed.
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
