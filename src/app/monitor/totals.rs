//! What came together since the monitor began.

use crate::app::monitor::sampled_host::IntervalReading;
use crate::resources::metric::Metric;

/// A sum of rates over the times that they are of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteTotal {
    sum: f64,
    /// Whether any of it was counted.
    has_data: bool,
    /// Whether some of it was not.
    pub(super) is_partial: bool,
}

impl ByteTotal {
    /// Adds an interval; returns the sum so far, or nothing where this interval was not counted.
    fn add(&mut self, interval: &IntervalReading, metric: Metric) -> Option<f64> {
        // A look that failed loses nothing: the next one counts from the look before it.
        if interval.covered_s <= 0.0 {
            return None;
        }
        let Some(rate) = interval.values.of(metric) else {
            self.is_partial = true;
            return None;
        };
        self.has_data = true;
        self.sum += rate * interval.covered_s;
        Some(self.sum)
    }

    /// In bytes; `None` where nothing was counted.
    pub(super) fn bytes(self) -> Option<f64> {
        self.has_data.then_some(self.sum)
    }
}

/// Bytes since the beginning, of each kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteTotals {
    pub(super) read: ByteTotal,
    pub(super) written: ByteTotal,
    pub(super) sent: ByteTotal,
    pub(super) received: ByteTotal,
}

/// The same after a reading, as far as it was counted in that reading.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BytesSoFar {
    pub(super) read: Option<f64>,
    pub(super) written: Option<f64>,
    pub(super) sent: Option<f64>,
    pub(super) received: Option<f64>,
}

impl ByteTotals {
    pub(super) fn add(&mut self, interval: &IntervalReading) -> BytesSoFar {
        BytesSoFar {
            read: self.read.add(interval, Metric::DiskRead),
            written: self.written.add(interval, Metric::DiskWrite),
            sent: self.sent.add(interval, Metric::NetworkOut),
            received: self.received.add(interval, Metric::NetworkIn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::reading::Values;

    fn interval(covered_s: f64, rate: Option<f64>) -> IntervalReading {
        let measured = rate.map(|rate| (Metric::DiskRead, rate)).into_iter().collect();
        IntervalReading { covered_s, values: Values { measured, ..Values::default() }, events: Vec::new() }
    }

    #[test]
    fn an_uncounted_interval_makes_a_total_partial() {
        let mut totals = ByteTotals::default();
        assert_eq!(totals.add(&interval(2.0, Some(10.0))).read, Some(20.0));
        assert_eq!(totals.add(&interval(0.0, None)).read, None);
        assert!(!totals.read.is_partial);
        assert_eq!(totals.add(&interval(1.0, Some(5.0))).read, Some(25.0));
        assert_eq!(totals.add(&interval(1.0, None)).read, None);
        assert_eq!((totals.read.bytes(), totals.read.is_partial), (Some(25.0), true));
        assert_eq!(totals.sent.bytes(), None);
    }
}
