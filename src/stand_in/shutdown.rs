use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The wish to stop, heard by sleeping threads and by the serving loop alike.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    stop_requested: Mutex<bool>,
    threads: Condvar,
    serving: Notify,
}

impl Shutdown {
    /// Wakes everything that waits here, now and from now on.
    pub(super) fn request_stop(&self) {
        *self.stop_requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.threads.notify_all();
        self.serving.notify_one();
    }

    /// Waits without holding the thread.
    pub(super) async fn stop_requested(&self) {
        self.serving.notified().await;
    }

    /// Holds the calling thread until then, or until the wish to stop; says whether to go on.
    pub(super) fn hold_until(&self, end: Instant) -> bool {
        let rest = end.saturating_duration_since(Instant::now());
        self.hold(rest)
    }

    /// Holds the calling thread for so long, or until the wish to stop; says whether to go on.
    pub(super) fn hold(&self, lasting: Duration) -> bool {
        let stop_requested = self.stop_requested.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            self.threads.wait_timeout_while(stop_requested, lasting, |stop_requested| !*stop_requested);
        let (stop_requested, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !*stop_requested
    }
}
