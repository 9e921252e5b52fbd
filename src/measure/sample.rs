//! The sample: one request with its timestamps and its outcome.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::model::OperationId;
use crate::units::text_enum;

/// One request. All times are offsets from the start of the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The operation that objectives and reports count it by.
    pub operation: OperationId,
    /// The number of the user.
    pub user: u32,
    /// The intended start.
    pub intended: Duration,
    /// When the first byte was handed to the socket, or when an earlier attempt failed.
    pub sent: Duration,
    /// When the last byte of the body had arrived, or the failure was detected.
    pub finished: Duration,
    /// The clock by which the arrival of the last bytes is known; `None` if none arrived.
    pub arrival_clock: Option<ArrivalClock>,
    /// The wait for an idle user.
    pub user_wait: Duration,
    /// The generator's own part of the response time: what it would have been faster by, at most, on a machine that is
    /// never late.
    pub ours: Duration,
    /// Whether it was sent with many others that a stall of the generator had held back, so that the target may have
    /// been slow or failed because of them.
    pub is_in_wake: bool,
    /// The simulated network latency. The user sleeps for this time before anything else.
    pub latency: Duration,
    /// The wait for its connection, if a new one was made.
    pub connect: Option<Duration>,
    pub outcome: Outcome,
    /// The HTTP status of the response, if there was one.
    pub status: Option<u16>,
    /// Bytes of the response body.
    pub bytes: u64,
    pub purpose: Purpose,
}

/// The clock by which the arrival of bytes is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArrivalClock {
    /// The kernel's receive stamp.
    Kernel,
    /// The program's own clock at the read: the kernel gave no stamp.
    Own,
    /// The same: the kernel's stamp cannot be right.
    OwnForBadStamp,
}

/// The reason for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// A task: its success is throughput.
    Task,
    /// A user's `on_start` or `on_stop`: it is counted, but is no throughput.
    Session,
}

impl Sample {
    /// The response time: from the intended start to the end, without the network latency.
    pub fn response_time(&self) -> Duration {
        self.user_time().saturating_sub(self.latency)
    }

    /// The user's own time: from the intended start to the end, with the network latency.
    pub fn user_time(&self) -> Duration {
        self.finished.saturating_sub(self.intended)
    }

    /// The service time: from the first byte sent to the end.
    pub fn service_time(&self) -> Duration {
        self.finished.saturating_sub(self.sent)
    }

    /// The part of the delay before sending that the generator causes.
    pub fn send_lag(&self) -> Duration {
        let others = self.user_wait + self.latency + self.connect.unwrap_or_default();
        self.sent.saturating_sub(self.intended).saturating_sub(others)
    }
}

#[cfg(test)]
impl Sample {
    /// A task of one request that succeeded, sent as intended, all of it at these offsets in milliseconds.
    pub(super) const fn succeeded(operation: OperationId, intended: u64, finished: u64) -> Self {
        let sent = Duration::from_millis(intended);
        Self {
            operation,
            user: 0,
            intended: sent,
            sent,
            finished: Duration::from_millis(finished),
            arrival_clock: Some(ArrivalClock::Kernel),
            user_wait: Duration::ZERO,
            ours: Duration::ZERO,
            is_in_wake: false,
            latency: Duration::ZERO,
            connect: None,
            outcome: Outcome::Succeeded,
            status: Some(200),
            bytes: 0,
            purpose: Purpose::Task,
        }
    }
}

impl Outcome {
    /// Whether the target sent a response, even a refusal.
    pub fn is_answer(self) -> bool {
        use ErrorKind::{Blocked, Status4xx, Status5xx, TooLarge, Unexpected};
        match self {
            Self::Succeeded => true,
            Self::Failed(kind) => {
                matches!(kind, Blocked | Status4xx | Status5xx | TooLarge | Unexpected)
            }
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// With an expected response.
    Succeeded,
    /// With one of a fixed set of failures.
    Failed(ErrorKind),
}

text_enum! {
    /// The kind of a failure. A failed request has exactly one kind.
    pub enum ErrorKind {
        /// The host's name could not be resolved.
        Dns = "dns",
        /// No process listens at the address.
        ConnectRefused = "connect refused",
        /// No connection within `connect_timeout`.
        ConnectTimeout = "connect timeout",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The connection was reset.
        Reset = "reset",
        /// The connection ended before the response did.
        Eof = "eof",
        /// No complete response within `timeout`.
        Timeout = "timeout",
        /// The response was not HTTP.
        Protocol = "protocol",
        /// The response was larger than allowed.
        TooLarge = "too large",
        /// A redirect that is not followed.
        Blocked = "blocked",
        /// An unexpected status of 4xx.
        Status4xx = "status 4xx",
        /// An unexpected status of 5xx.
        Status5xx = "status 5xx",
        /// A response that does not match the plan's expectation.
        Unexpected = "unexpected",
        /// No user was idle in time, so the request was never sent.
        Dropped = "dropped",
        /// The drain of a stopped run ended while the request was in flight. It is no error of the target, and is counted
        /// apart from failures.
        Cancelled = "cancelled",
        /// The generator's own machine lacked descriptors, ports or buffers.
        Local = "local",
    }
}
