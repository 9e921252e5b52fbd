//! Sends what a plan asks for, when its schedule says, and records what happened.
//!
//! Every worker is a thread with a runtime of its own; it owns its users, their connections and its recorder. Workers
//! share nothing: each computes the whole schedule and takes its part, and once a second hands over what it recorded.

mod alarm;
mod clock;
mod conductor;
mod heart;
mod job;
mod once;
mod pool;
mod ready;
mod user;
mod wire;
mod worker;

pub use conductor::start;
pub use job::Job;
pub use once::{Done, Once, each_task_once};
pub use ready::{check_tls, wait_until_ready};
pub use user::stage::Exchange;
pub use wire::connection::Answer;
pub use wire::socket::{Dialer, Opened};
