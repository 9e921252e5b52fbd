//! Deals users and arrivals to shares by weight, without randomness.

/// Deals the numbers 0, 1, 2 … to shares by weight, so that at any point each share has its due.
///
/// This is Tijdeman's algorithm ("The chairman assignment problem", Discrete Mathematics 32, 1980): after any number
/// of deals no share is off its exact part by 1 or more. Dealing more numbers never changes the earlier ones.
#[derive(Debug, Clone)]
pub struct Dealer {
    parts: Vec<f64>,
    dealt: Vec<u64>,
    count: u64,
}

impl Dealer {
    /// Deals by these weights. At least one must be positive, and none may be negative.
    pub fn new(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        Self { parts: weights.iter().map(|w| w / sum).collect(), dealt: vec![0; weights.len()], count: 0 }
    }

    /// Returns the share that gets the next number.
    pub fn deal_next(&mut self) -> usize {
        self.count += 1;
        let shares = self.parts.iter().filter(|part| **part > 0.0).count();
        let slack = if shares > 1 { 1.0 / (2.0 * shares as f64 - 2.0) } else { 0.0 };
        let due = |i: usize| self.parts[i] * self.count as f64 - self.dealt[i] as f64;
        let deadline = |i: usize| (self.dealt[i] as f64 + 1.0 - slack) / self.parts[i];
        let eligible = (0..self.parts.len()).filter(|i| self.parts[*i] > 0.0 && due(*i) >= slack - 1e-9);
        // Rounding may leave no share eligible; then the most overdue one gets the number.
        let chosen = eligible
            .min_by(|a, b| deadline(*a).total_cmp(&deadline(*b)))
            .or_else(|| (0..self.parts.len()).max_by(|a, b| due(*a).total_cmp(&due(*b))))
            .expect("a dealer has at least one share");
        self.dealt[chosen] += 1;
        chosen
    }
}

/// Deals the first `count` numbers and returns the share of each.
pub fn deal(weights: &[f64], count: u32) -> Vec<usize> {
    let mut dealer = Dealer::new(weights);
    (0..count).map(|_| dealer.deal_next()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(weights: &[f64], count: u32) -> Vec<usize> {
        let dealt = deal(weights, count);
        (0..weights.len()).map(|share| dealt.iter().filter(|d| **d == share).count()).collect()
    }

    #[test]
    fn seventy_twenty_ten_is_dealt_as_promised() {
        let weights = [70.0, 20.0, 10.0];
        assert_eq!(counts(&weights, 7), [5, 1, 1]);
        assert_eq!(counts(&weights, 10), [7, 2, 1]);
        assert_eq!(counts(&weights, 50), [35, 10, 5]);
        assert_eq!(counts(&weights, 100), [70, 20, 10]);
    }

    #[test]
    fn more_users_never_change_those_already_dealt() {
        let weights = [70.0, 20.0, 10.0];
        let all = deal(&weights, 1000);
        for count in [7, 50, 100, 999] {
            assert_eq!(deal(&weights, count), all[..count as usize]);
        }
    }

    proptest! {
        #[test]
        fn every_prefix_is_within_one_of_its_share(weights in prop::collection::vec(0.1_f64..100.0, 1..9), count in 1_u32..400) {
            let sum: f64 = weights.iter().sum();
            let mut dealer = Dealer::new(&weights);
            let mut dealt = vec![0.0; weights.len()];
            for n in 1..=count {
                dealt[dealer.deal_next()] += 1.0;
                for (share, weight) in weights.iter().enumerate() {
                    prop_assert!((dealt[share] - f64::from(n) * weight / sum).abs() < 1.0);
                }
            }
        }
    }
}
