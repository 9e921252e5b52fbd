use std::time::Duration;

/// What the stand-in does beside answering; shares are from 0 to 1 and are held to that.
///
/// Chance follows the seed: the same requests in the same order meet the same fate.
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
            seed: 1,
        }
    }
}

impl Behaviour {
    /// Answers as fast as it can, without a fault.
    pub fn steady() -> Self {
        Self::default()
    }

    /// Added to every answer but those to unknown paths; timers tick in milliseconds and round up.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Uniform from nothing to this, on top of the delay.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// That share of answers is a 500.
    pub fn error_share(self, share: f64) -> Self {
        Self { error_share: share.clamp(0.0, 1.0), ..self }
    }

    /// The whole service freezes for `lasting` once in every `every`, first one `every` after its start.
    ///
    /// A freeze as long as its period never thaws. One of no length, or no period, is none.
    pub fn stall(self, every: Duration, lasting: Duration) -> Self {
        let none = every.is_zero() || lasting.is_zero();
        Self { stall: (!none).then_some(Stall { every, lasting }), ..self }
    }

    /// It listens, and answers 503 to everything for that long after its start.
    pub fn slow_start(self, lasting: Duration) -> Self {
        Self { slow_start: lasting, ..self }
    }

    /// There is no index for that long after the start: searches are answered with 503.
    pub fn index_absent(self, lasting: Duration) -> Self {
        Self { index_absent: lasting, ..self }
    }

    /// `GET /health/detailed` blocks the whole process for that long, every other request waits.
    pub fn blocking_health(self, lasting: Duration) -> Self {
        Self { blocking_health: lasting, ..self }
    }

    /// How long a manual sync runs in the background, 2 s by default; searches meanwhile take twice as long.
    ///
    /// Asking again meanwhile starts no second one.
    pub fn sync_lasting(self, lasting: Duration) -> Self {
        Self { sync_lasting: lasting, ..self }
    }

    /// Bytes kept per request until the stand-in stops; their pages are touched.
    pub fn leak(self, bytes: usize) -> Self {
        Self { leak: bytes, ..self }
    }

    /// A thread burns that share of one core.
    pub fn burn_cpu(self, share: f64) -> Self {
        Self { burn_cpu: share.clamp(0.0, 1.0), ..self }
    }

    /// That share of answers carries `Connection: close`.
    pub fn close_share(self, share: f64) -> Self {
        Self { close_share: share.clamp(0.0, 1.0), ..self }
    }

    /// What the cases and all chance are made of.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}
