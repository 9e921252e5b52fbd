use statrs::function::beta::ln_beta;

use crate::proof::Share;

/// How many cases the prior of the mixture is worth.
const PRIOR: f64 = 20.0;

/// A proof that is valid however often it is looked for: the probability that it is ever found, if the limit is kept, is at
/// most α/M.
#[derive(Debug, Clone, Copy)]
pub struct Anytime {
    /// α.
    pub alpha: f64,
    /// M: how many objectives share α.
    pub objectives: usize,
}

/// Whether a limit is proven to be exceeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// ln of the Bayes factor against the limit: of the mixture over the one share that is allowed.
    pub factor: f64,
    /// What it has to reach: ln(M/α).
    pub needed: f64,
}

impl Look {
    /// Whether it is reached.
    pub fn proves(self) -> bool {
        self.factor >= self.needed
    }
}

impl Anytime {
    /// Looks at K of N: a beta-binomial mixture with the prior Beta(20q₀, 20(1−q₀)) against q₀, which by Ville's inequality
    /// exceeds M/α with probability α/M at most (Robbins 1970).
    pub fn look(self, counts: &Share, share: f64) -> Look {
        let (n, k) = (counts.effective(), counts.counted / counts.design);
        let needed = (self.objectives.max(1) as f64 / self.alpha).ln();
        if counts.cases <= 0.0 || counts.counted / counts.cases <= share || share <= 0.0 {
            return Look { factor: f64::NEG_INFINITY, needed };
        }
        let (a, b) = (PRIOR * share, PRIOR * (1.0 - share));
        let mixture = ln_beta(a + k, b + n - k) - ln_beta(a, b);
        Look { factor: mixture - k * share.ln() - (n - k) * (-share).ln_1p(), needed }
    }

    /// The risk that a test at a fixed moment may take at the look of this number, from 1, so that all looks together take
    /// α/M: α/M · 1/(j(j+1)), which sums to α/M.
    pub fn risk_of_look(self, number: u64) -> f64 {
        let number = number.max(1) as f64;
        self.alpha / self.objectives.max(1) as f64 / (number * (number + 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_when_far_beyond_and_never_within() {
        let alone = Anytime { alpha: 0.05, objectives: 1 };
        let look = |n, k| alone.look(&Share::independent(n, k), 0.05).proves();
        assert!(!look(1000.0, 50.0) && !look(1000.0, 20.0) && !look(0.0, 0.0));
        assert!(look(1000.0, 100.0) && look(20.0, 20.0));
        // Among twelve more is needed.
        let among = Anytime { alpha: 0.05, objectives: 12 };
        let factor = alone.look(&Share::independent(210.0, 21.0), 0.05);
        assert!(factor.needed < among.look(&Share::independent(210.0, 21.0), 0.05).needed);
    }

    #[test]
    fn looks_never_take_more_risk_than_there_is() {
        let among = Anytime { alpha: 0.05, objectives: 5 };
        let sum: f64 = (1..1_000_000).map(|number| among.risk_of_look(number)).sum();
        assert!(sum <= 0.01 && sum > 0.00999, "{sum}");
    }
}
