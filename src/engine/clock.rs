//! The clock of a phase: time as an offset from the phase's start.

use std::time::Duration;

use tokio::time::Instant;

/// Converts between instants and offsets from the start of a phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhaseClock {
    start: Instant,
}

impl PhaseClock {
    pub(super) fn starting_at(start: Instant) -> Self {
        Self { start }
    }

    /// The current offset; zero before the phase starts.
    pub(super) fn now(self) -> Duration {
        self.offset(Instant::now())
    }

    /// The time left until an offset, also before the phase starts; zero if the offset has passed.
    pub(super) fn until(self, offset: Duration) -> Duration {
        self.moment(offset).saturating_duration_since(Instant::now())
    }

    pub(super) fn moment(self, offset: Duration) -> Instant {
        self.start + offset
    }

    /// The offset of an instant; zero before the phase starts.
    pub(super) fn offset(self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }
}
