//! Requests that a user makes one after another: what is wanted of them, and what came of them.

use std::time::Duration;

use crate::measure::sample::Purpose;
use crate::plan::random::StreamKey;

/// When requests are wanted, and for what.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Intent {
    pub(in crate::engine) stream_key: StreamKey,
    pub(in crate::engine) intended: Duration,
    pub(in crate::engine) user_wait: Duration,
    pub(in crate::engine) purpose: Purpose,
}

impl Intent {
    /// A task that no user was late for.
    pub(in crate::engine) fn task(stream_key: StreamKey, intended: Duration) -> Self {
        Self { stream_key, intended, user_wait: Duration::ZERO, purpose: Purpose::Task }
    }
}

/// What came of requests.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Performed {
    pub(in crate::engine) finished: Duration,
    pub(in crate::engine) succeeded: bool,
    /// The send lag of all of them.
    pub(in crate::engine) lag: Duration,
}
