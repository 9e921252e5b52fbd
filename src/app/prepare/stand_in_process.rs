//! `--stand-in`: the built-in target in a separate process, so that its CPU time is not the load generator's.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context;

use crate::event::StandInAddress;

/// A running stand-in process. It exits when this value is dropped or this process ends.
pub(super) struct StandInProcess {
    child: Child,
    /// The write end of its standard input. The kernel closes it however this process ends, and the stand-in then exits.
    _lifeline: Option<ChildStdin>,
    port: u16,
}

impl StandInProcess {
    /// Starts the stand-in on a free port and waits until it listens.
    pub(super) fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe()
            .context("could not find this executable (use `runner stand-in` and `--target` instead)")?;
        let mut child = Command::new(program)
            .args(["stand-in", "--port", "0", "--with-parent"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C must reach only the run: its requests in flight still need the stand-in to drain.
            .process_group(0)
            .spawn()
            .context("could not start the stand-in (use `runner stand-in` and `--target` instead)")?;
        let lifeline = child.stdin.take();
        let stdout = child
            .stdout
            .take()
            .context("the stand-in's output is not a pipe; please report this as a bug")?;
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("could not read the stand-in's address (run `runner stand-in` to see why)")?;
        let port = line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.with_context(|| {
            format!("the stand-in printed `{}`, no address; run `runner stand-in` to see why", line.trim())
        })?;
        Ok(Self { child, _lifeline: lifeline, port })
    }

    pub(super) fn address(&self) -> StandInAddress {
        StandInAddress { pid: self.child.id(), port: self.port }
    }
}

impl Drop for StandInProcess {
    fn drop(&mut self) {
        // Errors are ignored: the process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
