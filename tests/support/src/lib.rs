//! Targets and finished runs, for tests that run the real binary over TCP and for tests on a simulated clock alike.

pub mod phases;
pub mod ran;
pub mod setup;
pub mod target;
