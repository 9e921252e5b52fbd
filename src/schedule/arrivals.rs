use std::time::Duration;

use crate::units::{Rate, TimeSpan};

/// The intended starts of an open phase, as offsets from its start.
///
/// The rate is piecewise linear in time, so the number of arrivals up to a moment is piecewise quadratic and arrival k
/// (from 0) is intended when that number reaches k: evenly spaced where the rate is constant.
#[derive(Debug, Clone)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    total: u64,
}

/// A stretch in which the rate changes linearly.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Seconds from the phase's start.
    start: f64,
    length: f64,
    /// Per second, at the start and at the end.
    from: f64,
    to: f64,
    /// Arrivals before this piece.
    before: f64,
}

impl Arrivals {
    /// A constant rate, rising linearly from nothing over the ramp.
    pub fn constant(rate: Rate, ramp: TimeSpan, duration: TimeSpan) -> Self {
        let ramp = ramp.seconds().min(duration.seconds());
        let steady = duration.seconds() - ramp;
        let per_second = rate.per_second();
        let reached = rate.times(ramp) / 2.0;
        let pieces = [
            Piece { start: 0.0, length: ramp, from: 0.0, to: per_second, before: 0.0 },
            Piece { start: ramp, length: steady, from: per_second, to: per_second, before: reached },
        ];
        let total = whole(reached + rate.times(steady));
        Self { pieces: pieces.into_iter().filter(|piece| piece.length > 0.0).collect(), total }
    }

    /// How many arrivals the phase has.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When an arrival is intended.
    ///
    /// # Panics
    /// When there is no such arrival.
    pub fn at(&self, number: u64) -> Duration {
        assert!(number < self.total, "arrival {number} of {}", self.total);
        let number = number as f64;
        let index = self.pieces.partition_point(|piece| piece.before <= number).max(1) - 1;
        Duration::from_secs_f64(self.pieces[index].reach(number))
    }
}

impl Piece {
    /// The moment at which so many arrivals are reached; solves `from·t + (to − from)·t²/(2·length) = n`.
    fn reach(&self, number: f64) -> f64 {
        let wanted = number - self.before;
        let slope = (self.to - self.from) / self.length;
        let within = if slope == 0.0 {
            wanted / self.from
        } else {
            // In this form of the root nothing cancels for a small slope.
            let root = (self.from * self.from + 2.0 * slope * wanted).max(0.0).sqrt();
            let sum = self.from + root;
            if sum == 0.0 { 0.0 } else { 2.0 * wanted / sum }
        };
        self.start + within.clamp(0.0, self.length)
    }
}

/// How many whole arrivals k = 0, 1, 2 … lie below a number that may be off by a rounding error.
fn whole(number: f64) -> u64 {
    (number - 1e-6).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: &str, ramp: &str, duration: &str) -> Arrivals {
        Arrivals::constant(rate.parse().unwrap(), ramp.parse().unwrap(), duration.parse().unwrap())
    }

    #[test]
    fn a_constant_rate_is_an_even_grid() {
        let grid = arrivals("2000/s", "0s", "20s");
        assert_eq!(grid.total(), 40_000);
        for k in [0, 1, 7, 39_999] {
            assert_eq!(grid.at(k), Duration::from_micros(500) * k as u32);
        }
    }

    #[test]
    fn a_day_of_tickets_is_exactly_as_many_as_asked_for() {
        let grid = arrivals("3000/day", "0s", "24h");
        assert_eq!(grid.total(), 3000);
        assert_eq!(grid.at(1), Duration::from_millis(28_800));
    }

    #[test]
    fn over_a_ramp_the_rate_rises_linearly() {
        let grid = arrivals("100/s", "10s", "20s");
        assert_eq!(grid.total(), 1500);
        let within = |from: f64, to: f64| {
            (0..grid.total()).filter(|k| (from..to).contains(&grid.at(*k).as_secs_f64())).count()
        };
        assert_eq!(within(0.0, 5.0), 125);
        assert_eq!(within(5.0, 10.0), 375);
        assert_eq!(within(10.0, 20.0), 1000);
    }

    #[test]
    fn intended_starts_never_go_back_and_end_with_the_phase() {
        for (rate, ramp, duration) in
            [("7/s", "3s", "10s"), ("90/min", "1500ms", "61s"), ("3333/s", "1s", "2s")]
        {
            let grid = arrivals(rate, ramp, duration);
            let starts: Vec<Duration> = (0..grid.total()).map(|k| grid.at(k)).collect();
            assert!(starts.is_sorted());
            assert!(*starts.last().unwrap() < duration.parse::<TimeSpan>().unwrap().duration());
        }
    }
}
