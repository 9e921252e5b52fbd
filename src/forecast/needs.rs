//! The disk space and memory that a run needs.

use crate::forecast::PhaseForecast;
use crate::plan::model::{HttpVersion, Load, Phase, Plan, UserClass};
use crate::plan::template::Template;

/// Bytes of a user that waits for its next request, with its connection. Measured with thousands of users over plain
/// HTTP/1.1: such a user keeps little more than a socket.
const WAITING_USER_BYTES: f64 = 2e3;
/// Bytes of a user with a request in flight, over plain HTTP/1.1.
const BUSY_USER_BYTES: f64 = 24e3;
/// Bytes of a user with the state of TLS or HTTP/2.
const SECURED_USER_BYTES: f64 = 40e3;
/// Bytes of a histogram of all times of a phase.
const HISTOGRAM_BYTES: f64 = 190e3;
/// Bytes of the program and of its reports.
const PROGRAM_BYTES: f64 = 12e6;
/// Bytes of a worker without users.
const WORKER_BYTES: f64 = 1e6;
/// Bytes of a line of the request log.
const LOG_LINE_BYTES: f64 = 180.0;
/// Bytes of a reading in the journal.
const JOURNAL_READING_BYTES: f64 = 350.0;
/// Bytes of a reading in memory, which keeps each minute of each metric.
const HELD_READING_BYTES: f64 = 90.0;
/// Bytes of a host, whose metrics are kept in segments for their trends.
const HOST_BYTES: f64 = 0.7e6;
/// Bytes of the reports without the journal.
const REPORTS_BYTES: f64 = 1e6;

/// The disk space and memory that a run needs, estimated from measured parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Needs {
    /// Bytes of disk; `None` if they depend on the target's speed.
    pub disk: Option<f64>,
    /// Bytes of memory.
    pub memory: f64,
}

/// The needs of a run of these phases with `workers` threads and a log of at most `log_limit` requests.
pub fn needs<'p>(
    plan: &Plan,
    phases: impl Iterator<Item = (&'p Phase, &'p PhaseForecast)> + Clone,
    workers: u16,
    log_limit: usize,
) -> Needs {
    let users = phases.clone().map(|(phase, _)| f64::from(phase.users) * user_bytes(plan, phase));
    let histograms: usize = phases.clone().map(|(phase, _)| histograms(plan, phase)).sum();
    let memory = PROGRAM_BYTES
        + f64::from(workers) * WORKER_BYTES
        + users.fold(0.0, f64::max)
        + histograms as f64 * HISTOGRAM_BYTES
        + plan.held_bytes() as f64;
    let requests: Option<f64> = phases.clone().map(|(_, forecast)| forecast.requests).sum();
    let hosts = plan.monitor.as_ref().map_or(0, |monitor| monitor.hosts.len()) as f64;
    let readings: f64 =
        phases.clone().map(|(_, forecast)| forecast.readings.iter().sum::<f64>() * hosts).sum();
    let memory = memory + readings.mul_add(HELD_READING_BYTES, hosts * HOST_BYTES);
    let journal: Option<f64> = phases.map(|(phase, forecast)| journal(plan, phase, forecast, workers)).sum();
    let log = requests.map(|requests| requests.min(log_limit as f64) * LOG_LINE_BYTES);
    let disk = journal
        .zip(log)
        .map(|(journal, log)| journal + log + readings * JOURNAL_READING_BYTES + REPORTS_BYTES);
    Needs { disk, memory }
}

/// Bytes of a user of a phase. A request that is under way holds the body that was filled for it; a body without holes is
/// shared by all users.
fn user_bytes(plan: &Plan, phase: &Phase) -> f64 {
    let waits = match phase.load {
        Load::Closed => plan.classes_of(phase).all(|class| class.wait.mean() >= 1.0),
        Load::Open(load) => f64::from(phase.users) >= load.most_per_second(),
    };
    // Users that start at once are all busy at once.
    let waits = waits && (phase.users_at_once() == 0 || matches!(phase.load, Load::Open(_)));
    let user = match plan.target.http {
        HttpVersion::One if plan.target.tls.is_none() && waits => WAITING_USER_BYTES,
        HttpVersion::One if plan.target.tls.is_none() => BUSY_USER_BYTES,
        _ => SECURED_USER_BYTES,
    };
    let body = if waits { 0 } else { largest_own_body(plan, phase) };
    user + body as f64
}

/// Bytes of the largest body that is filled for one request.
fn largest_own_body(plan: &Plan, phase: &Phase) -> usize {
    let bodies = plan.classes_of(phase).flat_map(UserClass::requests).filter_map(|it| it.body.as_ref());
    bodies.filter(|body| body.constant().is_none()).map(Template::expected_length).max().unwrap_or(0)
}

/// The number of histograms of a phase: three of its own, and two or three of each operation.
fn histograms(plan: &Plan, phase: &Phase) -> usize {
    let far = plan.classes_of(phase).any(|class| class.network_latency.is_some());
    3 + plan.operations_of(phase).len() * if far { 3 } else { 2 }
}

/// Bytes of the journal; `None` if they depend on the target's speed.
///
/// A worker writes a record per second: about 110 bytes, 45 for each operation that occurred, and the histogram buckets
/// of each request, which requests share at high rates. The exponent was fitted to real files from 10 to 1500 requests
/// per second; the estimate is above all of them.
fn journal(plan: &Plan, phase: &Phase, forecast: &PhaseForecast, workers: u16) -> Option<f64> {
    let seconds = phase.duration.seconds();
    if phase.ends_with_its_tasks() {
        return None;
    }
    let per_worker = forecast.requests? / seconds / f64::from(workers.max(1));
    let operations = (plan.operations_of(phase).len() as f64).min(per_worker);
    let second = 110.0 + 45.0 * operations + 20.0 * per_worker.powf(0.9);
    Some(second * seconds * f64::from(workers))
}
