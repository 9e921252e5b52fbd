//! Terminal output: stdout carries data, stderr carries progress. A closed pipe does not stop a run, and a terminal that
//! is paused or a pipe that is not read does not delay it: a thread of its own writes to stderr.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use crate::report::neutral::neutral;

/// The most bytes of output that wait for a reader of stderr. Further output is left out.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// How many bytes a drawing counts for.
const DRAWING_BYTES: usize = 256;
/// How long the program waits for a reader of stderr who reads nothing.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The name of the thread that writes to stderr.
const WRITER: &str = "stderr";

/// Something to write to stderr.
enum Output {
    Text(String),
    /// A change of the progress bar.
    Drawing(Box<dyn FnOnce() + Send>),
}

impl Output {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Drawing(_) => DRAWING_BYTES,
        }
    }
}

/// The output that waits for the thread that writes to stderr.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Output>,
    bytes: usize,
    /// The number of texts that were left out and not yet reported.
    left_out: u64,
    /// Whether the thread is writing.
    is_writing: bool,
    /// The number of pieces written so far.
    written: u64,
    /// The number of pieces written when the last wait for the reader was in vain.
    stalled_at: Option<u64>,
}

struct Stderr {
    queue: Mutex<Queue>,
    changed: Condvar,
}

static STDERR: LazyLock<Stderr> = LazyLock::new(|| {
    // Without the thread, nothing is written.
    let _ = std::thread::Builder::new().name(WRITER.to_owned()).spawn(write_all);
    Stderr { queue: Mutex::default(), changed: Condvar::new() }
});

impl Stderr {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Queue {
    /// Once a text has been left out, all others are until the queue is empty, so that their place can be shown.
    fn push(&mut self, output: Output) {
        let is_full = self.bytes > 0 && self.bytes + output.bytes() > MAX_QUEUED_BYTES;
        if is_full || self.left_out > 0 {
            self.left_out += u64::from(matches!(output, Output::Text(_)));
            return;
        }
        self.bytes += output.bytes();
        self.waiting.push_back(output);
    }

    /// The next output to write; after the last one, the number of texts that were left out.
    fn pop(&mut self) -> Option<Output> {
        if let Some(output) = self.waiting.pop_front() {
            self.bytes -= output.bytes();
            return Some(output);
        }
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| {
            Output::Text(format!("({left_out} messages are left out here, because output was not read)\n"))
        })
    }
}

/// Writes the queued output, without end.
fn write_all() {
    let stderr = &*STDERR;
    let mut queue = stderr.lock();
    loop {
        let Some(output) = queue.pop() else {
            queue.is_writing = false;
            stderr.changed.notify_all();
            queue = stderr.changed.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
            continue;
        };
        queue.is_writing = true;
        drop(queue);
        match output {
            Output::Text(text) => write_stderr(&text),
            Output::Drawing(draw) => draw(),
        }
        queue = stderr.lock();
        queue.written += 1;
        stderr.changed.notify_all();
    }
}

fn write_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn queue(output: Output) {
    STDERR.lock().push(output);
    STDERR.changed.notify_all();
}

/// Changes the progress bar on stderr, after all earlier output. Returns at once.
pub(super) fn draw(drawing: impl FnOnce() + Send + 'static) {
    queue(Output::Drawing(Box::new(drawing)));
}

/// Waits until stderr has been written, or until a reader has read nothing for a short time.
pub(super) fn settle() {
    let stderr = &*STDERR;
    let mut queue = stderr.lock();
    while !queue.waiting.is_empty() || queue.left_out > 0 || queue.is_writing {
        let written = queue.written;
        if queue.stalled_at == Some(written) {
            return;
        }
        let waited = stderr.changed.wait_timeout(queue, MAX_WAIT);
        let (locked, waited) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        queue = locked;
        if waited.timed_out() && queue.written == written {
            queue.stalled_at = Some(written);
        }
    }
}

/// Writes the message of a panic. The thread that writes to stderr may be the one that panics.
pub(super) fn stderr_of_panic(text: &str) {
    if std::thread::current().name() != Some(WRITER) {
        settle();
    }
    write_stderr(text);
}

/// Writes data and ignores failures: the report file and the exit code still carry the result.
pub(super) fn stdout(text: &str) {
    let _ = try_stdout(text);
}

/// Writes text for people to standard output, harmless for terminals and the logs of CI systems.
pub(super) fn print(text: &str) {
    stdout(&neutral(text));
}

/// Writes data like [`try_stdout`], until it is interrupted.
///
/// # Errors
/// When standard output cannot be written. An interrupt is no error.
pub(super) async fn stdout_unless(text: String, interrupted: impl Future) -> std::io::Result<()> {
    #[cfg(test)]
    if capture::stdout(&text) {
        return Ok(());
    }
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let text = std::sync::Arc::new(text);
    let writer = std::thread::Builder::new().name("stdout".into());
    let written = std::sync::Arc::clone(&text);
    let spawned = writer.spawn(move || drop(done.send(try_stdout(&written))));
    if spawned.is_err() {
        return try_stdout(&text);
    }
    tokio::select! {
        written = &mut is_done => written.unwrap_or(Ok(())),
        // A reader that reads at all gets the whole report.
        _ = interrupted => match tokio::time::timeout(MAX_WAIT, is_done).await {
            Ok(Ok(written)) => written,
            _ => Ok(()),
        },
    }
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
    settle();
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes progress, notices and errors, harmless for terminals and the logs of CI systems, and ignores failures. Returns at
/// once.
pub(super) fn stderr(text: &str) {
    stderr_raw(&neutral(text));
}

/// Writes the same as it is: with colours, or with commands for a CI system.
pub(super) fn stderr_raw(text: &str) {
    #[cfg(test)]
    if capture::stderr(text) {
        return;
    }
    queue(Output::Text(text.to_owned()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_says_where_and_how_much_it_left_out() {
        let mut queue = Queue::default();
        let push = |queue: &mut Queue, text: &str| queue.push(Output::Text(text.to_owned()));
        let line = "x".repeat(MAX_QUEUED_BYTES / 4);
        (0..6).for_each(|_| push(&mut queue, &line));
        let next = |queue: &mut Queue| match queue.pop() {
            Some(Output::Text(text)) => text,
            _ => String::new(),
        };
        assert_eq!(next(&mut queue), line);
        // It would fit, but it comes after those that are left out.
        push(&mut queue, "y");
        let rest: Vec<String> = (0..5).map(|_| next(&mut queue)).collect();
        let left_out = "(3 messages are left out here, because output was not read)\n";
        assert_eq!(rest, [&line, &line, &line, left_out, ""]);
        // A single text may be larger than the queue.
        push(&mut queue, &line.repeat(5));
        push(&mut queue, "z");
        assert_eq!(
            (next(&mut queue).len(), next(&mut queue).as_str()),
            (5 * line.len(), left_out.replace('3', "1").as_str())
        );
    }
}
