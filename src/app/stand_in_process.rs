//! `--stand-in`: the built-in target as a process of its own, so that its work is not the generator's.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context;

use crate::plan::model::{HttpVersion, Target, TargetUrl};

/// A running stand-in; it ends with this value, or with this process.
pub(in crate::app) struct StandInProcess {
    child: Child,
    /// Its standard input: it exits when this is closed, however this process ends.
    _lifeline: Option<ChildStdin>,
    port: u16,
}

impl StandInProcess {
    /// Starts it on a free port and waits until it listens.
    pub(in crate::app) fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("could not find this program's own file")?;
        let mut child = Command::new(program)
            .args(["stand-in", "--port", "0", "--with-parent"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C in the terminal is for the run, which still drains.
            .process_group(0)
            .spawn()
            .context("could not start the stand-in")?;
        let lifeline = child.stdin.take();
        let stdout = child.stdout.take().context("the stand-in has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("could not hear from the stand-in")?;
        let port = line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port =
            port.with_context(|| format!("the stand-in did not say where it listens but `{}`", line.trim()))?;
        Ok(Self { child, _lifeline: lifeline, port })
    }

    /// Its number.
    pub(in crate::app) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Points a plan's target at it, which speaks HTTP/1.1 without TLS.
    ///
    /// Returns what of the plan is not tried with it.
    pub(in crate::app) fn replace_target(&self, target: &mut Target) -> Option<String> {
        let untried = target.http == HttpVersion::Two || target.tls.is_some();
        target.url = TargetUrl::loopback(self.port);
        target.tls = None;
        target.http = HttpVersion::One;
        untried.then(|| {
            "the stand-in speaks HTTP/1.1 without TLS: what the plan says of `http` and `tls` is not tried".to_owned()
        })
    }
}

impl Drop for StandInProcess {
    fn drop(&mut self) {
        // It may be gone already, and there is nothing left to do about it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
