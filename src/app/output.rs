//! stdout is data, stderr is talk. A reader that went away must not stop a run.

use std::io::{IsTerminal, Write};

/// Writes data. What cannot be written is given up: files and exit code still tell.
pub(super) fn stdout(text: &str) {
    let _ = try_stdout(text);
}

/// Writes data for which it matters whether it could be written.
pub(super) fn try_stdout(text: &str) -> std::io::Result<()> {
    #[cfg(test)]
    if capture::stdout(text) {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes talk.
pub(super) fn stderr(text: &str) {
    #[cfg(test)]
    if capture::stderr(text) {
        return;
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether talk may be coloured and moving.
pub(super) fn stderr_is_interactive() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !no_colour && !dumb
}

/// Keeps what a test's thread writes, so that it can be looked at.
#[cfg(test)]
pub(super) mod capture {
    use std::cell::RefCell;

    /// What was written.
    #[derive(Default)]
    pub(in crate::app) struct Written {
        pub(in crate::app) stdout: String,
        pub(in crate::app) stderr: String,
    }

    thread_local! {
        static DISK_BYTES_WRITTEN: RefCell<Option<Written>> = const { RefCell::new(None) };
    }

    /// Does something, and returns with its result what it wrote.
    pub(in crate::app) fn while_doing<T>(work: impl FnOnce() -> T) -> (T, Written) {
        DISK_BYTES_WRITTEN.set(Some(Written::default()));
        let done = work();
        (done, DISK_BYTES_WRITTEN.take().unwrap_or_default())
    }

    pub(super) fn stdout(text: &str) -> bool {
        keep(|written| written.stdout.push_str(text))
    }

    pub(super) fn stderr(text: &str) -> bool {
        keep(|written| written.stderr.push_str(text))
    }

    /// Whether anything is kept.
    fn keep(add: impl FnOnce(&mut Written)) -> bool {
        DISK_BYTES_WRITTEN.with_borrow_mut(|written| written.as_mut().map(add).is_some())
    }
}
