//! `report.json`, version `runner-report/1`: the source of all other reports.
//!
//! Names end in their unit (`_ms`, `_s`, `_per_s`, `_percent`, `_bytes`), or a `unit` key states it. A value without data
//! is `null`, never 0.

mod resources;

pub use resources::{
    AtLimit, GapReport, HostEventReport, HostReport, MetricReport, SharedMachineReport, TotalsReport,
};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::RunVerdict;
use crate::generator::{CheckVerdict, Excused};
use crate::measure::sample::ErrorKind;
use crate::plan::{Decision, GateTier};
use crate::resources::metric::Metric;
use crate::slo::judge::Verdict;
use crate::slo::objective::ObjectiveKind;
use crate::units::{Unit, text_enum};

text_enum! {
    /// The version of the format.
    pub enum ReportSchema {
        V1 = "runner-report/1",
    }
}

text_enum! {
    /// The reason for an early stop.
    pub enum EndedBy {
        /// A breach was proven.
        Abort = "abort",
        /// The circuit breaker tripped because most requests failed.
        Breaker = "breaker",
    }
}

text_enum! {
    /// The name of a limit.
    pub enum LimitName {
        Acceptable = "acceptable",
        Maximum = "maximum",
        /// The last limit of throughput.
        Minimum = "minimum",
        Target = "target",
    }
}

text_enum! {
    /// The best tier that is proven.
    pub enum ProvenTier {
        Target = "target",
        Acceptable = "acceptable",
        Maximum = "maximum",
        /// All tiers are proven to be missed.
        Missed = "missed",
    }
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: ReportSchema,
    pub runner: String,
    pub plan: PlanReport,
    /// The labels of the run, given on its command line.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The URL of the target.
    pub target: String,
    /// The random seed.
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub ended_at: String,
    /// Whether the run was a rehearsal, that is, shortened.
    pub rehearsal: bool,
    pub verdict: RunVerdict,
    pub exit_code: u8,
    /// Why the run did not begin or did not reach its end, such as a target that never became ready; `null` otherwise.
    pub reason: Option<String>,
    /// The tier at which objectives were judged.
    pub gate: GateTier,
    /// Whether verdicts were proven, or values only compared with their limits.
    pub decision: Decision,
    /// The confidence of proofs, `100 · (1 − α)`.
    pub confidence_percent: f64,
    /// Every objective in every phase that was selected.
    pub objectives: Vec<ObjectiveReport>,
    /// Every phase that ran.
    pub phases: Vec<PhaseReport>,
    /// Every phase that was selected and did not run.
    #[serde(default)]
    pub not_run: Vec<PhaseNotRun>,
    /// Resource usage of the monitored hosts, by phase.
    pub resources: Vec<HostReport>,
    /// The reason if the runner stopped the run early.
    pub ended_early: Option<EndedEarlyReport>,
    /// Facts that readers need to interpret the numbers, one sentence each.
    pub notices: Vec<String>,
    /// The machine of the load generator; `null` if an older version ran it.
    #[serde(default)]
    pub machine: Option<MachineReport>,
}

/// The machine of the load generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineReport {
    /// Its host name.
    pub host: String,
    /// The release of its Linux kernel.
    pub kernel: String,
    /// The number of cores that the generator may use.
    pub cores: f64,
}

/// An early stop by the runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndedEarlyReport {
    pub by: EndedBy,
    /// The objective whose breach was proven.
    pub objective: Option<String>,
    /// The phase in which the run was stopped.
    pub phase: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The evidence at that time, in one sentence.
    pub why: String,
}

/// A phase that was selected and did not run, because the run ended before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseNotRun {
    pub name: String,
    /// The number of its gated objectives. They were not judged.
    pub gated_objectives: usize,
}

/// The plan of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanReport {
    pub name: String,
    /// The path of its file, as on the command line.
    pub path: String,
    /// SHA-256 of its files.
    pub digest: String,
}

/// An objective in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveReport {
    pub name: String,
    pub kind: ObjectiveKind,
    pub phase: String,
    /// The operations whose requests are pooled.
    pub operations: Vec<String>,
    /// Throughput only: the scenario.
    pub scenario: Option<String>,
    /// Host metrics only: the host.
    pub host: Option<String>,
    /// Host metrics only: the metric.
    pub metric: Option<Metric>,
    /// `p95`, `mean` and so on.
    pub statistic: String,
    /// The unit of `observed`, `interval` and `limits`.
    pub unit: Unit,
    /// The observed value; `null` without data.
    pub observed: Option<f64>,
    /// Confidence interval of the true value, each end at the gate's confidence; `null` if an end is unknown.
    pub interval: Option<[f64; 2]>,
    /// The number of requests or readings that it is based on.
    pub samples: u64,
    /// Effective sample size: the number of independent requests with the same information. For `mean` and throughput
    /// the number of batches; with `every` the number of intervals; for drift the number of segments.
    pub effective_samples: Option<f64>,
    /// The limit of each tier.
    #[schemars(extend("propertyNames" = { "enum": LimitName::ALL }))]
    pub limits: BTreeMap<LimitName, f64>,
    /// The best proven tier; `null` if none is proven.
    pub tier: Option<ProvenTier>,
    pub verdict: Verdict,
    /// Whether it decides the verdict of the run.
    pub gated: bool,
    /// The reason for the verdict, in one sentence.
    pub why: String,
    /// The reason alone, for one line on a terminal.
    pub reason: String,
}

/// A phase that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseReport {
    pub name: String,
    /// The label by which throughput objectives select phases.
    pub scenario: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The planned duration; `null` if the phase ends with its last task.
    pub planned_s: Option<f64>,
    /// The actual duration, without the drain.
    pub ran_s: f64,
    /// The length of the judged period.
    pub judged_s: f64,
    /// The number of virtual users.
    pub users: u32,
    /// Requests that were sent or attempted in the whole phase.
    pub requests: u64,
    /// Failed requests among them.
    pub errors: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Requests that were in flight when the drain of a stopped run ended. They are no errors.
    pub cancelled: u64,
    /// Successful completions per judged second.
    pub throughput_per_s: Option<f64>,
    /// Open phases only.
    pub arrivals: Option<ArrivalsReport>,
    /// Whether a user class of the phase has a network latency.
    pub network_latency: bool,
    /// The operations that occurred.
    pub operations: Vec<OperationReport>,
    /// Failures in the whole phase.
    pub errors_by_kind: Vec<ErrorReport>,
    /// Likely causes of a missed objective, one sentence each; empty if the phase missed none.
    pub causes: Vec<String>,
    pub connections: ConnectionsReport,
    pub generator: GeneratorReport,
    /// Only if the target is on the load generator's machine and both are monitored.
    pub shared_machine: Option<SharedMachineReport>,
    /// Only if the plan sets the number of tasks.
    #[serde(default)]
    pub iterations: Option<IterationsReport>,
}

/// The tasks of a phase whose number the plan sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IterationsReport {
    /// Tasks that the plan asks for.
    pub planned: u64,
    /// Tasks that a user began.
    pub started: u64,
}

/// The connections of a phase, those made before its start included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionsReport {
    /// Connections to the target.
    pub opened: u64,
    /// Requests over a connection that existed before.
    pub reused: u64,
    /// Connections that the target had closed while they were idle.
    pub closed_by_target: u64,
    /// Requests that were sent again over a new connection, because the target cannot have received them: it had closed
    /// the idle one.
    pub reconnected: u64,
    /// Requests with a repeatable method that were sent again, although the target may have read them: it reset the
    /// connection, or discarded them while it closed.
    pub reconnected_unclear: u64,
    /// Connections by the address and port that accepted them.
    #[serde(default)]
    pub addresses: BTreeMap<String, u64>,
}

/// The arrivals of an open phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalsReport {
    /// Arrivals of the schedule.
    pub scheduled: u64,
    /// Arrivals that a user started.
    pub started: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
}

/// An operation in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationReport {
    pub name: String,
    /// Requests that were sent or attempted in the whole phase.
    pub requests: u64,
    /// Of these, the ones that were judged.
    pub judged: u64,
    /// Failed requests among them.
    pub errors: u64,
    /// Arrivals that were never sent.
    pub dropped: u64,
    /// Requests that were in flight when the drain of a stopped run ended. They are no errors.
    pub cancelled: u64,
    /// Successful completions per judged second.
    pub throughput_per_s: Option<f64>,
    /// Bytes of bodies received in the whole phase.
    pub received_bytes: u64,
    /// Response times over the judged period: from the intended start to the end of the response.
    pub response_ms: TimesReport,
    /// Service times over the judged period: from sending to the end of the response.
    pub service_ms: TimesReport,
    /// Response times with the plan's network latency.
    pub user_ms: TimesReport,
}

/// Distribution of times in ms; all `null` without data.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TimesReport {
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// The 99.9th percentile.
    pub p999: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
}

/// Failures of one kind of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReport {
    pub operation: String,
    pub kind: ErrorKind,
    pub count: u64,
    /// The most frequent message, with secrets redacted.
    pub example: String,
    /// All messages with their numbers, the most frequent first. Beyond 200 messages of a worker, failures are only
    /// counted.
    #[serde(default)]
    pub messages: Vec<FailureMessage>,
    /// The first 2 KiB of bodies of such responses, with secrets redacted: at most 4, and 20 in the phase.
    #[serde(default)]
    pub bodies: Vec<String>,
}

/// Failures with the same message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureMessage {
    pub message: String,
    pub count: u64,
}

/// Measurements and checks of the load generator in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorReport {
    /// Delay before sending that the load generator itself caused.
    pub send_lag_ms: LagReport,
    /// Delay before sending in which no user was idle.
    pub user_wait_ms: LagReport,
    /// Delay before sending for a new connection, over the requests that needed one.
    pub connect_ms: LagReport,
    /// CPU usage in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Peak memory from the start of the run to the end of the phase.
    pub peak_memory_bytes: Option<u64>,
    pub checks: Vec<CheckReport>,
}

/// Distribution of delays before sending, in ms; all `null` without data.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LagReport {
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// One check of the load generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    pub name: String,
    /// The measured value as text.
    pub value: String,
    pub verdict: CheckVerdict,
    /// The verdicts on objectives that an invalid check takes away.
    #[serde(default)]
    pub excuses: Option<Excused>,
    /// The reason for the verdict, in one sentence.
    pub why: String,
}
