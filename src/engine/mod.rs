//! Sends the requests of a plan on schedule and records their results.
//!
//! Every worker is a thread with its own runtime. It owns its users, their connections and its recorder. Workers
//! share nothing: each computes the whole schedule, takes its part, and hands over its windows once a second.

mod clock;
mod conductor;
mod expectations;
mod heartbeat;
mod job;
mod own_process;
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
pub use user::exchange_log::Exchange;
pub use wire::response::ReceivedResponse;
pub use wire::socket::{ConnectionSetup, Dialer};
