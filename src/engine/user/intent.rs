//! The intent of a sequence of requests of one user, and its result.

use std::time::Duration;

use crate::measure::sample::Purpose;
use crate::plan::random::StreamKey;

/// When a sequence of requests is intended, and its purpose.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Intent {
    pub(in crate::engine) stream_key: StreamKey,
    pub(in crate::engine) intended: Duration,
    pub(in crate::engine) user_wait: Duration,
    pub(in crate::engine) purpose: Purpose,
}

impl Intent {
    /// A task that did not have to wait for an idle user.
    pub(in crate::engine) fn task(stream_key: StreamKey, intended: Duration) -> Self {
        Self { stream_key, intended, user_wait: Duration::ZERO, purpose: Purpose::Task }
    }
}

/// The result of a sequence of requests.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Performed {
    pub(in crate::engine) finished: Duration,
    pub(in crate::engine) succeeded: bool,
    /// The sum of the send lags of all requests.
    pub(in crate::engine) lag: Duration,
}
