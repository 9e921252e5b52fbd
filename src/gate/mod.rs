//! How a run ends: its verdict, its notices, and the reasons to end it early. Everything follows from a plan, its
//! objectives and a summary, so that a stored run is judged like one that has just ended.

mod circuit_breaker;
mod conclude;
mod early_stop;
mod ending;
mod notices;

pub use conclude::{FinishedRun, RunConclusion, RunOutcome, conclude};
pub use early_stop::{EarlyStop, EndedEarly};
pub use ending::{Ending, RunVerdict, Signal, of_objectives};
pub use notices::insecure;
