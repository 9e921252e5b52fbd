use crate::measure::blocks::{BlockLevel, BlockSums};
use crate::statistics::{beta, beta_quantile};

/// Below so many blocks nothing is said about how blocks differ.
const MIN_BLOCKS: u64 = 16;
/// Spells are short enough if half as many blocks tell hardly more of them.
const BURST_MIN_BLOCKS: u64 = 32;
/// How much more those may tell.
const BURST_MAX_GROWTH: f64 = 1.5;
/// Under so many judged seconds the design effect is not estimated.
const DESIGN_EFFECT_MIN_SECONDS: u64 = 4;
/// What it is taken for then.
const DEFAULT_DESIGN_EFFECT: f64 = 2.0;
/// The 90 % point of the normal distribution: how far a design effect may be underestimated.
const NORMAL_QUANTILE_90: f64 = 1.28;
/// Above this design effect a pass needs so many slow requests that were allowed.
const BURSTY_DESIGN_EFFECT: f64 = 1.5;
const BURSTY_MIN_ALLOWED: f64 = 10.0;

/// The share that a limit allows, from 0 to 1, and the risk that may be taken.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// q₀: 0.05 for a p95.
    pub share: f64,
    /// α.
    pub alpha: f64,
}

/// K of N cases that count, with what bursts leave of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// N: cases.
    pub cases: f64,
    /// K: of these, the ones that count.
    pub counted: f64,
    /// D*: so many dependent cases are worth one independent case; 1 or more.
    pub design_effect: f64,
    /// Whether bursts are shorter than what was seen can resolve.
    pub bursts_resolved: bool,
}

impl Proportion {
    /// K of N, and how they spread over the judged seconds.
    ///
    /// The design effect of block means, `D = V / (q̂(1−q̂)/N)` with `V = B/(B−1) · Σ(k_b − q̂n_b)²/N²`, is the largest over
    /// block lengths of 1, 2, 4 … seconds with at least 16 blocks, inflated for its own uncertainty.
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

    /// N* = N/D*: how many independent cases would tell as much.
    pub fn effective(&self) -> f64 {
        self.cases / self.design_effect
    }

    fn effective_counted(&self) -> f64 {
        self.counted / self.design_effect
    }

    /// Whether it is proven that at most the allowed share counts: Clopper–Pearson with effective counts (Korn and Graubard
    /// 1998), and enough seen to speak of bursts.
    pub fn is_within(&self, allowed: Allowed) -> bool {
        self.pass_p_value(allowed.share) <= allowed.alpha
            && (self.counted <= 0.0 || self.resolves_bursts(allowed.share))
    }

    /// The probability of so few that count, or fewer, if more than the allowed share did.
    fn pass_p_value(&self, share: f64) -> f64 {
        let (n, k) = (self.effective(), self.effective_counted());
        match self.cases {
            cases if cases <= 0.0 || (self.counted >= cases && share < 1.0) => 1.0,
            _ if share >= 1.0 => 0.0,
            _ => beta(1.0 - share, n - k, k + 1.0),
        }
    }

    /// Whether enough was seen to speak of bursts.
    pub fn resolves_bursts(&self, share: f64) -> bool {
        self.bursts_resolved
            && (self.design_effect <= BURSTY_DESIGN_EFFECT || self.effective() * share >= BURSTY_MIN_ALLOWED)
    }

    /// The probability of so many that count, or more, if no more than the allowed share did: what α is compared with to
    /// prove that the limit is exceeded.
    pub fn breach_p_value(&self, share: f64) -> f64 {
        let (n, k) = (self.effective(), self.effective_counted());
        match self.counted {
            _ if self.counted <= 0.0 || share >= 1.0 => 1.0,
            _ if self.counted >= self.cases => 0.0,
            _ => beta(share, k, n - k + 1.0),
        }
    }

    /// The share that counts, from 0 to 1: at least the first and at most the second, each at risk α.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let (n, k) = (self.effective(), self.effective_counted());
        let low = if k > 0.0 { beta_quantile(alpha, k, n - k + 1.0) } else { 0.0 };
        let high = if k < n { beta_quantile(1.0 - alpha, k + 1.0, n - k) } else { 1.0 };
        (low, high)
    }

    /// The ranks, from 0 to 1, between which the true quantile of a part lies, each end at risk α, by order statistics of
    /// N* cases; `None` above where even the largest of them is no upper bound.
    pub fn ranks(&self, part: f64, alpha: f64) -> (f64, Option<f64>) {
        let n = self.effective();
        let below = part * n;
        let low = if below > 0.0 { beta_quantile(alpha, below, n - below + 1.0) } else { 0.0 };
        let bounded = part.powf(n) <= alpha;
        (low, bounded.then(|| beta_quantile(1.0 - alpha, below + 1.0, n - below)))
    }
}

/// The largest design effect over block lengths with at least so many blocks, and how many blocks it is from; at least 1.
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

/// The fewest cases that prove a share if none of them counts: the least n with `(1 − q₀)ⁿ ≤ α`; `None` where none do.
pub fn min_samples(allowed: Allowed) -> Option<u64> {
    let Allowed { share, alpha } = allowed;
    // 2 995 is the answer for 0.1 %, and not one more because of a rounding.
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
    fn the_last_counts_that_pass_and_the_first_that_breach_are_the_known_ones() {
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

    /// Blocks of one second with 10 cases each; in every tenth second all count.
    fn spells(seconds: u32) -> BlockSums {
        let mut blocks = BlockSums::default();
        (0..seconds).for_each(|second| blocks.push(10.0, if second % 10 == 0 { 10.0 } else { 0.0 }));
        blocks
    }

    #[test]
    fn cases_that_count_together_are_worth_less() {
        let share = Proportion::of(10_000.0, 1000.0, &spells(1000));
        // Ten cases that always agree are worth one.
        assert!((10.0..11.0).contains(&share.design_effect), "{share:?}");
        assert!((900.0..1000.0).contains(&share.effective()), "{share:?}");
    }

    #[test]
    fn under_four_seconds_two_cases_are_worth_one_and_none_that_count_are_never_doubted() {
        assert_eq!(Proportion::of(30.0, 10.0, &spells(3)).design_effect, 2.0);
        assert_eq!(Proportion::of(30.0, 0.0, &spells(3)).design_effect, 1.0);
        assert_eq!(Proportion::of(30.0, 30.0, &spells(3)).design_effect, 1.0);
    }

    /// Two spells of 30 s in 256 s, each with half of its 10 cases a second slow.
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
