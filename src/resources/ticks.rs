//! The moments of a phase at which its hosts are sampled.

/// The moments of a phase at which its hosts are sampled: evenly spaced, with one at the start of the judged period.
///
/// Reading k covers the time from tick k − 1 to tick k; tick 0 only starts the first reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticks {
    /// Time of tick 0, in seconds from the start of the phase; less than `every`.
    pub first: f64,
    /// Seconds between two ticks.
    pub every: f64,
}

impl Ticks {
    /// Ticks of which one is at `second`, counted from the start of the phase.
    pub fn through(second: u32, every: f64) -> Self {
        Self { first: f64::from(second) % every, every }
    }

    /// Time of a tick, in seconds from the start of the phase.
    pub fn at(self, tick: u32) -> f64 {
        self.first + f64::from(tick) * self.every
    }

    /// The readings that lie completely between two moments, in seconds from the start of the phase.
    pub fn within(self, from: f64, to: f64) -> std::ops::Range<u32> {
        let tick = |at: f64, round: fn(f64) -> f64| round((at - self.first) / self.every).max(0.0) as u32;
        let first = tick(from - 1e-6, f64::ceil) + 1;
        let last = tick(to + 1e-6, f64::floor);
        first..(last + 1).max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::Ticks;

    #[test]
    fn a_reading_counts_where_all_of_it_is_judged() {
        let ticks = Ticks::through(13, 10.0);
        assert_eq!((ticks.first, ticks.at(1)), (3.0, 13.0));
        // 13 to 23, 23 to 33, 33 to 43.
        assert_eq!(ticks.within(13.0, 43.0), 2..5);
        assert_eq!(ticks.within(13.0, 42.9), 2..4);
        assert_eq!(ticks.within(13.0, 20.0), 2..2);
        assert_eq!(ticks.within(0.0, 60.0), 1..6);
        assert_eq!(Ticks::through(0, 10.0).within(0.0, 60.0), 1..7);
        assert_eq!(Ticks::through(7, 1.0).within(7.0, 60.0).len(), 53);
    }
}
