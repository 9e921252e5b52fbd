//! The job of the engine: the plan, the phases to run and how to run them.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::wire::socket::Dialer;
use crate::measure::limits::Limits;
use crate::plan::model::{PhaseId, Plan};

/// A run for the engine to execute.
pub struct Job {
    pub dialer: Dialer,
    pub plan: Arc<Plan>,
    /// The phases to run, in this order.
    pub phases: Vec<PhaseId>,
    /// The seed of all random streams.
    pub seed: u64,
    pub workers: usize,
    /// The limits that response times are counted against.
    pub limits: Arc<Limits>,
    /// The most samples that a worker hands over for the request log, per phase.
    pub log_capacity: usize,
    /// How long requests in flight may take to finish after the run was stopped. Then they are cancelled.
    pub max_drain: Duration,
    /// Whether to send messages about connections and users.
    pub verbose: bool,
    /// Whether the run uses the machine's clock. Each worker then has its own thread, a precise timer and a
    /// heartbeat. Otherwise all workers share the caller's thread and the clock of its runtime, which may be paused.
    pub real_time: bool,
}
