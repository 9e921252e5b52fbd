//! Intended starts and their assignment to users: pure sequences without a clock or randomness, the same on every
//! worker.

mod arrivals;
mod dealing;

pub use arrivals::Arrivals;
pub use dealing::{Dealer, deal};
