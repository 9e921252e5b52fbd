//! A sequential test: proves a breach while a run goes on, at a bounded total risk.

use statrs::function::beta::ln_beta;

use crate::statistics::Proportion;

/// The weight of the mixture's prior, in cases.
const PRIOR_CASES: f64 = 20.0;

/// A test that stays valid however often it is repeated: if the limit is kept, the probability that it ever
/// proves a breach is at most α/M.
#[derive(Debug, Clone, Copy)]
pub struct SequentialTest {
    /// α.
    pub alpha: f64,
    /// M: the number of objectives that share α.
    pub objectives: usize,
}

/// The evidence that a limit is exceeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BayesFactor {
    /// ln of the Bayes factor against the limit: of the mixture over the allowed share q₀.
    pub ln_factor: f64,
    /// The least `ln_factor` that proves a breach: ln(M/α).
    pub ln_needed: f64,
}

impl BayesFactor {
    /// Whether a breach is proven.
    pub fn proves(self) -> bool {
        self.ln_factor >= self.ln_needed
    }
}

impl SequentialTest {
    /// The Bayes factor of K in N: a beta-binomial mixture with the prior Beta(20q₀, 20(1−q₀)) against q₀. By
    /// Ville's inequality it exceeds M/α with a probability of at most α/M if the limit is kept (Robbins
    /// 1970).
    pub fn bayes_factor(self, counts: &Proportion, share: f64) -> BayesFactor {
        let (n, k) = (counts.effective(), counts.counted / counts.design_effect);
        let ln_needed = (self.objectives.max(1) as f64 / self.alpha).ln();
        if counts.cases <= 0.0 || counts.counted / counts.cases <= share || share <= 0.0 {
            return BayesFactor { ln_factor: f64::NEG_INFINITY, ln_needed };
        }
        let (a, b) = (PRIOR_CASES * share, PRIOR_CASES * (1.0 - share));
        let mixture = ln_beta(a + k, b + n - k) - ln_beta(a, b);
        BayesFactor { ln_factor: mixture - k * share.ln() - (n - k) * (-share).ln_1p(), ln_needed }
    }

    /// The risk that a test of fixed time may take at check j, counted from 1: `α/M · 1/(j(j+1))`. The sum over
    /// all checks is α/M.
    pub fn risk_at_check(self, number: u64) -> f64 {
        let number = number.max(1) as f64;
        self.alpha / self.objectives.max(1) as f64 / (number * (number + 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_when_far_beyond_and_never_within() {
        let alone = SequentialTest { alpha: 0.05, objectives: 1 };
        let bayes_factor = |n, k| alone.bayes_factor(&Proportion::independent(n, k), 0.05).proves();
        assert!(!bayes_factor(1000.0, 50.0) && !bayes_factor(1000.0, 20.0) && !bayes_factor(0.0, 0.0));
        assert!(bayes_factor(1000.0, 100.0) && bayes_factor(20.0, 20.0));
        // With twelve objectives more evidence is needed.
        let among = SequentialTest { alpha: 0.05, objectives: 12 };
        let ln_factor = alone.bayes_factor(&Proportion::independent(210.0, 21.0), 0.05);
        assert!(
            ln_factor.ln_needed < among.bayes_factor(&Proportion::independent(210.0, 21.0), 0.05).ln_needed
        );
    }

    #[test]
    fn checks_never_take_more_risk_than_there_is() {
        let among = SequentialTest { alpha: 0.05, objectives: 5 };
        let sum: f64 = (1..1_000_000).map(|number| among.risk_at_check(number)).sum();
        assert!(sum <= 0.01 && sum > 0.00999, "{sum}");
    }
}
