//! The values that result from two consecutive snapshots of a host.

use serde::{Deserialize, Serialize};

use crate::resources::metric::Metric;

/// The measured values between two snapshots, each in the unit of its metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// Sorted by metric.
    pub measured: Vec<(Metric, f64)>,
    /// The capacity of metrics that have one, in the same unit.
    pub most: Vec<(Metric, f64)>,
    /// Metrics without a value and the reason for each, sorted by metric.
    pub missing: Vec<(Metric, String)>,
    /// Events of the host or of the measurement: `the machine was booted 12 s ago`, `connection refused`.
    pub troubles: Vec<String>,
    /// Set if the counters started over between the snapshots: values before and after do not belong together.
    pub counter_reset: Option<CounterReset>,
}

/// Why the counters of a host started over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterReset {
    /// The same host was booted, or its process was started again.
    Restart,
    /// A different host answered.
    OtherHost,
    /// Processes joined or left, or the counters are from another time: nothing shows a restart.
    Changed,
}

impl Values {
    /// The values of a failed snapshot: none, and the reason as a trouble.
    pub fn failed(why: impl Into<String>) -> Self {
        Self { troubles: vec![why.into()], ..Self::default() }
    }

    /// The value of a metric, if it was measured.
    pub fn of(&self, metric: Metric) -> Option<f64> {
        self.measured.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }
}
