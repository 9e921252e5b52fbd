//! Histograms of times: a sparse one for a window and a dense one for a phase.

use std::cmp::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest time that a histogram resolves, in microseconds: one hour. Longer times count as one hour.
pub const MAX_MICROS: u64 = 3_600_000_000;
/// Significant digits: a bucket is at most 0.1 % wide.
const SIGNIFICANT_DIGITS: u8 = 3;
/// `2 · 10^SIGNIFICANT_DIGITS`, rounded up to a power of two as in HdrHistogram.
const SUB_BUCKETS: u64 = 2048;

/// A histogram with fewer buckets than this part of another's is added bucket by bucket.
const FEW: usize = 16;

/// A sparse histogram of times in microseconds. Its buckets are those of an HdrHistogram from 1 µs to 1 h
/// with 3 significant digits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SparseHistogram {
    /// Index and count of each bucket that is not empty, ascending. The buckets are few, so a binary search
    /// is faster than a tree.
    buckets: Vec<(u16, u32)>,
    /// The exact sum, in microseconds.
    sum: u64,
    /// The exact maximum, in microseconds.
    max: u64,
    /// The number of times above [`MAX_MICROS`]; they are in its bucket.
    clamped: u32,
}

impl SparseHistogram {
    /// Counts a time, rounded to the nearest microsecond.
    pub fn record(&mut self, time: Duration) {
        let micros = micros(time);
        self.add(bucket(micros), 1);
        self.sum += micros;
        self.max = self.max.max(micros);
        self.clamped += u32::from(micros > MAX_MICROS);
    }

    /// The number of times.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The exact sum, in microseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The exact maximum, in microseconds; 0 without data.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The quantile of a `part` from 0 to 1, in microseconds: the smallest time that at least this share of the times does
    /// not exceed, to 0.1 %. `None` without data.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let rank = (part * self.count() as f64 - 1e-9).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            below += u64::from(*count);
            below >= rank
        });
        found.map(|(bucket, _)| bucket_top(*bucket).min(self.max))
    }

    /// The buckets that are not empty, ascending: the longest time of each, in microseconds, and the count.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(bucket, count)| (bucket_top(*bucket), u64::from(*count)))
    }

    /// The number of times above a limit. The limit is rounded to a bucket, which is 0.1 % wide.
    pub fn count_above(&self, limit: Duration) -> u64 {
        let limit = bucket(micros(limit));
        let above = self.buckets.partition_point(|(bucket, _)| *bucket <= limit);
        self.buckets[above..].iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The number of times in the bucket of a limit, which may be above it or not.
    pub fn count_near(&self, limit: Duration) -> u64 {
        let found = self.buckets.binary_search_by_key(&bucket(micros(limit)), |(bucket, _)| *bucket);
        found.map_or(0, |at| self.buckets[at].1.into())
    }

    /// Adds the times of another histogram.
    pub fn merge(&mut self, other: &Self) {
        let Self { buckets, sum, max, clamped } = other;
        if buckets.len() * FEW < self.buckets.len() {
            buckets.iter().for_each(|(bucket, count)| self.add(*bucket, *count));
        } else {
            self.buckets = joined(&self.buckets, buckets);
        }
        self.sum += sum;
        self.max = self.max.max(*max);
        self.clamped += clamped;
    }

    fn add(&mut self, bucket: u16, count: u32) {
        // Most delays are zero.
        if let Some((0, zeros)) = self.buckets.first_mut().filter(|_| bucket == 0) {
            *zeros += count;
            return;
        }
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 += count,
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

/// Adds the counts of two ascending lists of buckets, in memory of exactly the size of the result.
fn joined(ours: &[(u16, u32)], theirs: &[(u16, u32)]) -> Vec<(u16, u32)> {
    if ours.is_empty() {
        return theirs.to_vec();
    }
    let mut both = Vec::with_capacity(ours.len() + theirs.len());
    let (mut ours, mut theirs) = (ours.iter().copied().peekable(), theirs.iter().copied().peekable());
    while let (Some(one), Some(other)) = (ours.peek().copied(), theirs.peek().copied()) {
        both.push(match one.0.cmp(&other.0) {
            Ordering::Less => one,
            Ordering::Greater => other,
            Ordering::Equal => (one.0, one.1 + other.1),
        });
        ours.next_if(|it| it.0 <= other.0);
        theirs.next_if(|it| it.0 <= one.0);
    }
    both.extend(ours.chain(theirs));
    both.shrink_to_fit();
    both
}

/// The times of a phase: a histogram of fixed size, allocated for the first time, and the exact sum and
/// maximum.
#[derive(Debug, Clone, Default)]
pub struct DenseHistogram {
    histogram: Option<Histogram<u64>>,
    sum: u64,
    max: u64,
    clamped: u64,
}

impl DenseHistogram {
    /// Adds the times of a window.
    pub fn add(&mut self, sparse: &SparseHistogram) {
        let SparseHistogram { buckets, sum, max, clamped } = sparse;
        if buckets.is_empty() {
            return;
        }
        let histogram = self.histogram.get_or_insert_with(new_histogram);
        for (bucket, count) in buckets {
            let value = bucket_floor(*bucket).clamp(1, MAX_MICROS);
            histogram.record_n(value, u64::from(*count)).expect("the value is within the bounds");
        }
        self.sum += sum;
        self.max = self.max.max(*max);
        self.clamped += u64::from(*clamped);
    }

    /// Adds the times of another histogram.
    pub fn merge(&mut self, other: &Self) {
        let Self { histogram, sum, max, clamped } = other;
        if let Some(theirs) = histogram {
            let mine = self.histogram.get_or_insert_with(new_histogram);
            mine.add(theirs).expect("both have the same bounds");
        }
        self.sum += sum;
        self.max = self.max.max(*max);
        self.clamped += clamped;
    }

    /// The number of times.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The quantile of a `part` from 0 to 1: the smallest time that at least this share of the times does not
    /// exceed, to 0.1 %. `None` without data.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_micros(histogram.value_at_quantile(part).min(self.max)))
    }

    /// The number of times above a limit. The limit is rounded to a bucket, which is 0.1 % wide.
    pub fn count_above(&self, limit: Duration) -> u64 {
        let Some(histogram) = &self.histogram else { return 0 };
        let within = Duration::from_micros(histogram.highest_equivalent(micros(limit).min(MAX_MICROS)));
        self.buckets().filter(|(time, _)| *time > within).map(|(_, count)| count).sum()
    }

    /// The exact mean, in milliseconds; `None` without data.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum as f64 / self.count() as f64 / 1000.0)
    }

    /// The minimum, to 0.1 %; `None` without data.
    pub fn min(&self) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_micros(histogram.min()))
    }

    /// The exact maximum; `None` without data.
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_micros(self.max))
    }

    /// The buckets that are not empty, ascending: the time, to 0.1 %, and the count.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let recorded = self.histogram.iter().flat_map(Histogram::iter_recorded);
        recorded.map(|value| (Duration::from_micros(value.value_iterated_to()), value.count_at_value()))
    }

    /// The number of times above one hour, which count as one hour.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_MICROS, SIGNIFICANT_DIGITS).expect("the bounds are constants")
}

/// Compares the buckets of two times, which are equal for times that a histogram cannot tell apart.
pub fn compare_buckets(one: Duration, other: Duration) -> Ordering {
    bucket(micros(one)).cmp(&bucket(micros(other)))
}

/// Rounds to the nearest microsecond. Seconds and nanoseconds are converted separately, because a division of
/// 128 bits costs more than all other work of recording.
fn micros(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from((time.subsec_nanos() + 500) / 1000)).min(u64::MAX >> 24)
}

/// The index of a value's bucket, in the numbering of HdrHistogram.
fn bucket(micros: u64) -> u16 {
    let value = micros.min(MAX_MICROS);
    let doublings = (value | (SUB_BUCKETS - 1)).ilog2() + 1 - SUB_BUCKETS.ilog2();
    let index = u64::from(doublings) * (SUB_BUCKETS / 2) + (value >> doublings);
    u16::try_from(index).expect("the bucket of one hour is about 23 000")
}

/// The smallest value of a bucket.
fn bucket_floor(bucket: u16) -> u64 {
    let index = u64::from(bucket);
    if index < SUB_BUCKETS {
        return index;
    }
    let doublings = index / (SUB_BUCKETS / 2) - 1;
    (index - doublings * (SUB_BUCKETS / 2)) << doublings
}

/// The largest value of a bucket.
fn bucket_top(bucket: u16) -> u64 {
    bucket_floor(bucket + 1) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_are_those_of_hdrhistogram(value in 0_u64..MAX_MICROS) {
            let histogram = new_histogram();
            prop_assert_eq!(bucket_floor(bucket(value)), histogram.lowest_equivalent(value));
            prop_assert_eq!(bucket(bucket_floor(bucket(value))), bucket(value));
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_hdrhistogram(
            times in proptest::collection::vec(1_u64..10_000_000, 1..200),
            part in 0.0..=1.0,
        ) {
            let mut sparse = SparseHistogram::default();
            times.iter().for_each(|micros| sparse.record(Duration::from_micros(*micros)));
            let mut dense = DenseHistogram::default();
            dense.add(&sparse);
            prop_assert_eq!(sparse.quantile(part).map(Duration::from_micros), dense.quantile(part));
        }

        #[test]
        fn a_merged_histogram_has_the_times_of_both(
            times in proptest::collection::vec((1_u64..100_000, proptest::bool::ANY), 0..300),
        ) {
            let mut parts = [SparseHistogram::default(), SparseHistogram::default()];
            let mut all = SparseHistogram::default();
            for (micros, second) in times {
                parts[usize::from(second)].record(Duration::from_micros(micros));
                all.record(Duration::from_micros(micros));
            }
            let [mut merged, other] = parts;
            merged.merge(&other);
            prop_assert_eq!(merged, all);
        }
    }

    #[test]
    fn a_time_beyond_an_hour_is_clamped_and_reported() {
        let mut sparse = SparseHistogram::default();
        sparse.record(Duration::from_secs(7200));
        let mut dense = DenseHistogram::default();
        dense.add(&sparse);
        assert_eq!((dense.count(), dense.clamped()), (1, 1));
        assert_eq!(dense.max().unwrap(), Duration::from_secs(7200));
    }

    #[test]
    fn those_above_a_limit_are_counted_to_a_thousandth() {
        let mut sparse = SparseHistogram::default();
        (1..=1000).for_each(|ms| sparse.record(Duration::from_millis(ms)));
        let mut dense = DenseHistogram::default();
        dense.add(&sparse);
        let limit = Duration::from_millis(500);
        assert_eq!((sparse.count_above(limit), dense.count_above(limit)), (500, 500));
        assert_eq!(SparseHistogram::default().count_above(limit), 0);
    }

    #[test]
    fn without_data_there_is_no_percentile() {
        assert_eq!(DenseHistogram::default().quantile(0.95), None);
        assert_eq!(DenseHistogram::default().mean_ms(), None);
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut sparse = SparseHistogram::default();
        for ms in 1..=1000 {
            sparse.record(Duration::from_millis(ms));
        }
        let mut dense = DenseHistogram::default();
        dense.add(&sparse);
        let p95 = dense.quantile(0.95).unwrap().as_secs_f64();
        assert!((p95 - 0.95).abs() <= 0.00095, "{p95}");
        assert_eq!(dense.mean_ms().unwrap(), 500.5);
    }
}
