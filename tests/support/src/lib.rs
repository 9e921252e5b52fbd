//! Scripted targets and readers of finished runs, for tests of the real binary and for tests on a simulated clock.

pub mod phases;
pub mod ran;
pub mod setup;
pub mod target;
