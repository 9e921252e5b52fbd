//! A reading of a host at a tick of a phase.

use serde::{Deserialize, Serialize};

use crate::plan::model::{HostId, PhaseId};
use crate::resources::reading::Values;

/// The difference of the snapshot at one tick from the previous one, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub phase: PhaseId,
    pub host: HostId,
    /// Index in the phase.
    pub tick: u32,
    /// Seconds between the two snapshots; 0 if there is only one, or none.
    pub covered_s: f64,
    pub values: Values,
}
