//! Terminal output: stdout carries data, stderr carries progress. A closed pipe does not stop a run, and a terminal that
//! is paused or a pipe that is not read does not delay it: a thread of its own writes to stderr.

use std::io::{IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

/// The most pieces of output that wait for a reader of stderr. Further ones are dropped, and counted.
const MAX_QUEUED: usize = 256;
/// How long the program waits for a reader of stderr before it goes on.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Something to draw on stderr, such as a line or a progress bar.
type Drawing = Box<dyn FnOnce() + Send>;

static STDERR: LazyLock<Stderr> = LazyLock::new(Stderr::start);

/// The thread that writes to stderr, and its queue.
struct Stderr {
    queue: SyncSender<Drawing>,
}

/// The number of pieces of output that were dropped and not yet reported.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Whether the last wait for a reader of stderr was in vain.
static IS_STALLED: AtomicBool = AtomicBool::new(false);

impl Stderr {
    fn start() -> Self {
        let (queue, drawings) = sync_channel(MAX_QUEUED);
        // Without the thread, everything is dropped.
        let _ = std::thread::Builder::new().name("stderr".into()).spawn(move || draw_all(&drawings));
        Self { queue }
    }
}

fn draw_all(drawings: &Receiver<Drawing>) {
    for draw in drawings {
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            write_stderr(&format!(
                "({dropped} lines are missing here: they came while output was not read)\n"
            ));
        }
        draw();
    }
}

fn write_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Draws on stderr, after all earlier output. Returns at once; what a stalled reader has no room for is dropped.
pub(super) fn draw(drawing: impl FnOnce() + Send + 'static) {
    if STDERR.queue.try_send(Box::new(drawing)).is_err() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until stderr has been written, for a short time if nobody reads it.
pub(super) fn settle() {
    let (done, is_done) = channel();
    let barrier = Box::new(move || {
        IS_STALLED.store(false, Ordering::Relaxed);
        let _ = done.send(());
    });
    let max_wait = if IS_STALLED.load(Ordering::Relaxed) { Duration::ZERO } else { MAX_WAIT };
    let is_settled = STDERR.queue.try_send(barrier).is_ok() && is_done.recv_timeout(max_wait).is_ok();
    if !is_settled {
        IS_STALLED.store(true, Ordering::Relaxed);
    }
}

/// Writes data and ignores failures: the report file and the exit code still carry the result.
pub(super) fn stdout(text: &str) {
    let _ = try_stdout(text);
}

/// Writes data like [`stdout`], until it is interrupted.
pub(super) async fn stdout_unless(text: String, interrupted: impl Future) {
    #[cfg(test)]
    if capture::stdout(&text) {
        return;
    }
    let (done, is_done) = tokio::sync::oneshot::channel();
    let writer = std::thread::Builder::new().name("stdout".into());
    let _ = writer.spawn(move || {
        stdout(&text);
        let _ = done.send(());
    });
    tokio::select! {
        _ = is_done => {}
        _ = interrupted => {}
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

/// Writes progress, notices and errors, and ignores failures. Returns at once.
pub(super) fn stderr(text: &str) {
    #[cfg(test)]
    if capture::stderr(text) {
        return;
    }
    let text = text.to_owned();
    draw(move || write_stderr(&text));
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
