use std::sync::Arc;

use crate::engine::wire::socket::Dialer;
use crate::measure::indicator::Limits;
use crate::plan::model::{PhaseId, Plan};

/// What the engine is to do.
pub struct Job {
    /// How the target is reached.
    pub dialer: Dialer,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The phases to run, in this order.
    pub phases: Vec<PhaseId>,
    /// What chance depends on.
    pub seed: u64,
    /// How many workers.
    pub workers: usize,
    /// The limits that response times are counted against.
    pub limits: Arc<Limits>,
    /// How many samples each worker hands over whole.
    pub log_capacity: usize,
    /// Whether to tell what happens to connections and users.
    pub verbose: bool,
    /// Whether time is the machine's: then each worker has a thread of its own, waits by a fine timer and watches how its
    /// thread fares. Otherwise all workers share the caller's thread and the clock of its runtime, which may be paused.
    pub real_time: bool,
}
