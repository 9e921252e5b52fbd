//! Terminal output: stdout carries data, stderr carries progress. A closed pipe does not stop a run.

use std::io::{IsTerminal, Write};

/// Writes data and ignores failures: the report file and the exit code still carry the result.
pub(super) fn stdout(text: &str) {
    let _ = try_stdout(text);
}

/// Writes data and flushes it.
///
/// # Errors
/// When standard output cannot be written, such as a closed pipe or a full disk.
pub(super) fn try_stdout(text: &str) -> std::io::Result<()> {
    #[cfg(test)]
    if capture::stdout(text) {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes progress, notices and errors, and ignores failures.
pub(super) fn stderr(text: &str) {
    #[cfg(test)]
    if capture::stderr(text) {
        return;
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether stderr may have colours and a progress bar: a capable terminal, and no `NO_COLOR`.
pub(super) fn stderr_is_interactive() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !no_colour && !dumb
}

/// Captures the output of a test's thread instead of printing it.
#[cfg(test)]
pub(super) mod capture {
    use std::cell::RefCell;

    /// Captured output.
    #[derive(Default)]
    pub(in crate::app) struct Written {
        pub(in crate::app) stdout: String,
        pub(in crate::app) stderr: String,
    }

    thread_local! {
        static CAPTURED: RefCell<Option<Written>> = const { RefCell::new(None) };
    }

    /// Runs a closure and returns its result and its output.
    pub(in crate::app) fn while_doing<T>(work: impl FnOnce() -> T) -> (T, Written) {
        CAPTURED.set(Some(Written::default()));
        let done = work();
        (done, CAPTURED.take().unwrap_or_default())
    }

    pub(super) fn stdout(text: &str) -> bool {
        keep(|written| written.stdout.push_str(text))
    }

    pub(super) fn stderr(text: &str) -> bool {
        keep(|written| written.stderr.push_str(text))
    }

    /// Appends to the captured output; `false` if this thread does not capture.
    fn keep(add: impl FnOnce(&mut Written)) -> bool {
        CAPTURED.with_borrow_mut(|written| written.as_mut().map(add).is_some())
    }
}
