//! `report.json`, version `runner-report/1`: the source of all other reports.
//!
//! The unit is in a name or beside it: `_ms`, `_s`, `_per_s`, `_percent`, `_bytes`. What has no data is `null`, never 0.

mod resources;

pub use resources::{
    GapReport, HostEventReport, HostReport, MetricReport, SharedMachineReport, TotalsReport,
};

use std::collections::BTreeMap;

use serde::Serialize;

/// A finished run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `runner-report/1`.
    pub schema: &'static str,
    /// The runner's version.
    pub runner: String,
    /// What was run.
    pub plan: PlanReport,
    /// Where the load went.
    pub target: String,
    /// What chance depended on.
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub ended_at: String,
    /// Whether the plan was shrunk.
    pub rehearsal: bool,
    /// One word.
    pub verdict: &'static str,
    /// The process's exit code.
    pub exit_code: u8,
    /// The tier at which objectives were judged.
    pub gate: &'static str,
    /// `proven`, or `observed` where values were only compared.
    pub decision: &'static str,
    /// How sure what is proven is.
    pub confidence_percent: f64,
    /// Every objective in every phase that ran.
    pub objectives: Vec<ObjectiveReport>,
    /// Every phase that ran.
    pub phases: Vec<PhaseReport>,
    /// What the hosts under `[monitor]` used, phase by phase.
    pub resources: Vec<HostReport>,
    /// Where the runner ended the run before its time.
    pub ended_early: Option<EndedEarlyReport>,
    /// What the reader should know.
    pub notices: Vec<String>,
}

/// A run that the runner ended before its time.
#[derive(Debug, Clone, Serialize)]
pub struct EndedEarlyReport {
    /// `abort` where a breach was proven, `breaker` where most requests failed.
    pub by: &'static str,
    /// The objective whose breach was proven.
    pub objective: Option<String>,
    /// In this phase.
    pub phase: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What the data supported at that moment.
    pub why: String,
}

/// What was run.
#[derive(Debug, Clone, Serialize)]
pub struct PlanReport {
    /// Its name.
    pub name: String,
    /// Its file, as the user named it.
    pub path: String,
    /// SHA-256 over its files.
    pub digest: String,
}

/// An objective in a phase.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectiveReport {
    /// Its name.
    pub name: String,
    /// `response_time`, `throughput`, `error_rate`, `resource` or `drift`.
    pub kind: &'static str,
    /// The phase.
    pub phase: String,
    /// What it pools.
    pub operations: Vec<String>,
    /// For throughput the scenario.
    pub scenario: Option<String>,
    /// For resources the host.
    pub host: Option<String>,
    /// For resources what is measured.
    pub metric: Option<&'static str>,
    /// `p95`, `mean` …
    pub statistic: String,
    /// Of observed and limits.
    pub unit: &'static str,
    /// `null` without data.
    pub observed: Option<f64>,
    /// Between these the true value is, each end at the gate's confidence; `null` where one of them is unknown.
    pub interval: Option<[f64; 2]>,
    /// Requests, or readings, it is based on.
    pub samples: u64,
    /// How many independent requests would tell as much; for `mean` and throughput how many batches there are, with
    /// `every`, and for the growth of something, how many windows.
    pub effective_samples: Option<f64>,
    /// By tier.
    pub limits: BTreeMap<&'static str, f64>,
    /// The best tier that is proven, `missed` where it is proven that none holds, or `null`.
    pub tier: Option<&'static str>,
    /// One word.
    pub verdict: &'static str,
    /// Whether it counts.
    pub gated: bool,
    /// One sentence.
    pub why: String,
}

/// A phase.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseReport {
    /// Its name.
    pub name: String,
    /// What throughput objectives select on.
    pub scenario: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Its length in the plan.
    pub planned_s: f64,
    /// How long it ran, without the drain.
    pub ran_s: f64,
    /// How long it was judged.
    pub judged_s: f64,
    /// Virtual users.
    pub users: u32,
    /// Sent or tried in the whole phase.
    pub requests: u64,
    /// Of these, failed.
    pub errors: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Successful completions per judged second.
    pub throughput_per_s: Option<f64>,
    /// Of an open phase.
    pub arrivals: Option<ArrivalsReport>,
    /// Whether some of its users have a network latency.
    #[serde(skip)]
    pub network_latency: bool,
    /// Those that occurred.
    pub operations: Vec<OperationReport>,
    /// Of the whole phase.
    pub errors_by_kind: Vec<ErrorReport>,
    /// Of a phase with a missed objective, what the data show of the reason, one sentence each, the likeliest first.
    pub causes: Vec<String>,
    /// How the generator did.
    pub generator: GeneratorReport,
    /// Where the target is on the generator's machine, and that was looked at.
    pub shared_machine: Option<SharedMachineReport>,
}

/// What became of a schedule.
#[derive(Debug, Clone, Serialize)]
pub struct ArrivalsReport {
    /// Tasks that the schedule wanted.
    pub scheduled: u64,
    /// Of these, taken up.
    pub started: u64,
    /// Of these, never sent.
    pub dropped: u64,
}

/// An operation in a phase.
#[derive(Debug, Clone, Serialize)]
pub struct OperationReport {
    /// Its name.
    pub name: String,
    /// Sent or tried in the whole phase.
    pub requests: u64,
    /// Of these, failed.
    pub errors: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Successful completions per judged second.
    pub throughput_per_s: Option<f64>,
    /// Bytes of bodies received in the whole phase.
    pub received_bytes: u64,
    /// What a user waited, over the judged window.
    pub response_ms: TimesReport,
    /// What the target took, over the judged window.
    pub service_ms: TimesReport,
    /// The same with the plan's network latency.
    pub user_ms: TimesReport,
}

/// Times, in ms; all `null` without data.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct TimesReport {
    /// Half are at most this.
    pub p50: Option<f64>,
    /// Nine in ten.
    pub p90: Option<f64>,
    /// 95 %.
    pub p95: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// 99.9 %.
    pub p999: Option<f64>,
    /// All of them.
    pub max: Option<f64>,
    /// The arithmetic mean.
    pub mean: Option<f64>,
}

/// Failures of one kind of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorReport {
    /// The operation.
    pub operation: String,
    /// The kind.
    pub kind: &'static str,
    /// How many.
    pub count: u64,
    /// One of them in words.
    pub example: String,
}

/// How the generator did.
#[derive(Debug, Clone, Serialize)]
pub struct GeneratorReport {
    /// Our own part of the wait before sending.
    pub send_lag_ms: LagReport,
    /// The part in which no user was idle.
    pub user_wait_ms: LagReport,
    /// The part in which a connection was made, of requests that needed one.
    pub connect_ms: LagReport,
    /// Of one core.
    pub cpu_percent: f64,
    /// Most memory had until the phase's end.
    pub peak_memory_bytes: u64,
    /// The generator's own checks.
    pub checks: Vec<CheckReport>,
}

/// Waits before sending, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct LagReport {
    /// Half are at most this.
    pub p50: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// All of them.
    pub max: Option<f64>,
}

/// One check of the generator.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// What is checked.
    pub name: &'static str,
    /// What was found.
    pub value: String,
    /// `ok`, `notice` or `invalid`.
    pub verdict: &'static str,
    /// One sentence.
    pub why: String,
}
