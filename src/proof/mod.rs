//! What counts can prove, and at which risk: shares with bursts taken into account, means by batches, several decisions at
//! once, and a decision that may be looked at while a run goes on.
//!
//! α is the risk of a wrong decision, 1 − confidence. Every number that decides is a probability to be compared with it.

mod anytime;
mod holm;
mod means;
mod share;

pub use anytime::{Anytime, Look};
pub use holm::holm;
pub use means::{Means, Side};
pub use share::{Allowed, Share, fewest_samples};

use special::Beta;

/// Iₓ(a, b), the regularised incomplete beta function, also where one of a and b is 0 and it is a step.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    match (a > 0.0, b > 0.0) {
        (true, true) => x.clamp(0.0, 1.0).inc_beta(a, b, a.ln_beta(b)).clamp(0.0, 1.0),
        // All of the probability is at 0, or at 1.
        (false, _) => 1.0,
        (_, false) => f64::from(u8::from(x >= 1.0)),
    }
}

/// The x at which Iₓ(a, b) is p.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    p.inv_inc_beta(a, b, a.ln_beta(b))
}
