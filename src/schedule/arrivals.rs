//! The intended starts of an open phase, from a rate that is piecewise linear in time.

use std::time::Duration;

use crate::units::{Rate, TimeSpan};

/// The intended starts of an open phase, as offsets from its start.
///
/// The rate is piecewise linear in time, so the number of arrivals up to a moment is piecewise quadratic. Inverting
/// it gives the moment at which a number is reached. The numbers 0, 1, 2 … give arrivals that are evenly spaced where
/// the rate is constant. Numbers whose gaps are independent and exponential with mean 1 give a Poisson process of
/// that rate (by the change of time, Çinlar 1975).
#[derive(Debug, Clone)]
pub struct Arrivals {
    segments: Vec<RateSegment>,
    /// The expected number of arrivals in the phase.
    expected: f64,
}

/// A part of the phase in which the rate changes linearly.
#[derive(Debug, Clone, Copy)]
struct RateSegment {
    /// Seconds from the phase's start.
    start: f64,
    length: f64,
    /// Arrivals per second, at the start and at the end.
    from: f64,
    to: f64,
    /// The number of arrivals before this segment.
    before: f64,
}

impl Arrivals {
    /// A rate that changes linearly from the phase's start to its end. Over the ramp it rises from zero to that line.
    pub fn new((from, to): (Rate, Rate), ramp: TimeSpan, duration: TimeSpan) -> Self {
        let ramp = ramp.duration().min(duration.duration());
        let steady = duration.duration() - ramp;
        let part = ramp.as_secs_f64() / duration.seconds();
        let (from, to) = (from.per_second(), to.per_second());
        let after_ramp = from + (to - from) * part;
        let mut segments = Vec::new();
        let mut expected = 0.0;
        for (start, length, from, to) in
            [(Duration::ZERO, ramp, 0.0, after_ramp), (ramp, steady, after_ramp, to)]
        {
            let (start, length) = (start.as_secs_f64(), length.as_secs_f64());
            if length > 0.0 {
                segments.push(RateSegment { start, length, from, to, before: expected });
            }
            // Divided last, so that a whole number of arrivals per day stays whole.
            expected += (from + to) * length / 2.0;
        }
        Self { segments, expected }
    }

    /// The number of arrivals of an evenly spaced phase; with random spacing the expected number, rounded.
    pub fn total(&self) -> u64 {
        whole_arrivals(self.expected)
    }

    /// The moment at which the number of arrivals reaches `number`; `None` after the phase.
    pub fn at(&self, number: f64) -> Option<Duration> {
        // The number may be off by a rounding error.
        if number >= self.expected - 1e-6 {
            return None;
        }
        let index = self.segments.partition_point(|segment| segment.before <= number).max(1) - 1;
        Some(Duration::from_secs_f64(self.segments[index].time_at(number)))
    }

    /// The number of evenly spaced arrivals before a moment: exactly those whose [`at`](Self::at) is earlier.
    pub fn count_before(&self, moment: Duration) -> u64 {
        let before = |number: u64| self.at(number as f64).is_some_and(|at| at < moment);
        let segment = self.segments.iter().rev().find(|segment| segment.start <= moment.as_secs_f64());
        let mut count = segment
            .map_or(0, |segment| whole_arrivals(segment.before + segment.count_until(moment.as_secs_f64())));
        // At the edge rounding decides. It must decide as it does for the arrivals themselves, so `at` corrects the
        // count.
        while count > 0 && !before(count - 1) {
            count -= 1;
        }
        while before(count) {
            count += 1;
        }
        count
    }

    /// Exactly `count` random intended starts, for as many independent exponential gaps with mean 1 and one more.
    ///
    /// Given their number, the arrivals of a Poisson process lie at the ordered values of as many independent ones (Cox and
    /// Lewis 1966), which the partial sums of the gaps over the sum of all have in common.
    pub fn scattered<G: FnMut() -> f64 + Clone>(
        self,
        count: u64,
        mut gap: G,
    ) -> impl Iterator<Item = Duration> {
        let mut gaps = gap.clone();
        let sum: f64 = (0..=count).map(|_| gaps()).sum();
        let mut before = 0.0;
        (0..count).map_while(move |_| {
            before += gap();
            // The last may be off by a rounding error.
            self.at((before / sum * self.expected).min(self.expected - 2e-6))
        })
    }

    /// The intended starts. `first` is the first number, and `gap` gives the distance to the next: 1 for even
    /// spacing.
    pub fn spaced(self, first: f64, mut gap: impl FnMut() -> f64) -> impl Iterator<Item = Duration> {
        let mut number = first;
        std::iter::from_fn(move || {
            let at = self.at(number)?;
            number += gap();
            Some(at)
        })
    }
}

impl RateSegment {
    /// The number of arrivals of this segment up to a moment.
    fn count_until(&self, moment: f64) -> f64 {
        let within = (moment - self.start).clamp(0.0, self.length);
        (self.from + (self.to - self.from) * within / (2.0 * self.length)) * within
    }

    /// The moment at which the number of arrivals reaches `number`. Solves `from·t + (to − from)·t²/(2·length) = n`
    /// for the time t and the number n since the start of the segment.
    fn time_at(&self, number: f64) -> f64 {
        let wanted = number - self.before;
        let slope = (self.to - self.from) / self.length;
        let within = if slope == 0.0 {
            wanted / self.from
        } else {
            // This form of the root avoids cancellation for a small slope.
            let root = (self.from * self.from + 2.0 * slope * wanted).max(0.0).sqrt();
            let sum = self.from + root;
            if sum == 0.0 { 0.0 } else { 2.0 * wanted / sum }
        };
        self.start + within.clamp(0.0, self.length)
    }
}

/// How many of the arrivals k = 0, 1, 2 … lie below a number that may be off by a rounding error.
fn whole_arrivals(number: f64) -> u64 {
    (number - 1e-6).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(rates: [&str; 2], ramp: &str, duration: &str) -> Vec<Duration> {
        let [from, to] = rates.map(|rate| rate.parse().unwrap());
        let arrivals = Arrivals::new((from, to), ramp.parse().unwrap(), duration.parse().unwrap());
        let total = arrivals.total();
        let starts: Vec<Duration> = arrivals.spaced(0.0, || 1.0).collect();
        assert_eq!(starts.len() as u64, total);
        starts
    }

    fn within(starts: &[Duration], from: f64, to: f64) -> usize {
        starts.iter().filter(|start| (from..to).contains(&start.as_secs_f64())).count()
    }

    #[test]
    fn a_constant_rate_is_an_even_grid() {
        let grid = starts(["2000/s"; 2], "0s", "20s");
        assert_eq!(grid.len(), 40_000);
        for k in [0, 1, 7, 39_999] {
            assert_eq!(grid[k], Duration::from_micros(500) * k as u32);
        }
    }

    #[test]
    fn a_day_of_tickets_is_exactly_as_many_as_asked_for() {
        let grid = starts(["3000/day"; 2], "0s", "24h");
        assert_eq!(grid.len(), 3000);
        assert_eq!(grid[1], Duration::from_millis(28_800));
    }

    #[test]
    fn arrivals_before_a_moment_are_those_that_come_before_it() {
        for (rates, ramp) in
            [(["7/s"; 2], "3s"), (["10/s", "100/s"], "0s"), (["90/s", "0/s"], "2s"), (["3/s"; 2], "0s")]
        {
            let [from, to] = rates.map(|rate| rate.parse().unwrap());
            let arrivals = Arrivals::new((from, to), ramp.parse().unwrap(), "10s".parse().unwrap());
            let grid = starts(rates, ramp, "10s");
            for ms in (0..=12_000).step_by(125) {
                let moment = Duration::from_millis(ms);
                let before = grid.iter().filter(|start| **start < moment).count() as u64;
                assert_eq!(arrivals.count_before(moment), before, "{rates:?} {ms} ms");
            }
        }
    }

    #[test]
    fn over_a_ramp_the_rate_rises_linearly() {
        let grid = starts(["100/s"; 2], "10s", "20s");
        assert_eq!(grid.len(), 1500);
        let counts = [(0.0, 5.0), (5.0, 10.0), (10.0, 20.0)].map(|(from, to)| within(&grid, from, to));
        assert_eq!(counts, [125, 375, 1000]);
    }

    #[test]
    fn a_rate_that_rises_or_falls_spans_the_phase() {
        let rising = starts(["10/s", "100/s"], "0s", "9s");
        // In second t the rate is 10·t + 15 on average.
        let counts: Vec<usize> = (0..9).map(|t| within(&rising, f64::from(t), f64::from(t + 1))).collect();
        assert_eq!(counts, [15, 25, 35, 45, 55, 65, 75, 85, 95]);
        let falling = starts(["100/s", "0/s"], "0s", "10s");
        assert_eq!((falling.len(), within(&falling, 0.0, 5.0)), (500, 375));
        assert!(falling.is_sorted());
    }

    #[test]
    fn with_both_ramps_the_rate_rises_to_the_line_and_follows_it() {
        let grid = starts(["10/s", "110/s"], "2s", "10s");
        // To 30/s within 2 s, then on to 110/s.
        assert_eq!((within(&grid, 0.0, 2.0), within(&grid, 2.0, 10.0)), (30, 560));
    }

    #[test]
    fn intended_starts_never_go_back_and_end_with_the_phase() {
        for (rate, ramp, duration) in
            [("7/s", "3s", "10s"), ("90/min", "1500ms", "61s"), ("3333/s", "1s", "2s")]
        {
            let starts = starts([rate; 2], ramp, duration);
            assert!(starts.is_sorted());
            assert!(*starts.last().unwrap() < duration.parse::<TimeSpan>().unwrap().duration());
        }
    }
}
