//! How late requests came that were to come at a constant rate, by the server's clock.
//!
//! Nobody tells the server when a request was meant to come. Of a constant rate that is known but for one number: the
//! i-th request was meant for `start + i / rate`. So request i, in the order of reading, was late by `t(i) − i / rate`
//! less the smallest such difference: the request that was earliest against the grid is taken to be on time. That makes
//! the figures a lower bound: what all requests have in common (the way through the kernel, the shortest lag of the
//! generator) is not in them.
//!
//! Requests of the first second are left out, for in it the generators connect. A request that was never sent moves all
//! later ones to an earlier place of the grid, and a generator that falls behind is later from one to the next: both are
//! seen as lateness, as they should be.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// The most requests that are kept: 64 MB, three minutes at 40 000 a second.
const MOST: usize = 8_000_000;
/// The part at the start that is left out.
const SKIPPED: Duration = Duration::from_secs(1);

/// When requests came.
pub(crate) struct Lag {
    rate: f64,
    start: Instant,
    stamps: Vec<Duration>,
}

impl Lag {
    pub(crate) fn new(rate: f64) -> Self {
        let planned = (rate * 60.0).clamp(1.0, MOST as f64) as usize;
        Self { rate, start: Instant::now(), stamps: Vec::with_capacity(planned) }
    }

    pub(crate) fn reset(&mut self) {
        self.start = Instant::now();
        self.stamps.clear();
    }

    /// A request was read.
    pub(crate) fn stamp(&mut self) {
        if self.stamps.len() < MOST {
            self.stamps.push(self.start.elapsed());
        }
    }

    /// As JSON, in microseconds.
    pub(crate) fn told(&self) -> String {
        let first = self.stamps.first().copied().unwrap_or_default();
        let skipped = self.stamps.partition_point(|stamp| *stamp < first + SKIPPED);
        let late = lateness(&self.stamps[skipped..], self.rate);
        let mut text = format!("{{\"requests\": {}", late.len());
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let value = quantile(&late, share).map_or("null".to_owned(), |value| format!("{value:.1}"));
            let _ = write!(text, ", \"{name}_us\": {value}");
        }
        text + "}"
    }
}

/// How late each was, in microseconds, in rising order.
fn lateness(stamps: &[Duration], rate: f64) -> Vec<f64> {
    let meant = |index: usize| index as f64 / rate;
    let mut late: Vec<f64> =
        stamps.iter().enumerate().map(|(index, stamp)| 1e6 * (stamp.as_secs_f64() - meant(index))).collect();
    late.sort_by(f64::total_cmp);
    let earliest = late.first().copied().unwrap_or_default();
    late.iter().map(|one| one - earliest).collect()
}

/// The smallest value that at least this share do not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{lateness, quantile};

    #[test]
    fn who_keeps_the_grid_is_not_late_wherever_the_grid_begins() {
        let stamps: Vec<Duration> = (0..100).map(|i| Duration::from_micros(777 + 1000 * i)).collect();
        let late = lateness(&stamps, 1000.0);
        assert!(late.iter().all(|one| one.abs() < 0.01), "{late:?}");
    }

    #[test]
    fn who_comes_in_bursts_is_late_by_the_wait_for_the_next_burst() {
        // Ten at a time, every 10 ms: those meant for 0, 1 … 9 ms come at 9 ms.
        let stamps: Vec<Duration> = (0..1000).map(|i| Duration::from_millis(9 + 10 * (i / 10))).collect();
        let late = lateness(&stamps, 1000.0);
        let near = |share, expected: f64| {
            let found = quantile(&late, share).expect("there are some");
            assert!((found - expected).abs() < 0.01, "{found} is not {expected}");
        };
        near(0.5, 4000.0);
        near(1.0, 9000.0);
    }

    #[test]
    fn without_requests_nothing_is_told() {
        assert_eq!(quantile(&lateness(&[], 1000.0), 0.5), None);
    }
}
