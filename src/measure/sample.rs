//! One request, as it went.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::model::OperationId;

/// One request. All stamps are offsets from the phase's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What objectives and reports call it.
    pub operation: OperationId,
    /// When the schedule wanted it.
    pub intended: Duration,
    /// When the first byte was handed to the socket, or the attempt to get that far ended.
    pub sent: Duration,
    /// When the last byte of the body was read, or the failure was known.
    pub finished: Duration,
    /// How long it waited for an idle user.
    pub user_wait: Duration,
    /// How long its network latency was; it is slept before anything else is done.
    pub latency: Duration,
    /// How long it waited for its connection, where one had to be made.
    pub connect: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// What it was made for.
    pub purpose: Purpose,
}

/// What a request is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A task: its success is throughput.
    Task,
    /// A user's start or stop: it is counted, but is no throughput.
    Session,
}

impl Sample {
    /// What a user waited, but for the network latency.
    pub fn response_time(&self) -> Duration {
        self.user_time().saturating_sub(self.latency)
    }

    /// What a user waited.
    pub fn user_time(&self) -> Duration {
        self.finished.saturating_sub(self.intended)
    }

    /// What the target took.
    pub fn service_time(&self) -> Duration {
        self.finished.saturating_sub(self.sent)
    }

    /// The part of the wait before sending that is the generator's own.
    pub fn send_lag(&self) -> Duration {
        let others = self.user_wait + self.latency + self.connect.unwrap_or_default();
        self.sent.saturating_sub(self.intended).saturating_sub(others)
    }
}

impl Outcome {
    /// Whether the target answered at all, be it with a refusal.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer that was expected.
    Succeeded,
    /// With one of a closed set of failures.
    Failed(ErrorKind),
}

macro_rules! error_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// Why a request failed: always exactly one of these, and always called by the same word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorKind { $($(#[doc = $doc])+ $name,)+ }

        impl ErrorKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word for it in journal, report and terminal.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

error_kinds! {
    /// The host's name could not be resolved.
    Dns = "dns",
    /// Nobody listens there.
    ConnectRefused = "connect refused",
    /// No connection within `connect_timeout`.
    ConnectTimeout = "connect timeout",
    /// The TLS handshake failed.
    Tls = "tls",
    /// The connection was reset.
    Reset = "reset",
    /// The connection ended before the answer did.
    Eof = "eof",
    /// No whole answer within `timeout`.
    Timeout = "timeout",
    /// The answer was not HTTP.
    Protocol = "protocol",
    /// The answer was larger than allowed.
    TooLarge = "too large",
    /// A redirect that is not followed.
    Blocked = "blocked",
    /// A status of 4xx that was not expected.
    Status4xx = "status 4xx",
    /// A status of 5xx that was not expected.
    Status5xx = "status 5xx",
    /// An answer that is not the expected one.
    Unexpected = "unexpected",
    /// No user was idle in time, so it was never sent.
    Dropped = "dropped",
    /// The run ended while it was under way.
    Cancelled = "cancelled",
    /// The generator's own machine could not: no descriptors, ports or buffers.
    Local = "local",
}
