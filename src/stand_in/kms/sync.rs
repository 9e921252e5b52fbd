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
    failing: f64,
}

impl Syncs {
    pub(super) fn new(lasting: Duration, failing: f64) -> Self {
        Self { lasting, begun: 0, ends: None, last: None, failing }
    }

    /// Begins a sync, unless one is running.
    pub(super) fn begin(&mut self) {
        if !self.running() {
            self.begun += 1;
            self.ends = Some(Instant::now() + self.lasting);
            self.last = Some(Timestamp::now());
        }
    }

    /// Whether the last sync failed. The failing ones are spread evenly: of 200 with a share of 99 %, 198.
    pub(super) fn failed(&self) -> bool {
        let failures = |syncs: u64| (syncs as f64 * self.failing + 1e-9).floor();
        self.begun > 0 && !self.running() && failures(self.begun) > failures(self.begun - 1)
    }

    pub(super) fn running(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() < ends)
    }
}
