//! Holm's procedure: decisions on several hypotheses at one risk.

/// The hypotheses that can be rejected so that the risk of rejecting any true one is at most α, by Holm's
/// step-down procedure (1979). The smallest p-value is compared with α/m, the next one with α/(m−1) and so
/// on, until one fails.
pub fn holm(risks: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..risks.len()).collect();
    order.sort_by(|a, b| risks[*a].total_cmp(&risks[*b]));
    let mut rejected = vec![false; risks.len()];
    for (rank, index) in order.into_iter().enumerate() {
        if risks[index] > alpha / (risks.len() - rank) as f64 {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_one_hypothesis_less() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm(&[0.012, 0.02, 0.049], 0.05), [true, true, true]);
        assert_eq!(holm(&[0.04, 0.04], 0.05), [false, false]);
        assert_eq!(holm(&[0.05], 0.05), [true]);
        assert!(holm(&[], 0.05).is_empty());
    }
}
