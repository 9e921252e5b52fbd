//! The course of a phase: throughput and requests under way, in a fixed number of stretches.

use crate::measure::rollup::{Rollup, RollupItem};

/// More stretches are merged two by two.
const MAX_SLICES: usize = 64;
/// A plateau has at least so many stretches and seconds.
const MIN_SLICES: usize = 10;
/// Less growth of requests under way, as a factor and as a number, is chance.
const MIN_BACKLOG_GROWTH: f64 = 2.0;
const MIN_BACKLOG_INCREASE: f64 = 5.0;
/// What is under way must grow along with time, by Pearson's correlation.
const MIN_TIME_CORRELATION: f64 = 0.8;
/// A throughput that grows by less than this over the plateau is flat.
const MAX_THROUGHPUT_TREND: f64 = 0.1;

/// Equal stretches of a phase, at most 64 of them: the longer the phase, the longer each.
#[derive(Debug, Clone, PartialEq)]
pub struct SaturationCurve(Rollup<LoadSlice>);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct LoadSlice {
    seconds: u32,
    completed: u64,
    /// Σ of requests under way, over its seconds.
    under_way: f64,
}

impl LoadSlice {
    fn throughput(self) -> f64 {
        self.completed as f64 / f64::from(self.seconds)
    }

    fn under_way(self) -> f64 {
        self.under_way / f64::from(self.seconds)
    }
}

impl RollupItem for LoadSlice {
    fn join(&mut self, later: Self) {
        let Self { seconds, completed, under_way } = later;
        self.seconds += seconds;
        self.completed += completed;
        self.under_way += under_way;
    }
}

impl Default for SaturationCurve {
    fn default() -> Self {
        Self(Rollup::new(1.0, MAX_SLICES))
    }
}

/// Part of a phase in which more and more was under way and no more was answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Its first second.
    pub from: u32,
    /// The second after its last.
    pub to: u32,
    /// Requests under way at its beginning and end: the means of its first and last quarter.
    pub under_way: (f64, f64),
    /// Successful answers per second at its beginning and end, likewise.
    pub throughput: (f64, f64),
    /// Successful answers per second over all of it.
    pub mean_throughput: f64,
}

impl SaturationCurve {
    /// Adds the next second, with the mean number of requests under way in it.
    pub fn add_second(&mut self, second: u32, completed: u64, under_way: f64) {
        self.0.push(f64::from(second), LoadSlice { seconds: 1, completed, under_way });
    }

    /// The longest part of the phase that is one, if there is any.
    pub fn plateau(&self) -> Option<Plateau> {
        let whole = |(_, slice): &(u32, LoadSlice)| f64::from(slice.seconds) >= self.0.width();
        let slices = self.0.iter().map(|(from, slice)| (from as u32, *slice));
        let slices: Vec<(u32, LoadSlice)> = slices.take_while(whole).collect();
        let parts = (MIN_SLICES..=slices.len()).rev().flat_map(|length| slices.windows(length));
        parts.filter_map(plateau).next()
    }
}

fn plateau(part: &[(u32, LoadSlice)]) -> Option<Plateau> {
    let under_way: Vec<f64> = part.iter().map(|(_, slice)| slice.under_way()).collect();
    let throughput: Vec<f64> = part.iter().map(|(_, slice)| slice.throughput()).collect();
    let (before, after) = ends(&under_way);
    let (early, late) = ends(&throughput);
    let grows = after >= MIN_BACKLOG_GROWTH * before.max(1.0) && after - before >= MIN_BACKLOG_INCREASE;
    // Its trend and its ends must agree: a trend overlooks a step, and ends overlook what is between them.
    let flat = late <= early * (1.0 + MAX_THROUGHPUT_TREND) && trend(&throughput) <= MAX_THROUGHPUT_TREND;
    let ((first, _), (from, last)) = (part.first()?, part.last()?);
    (grows && flat && early > 0.0 && correlation_with_time(&under_way) >= MIN_TIME_CORRELATION).then(|| {
        Plateau {
            from: *first,
            to: from + last.seconds,
            under_way: (before, after),
            throughput: (early, late),
            mean_throughput: mean(&throughput),
        }
    })
}

/// The means of the first and the last quarter.
fn ends(values: &[f64]) -> (f64, f64) {
    let quarter = values.len().div_ceil(4);
    (mean(&values[..quarter]), mean(&values[values.len() - quarter..]))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Σ of the products of the deviations of time and value, and of the squares of either.
fn deviations(values: &[f64]) -> (f64, f64, f64) {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let mean = mean(values);
    values.iter().enumerate().fold((0.0, 0.0, 0.0), |(tv, tt, vv), (index, value)| {
        let (t, v) = (index as f64 - middle, value - mean);
        (tv + t * v, tt + t * t, vv + v * v)
    })
}

/// By how much of its mean a straight line through the values rises.
fn trend(values: &[f64]) -> f64 {
    let (tv, tt, _) = deviations(values);
    tv / tt * (values.len() as f64 - 1.0) / mean(values).max(f64::MIN_POSITIVE)
}

fn correlation_with_time(values: &[f64]) -> f64 {
    let (tv, tt, vv) = deviations(values);
    if vv > 0.0 { tv / (tt * vv).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(seconds: u32, of: impl Fn(f64) -> (f64, f64)) -> SaturationCurve {
        let mut curve = SaturationCurve::default();
        for second in 0..seconds {
            let (completed, under_way) = of(f64::from(second));
            curve.add_second(second, completed.round() as u64, under_way);
        }
        curve
    }

    #[test]
    fn a_plateau_starts_where_a_ramp_outgrows_the_target() {
        // 2/s more every second, of which 61/s are answered; what is not answered piles up.
        let plateau = curve(60, |t| ((2.0 * t).min(61.0), 1.0 + (t - 30.0).max(0.0).powi(2))).plateau();
        let plateau = plateau.unwrap();
        assert!((24..=31).contains(&plateau.from) && plateau.to == 60, "{plateau:?}");
        assert!((plateau.mean_throughput - 61.0).abs() < 2.0, "{plateau:?}");
        assert!(plateau.under_way.1 > 500.0 && plateau.under_way.0 < 60.0, "{plateau:?}");
    }

    #[test]
    fn a_load_that_grows_and_is_answered_is_no_plateau() {
        assert_eq!(curve(600, |t| (10.0 + t, (10.0 + t) / 5.0)).plateau(), None);
        // Nor is one that is even, with what is under way going up and down.
        assert_eq!(curve(600, |t| (50.0, 20.0 + 15.0 * (t / 20.0).sin())).plateau(), None);
        assert_eq!(SaturationCurve::default().plateau(), None);
    }

    #[test]
    fn a_throughput_that_falls_while_more_is_under_way_is_one() {
        let plateau = curve(100, |t| (60.0 - t / 5.0, 10.0 + 2.0 * t)).plateau().unwrap();
        assert!(plateau.throughput.0 > 55.0 && plateau.throughput.1 < 45.0, "{plateau:?}");
    }

    #[test]
    fn a_week_takes_the_memory_of_a_minute() {
        let curve = curve(604_800, |t| (61.0, t / 1000.0));
        assert!(curve.0.iter().count() <= MAX_SLICES);
        let seconds: u32 = curve.0.iter().map(|(_, slice)| slice.seconds).sum();
        assert_eq!(seconds, 604_800);
        let plateau = curve.plateau().unwrap();
        assert!(plateau.mean_throughput == 61.0 && plateau.under_way.1 > 400.0, "{plateau:?}");
    }
}
