use std::time::Duration;

use tokio::time::Instant;

/// Time as offsets from the start of a phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhaseClock {
    start: Instant,
}

impl PhaseClock {
    pub(super) fn starting_at(start: Instant) -> Self {
        Self { start }
    }

    /// The offset of now; before the start it is zero.
    pub(super) fn now(self) -> Duration {
        self.offset(Instant::now())
    }

    /// How long it takes until an offset, also before the start; zero where it has passed.
    pub(super) fn until(self, offset: Duration) -> Duration {
        self.moment(offset).saturating_duration_since(Instant::now())
    }

    /// The moment of an offset.
    pub(super) fn moment(self, offset: Duration) -> Instant {
        self.start + offset
    }

    /// The offset of a moment.
    pub(super) fn offset(self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }
}
