//! The part of `report.json` about monitored hosts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resources::metric::Metric;
use crate::units::{Unit, text_enum};

text_enum! {
    /// The part of a shared machine that is at its limit.
    pub enum AtLimit {
        Target = "target",
        Generator = "generator",
        Machine = "machine",
    }
}

/// Resource usage of a host in a phase, over the judged period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostReport {
    /// The name of the host.
    pub host: String,
    /// The source of the readings, such as `this machine`, with secrets redacted.
    pub source: String,
    /// Whether the run added the host, to separate target and load generator on this machine.
    pub added: bool,
    pub phase: String,
    /// The sampling interval.
    pub every_s: f64,
    /// The time that the readings cover.
    pub duration_s: f64,
    /// The number of expected readings.
    pub expected: u32,
    /// The number of actual readings.
    pub readings: u32,
    /// Times without a reading.
    pub holes: Vec<GapReport>,
    /// Restarts, failures and other events in the whole phase.
    pub events: Vec<HostEventReport>,
    /// The metrics by name.
    pub metrics: BTreeMap<Metric, MetricReport>,
    /// The reason for each metric that is missing in some or all readings.
    pub missing: BTreeMap<Metric, String>,
    /// Total bytes: the sum of rate × time.
    pub totals: TotalsReport,
}

/// A time without a reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapReport {
    /// RFC 3339, UTC.
    pub from: String,
    /// RFC 3339, UTC.
    pub to: String,
}

/// An event of a host, such as a restart or a failed snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostEventReport {
    /// The first reading with the event: RFC 3339, UTC.
    pub from: String,
    /// The last reading with the event: RFC 3339, UTC.
    pub to: String,
    /// The message.
    pub what: String,
}

/// The readings of one metric of a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricReport {
    /// The unit of all values.
    pub unit: Unit,
    /// The definition of the metric, for comparison with other tools.
    pub definition: String,
    /// Mean of the readings.
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// Percentiles of the means over whole minutes; `null` without a whole minute.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// The last reading.
    pub last: f64,
    /// The maximum possible value, if it is known.
    pub most: Option<f64>,
}

/// Bytes that a host read, wrote, received and sent over the judged period; `null` if not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TotalsReport {
    pub disk_read_bytes: Option<u64>,
    pub disk_written_bytes: Option<u64>,
    /// Excludes loopback.
    pub network_received_bytes: Option<u64>,
    /// Excludes loopback.
    pub network_sent_bytes: Option<u64>,
}

/// CPU usage of target, load generator and machine, if they share the machine. Each is a percentage of the cores that it
/// may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SharedMachineReport {
    /// The process of the target and its children.
    pub target_cpu_percent: f64,
    /// The process of the load generator.
    pub generator_cpu_percent: f64,
    /// The whole machine.
    pub machine_cpu_percent: f64,
    /// `null` if none is.
    pub limit: Option<AtLimit>,
    /// The comparison as a sentence.
    pub told: String,
}
