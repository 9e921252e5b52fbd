//! The shutdown signal of the stand-in, for its threads and its serving loop.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The request to stop, which wakes both sleeping threads and the serving loop.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    stop_requested: Mutex<bool>,
    threads: Condvar,
    serving: Notify,
    exit: Notify,
}

impl Shutdown {
    /// Requests the stop. It wakes everything that waits here, now and from now on.
    pub(super) fn request_stop(&self) {
        *self.stop_requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.threads.notify_all();
        self.serving.notify_one();
    }

    /// Requests that the process exits, as in a crash.
    pub(super) fn request_exit(&self) {
        self.exit.notify_one();
    }

    /// Waits for the request to exit.
    pub(super) async fn exit_requested(&self) {
        self.exit.notified().await;
    }

    /// Waits for the request without blocking the thread.
    pub(super) async fn stop_requested(&self) {
        self.serving.notified().await;
    }

    /// Blocks the calling thread until `end` or the request to stop. Returns whether to go on.
    pub(super) fn hold_until(&self, end: Instant) -> bool {
        let rest = end.saturating_duration_since(Instant::now());
        self.hold(rest)
    }

    /// Blocks the calling thread for `lasting` or until the request to stop. Returns whether to go on.
    pub(super) fn hold(&self, lasting: Duration) -> bool {
        let stop_requested = self.stop_requested.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.threads.wait_timeout_while(stop_requested, lasting, |stop_requested| !*stop_requested);
        let (stop_requested, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !*stop_requested
    }
}
