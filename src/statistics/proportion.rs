//! Proportions with a design effect: K bad cases of N, where bad cases come in bursts.

use crate::measure::blocks::{BlockLevel, BlockSums};
use crate::statistics::{beta, beta_quantile};

/// Fewer blocks give no estimate of their variance.
const MIN_BLOCKS: u64 = 16;
/// The length of bursts is resolved if blocks of this number show nearly the same design effect as half as
/// many blocks of twice the length.
const BURST_MIN_BLOCKS: u64 = 32;
/// The largest factor between the two design effects.
const BURST_MAX_GROWTH: f64 = 1.5;
/// With fewer judged seconds the design effect is not estimated.
const DESIGN_EFFECT_MIN_SECONDS: u64 = 4;
/// The design effect that is assumed then.
const DEFAULT_DESIGN_EFFECT: f64 = 2.0;
/// The 90 % quantile of the normal distribution: the bound on the underestimation of a design effect.
const NORMAL_QUANTILE_90: f64 = 1.28;
/// Above this design effect a pass requires that the limit allows at least `BURSTY_MIN_ALLOWED` effective bad
/// cases.
pub const BURSTY_DESIGN_EFFECT: f64 = 1.5;
const BURSTY_MIN_ALLOWED: f64 = 10.0;

/// The share of bad cases that a limit allows, from 0 to 1, and the risk of a wrong decision.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// q₀: 0.05 for a p95.
    pub share: f64,
    /// α.
    pub alpha: f64,
}

/// K bad cases of N, with the design effect of bursts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// N: cases.
    pub cases: f64,
    /// K: bad cases.
    pub counted: f64,
    /// D*: the number of dependent cases that carry as much information as one independent case; at least 1.
    pub design_effect: f64,
    /// Whether the judged time is long enough to show the length of bursts.
    pub bursts_resolved: bool,
}

impl Proportion {
    /// K of N, with the design effect of their distribution over the judged seconds.
    ///
    /// The design effect of block means is `D = V / (q̂(1−q̂)/N)` with `V = B/(B−1) · Σ(k_b − q̂n_b)²/N²`.
    /// The largest D over block lengths of 1, 2, 4 … seconds with at least 16 blocks is taken and inflated
    /// for its own uncertainty.
    pub fn of(cases: f64, counted: f64, blocks: &BlockSums) -> Self {
        let certain = counted <= 0.0 || counted >= cases;
        let (design_effect, bursts_resolved) =
            match blocks.levels().first().map_or(0, |seconds| seconds.blocks) {
                _ if certain => (1.0, true),
                seconds if seconds < DESIGN_EFFECT_MIN_SECONDS => (DEFAULT_DESIGN_EFFECT, true),
                seconds => {
                    let share = counted / cases;
                    let fewest = if seconds < MIN_BLOCKS { seconds } else { MIN_BLOCKS };
                    let (effect, of) = largest_design_effect(blocks, share, fewest);
                    let inflated = effect * (1.0 + NORMAL_QUANTILE_90 * (2.0 / (of as f64 - 1.0)).sqrt());
                    let design_effect = if effect > 1.0 { inflated } else { 1.0 };
                    let bursts_resolved = seconds < BURST_MIN_BLOCKS
                        || effect
                            <= BURST_MAX_GROWTH * largest_design_effect(blocks, share, BURST_MIN_BLOCKS).0;
                    (design_effect, bursts_resolved)
                }
            };
        Self { cases, counted, design_effect, bursts_resolved }
    }

    /// K of N independent cases.
    pub fn independent(cases: f64, counted: f64) -> Self {
        Self { cases, counted, design_effect: 1.0, bursts_resolved: true }
    }

    /// N* = N/D*: the effective sample size.
    pub fn effective(&self) -> f64 {
        self.cases / self.design_effect
    }

    fn effective_counted(&self) -> f64 {
        self.counted / self.design_effect
    }

    /// Whether the share is proven to be at most the allowed one: by Clopper–Pearson with effective counts
    /// (Korn and Graubard 1998), and with enough data to resolve bursts.
    pub fn is_within(&self, allowed: Allowed) -> bool {
        self.pass_p_value(allowed.share) <= allowed.alpha
            && (self.counted <= 0.0 || self.resolves_bursts(allowed.share))
    }

    /// The p-value of a pass: the probability of K or fewer bad cases if the true share were above `share`.
    fn pass_p_value(&self, share: f64) -> f64 {
        let (n, k) = (self.effective(), self.effective_counted());
        match self.cases {
            cases if cases <= 0.0 || (self.counted >= cases && share < 1.0) => 1.0,
            _ if share >= 1.0 => 0.0,
            _ => beta(1.0 - share, n - k, k + 1.0),
        }
    }

    /// Whether there is enough data to resolve bursts at this allowed share.
    pub fn resolves_bursts(&self, share: f64) -> bool {
        self.bursts_resolved
            && (self.design_effect <= BURSTY_DESIGN_EFFECT || self.effective() * share >= BURSTY_MIN_ALLOWED)
    }

    /// The p-value of a breach: the probability of K or more bad cases if the true share were at most
    /// `share`. To compare with α.
    pub fn breach_p_value(&self, share: f64) -> f64 {
        let (n, k) = (self.effective(), self.effective_counted());
        match self.counted {
            _ if self.counted <= 0.0 || share >= 1.0 => 1.0,
            _ if self.counted >= self.cases => 0.0,
            _ => beta(share, k, n - k + 1.0),
        }
    }

    /// The confidence interval of the share of bad cases, from 0 to 1. The true share is beyond each end with
    /// risk α.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let (n, k) = (self.effective(), self.effective_counted());
        let low = if k > 0.0 { beta_quantile(alpha, k, n - k + 1.0) } else { 0.0 };
        let high = if k < n { beta_quantile(1.0 - alpha, k + 1.0, n - k) } else { 1.0 };
        (low, high)
    }

    /// The confidence interval of the rank, from 0 to 1, of the true quantile of `part`, by order statistics
    /// of N* cases. Each end has risk α. The upper end is `None` if not even the largest case is an upper
    /// bound.
    pub fn ranks(&self, part: f64, alpha: f64) -> (f64, Option<f64>) {
        let n = self.effective();
        let below = part * n;
        let low = if below > 0.0 { beta_quantile(alpha, below, n - below + 1.0) } else { 0.0 };
        let bounded = part.powf(n) <= alpha;
        (low, bounded.then(|| beta_quantile(1.0 - alpha, below + 1.0, n - below)))
    }
}

/// The largest design effect over block lengths with at least `fewest` blocks, and its number of blocks. The
/// design effect is at least 1.
fn largest_design_effect(blocks: &BlockSums, share: f64, fewest: u64) -> (f64, u64) {
    let enough = blocks.levels().iter().filter(|level| level.blocks >= fewest.max(2) && level.n > 0.0);
    let effects = enough.map(|level| (of_level(level, share), level.blocks));
    effects.fold((1.0, fewest.max(2)), |most, next| if next.0 > most.0 { next } else { most })
}

fn of_level(level: &BlockLevel, share: f64) -> f64 {
    let blocks = level.blocks as f64;
    let squares = level.kk - 2.0 * share * level.kn + share * share * level.nn;
    blocks / (blocks - 1.0) * squares / (level.n * share * (1.0 - share))
}

/// The fewest cases that prove a share if none of them is bad: the least n with `(1 − q₀)ⁿ ≤ α`. `None` if
/// there is no such n.
pub fn min_samples(allowed: Allowed) -> Option<u64> {
    let Allowed { share, alpha } = allowed;
    // For 0.1 % the exact result is 2 995, which a rounding error must not increase.
    let fewest = (alpha.ln() / (-share).ln_1p() - 1e-9).ceil();
    (share > 0.0 && share < 1.0).then_some(fewest as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P95: Allowed = Allowed { share: 0.05, alpha: 0.05 };
    const P99: Allowed = Allowed { share: 0.01, alpha: 0.05 };

    fn within(n: f64, k: f64, allowed: Allowed) -> bool {
        Proportion::independent(n, k).is_within(allowed)
    }

    fn beyond(n: f64, k: f64, allowed: Allowed) -> bool {
        Proportion::independent(n, k).breach_p_value(allowed.share) <= allowed.alpha
    }

    #[test]
    fn the_fewest_samples_are_the_known_ones() {
        let fewest = |share| min_samples(Allowed { share, alpha: 0.05 });
        assert_eq!([0.05, 0.01, 0.001].map(fewest), [Some(59), Some(299), Some(2995)]);
        assert_eq!(fewest(0.0), None);
        assert!(within(59.0, 0.0, P95) && !within(58.0, 0.0, P95));
        assert!(within(299.0, 0.0, P99) && !within(298.0, 0.0, P99));
    }

    #[test]
    fn the_last_passing_and_first_breaching_counts_are_known_ones() {
        for (allowed, n, passes, breaches) in
            [(P95, 500.0, 16.0, 34.0), (P95, 5000.0, 224.0, 277.0), (P99, 5000.0, 38.0, 63.0)]
        {
            assert!(within(n, passes, allowed) && !within(n, passes + 1.0, allowed), "{n} {passes}");
            assert!(beyond(n, breaches, allowed) && !beyond(n, breaches - 1.0, allowed), "{n} {breaches}");
        }
    }

    #[test]
    fn none_prove_nothing_and_all_prove_a_breach() {
        assert!(!within(0.0, 0.0, P95) && !beyond(0.0, 0.0, P95));
        assert!(beyond(3.0, 3.0, P95) && !within(3.0, 3.0, P95));
        // A limit of 100 % allows everything.
        let all = Allowed { share: 1.0, alpha: 0.05 };
        assert!(within(10.0, 10.0, all) && !beyond(10.0, 10.0, all));
    }

    /// Blocks of one second with 10 cases each. In every tenth second all of them are bad.
    fn spells(seconds: u32) -> BlockSums {
        let mut blocks = BlockSums::default();
        (0..seconds).for_each(|second| blocks.push(10.0, if second % 10 == 0 { 10.0 } else { 0.0 }));
        blocks
    }

    #[test]
    fn cases_that_count_together_are_worth_less() {
        let share = Proportion::of(10_000.0, 1000.0, &spells(1000));
        // Ten cases that always agree carry the information of one.
        assert!((10.0..11.0).contains(&share.design_effect), "{share:?}");
        assert!((900.0..1000.0).contains(&share.effective()), "{share:?}");
    }

    #[test]
    fn short_runs_assume_a_design_effect_of_two_if_cases_differ() {
        assert_eq!(Proportion::of(30.0, 10.0, &spells(3)).design_effect, 2.0);
        assert_eq!(Proportion::of(30.0, 0.0, &spells(3)).design_effect, 1.0);
        assert_eq!(Proportion::of(30.0, 30.0, &spells(3)).design_effect, 1.0);
    }

    /// Two slow spells of 30 s in 256 s, with half of their 10 cases per second slow.
    #[test]
    fn a_spell_that_is_long_for_the_run_is_no_pass() {
        let mut blocks = BlockSums::default();
        let slow = |second: u32| (60..90).contains(&second) || (180..210).contains(&second);
        (0..256).for_each(|second| blocks.push(10.0, if slow(second) { 5.0 } else { 0.0 }));
        let share = Proportion::of(2560.0, 300.0, &blocks);
        assert!(!share.bursts_resolved && share.design_effect > 20.0, "{share:?}");
        assert!(!share.is_within(Allowed { share: 0.4, alpha: 0.05 }));
    }

    #[test]
    fn an_interval_ends_where_decisions_do() {
        let share = Proportion::independent(5000.0, 224.0);
        let (low, high) = share.interval(0.05);
        assert!(high <= 0.05 && low < 0.0448 && low > 0.035, "{low} {high}");
        let none = Proportion::independent(59.0, 0.0).interval(0.05);
        assert!(none.0 == 0.0 && (0.049..0.05).contains(&none.1), "{none:?}");
    }

    #[test]
    fn the_ranks_of_a_percentile_are_those_of_order_statistics() {
        let (low, high) = Proportion::independent(59.0, 0.0).ranks(0.95, 0.05);
        assert!(high.is_some_and(|high| high > 0.98) && low < 0.95);
        assert_eq!(Proportion::independent(58.0, 0.0).ranks(0.95, 0.05).1, None);
    }

    #[test]
    fn a_week_of_samples_is_decided_as_well() {
        let n = 604_800.0 * 1000.0;
        assert!(within(n, 0.0499 * n, P95) && beyond(n, 0.0501 * n, P95));
        assert!(!within(n, 0.05 * n, P95) && !beyond(n, 0.05 * n, P95));
    }
}
