//! The manual syncs of the service.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Manual syncs; at most one runs at a time.
#[derive(Debug)]
pub(super) struct Syncs {
    lasting: Duration,
    /// The number of syncs that have begun.
    pub(super) begun: u64,
    ends: Option<Instant>,
    /// When the last sync began.
    pub(super) last: Option<Timestamp>,
}

impl Syncs {
    pub(super) fn new(lasting: Duration) -> Self {
        Self { lasting, begun: 0, ends: None, last: None }
    }

    /// Begins a sync, unless one is running.
    pub(super) fn begin(&mut self) {
        if !self.running() {
            self.begun += 1;
            self.ends = Some(Instant::now() + self.lasting);
            self.last = Some(Timestamp::now());
        }
    }

    pub(super) fn running(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() < ends)
    }
}
