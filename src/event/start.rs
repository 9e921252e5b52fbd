//! The start of a run: everything that a reader of its events needs to judge them without the process that wrote them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::measure::limits::Limits;
use crate::plan::{GateTier, PlanInputs};
use crate::units::TimeSpan;

/// The start of a run. No text in it holds a secret of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// The version of the runner.
    pub runner: String,
    pub at: Timestamp,
    /// The files of the plan and the options from which it compiles again.
    pub inputs: PlanInputs,
    pub options: RunOptions,
    /// SHA-256 of the files as read.
    pub digest: String,
    /// The URL of the target.
    pub target: String,
    pub place: RunPlace,
    /// The seed of all random streams.
    pub seed: u64,
    /// The number of workers. Their windows are numbered from 0; those of the process follow.
    pub workers: u16,
    /// Names by [`PhaseId`](crate::plan::model::PhaseId).
    pub phases: Vec<String>,
    /// Names by [`OperationId`](crate::plan::model::OperationId).
    pub operations: Vec<String>,
    /// Names by [`HostId`](crate::plan::model::HostId).
    pub hosts: Vec<String>,
    /// The limits that requests are counted against.
    pub limits: Limits,
    /// The tier at which the run is judged.
    #[serde(default)]
    pub gate: GateTier,
    /// `--label`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub machine: GeneratorMachine,
}

/// The machine of the load generator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorMachine {
    /// Its host name; empty if it is unknown.
    pub host: String,
    /// The release of its Linux kernel.
    pub kernel: String,
}

impl RunStart {
    /// The number of sources of windows: the workers and their process.
    pub fn sources(&self) -> usize {
        usize::from(self.workers) + 1
    }
}

/// The options of the command line that change what a plan does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunOptions {
    /// The path of the plan.
    pub plan: String,
    /// `--target`.
    pub target: Option<String>,
    /// `--stand-in`.
    pub stand_in: bool,
    /// `--set`, in order.
    pub overrides: Vec<String>,
    /// `--phase`.
    pub phases: Vec<String>,
    /// `--gate`.
    pub gate: Option<GateTier>,
    /// `--rehearse`.
    pub rehearse: Option<TimeSpan>,
    /// `--allow-outside`.
    pub allow_outside: bool,
}

/// Where a run takes place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunPlace {
    /// The running stand-in, if it replaces the target.
    pub stand_in: Option<StandInAddress>,
    /// Whether the target is on this machine.
    pub target_is_local: bool,
    /// The number of cores that the generator may use.
    pub cores: f64,
}

/// A running stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandInAddress {
    pub pid: u32,
    /// The local port at which it listens.
    pub port: u16,
}
