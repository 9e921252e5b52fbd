use std::sync::Arc;

use crate::measure::watch::Limits;
use crate::plan::model::{PhaseId, Plan};

/// What the engine is to do.
#[derive(Debug)]
pub struct Job {
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
    pub log_room: usize,
    /// Whether to tell what happens to connections and users.
    pub verbose: bool,
    /// Whether time is the machine's: then workers wait by a fine timer and watch how their own thread fares.
    pub real_time: bool,
}
