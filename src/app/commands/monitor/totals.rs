//! Bytes read, written, sent and received since the monitor began.

use crate::app::commands::monitor::sampled_host::IntervalReading;
use crate::resources::metric::Metric;

/// A number of bytes: the sum of rate × time over the readings.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteTotal {
    sum: f64,
    /// Whether at least one interval had data.
    has_data: bool,
    /// Whether an interval without data makes the sum a lower bound.
    pub(super) is_partial: bool,
}

impl ByteTotal {
    /// Adds an interval. Returns the sum so far, or `None` if this interval has no data.
    fn add(&mut self, interval: &IntervalReading, metric: Metric) -> Option<f64> {
        // A failed snapshot loses nothing: the next interval covers its time.
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

    /// The sum in bytes; `None` if no interval had data.
    pub(super) fn bytes(self) -> Option<f64> {
        self.has_data.then_some(self.sum)
    }
}

/// Byte totals by direction, since the monitor began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ByteTotals {
    pub(super) read: ByteTotal,
    pub(super) written: ByteTotal,
    pub(super) sent: ByteTotal,
    pub(super) received: ByteTotal,
}

/// The totals after one reading, in bytes. `None` where that reading has no data.
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
