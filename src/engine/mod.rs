//! Sends what a plan asks for, when its schedule says, and records what happened.
//!
//! Every worker is a thread with a runtime of its own; it owns its users, their connections and its recorder. Workers
//! share nothing: each computes the whole schedule and takes its part, and once a second hands over what it recorded.

mod clock;
mod conductor;
mod heartbeat;
mod job;
mod pool;
mod readiness;
mod timer;
mod try_tasks;
mod user;
mod wire;
mod worker;

pub use conductor::start;
pub use job::Job;
pub use readiness::{check_tls, wait_until_ready};
pub use try_tasks::{TriedTask, TryJob, try_each_task};
pub use user::context::Exchange;
pub use wire::connection::ReceivedResponse;
pub use wire::socket::{ConnectionSetup, Dialer};
