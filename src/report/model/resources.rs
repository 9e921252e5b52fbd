use std::collections::BTreeMap;

use serde::Serialize;

/// What a host used in a phase, over the judged window.
#[derive(Debug, Clone, Serialize)]
pub struct HostReport {
    /// The host's name.
    pub host: String,
    /// Who was asked about it.
    pub source: String,
    /// Whether the run itself added it, to tell target and generator apart on this machine.
    pub added: bool,
    /// The phase.
    pub phase: String,
    /// The time between two readings.
    pub every_s: f64,
    /// How long it was watched: the time that its readings cover.
    pub duration_s: f64,
    /// Readings that were expected.
    pub expected: u32,
    /// Readings that there are.
    pub readings: u32,
    /// When there was none.
    pub holes: Vec<GapReport>,
    /// What happened to it, the whole phase long.
    pub events: Vec<HostEventReport>,
    /// By name.
    pub metrics: BTreeMap<&'static str, MetricReport>,
    /// Metrics that could not be had, or not always, and why.
    pub missing: BTreeMap<&'static str, String>,
    /// Rates × time.
    pub totals: TotalsReport,
}

/// A time without a reading.
#[derive(Debug, Clone, Serialize)]
pub struct GapReport {
    /// RFC 3339, UTC.
    pub from: String,
    /// RFC 3339, UTC.
    pub to: String,
}

/// Something that happened to a host.
#[derive(Debug, Clone, Serialize)]
pub struct HostEventReport {
    /// When it was first so: RFC 3339, UTC.
    pub from: String,
    /// When it was last so: RFC 3339, UTC.
    pub to: String,
    /// In words.
    pub what: String,
}

/// One metric of a host.
#[derive(Debug, Clone, Serialize)]
pub struct MetricReport {
    /// Of all the following.
    pub unit: &'static str,
    /// What is measured, so that it can be compared with other tools.
    pub definition: &'static str,
    /// Of the readings.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// Of the means over 60 s; `null` under a whole minute.
    pub p50: Option<f64>,
    /// Likewise.
    pub p95: Option<f64>,
    /// Likewise.
    pub p99: Option<f64>,
    /// The last reading.
    pub last: f64,
    /// The most that there can be, where it is known.
    pub most: Option<f64>,
}

/// What a host read, wrote, received and sent over the judged window, in bytes; `null` where it is not measured.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct TotalsReport {
    /// From its disks.
    pub disk_read_bytes: Option<u64>,
    /// To its disks.
    pub disk_written_bytes: Option<u64>,
    /// Without loopback.
    pub network_received_bytes: Option<u64>,
    /// Without loopback.
    pub network_sent_bytes: Option<u64>,
}

/// Target, generator and machine side by side, where the target is on the generator's machine; each as a share of the
/// cores that it may use.
#[derive(Debug, Clone, Serialize)]
pub struct SharedMachineReport {
    /// Of the target's process and its children.
    pub target_cpu_percent: f64,
    /// Of this process.
    pub generator_cpu_percent: f64,
    /// Of everything on the machine.
    pub machine_cpu_percent: f64,
    /// `target`, `generator` or `machine`; `null` where none of them is.
    pub limit: Option<&'static str>,
    /// The same in one sentence.
    pub told: String,
}
