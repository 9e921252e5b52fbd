use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// By how much the timer may be late: it rounds up to a millisecond, and so does the system's call that it waits in.
const LATE: Duration = Duration::from_millis(2);

/// Time as offsets from the start of a phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn starting_at(start: Instant) -> Self {
        Self { start }
    }

    /// The offset of now; before the start it is zero.
    pub(super) fn now(self) -> Duration {
        self.offset(Instant::now())
    }

    /// The moment of an offset.
    pub(super) fn moment(self, offset: Duration) -> Instant {
        self.start + offset
    }

    /// The offset of a moment.
    pub(super) fn offset(self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// Returns at an offset to a few microseconds, or at once where it has passed: the last two milliseconds, by which the
    /// timer may be late, are spent looking at the clock, and the thread's other users go on meanwhile.
    pub(super) async fn reach_precisely(self, offset: Duration) {
        self.reach(offset.saturating_sub(LATE)).await;
        while self.now() < offset {
            tokio::task::yield_now().await;
        }
    }

    /// Returns at an offset, or at once where it has passed.
    pub(super) async fn reach(self, offset: Duration) {
        let at = self.start + offset;
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }
}
