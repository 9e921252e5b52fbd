//! Sends what a plan asks for, when its schedule says, and records what happened.
//!
//! Every worker is a thread with a runtime of its own; it owns its users, their connections and its recorder. Workers
//! share nothing: each computes the whole schedule and takes its part, and once a second hands over what it recorded.

mod clock;
mod conductor;
mod connection;
mod fault;
mod job;
mod pool;
mod ready;
mod request;
mod socket;
mod user;
mod worker;

pub use conductor::start;
pub use job::Job;
pub use ready::wait_until_ready;
