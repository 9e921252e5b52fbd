//! When tasks start and who carries them: pure sequences, no clock, no randomness, the same on every worker.

mod arrivals;
mod dealing;

pub use arrivals::Arrivals;
pub use dealing::{Dealer, deal};
