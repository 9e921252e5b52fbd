//! Lateness of requests at a constant rate, measured by the server's clock.
//!
//! The server does not know the intended time of a request. At a constant rate only one number is unknown: the i-th
//! request is intended at `start + i / rate`. So request i, in the order of reading, is late by `t(i) − i / rate` less
//! the smallest such difference: the request that is earliest against the grid counts as on time. The figures are
//! therefore a lower bound: a delay common to all requests (the path through the kernel, the smallest lag of the
//! generator) is not included.
//!
//! Requests of the first second are left out, because generators connect in it. A request that was never sent moves all
//! later ones to an earlier place of the grid, and a generator that falls behind is later with each request. Both count
//! as lateness, as intended.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// The largest number of requests stored: 128 MB, three minutes at 40 000 requests/s.
const MOST: usize = 8_000_000;
/// The time at the start that is left out.
const SKIPPED: Duration = Duration::from_secs(1);

/// The arrival times of requests.
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

    /// Records the time of a request that was read.
    pub(crate) fn stamp(&mut self) {
        if self.stamps.len() < MOST {
            self.stamps.push(self.start.elapsed());
        }
    }

    /// The number of requests and quantiles of their lateness as JSON, in microseconds.
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

/// The lateness of each request in microseconds, sorted.
fn lateness(stamps: &[Duration], rate: f64) -> Vec<f64> {
    let meant = |index: usize| index as f64 / rate;
    let mut late: Vec<f64> =
        stamps.iter().enumerate().map(|(index, stamp)| 1e6 * (stamp.as_secs_f64() - meant(index))).collect();
    late.sort_by(f64::total_cmp);
    let earliest = late.first().copied().unwrap_or_default();
    late.iter().map(|one| one - earliest).collect()
}

/// The smallest value that at least this share of the values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{lateness, quantile};

    #[test]
    fn requests_on_the_grid_are_not_late() {
        let stamps: Vec<Duration> = (0..100).map(|i| Duration::from_micros(777 + 1000 * i)).collect();
        let late = lateness(&stamps, 1000.0);
        assert!(late.iter().all(|one| one.abs() < 0.01), "{late:?}");
    }

    #[test]
    fn bursts_are_late_by_the_time_to_the_next_burst() {
        // Bursts of ten requests every 10 ms: requests intended at 0, 1 … 9 ms arrive at 9 ms.
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
    fn no_requests_give_no_quantile() {
        assert_eq!(quantile(&lateness(&[], 1000.0), 0.5), None);
    }
}
