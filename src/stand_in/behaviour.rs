//! The scripted behaviour of the stand-in: delays, faults and freezes.

use std::time::Duration;

/// The delays and faults of the stand-in. Shares are clamped to 0 to 1.
///
/// Randomness follows the seed: the same requests in the same order get the same faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) error_share: f64,
    pub(super) stall: Option<Stall>,
    pub(super) slow_start: Duration,
    pub(super) index_absent: Duration,
    pub(super) blocking_health: Duration,
    pub(super) sync_lasting: Duration,
    pub(super) leak: usize,
    pub(super) burn_cpu: f64,
    pub(super) close_share: f64,
    pub(super) real_times: bool,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) failing_syncs: f64,
    pub(super) exit_after_syncs: Option<u64>,
    pub(super) seed: u64,
}

/// A freeze of `lasting` once in every `every`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stall {
    pub(super) every: Duration,
    pub(super) lasting: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            error_share: 0.0,
            stall: None,
            slow_start: Duration::ZERO,
            index_absent: Duration::ZERO,
            blocking_health: Duration::ZERO,
            sync_lasting: Duration::from_secs(2),
            leak: 0,
            burn_cpu: 0.0,
            close_share: 0.0,
            real_times: false,
            idle_timeout: None,
            failing_syncs: 0.0,
            exit_after_syncs: None,
            seed: 1,
        }
    }
}

impl Behaviour {
    /// Responds as fast as it can, without a fault.
    pub fn steady() -> Self {
        Self::default()
    }

    /// Delays every response except those to unknown paths. Timers tick in milliseconds and round up.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Adds a random time to the delay, uniform from zero to this.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Responds with a 500 to this share of requests.
    pub fn error_share(self, share: f64) -> Self {
        Self { error_share: share.clamp(0.0, 1.0), ..self }
    }

    /// Freezes the whole service for `lasting` once in every `every`, for the first time one `every` after its start.
    ///
    /// A freeze as long as its period never ends. With a length or a period of zero there is no freeze.
    pub fn stall(self, every: Duration, lasting: Duration) -> Self {
        let none = every.is_zero() || lasting.is_zero();
        Self { stall: (!none).then_some(Stall { every, lasting }), ..self }
    }

    /// Listens, but responds with a 503 to every request for this long after its start.
    pub fn slow_start(self, lasting: Duration) -> Self {
        Self { slow_start: lasting, ..self }
    }

    /// Has no index for this long after its start: searches get a 503.
    pub fn index_absent(self, lasting: Duration) -> Self {
        Self { index_absent: lasting, ..self }
    }

    /// `GET /health/detailed` blocks the whole service for this long: every other request waits.
    pub fn blocking_health(self, lasting: Duration) -> Self {
        Self { blocking_health: lasting, ..self }
    }

    /// How long a manual sync runs in the background, 2 s by default. Searches take twice as long during a sync.
    ///
    /// A request for a sync during a sync does not start a second one.
    pub fn sync_lasting(self, lasting: Duration) -> Self {
        Self { sync_lasting: lasting, ..self }
    }

    /// Keeps this many bytes per request until the stand-in stops. Their pages are touched, so they are resident.
    pub fn leak(self, bytes: usize) -> Self {
        Self { leak: bytes, ..self }
    }

    /// Burns this share of one core, on a thread of its own.
    pub fn burn_cpu(self, share: f64) -> Self {
        Self { burn_cpu: share.clamp(0.0, 1.0), ..self }
    }

    /// Sends `Connection: close` with this share of responses.
    pub fn close_share(self, share: f64) -> Self {
        Self { close_share: share.clamp(0.0, 1.0), ..self }
    }

    /// Each request holds the whole service for as long as in the real one. Whatever clients asked for is done, also if they
    /// have left.
    pub fn real_times(self, real_times: bool) -> Self {
        Self { real_times, ..self }
    }

    /// Closes connections that carry no request for this long.
    pub fn idle_timeout(self, idle_timeout: Option<Duration>) -> Self {
        Self { idle_timeout, ..self }
    }

    /// This share of the manual syncs fails in the background. Their requests are answered with 200 all the same.
    pub fn failing_syncs(self, share: f64) -> Self {
        Self { failing_syncs: share.clamp(0.0, 1.0), ..self }
    }

    /// The process exits when this many manual syncs have begun.
    pub fn exit_after_syncs(self, syncs: Option<u64>) -> Self {
        Self { exit_after_syncs: syncs, ..self }
    }

    /// The seed of the cases and of all random faults.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}
