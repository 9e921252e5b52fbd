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
    /// The part of `user_wait` that the generator's own lateness causes.
    pub(in crate::engine) our_wait: Duration,
    pub(in crate::engine) purpose: Purpose,
}

impl Intent {
    /// A task that did not have to wait for an idle user.
    pub(in crate::engine) fn task(stream_key: StreamKey, intended: Duration) -> Self {
        Self {
            stream_key,
            intended,
            user_wait: Duration::ZERO,
            our_wait: Duration::ZERO,
            purpose: Purpose::Task,
        }
    }

    /// The next request of the same sequence.
    pub(in crate::engine) fn next(self, intended: Duration) -> Self {
        Self { intended, user_wait: Duration::ZERO, our_wait: Duration::ZERO, ..self }
    }
}

/// The result of a sequence of requests.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Performed {
    pub(in crate::engine) finished: Duration,
    pub(in crate::engine) succeeded: bool,
    /// The sum of the send lags of all requests.
    pub(in crate::engine) lag: Duration,
    /// The sum of the generator's own parts of their response times.
    pub(in crate::engine) ours: Duration,
}

impl Performed {
    /// Adds what came before in the same sequence.
    pub(in crate::engine) fn after(self, before: Self) -> Self {
        Self { lag: before.lag + self.lag, ours: before.ours + self.ours, ..self }
    }
}
