//! Drift: the Theil–Sen trend of a resource, and the growth of a mean response time.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::measure::blocks::BlockSums;
use crate::statistics::BatchMeans;

/// The number of segments of the judged time: 32, or 24 if one of the 32 has no point.
///
/// Simulated with 24, 32, 40 and 48: more segments decide more if their minima are independent, and hardly
/// more if they are not. They decide less if a saw-tooth is longer than a segment, whose minimum is then no
/// trough.
pub const TREND_SEGMENTS: [usize; 2] = [32, 24];
/// The share of the judged time that is left out at its start, because caches fill and pools grow.
const SKIPPED_SHARE: f64 = 0.1;
/// With fewer slices on a side there is no decision about a ratio.
pub const MIN_RATIO_BATCHES: u64 = 8;

/// The growth of a quantity over time: the trend of the minima of segments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Growth per second: lower bound, estimate and upper bound. Each bound has risk α.
    pub per_second: [f64; 3],
    /// The value of the fitted line at the start of the span.
    pub level: f64,
    /// The number of segments.
    pub segments: usize,
}

/// The growth of a quantity that should not grow.
///
/// Points are (seconds since the phase's start, value), in order of time and at any distances. The span is
/// the judged time, in the same seconds. Its first tenth is left out. The rest is cut into 32 equal segments,
/// or into 24, and the minimum of each counts, at its own time. Minima show the memory that remains after
/// garbage collection. `None` if one of the 24 segments has no point.
///
/// The slope is the median of the slopes between all pairs (Theil 1950) with Sen's interval (1968).
/// Neighbouring minima may depend on each other, so the interval is widened by the effect of this on
/// Kendall's S (Hamed and Rao 1998).
pub fn trend(points: &[(f64, f64)], span: (f64, f64), alpha: f64) -> Option<Trend> {
    let (from, to) = span;
    let judged = (from + SKIPPED_SHARE * (to - from), to);
    let segment_minima =
        TREND_SEGMENTS.into_iter().find_map(|segments| segment_minima(points, judged, segments))?;
    let [low, slope, high] = theil_sen_interval(&segment_minima, alpha);
    // The interval is widened, not taken from ranks further out: the steepest slopes are those between
    // neighbours, which show much of the noise and little of the trend.
    let inflation = variance_inflation(&segment_minima, slope).sqrt();
    let per_second = [slope - inflation * (slope - low), slope, slope + inflation * (high - slope)];
    let level = median(segment_minima.iter().map(|(time, value)| value - slope * (time - from)).collect());
    Some(Trend { per_second, level, segments: segment_minima.len() })
}

impl Trend {
    /// Growth over a time in percent of the level: lower bound, estimate and upper bound. From a level of 0
    /// any growth is infinite.
    pub fn over(&self, seconds: f64) -> [f64; 3] {
        self.per_second.map(|slope| match slope * seconds {
            0.0 => 0.0,
            grown if self.level <= 0.0 => grown.signum() * f64::INFINITY,
            grown => 100.0 * grown / self.level,
        })
    }

    /// The seconds until the value `now` reaches the capacity: soonest, estimated and latest, which may be
    /// infinite. `None` if the estimate does not grow.
    pub fn full_in(&self, now: f64, capacity: f64) -> Option<[f64; 3]> {
        let left = (capacity - now).max(0.0);
        let [low, slope, high] = self.per_second;
        let reached = |slope: f64| if slope > 0.0 { left / slope } else { f64::INFINITY };
        (slope > 0.0).then(|| [high, slope, low].map(reached))
    }
}

/// The minimum of each segment, at its own time; `None` if a segment has no point. At the centres of the
/// segments, values in coarse steps would have slopes in coarse steps, with the true slope between them.
fn segment_minima(points: &[(f64, f64)], (from, to): (f64, f64), segments: usize) -> Option<Vec<(f64, f64)>> {
    let mut least: Vec<Option<(f64, f64)>> = vec![None; segments];
    for point in points.iter().filter(|(time, _)| (from..=to).contains(time)) {
        let segment = (point.0 - from) / (to - from) * segments as f64;
        let segment = &mut least[(segment as usize).min(segments - 1)];
        if segment.is_none_or(|least| point.1 < least.1) {
            *segment = Some(*point);
        }
    }
    least.into_iter().collect()
}

/// Sen's interval and Theil's estimate of the slope through points at different times. With N slopes between
/// pairs and `C = z(1−α)·√V(S)`: the slope of rank ⌊(N−C)/2⌋ from below, the median, and the slope of that
/// rank from above.
fn theil_sen_interval(points: &[(f64, f64)], alpha: f64) -> [f64; 3] {
    let later = |index: usize| points[index + 1..].iter();
    let mut slopes: Vec<f64> = (0..points.len())
        .flat_map(|index| {
            later(index).map(move |(time, value)| (value - points[index].1) / (time - points[index].0))
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    let apart = Normal::standard().inverse_cdf(1.0 - alpha) * variance_of_s(points).sqrt();
    let rank = (((slopes.len() as f64 - apart) / 2.0) as usize).max(1);
    [slopes[rank - 1], median_of_sorted(&slopes), slopes[slopes.len() - rank]]
}

/// The variance of Kendall's S without a trend: `(n(n−1)(2n+5) − Σ t(t−1)(2t+5)) / 18`, where t is the size
/// of each group of equal values.
fn variance_of_s(points: &[(f64, f64)]) -> f64 {
    let of = |n: usize| n as f64 * (n as f64 - 1.0) * (2.0 * n as f64 + 5.0);
    let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|same| of(same.len())).sum();
    (of(points.len()) - ties) / 18.0
}

/// The factor, at least 1, by which the dependence of neighbours increases the variance of S:
/// `1 + 2/(n(n−1)(n−2)) · Σ (n−i)(n−i−1)(n−i−2)·ρᵢ` over the lags i (Hamed and Rao 1998). ρᵢ is the
/// autocorrelation of the ranks of the residuals.
///
/// Hamed and Rao estimate each lag and take the significant ones. With so few minima, hardly any lag is
/// significant: in simulations over three days, minute readings with an autocorrelation of 0.99 were still
/// called a leak about twice as often as α allows. Here ρᵢ = ρⁱ with ρ from the first lag, so that a slow
/// wave counts in full. The bias of ρ, −(2+4ρ)/n in the presence of a trend, is removed (van Giersbergen
/// 2005).
fn variance_inflation(points: &[(f64, f64)], slope: f64) -> f64 {
    let left: Vec<f64> = points.iter().map(|(time, value)| value - slope * time).collect();
    let n = left.len() as f64;
    // Twice the rank, counted from the middle. With ranks, one outlier cannot hide the dependence of the
    // others.
    let below = |value: f64| left.iter().map(|other| f64::from(u8::from(*other < value))).sum::<f64>();
    let above = |value: f64| left.iter().map(|other| f64::from(u8::from(*other > value))).sum::<f64>();
    let ranks: Vec<f64> = left.iter().map(|value| below(*value) - above(*value)).collect();
    let squares: f64 = ranks.iter().map(|rank| rank * rank).sum();
    if squares == 0.0 {
        return 1.0;
    }
    let first = ranks.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / squares;
    let first = ((n * first + 2.0) / (n - 4.0)).clamp(0.0, 1.0);
    let triples = |n: f64| n * (n - 1.0) * (n - 2.0);
    let lags = (1..left.len()).map(|lag| triples(n - lag as f64) * first.powi(lag as i32));
    1.0 + 2.0 / triples(n) * lags.sum::<f64>()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    median_of_sorted(&values)
}

fn median_of_sorted(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[half - 1], values[half]) } else { values[half] }
}

/// The ratio of the mean of the last requests to the mean of the first ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanRatio {
    /// Lower bound, at risk α.
    pub low: f64,
    pub estimate: f64,
    /// Upper bound, at risk α.
    pub high: f64,
}

/// The mean response time of the last tenth of a run, divided by that of the first tenth.
///
/// Each side is a list of slices of equal length, in order: (requests, sum of their times). Each mean is by
/// at least 8 batches, of the length with the largest standard error. The interval is that of the logarithm
/// of the ratio: its variance is the sum of `(error/mean)²` (delta method), with Student's distribution and
/// the degrees of freedom of Welch (1947). `None` if a side has fewer than 8 slices with a request, or a sum
/// of 0.
pub fn mean_ratio(first: &[(f64, f64)], last: &[(f64, f64)], alpha: f64) -> Option<MeanRatio> {
    let (first, last) = (batches(first)?, batches(last)?);
    let variances = [first, last].map(|side| (side.standard_error / side.mean).powi(2));
    let parts =
        [first, last].map(|side| (side.standard_error / side.mean).powi(4) / (side.batches as f64 - 1.0));
    let variance = variances[0] + variances[1];
    let factor = if variance > 0.0 {
        let freedom = variance.powi(2) / (parts[0] + parts[1]);
        let student = StudentsT::new(0.0, 1.0, freedom).expect("each side has at least 7 degrees of freedom");
        (student.inverse_cdf(1.0 - alpha) * variance.sqrt()).exp()
    } else {
        1.0
    };
    let estimate = last.mean / first.mean;
    Some(MeanRatio { low: estimate / factor, estimate, high: estimate * factor })
}

fn batches(parts: &[(f64, f64)]) -> Option<BatchMeans> {
    let mut blocks = BlockSums::default();
    parts.iter().for_each(|(n, sum)| blocks.push(*n, *sum));
    BatchMeans::with_largest_error(blocks.levels(), MIN_RATIO_BATCHES).filter(|means| means.mean > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: (f64, f64) = (0.0, 1000.0);

    /// One reading per second of a quantity.
    fn readings(value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..=1000).map(f64::from).map(|time| (time, value(time))).collect()
    }

    fn grown(value: impl Fn(f64) -> f64) -> Trend {
        trend(&readings(value), SPAN, 0.05).unwrap()
    }

    #[test]
    fn a_straight_line_has_its_own_slope() {
        let line = grown(|time| 200.0 + 0.5 * time);
        assert_eq!(line, Trend { per_second: [0.5; 3], level: 200.0, segments: 32 });
        assert_eq!(line.over(1000.0), [250.0; 3]);
        assert_eq!(line.full_in(700.0, 1000.0), Some([600.0; 3]));
        assert_eq!(line.full_in(1100.0, 1000.0), Some([0.0; 3]));
    }

    #[test]
    fn a_span_that_begins_later_has_its_level_there() {
        let line = trend(&readings(|time| time), (200.0, 1000.0), 0.05).unwrap();
        assert_eq!((line.per_second, line.level), ([1.0; 3], 200.0));
    }

    #[test]
    fn a_line_in_steps_grows_as_the_line_does() {
        let [low, slope, high] = grown(|time| (time / 100.0).floor()).per_second;
        assert!((slope - 0.01).abs() < 0.0005, "{slope}");
        assert!(low > 0.008 && low < slope && slope < high && high < 0.012, "{low} {high}");
    }

    #[test]
    fn a_constant_has_no_trend_at_any_level() {
        for level in [0.0, 7.0] {
            let constant = grown(|_| level);
            assert_eq!(constant, Trend { per_second: [0.0; 3], level, segments: 32 });
            assert_eq!(constant.over(1000.0), [0.0; 3]);
            assert_eq!(constant.full_in(level, 10.0), None);
        }
    }

    #[test]
    fn from_a_level_of_zero_any_growth_is_infinite() {
        let trend = Trend { per_second: [-1.0, 0.0, 0.5], level: 0.0, segments: 32 };
        assert_eq!(trend.over(10.0), [f64::NEG_INFINITY, 0.0, f64::INFINITY]);
    }

    #[test]
    fn without_certain_growth_there_may_be_no_time_to_full() {
        let trend = Trend { per_second: [-1.0, 1.0, 2.0], level: 10.0, segments: 32 };
        assert_eq!(trend.full_in(40.0, 100.0), Some([30.0, 60.0, f64::INFINITY]));
    }

    /// The data of Sen (1968), whose own list of slopes has mistakes. The tests of the R package `deming`,
    /// which has it right, give 4 and [26/7, 35/8] at a two-sided confidence of 93 %. The 21 slopes sorted by
    /// hand agree: 1, 5/2, 11/3, 26/7 … 35/8, 5, 5, 6, with V(S) = 7·6·19/18 and ⌊(21 − 1.812·6.658)/2⌋ = 4.
    #[test]
    fn the_interval_is_sens() {
        let sens =
            [(1.0, 9.0), (2.0, 15.0), (3.0, 19.0), (4.0, 20.0), (10.0, 45.0), (12.0, 55.0), (18.0, 78.0)];
        assert_eq!(theil_sen_interval(&sens, 0.035), [26.0 / 7.0, 4.0, 35.0 / 8.0]);
    }

    #[test]
    fn ties_make_the_variance_of_s_smaller() {
        let values = |values: [f64; 5]| values.map(|value| (0.0, value));
        assert_eq!(variance_of_s(&values([1.0, 2.0, 3.0, 4.0, 5.0])), 5.0 * 4.0 * 15.0 / 18.0);
        // A pair and a group of three reduce it by 2·1·9 and 3·2·11.
        assert_eq!(variance_of_s(&values([1.0, 4.0, 4.0, 1.0, 4.0])), (300.0 - 18.0 - 66.0) / 18.0);
        assert_eq!(variance_of_s(&values([1.0; 5])), 0.0);
    }

    #[test]
    fn a_collectors_saw_tooth_does_not_grow() {
        let saw = grown(|time| 100.0 + time % 25.0);
        assert_eq!((saw.per_second, saw.level), ([0.0; 3], 100.0));
        let leak = grown(|time| 100.0 + 0.5 * (time - time % 25.0) + time % 25.0);
        assert_eq!((leak.per_second, leak.level), ([0.5; 3], 100.0));
    }

    #[test]
    fn the_first_tenth_does_not_count() {
        let warm = grown(|time| if time < 100.0 { time } else { 100.0 });
        assert_eq!((warm.per_second, warm.level), ([0.0; 3], 100.0));
    }

    #[test]
    fn a_gap_widens_the_segments_and_a_long_gap_gives_no_trend() {
        let mut holed = readings(|time| time);
        holed.retain(|(time, _)| !(380.0..420.0).contains(time));
        assert_eq!(trend(&holed, SPAN, 0.05).unwrap().segments, 24);
        holed.retain(|(time, _)| !(380.0..450.0).contains(time));
        assert_eq!(trend(&holed, SPAN, 0.05), None);
        assert_eq!(trend(&[], SPAN, 0.05), None);
        assert_eq!(trend(&readings(|time| time), (5.0, 5.0), 0.05), None);
    }

    #[test]
    fn a_slow_wave_widens_the_interval_and_quick_ones_do_not() {
        let segments =
            |wave: f64| (0..24).map(f64::from).map(|at| (at, (at / wave).sin())).collect::<Vec<_>>();
        assert!(variance_inflation(&segments(2.0), 0.0) > 4.0);
        assert_eq!(variance_inflation(&segments(0.3), 0.0), 1.0);
        assert_eq!(variance_inflation(&segments(f64::INFINITY), 0.0), 1.0);
        // The maximum: 1 + (n−3)/2.
        let line: Vec<(f64, f64)> = (0..24).map(|at| (f64::from(at), f64::from(at))).collect();
        assert!((variance_inflation(&line, 0.0) - 11.5).abs() < 1e-9);
    }

    /// Slices of 10 requests with these sums of times.
    fn batches_of(sums: &[f64]) -> Vec<(f64, f64)> {
        sums.iter().map(|sum| (10.0, *sum)).collect()
    }

    #[test]
    fn the_interval_of_a_ratio_is_welchs() {
        // The means are 10 and 11. The sums of each side have s² = 8/7·100, so each error is √(1/7), and
        // there are at most 14 degrees of freedom.
        let first = batches_of(&[90.0, 110.0, 90.0, 110.0, 90.0, 110.0, 90.0, 110.0]);
        let last = batches_of(&[100.0, 120.0, 100.0, 120.0, 100.0, 120.0, 100.0, 120.0]);
        let MeanRatio { low, estimate, high } = mean_ratio(&first, &last, 0.05).unwrap();
        let (a, b): (f64, f64) = (1.0 / 700.0, 1.0 / 847.0);
        let freedom = (a + b).powi(2) / ((a * a + b * b) / 7.0);
        let student = StudentsT::new(0.0, 1.0, freedom).unwrap();
        let factor = (student.inverse_cdf(0.95) * (a + b).sqrt()).exp();
        assert!((13.8..13.9).contains(&freedom), "{freedom}");
        assert!((estimate - 1.1).abs() < 1e-12);
        assert!((low - 1.1 / factor).abs() < 1e-9 && (high - 1.1 * factor).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn equal_batches_leave_no_doubt_of_a_ratio() {
        let mean_ratio = mean_ratio(&batches_of(&[20.0; 8]), &batches_of(&[25.0; 8]), 0.05).unwrap();
        assert_eq!(mean_ratio, MeanRatio { low: 1.25, estimate: 1.25, high: 1.25 });
    }

    #[test]
    fn eight_batches_with_a_request_are_needed_on_either_side() {
        let (seven, eight) = (batches_of(&[20.0; 7]), batches_of(&[20.0; 8]));
        assert_eq!(mean_ratio(&seven, &eight, 0.05), None);
        assert_eq!(mean_ratio(&eight, &seven, 0.05), None);
        let empty = [&seven[..], &[(0.0, 0.0); 9]].concat();
        assert_eq!(mean_ratio(&eight, &empty, 0.05), None);
        assert_eq!(mean_ratio(&batches_of(&[0.0; 8]), &eight, 0.05), None);
    }
}
