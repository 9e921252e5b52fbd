//! What came together since the monitor began.

use crate::app::monitor::watched::Interval;
use crate::resources::metric::Metric;

/// A sum of rates over the times that they are of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    sum: f64,
    /// Whether any of it was counted.
    counted: bool,
    /// Whether some of it was not.
    pub(super) lost: bool,
}

impl Total {
    /// Adds an interval; returns the sum so far, or nothing where this interval was not counted.
    fn add(&mut self, interval: &Interval, metric: Metric) -> Option<f64> {
        // A look that failed loses nothing: the next one counts from the look before it.
        if interval.covers <= 0.0 {
            return None;
        }
        let Some(rate) = interval.values.of(metric) else {
            self.lost = true;
            return None;
        };
        self.counted = true;
        self.sum += rate * interval.covers;
        Some(self.sum)
    }

    /// In bytes; `None` where nothing was counted.
    pub(super) fn bytes(self) -> Option<f64> {
        self.counted.then_some(self.sum)
    }
}

/// Bytes since the beginning, of each kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) read: Total,
    pub(super) written: Total,
    pub(super) sent: Total,
    pub(super) received: Total,
}

/// The same after a reading, as far as it was counted in that reading.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SoFar {
    pub(super) read: Option<f64>,
    pub(super) written: Option<f64>,
    pub(super) sent: Option<f64>,
    pub(super) received: Option<f64>,
}

impl Totals {
    pub(super) fn add(&mut self, interval: &Interval) -> SoFar {
        SoFar {
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

    fn interval(covers: f64, rate: Option<f64>) -> Interval {
        let measured = rate.map(|rate| (Metric::DiskRead, rate)).into_iter().collect();
        Interval { covers, values: Values { measured, ..Values::default() }, events: Vec::new() }
    }

    #[test]
    fn totals_are_of_what_was_counted_and_the_rest_is_no_zero() {
        let mut totals = Totals::default();
        assert_eq!(totals.add(&interval(2.0, Some(10.0))).read, Some(20.0));
        assert_eq!(totals.add(&interval(0.0, None)).read, None);
        assert!(!totals.read.lost);
        assert_eq!(totals.add(&interval(1.0, Some(5.0))).read, Some(25.0));
        assert_eq!(totals.add(&interval(1.0, None)).read, None);
        assert_eq!((totals.read.bytes(), totals.read.lost), (Some(25.0), true));
        assert_eq!(totals.sent.bytes(), None);
    }
}
