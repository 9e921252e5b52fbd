//! Statistics for decisions at a risk α: proportions with a design effect, batch means, trends, several
//! decisions at once, and sequential tests.
//!
//! α is the risk of a wrong decision, 1 − confidence. A decision compares a probability with α.

mod batch_means;
mod holm;
mod proportion;
mod sequential_test;
mod theil_sen;

pub use batch_means::{BatchMeans, MIN_BATCHES, MIN_JUDGED_SECONDS, Side};
pub use holm::holm;
pub use proportion::{Allowed, BURSTY_DESIGN_EFFECT, Proportion, min_samples};
pub use sequential_test::{BayesFactor, SequentialTest};
pub use theil_sen::{MIN_RATIO_BATCHES, MeanRatio, TREND_SEGMENTS, Trend, mean_ratio, trend};

use statrs::function::beta::ln_beta;

/// Iₓ(a, b), the regularised incomplete beta function. If a or b is 0, it is a step function.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    match (a > 0.0, b > 0.0) {
        (true, true) => incomplete_beta(x.clamp(0.0, 1.0), (a, b), ln_beta(a, b)).clamp(0.0, 1.0),
        // All of the probability is at 0, or at 1.
        (false, _) => 1.0,
        (_, false) => f64::from(u8::from(x >= 1.0)),
    }
}

/// Iₓ(a, b) for positive a and b, by its continued fraction (DLMF 8.17.22). Of the two equivalent forms it
/// takes the one that converges in a small multiple of √max(a, b) terms.
fn incomplete_beta(x: f64, (a, b): (f64, f64), ln_beta: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp();
    if x <= (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction, evaluated from the front by Lentz's method as modified by Thompson and Barnett
/// (1986).
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    /// Enough for more samples than a run can have. The truncation error is then below their uncertainty.
    const MAX_TERMS: u32 = 200_000;
    const TOLERANCE: f64 = 1e-14;
    let not_zero = |value: f64| if value.abs() < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { value };
    let mut over = 1.0;
    let mut under = not_zero(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = under;
    for term in 1..=MAX_TERMS {
        let m = f64::from(term);
        let at = a + 2.0 * m;
        let even = m * (b - m) * x / ((at - 1.0) * at);
        let odd = -(a + m) * (a + b + m) * x / (at * (at + 1.0));
        let mut last = 1.0;
        for numerator in [even, odd] {
            under = not_zero(1.0 + numerator * under).recip();
            over = not_zero(1.0 + numerator / over);
            last = over * under;
            fraction *= last;
        }
        if (last - 1.0).abs() <= TOLERANCE {
            break;
        }
    }
    fraction
}

/// The x with Iₓ(a, b) = p, for positive a and b. Newton's method between bounds that every step narrows, so
/// that it terminates for all inputs.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    const MAX_STEPS: usize = 200;
    const TOLERANCE: f64 = 1e-12;
    let ln_beta = ln_beta(a, b);
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = a / (a + b);
    for _ in 0..MAX_STEPS {
        let off = incomplete_beta(x, (a, b), ln_beta) - p;
        *(if off > 0.0 { &mut high } else { &mut low }) = x;
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta).exp();
        let step = x - off / density;
        let next = if low < step && step < high { step } else { f64::midpoint(low, high) };
        if (next - x).abs() <= TOLERANCE * x {
            return next;
        }
        x = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_found_for_any_number_of_samples() {
        let mut looked = 0;
        for n in [1.0, 7.5, 300.0, 86_400.0, 8e6, 7.9e8, 1e10] {
            for proportion in [0.0, 1e-9, 1e-7, 0.0004, 0.01, 0.05, 0.3, 0.5, 0.95, 1.0] {
                for p in [0.0001, 0.004, 0.05, 0.5, 0.95, 0.9996] {
                    // The parameters of the confidence limits of k in n.
                    let k = n * proportion;
                    for (a, b) in [(k, n - k + 1.0), (k + 1.0, n - k)] {
                        if a > 0.0 && b > 0.0 {
                            let x = beta_quantile(p, a, b);
                            // If k is far below 1, the quantile is too close to 0 to compare.
                            let (below, above) = (beta(x * (1.0 - 1e-9), a, b), beta(x * (1.0 + 1e-9), a, b));
                            let found = below - 1e-6 < p && p < above + 1e-6 || x < 1e-60;
                            assert!(found, "{p} is not between I({x}; {a}, {b}) = {below} and {above}");
                            looked += 1;
                        }
                    }
                }
            }
        }
        assert!(looked > 700, "{looked}");
    }
}
