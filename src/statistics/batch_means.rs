//! Means with a standard error by the method of batch means.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::measure::blocks::{BlockLevel, BlockSums};

/// Longer blocks are used only if there are at least this many of them.
pub const MIN_BATCHES: u64 = 16;
/// With fewer blocks of one second there is no standard error.
pub const MIN_JUDGED_SECONDS: u64 = 4;

/// A mean with its standard error, by batch means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchMeans {
    /// Σk/Σn over the complete blocks.
    pub mean: f64,
    /// s/√B.
    pub standard_error: f64,
    /// B: the number of batches.
    pub batches: u64,
}

/// The side of a limit on which a mean is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At most the limit.
    AtMost,
    /// At least the limit.
    AtLeast,
}

impl Side {
    /// The opposite side.
    pub fn other(self) -> Self {
        match self {
            Self::AtMost => Self::AtLeast,
            Self::AtLeast => Self::AtMost,
        }
    }
}

impl BatchMeans {
    /// Batch means with the block length of the largest standard error, among the lengths with at least 16
    /// blocks; under 16 s, blocks of one second, at least 4. `None` if there are fewer. A block without a
    /// case has no mean and does not count.
    ///
    /// Batches may differ in their number of cases: the mean is the ratio Σk/Σn with the variance
    /// `B/(B−1) · Σ(k_b − mean·n_b)² / (Σn)²`. For equal batches this is s²/B.
    pub fn of(blocks: &BlockSums) -> Option<Self> {
        let seconds = blocks.levels().first()?.blocks;
        let (lengths, fewest) = if seconds < MIN_BATCHES {
            (1, MIN_JUDGED_SECONDS)
        } else {
            (blocks.levels().len(), MIN_BATCHES)
        };
        Self::with_largest_error(&blocks.levels()[..lengths], fewest)
    }

    /// Batch means with the block length of the largest standard error, among the lengths with at least
    /// `fewest` blocks with a case. `fewest` is at least 2.
    pub(super) fn with_largest_error(levels: &[BlockLevel], fewest: u64) -> Option<Self> {
        let enough = levels.iter().filter(|level| level.filled >= fewest);
        enough.map(Self::of_level).max_by(|a, b| a.standard_error.total_cmp(&b.standard_error))
    }

    fn of_level(level: &BlockLevel) -> Self {
        let blocks = level.filled as f64;
        let mean = level.k / level.n;
        // Equal batches leave only a rounding error, which may be negative.
        let squares = (level.kk - 2.0 * mean * level.kn + mean * mean * level.nn).max(0.0);
        let squares = if squares <= 1e-12 * level.kk { 0.0 } else { squares };
        let standard_error = (blocks / (blocks - 1.0) * squares).sqrt() / level.n;
        Self { mean, standard_error, batches: level.filled }
    }

    /// The p-value of a mean on this side of the limit: the probability of the observed mean if the true one
    /// were on the other side. To compare with α.
    pub fn risk(&self, side: Side, limit: f64) -> f64 {
        let (beyond, at) = match side {
            Side::AtMost => (limit - self.mean, self.mean <= limit),
            Side::AtLeast => (self.mean - limit, self.mean >= limit),
        };
        if self.standard_error <= 0.0 {
            return if at { 0.0 } else { 1.0 };
        }
        self.student().sf(beyond / self.standard_error)
    }

    /// The confidence interval of the mean. The true mean is beyond each end with risk α.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let half = match self.standard_error {
            standard_error if standard_error > 0.0 => {
                self.student().inverse_cdf(1.0 - alpha) * standard_error
            }
            _ => 0.0,
        };
        (self.mean - half, self.mean + half)
    }

    fn student(&self) -> StudentsT {
        let freedom = self.batches.saturating_sub(1).max(1) as f64;
        StudentsT::new(0.0, 1.0, freedom).expect("there is at least one degree of freedom")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(seconds: &[f64]) -> BlockSums {
        let mut blocks = BlockSums::default();
        seconds.iter().for_each(|k| blocks.push(1.0, *k));
        blocks
    }

    #[test]
    fn the_interval_is_students() {
        // Mean 10, s² = 20/3, B = 4: t(3, 0.95) = 2.3534.
        let means = BatchMeans::of(&blocks(&[7.0, 9.0, 11.0, 13.0])).unwrap();
        let half = 2.353_363 * (20.0_f64 / 3.0 / 4.0).sqrt();
        let (low, high) = means.interval(0.05);
        assert!((low - (10.0 - half)).abs() < 1e-4 && (high - (10.0 + half)).abs() < 1e-4, "{low} {high}");
        assert!((means.risk(Side::AtLeast, low) - 0.05).abs() < 1e-6);
        assert!((means.risk(Side::AtMost, high) - 0.05).abs() < 1e-6);
    }

    #[test]
    fn equal_seconds_leave_no_doubt_even_at_the_limit() {
        let means = BatchMeans::of(&blocks(&[25.0; 60])).unwrap();
        assert_eq!(means.risk(Side::AtLeast, 25.0), 0.0);
        assert_eq!(means.risk(Side::AtMost, 24.9), 1.0);
        assert_eq!(means.interval(0.05), (25.0, 25.0));
    }

    #[test]
    fn three_seconds_are_too_few() {
        assert_eq!(BatchMeans::of(&blocks(&[1.0, 2.0, 3.0])), None);
        assert_eq!(BatchMeans::of(&BlockSums::default()), None);
    }

    #[test]
    fn seconds_without_a_case_are_no_batches() {
        let mut rare = BlockSums::default();
        for second in 0..60 {
            let cases = f64::from(u8::from(second % 20 == 0));
            rare.push(cases, cases * 300.0);
        }
        assert_eq!(BatchMeans::of(&rare), None);
    }

    #[test]
    fn slow_waves_make_the_longest_batches_decide() {
        let waves: Vec<f64> = (0..256).map(|s| if s / 8 % 2 == 0 { 20.0 } else { 0.0 }).collect();
        let means = BatchMeans::of(&blocks(&waves)).unwrap();
        assert!(means.batches < 256, "{means:?}");
        assert!(means.standard_error > 10.0 / 16.0, "{means:?}");
    }
}
