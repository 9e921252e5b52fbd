//! stdout is data, stderr is talk. A reader that went away must not stop a run.

use std::io::{IsTerminal, Write};

/// Writes data. What cannot be written is given up: files and exit code still tell.
pub(super) fn stdout(text: &str) {
    let _ = data(text);
}

/// Writes data for which it matters whether it could be written.
pub(super) fn data(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes talk.
pub(super) fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether talk may be coloured and moving.
pub(super) fn stderr_is_lively() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !no_colour && !dumb
}
