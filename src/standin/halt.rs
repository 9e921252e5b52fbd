use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The wish to stop, heard by sleeping threads and by the serving loop alike.
#[derive(Debug, Default)]
pub(super) struct Halt {
    wished: Mutex<bool>,
    threads: Condvar,
    serving: Notify,
}

impl Halt {
    /// Wakes everything that waits here, now and from now on.
    pub(super) fn wish(&self) {
        *self.wished.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.threads.notify_all();
        self.serving.notify_one();
    }

    /// Waits without holding the thread.
    pub(super) async fn wished(&self) {
        self.serving.notified().await;
    }

    /// Holds the calling thread until then, or until the wish to stop; says whether to go on.
    pub(super) fn hold_until(&self, end: Instant) -> bool {
        let rest = end.saturating_duration_since(Instant::now());
        self.hold(rest)
    }

    /// Holds the calling thread for so long, or until the wish to stop; says whether to go on.
    pub(super) fn hold(&self, lasting: Duration) -> bool {
        let wished = self.wished.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.threads.wait_timeout_while(wished, lasting, |wished| !*wished);
        let (wished, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !*wished
    }
}
