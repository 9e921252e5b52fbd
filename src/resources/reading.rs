//! What two looks come to.

use serde::{Deserialize, Serialize};

use crate::resources::metric::Metric;

/// What became of one look at a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The phase's place in the plan.
    pub phase: u16,
    /// The host's place in the plan.
    pub host: u16,
    /// Which of the phase's ticks it is.
    pub tick: u32,
    /// The time between the two looks, in seconds.
    pub covered_s: f64,
    /// What was measured.
    pub values: Values,
}

/// What was measured between two looks, in each metric's unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// By metric, in order.
    pub measured: Vec<(Metric, f64)>,
    /// The most that there can be of some of them, in the same unit.
    pub most: Vec<(Metric, f64)>,
    /// Why others could not be had.
    pub missing: Vec<(Metric, String)>,
    /// What happened to the host or to the counting, in words: `the machine was booted 12 s ago`, `connection refused`.
    pub troubles: Vec<String>,
    /// What began the counters anew, if something did: what was before and what is after do not belong together.
    pub counter_reset: Option<CounterReset>,
}

/// What counters began anew by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterReset {
    /// Another life of the same host: it was booted, or a process was started again.
    Restart,
    /// Another host answers.
    OtherHost,
}

impl Values {
    /// A look that came to nothing.
    pub fn failed(why: impl Into<String>) -> Self {
        Self { troubles: vec![why.into()], ..Self::default() }
    }

    /// What was measured of a metric.
    pub fn of(&self, metric: Metric) -> Option<f64> {
        self.measured.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }
}
