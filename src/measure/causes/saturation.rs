//! Saturation: throughput and requests in flight over a phase, in a bounded number of slices.

use crate::measure::rollup::{Rollup, RollupItem};

/// More slices are merged in pairs.
const MAX_SLICES: usize = 64;
/// The fewest slices of a plateau, and with them the fewest seconds.
const MIN_SLICES: usize = 10;
/// Less growth of the requests in flight, as a factor and as a difference, may be chance.
const MIN_BACKLOG_GROWTH: f64 = 2.0;
const MIN_BACKLOG_INCREASE: f64 = 5.0;
/// The least Pearson correlation of the requests in flight with time.
const MIN_TIME_CORRELATION: f64 = 0.8;
/// Throughput that grows by at most this share over the plateau is flat.
const MAX_THROUGHPUT_TREND: f64 = 0.1;

/// A target that answers this share of the arrivals of a schedule is not saturated.
const MAX_ANSWERED_SHARE: f64 = 0.97;

/// Equal slices of a phase, at most 64. The longer the phase, the longer each slice.
#[derive(Debug, Clone, PartialEq)]
pub struct SaturationCurve(Rollup<LoadSlice>);

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct LoadSlice {
    seconds: u32,
    asked: u64,
    completed: u64,
    /// The sum of the requests in flight over its seconds.
    under_way: f64,
}

/// The load of one second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadSecond {
    /// Arrivals of the schedule; 0 in a closed phase.
    pub asked: u64,
    /// Successful tasks that ended.
    pub completed: u64,
    /// The mean number of requests in flight.
    pub under_way: f64,
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
        let Self { seconds, asked, completed, under_way } = later;
        self.seconds += seconds;
        self.asked += asked;
        self.completed += completed;
        self.under_way += under_way;
    }
}

impl Default for SaturationCurve {
    fn default() -> Self {
        Self(Rollup::new(1.0, MAX_SLICES))
    }
}

/// A part of a phase in which the requests in flight grow and throughput does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// Its first second.
    pub from: u32,
    /// The second after its last.
    pub to: u32,
    /// Requests in flight at its start and end: the means of its first and last quarter.
    pub under_way: (f64, f64),
    /// Successful responses per second at its start and end: the means of its first and last quarter.
    pub throughput: (f64, f64),
    /// Successful responses per second over all of it.
    pub mean_throughput: f64,
}

impl SaturationCurve {
    /// Adds the next second.
    pub fn add_second(&mut self, second: u32, load: LoadSecond) {
        let LoadSecond { asked, completed, under_way } = load;
        self.0.push(f64::from(second), LoadSlice { seconds: 1, asked, completed, under_way });
    }

    /// The longest plateau of the phase, if there is one.
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
    // Trend and ends must both be flat: a trend misses a step, and the ends miss a peak between them.
    let flat = late <= early * (1.0 + MAX_THROUGHPUT_TREND) && trend(&throughput) <= MAX_THROUGHPUT_TREND;
    let ((first, _), (from, last)) = (part.first()?, part.last()?);
    let asked: u64 = part.iter().map(|(_, slice)| slice.asked).sum();
    let completed: u64 = part.iter().map(|(_, slice)| slice.completed).sum();
    // A target that does all that is asked is not saturated.
    let gets_more = asked == 0 || (completed as f64) < MAX_ANSWERED_SHARE * asked as f64;
    (gets_more && grows && flat && early > 0.0 && correlation_with_time(&under_way) >= MIN_TIME_CORRELATION)
        .then(|| Plateau {
            from: *first,
            to: from + last.seconds,
            under_way: (before, after),
            throughput: (early, late),
            mean_throughput: mean(&throughput),
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

/// `(tv, tt, vv)`: the sums of the products and of the squares of the deviations of time and value.
fn deviations(values: &[f64]) -> (f64, f64, f64) {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let mean = mean(values);
    values.iter().enumerate().fold((0.0, 0.0, 0.0), |(tv, tt, vv), (index, value)| {
        let (t, v) = (index as f64 - middle, value - mean);
        (tv + t * v, tt + t * t, vv + v * v)
    })
}

/// The rise of a straight line through the values, as a share of their mean.
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
            let load = LoadSecond { asked: 0, completed: completed.round() as u64, under_way };
            curve.add_second(second, load);
        }
        curve
    }

    #[test]
    fn a_plateau_starts_where_a_ramp_outgrows_the_target() {
        // The load grows by 2/s every second and the target answers 61/s, so the backlog grows.
        let plateau = curve(60, |t| ((2.0 * t).min(61.0), 1.0 + (t - 30.0).max(0.0).powi(2))).plateau();
        let plateau = plateau.unwrap();
        assert!((24..=31).contains(&plateau.from) && plateau.to == 60, "{plateau:?}");
        assert!((plateau.mean_throughput - 61.0).abs() < 2.0, "{plateau:?}");
        assert!(plateau.under_way.1 > 500.0 && plateau.under_way.0 < 60.0, "{plateau:?}");
    }

    #[test]
    fn a_load_that_grows_and_is_answered_is_no_plateau() {
        assert_eq!(curve(600, |t| (10.0 + t, (10.0 + t) / 5.0)).plateau(), None);
        // Nor is a constant load whose requests in flight rise and fall.
        assert_eq!(curve(600, |t| (50.0, 20.0 + 15.0 * (t / 20.0).sin())).plateau(), None);
        assert_eq!(SaturationCurve::default().plateau(), None);
    }

    #[test]
    fn a_target_that_does_all_that_is_asked_is_not_saturated() {
        let of = |asked: u64| {
            let mut curve = SaturationCurve::default();
            for second in 0..100 {
                let under_way = 10.0 + 2.0 * f64::from(second);
                curve.add_second(second, LoadSecond { asked, completed: 60, under_way });
            }
            curve.plateau()
        };
        assert!(of(60).is_none() && of(63).is_some());
    }

    #[test]
    fn falling_throughput_with_more_in_flight_is_a_plateau() {
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
