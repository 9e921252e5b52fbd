//! Block sums: the basis of design effects and batch means, in memory that does not grow with the run.

/// For block lengths of 1, 2, 4, 8 … seconds: the sums of n, k, n², k·n and k² over complete blocks.
///
/// These sums give `Σ(k − q·n)² = Σk² − 2qΣkn + q²Σn²` for any q without a list of blocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlockSums {
    levels: Vec<BlockLevel>,
}

/// The sums over complete blocks of one length.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BlockLevel {
    pub blocks: u64,
    /// The complete blocks with at least one case.
    pub filled: u64,
    /// Σn.
    pub n: f64,
    /// Σk.
    pub k: f64,
    /// Σn².
    pub nn: f64,
    /// Σkn.
    pub kn: f64,
    /// Σk².
    pub kk: f64,
    /// The first half of an incomplete block.
    half: Option<(f64, f64)>,
}

/// A block of 2³¹ seconds is longer than any phase.
const MAX_LEVELS: usize = 32;

impl BlockSums {
    /// Adds the next second: n cases, k of them bad. For means: n samples with the sum k.
    pub fn push(&mut self, n: f64, k: f64) {
        let (mut n, mut k) = (n, k);
        for level in 0..MAX_LEVELS {
            if level == self.levels.len() {
                self.levels.push(BlockLevel::default());
            }
            let sums = &mut self.levels[level];
            sums.blocks += 1;
            sums.filled += u64::from(n > 0.0);
            sums.n += n;
            sums.k += k;
            sums.nn += n * n;
            sums.kn += k * n;
            sums.kk += k * k;
            // Two blocks of this length form one of the next length.
            let Some((first_n, first_k)) = sums.half.take() else {
                sums.half = Some((n, k));
                return;
            };
            n += first_n;
            k += first_k;
        }
    }

    /// Marks a break in time: incomplete blocks are discarded.
    pub fn cut(&mut self) {
        self.levels.iter_mut().for_each(|level| level.half = None);
    }

    /// The sums for blocks of 2^index seconds.
    pub fn levels(&self) -> &[BlockLevel] {
        &self.levels
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_a_list_of_blocks(seconds in prop::collection::vec((0_u32..50, 0_u32..50), 0..200)) {
            let mut sums = BlockSums::default();
            for (n, k) in &seconds {
                sums.push(f64::from(*n), f64::from(*k));
            }
            for (index, level) in sums.levels().iter().enumerate() {
                let blocks: Vec<(f64, f64)> = seconds
                    .chunks_exact(1 << index)
                    .map(|block| block.iter().fold((0.0, 0.0), |(n, k), s| (n + f64::from(s.0), k + f64::from(s.1))))
                    .collect();
                prop_assert_eq!(level.blocks, blocks.len() as u64);
                prop_assert_eq!(level.nn, blocks.iter().map(|(n, _)| n * n).sum::<f64>());
                prop_assert_eq!(level.kn, blocks.iter().map(|(n, k)| n * k).sum::<f64>());
                prop_assert_eq!(level.kk, blocks.iter().map(|(_, k)| k * k).sum::<f64>());
            }
        }
    }

    #[test]
    fn no_block_spans_a_cut() {
        let mut sums = BlockSums::default();
        for (n, k) in [(1.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
            sums.push(n, k);
        }
        sums.cut();
        sums.push(1.0, 1.0);
        sums.push(1.0, 1.0);
        let blocks: Vec<(u64, f64)> = sums.levels().iter().map(|level| (level.blocks, level.kk)).collect();
        // The pairs are (1, 0) and (1, 1). No pair crosses the cut, and no block has four seconds.
        assert_eq!(blocks, [(5, 4.0), (2, 5.0)]);
    }

    #[test]
    fn a_week_takes_the_memory_of_a_minute() {
        let mut sums = BlockSums::default();
        for second in 0..604_800_u32 {
            sums.push(f64::from(second % 7), f64::from(second % 2));
        }
        assert_eq!(sums.levels().len(), 20);
    }
}
