//! The disk space and memory that a run needs.

use crate::forecast::PhaseForecast;
use crate::measure::timeline::{MAX_BUCKETS, MAX_SLICES};
use crate::plan::model::{HttpVersion, Load, Phase, Plan, Request, UserClass};
use crate::plan::template::Template;

/// Bytes of a user without a connection, or with one over plain HTTP/1.1 that waits: little more than a socket.
const RESTING_USER_BYTES: f64 = 2e3;
/// Bytes of a response that is looked into, for each byte of its body: as text, and parsed as JSON.
const TEXT_COPIES: f64 = 1.3;
const JSON_COPIES: f64 = 3.5;
/// Bytes of a histogram of all times of a phase.
const HISTOGRAM_BYTES: f64 = 190e3;
/// Bytes of a run beyond the prepared plan: its threads, events and reports.
const RUN_BYTES: f64 = 1e6;
/// The time that a response is assumed to take, in seconds.
const ASSUMED_RESPONSE_S: f64 = 0.1;
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
/// Bytes of an operation in a slice of the timeline, without its histogram.
const SLICE_BYTES: f64 = 200.0;
/// Buckets of its histogram that hold a time, at most times of one magnitude.
const BUCKETS_OF_SLICE: f64 = 500.0;
const BUCKET_BYTES: f64 = 8.0;
/// Bytes of the reports without the journal.
const REPORTS_BYTES: f64 = 1e6;

/// The disk space and memory that a run needs, estimated from measured parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Needs {
    /// Bytes of disk; `None` if they depend on the target's speed.
    pub disk: Option<f64>,
    /// Bytes of memory beyond those of the prepared plan, and of responses that are looked into.
    pub memory: f64,
    /// The responses that are looked into.
    pub looked_into: LookedInto,
}

/// The responses that are looked into: as many as users at once, and the bytes of memory for each byte of such a response.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LookedInto {
    pub at_once: u32,
    pub copies: f64,
}

/// Bytes of a connection of a user, measured with hundreds and thousands of users.
struct ConnectionBytes {
    /// While its user waits.
    resting: f64,
    /// With a request in flight.
    busy: f64,
    /// For each byte of a body that was filled for the request.
    of_body: f64,
}

impl ConnectionBytes {
    fn of(plan: &Plan) -> Self {
        let (resting, busy, of_body) = match (plan.target.http, plan.target.tls.is_some()) {
            (HttpVersion::One, false) => (RESTING_USER_BYTES, 24e3, 1.1),
            (HttpVersion::One, true) => (11e3, 36e3, 1.5),
            (HttpVersion::Two, false) => (32e3, 45e3, 1.5),
            (HttpVersion::Two, true) => (40e3, 52e3, 2.2),
        };
        Self { resting, busy, of_body }
    }
}

/// The needs of a run of these phases with `workers` threads and a log of at most `log_limit` requests.
pub fn needs<'p>(
    plan: &Plan,
    phases: impl Iterator<Item = (&'p Phase, &'p PhaseForecast)> + Clone,
    workers: u16,
    log_limit: usize,
) -> Needs {
    let users = phases.clone().map(|(phase, forecast)| users(plan, phase, forecast));
    let histograms: usize = phases.clone().map(|(phase, _)| histograms(plan, phase)).sum();
    let memory = RUN_BYTES
        + f64::from(workers) * WORKER_BYTES
        + users.fold(0.0, f64::max)
        + histograms as f64 * HISTOGRAM_BYTES;
    let memory =
        memory + phases.clone().map(|(phase, forecast)| timeline(plan, phase, forecast)).sum::<f64>();
    let requests: Option<f64> = phases.clone().map(|(_, forecast)| forecast.requests).sum();
    let hosts = plan.monitor.as_ref().map_or(0, |monitor| monitor.hosts.len()) as f64;
    let readings: f64 =
        phases.clone().map(|(_, forecast)| forecast.readings.iter().sum::<f64>() * hosts).sum();
    let memory = memory + readings.mul_add(HELD_READING_BYTES, hosts * HOST_BYTES);
    let journal: Option<f64> =
        phases.clone().map(|(phase, forecast)| journal(plan, phase, forecast, workers)).sum();
    let log = requests.map(|requests| requests.min(log_limit as f64) * LOG_LINE_BYTES);
    let disk = journal
        .zip(log)
        .map(|(journal, log)| journal + log + readings * JOURNAL_READING_BYTES + REPORTS_BYTES);
    let looked_into = phases.map(|(phase, forecast)| looked_into(plan, phase, forecast));
    let most = |one: LookedInto, other: LookedInto| LookedInto {
        at_once: one.at_once.max(other.at_once),
        copies: one.copies.max(other.copies),
    };
    Needs { disk, memory, looked_into: looked_into.fold(LookedInto::default(), most) }
}

/// Bytes of the users of a phase. A request that is under way holds the body that was filled for it; a body without holes is
/// shared by all users.
fn users(plan: &Plan, phase: &Phase, forecast: &PhaseForecast) -> f64 {
    let bytes = ConnectionBytes::of(plan);
    let busy = f64::from(busy_users(plan, phase, forecast));
    let connected = match phase.load {
        Load::Closed => f64::from(phase.users),
        // The others connect when they are needed.
        Load::Open(_) => (busy + f64::from(forecast.starting_users(plan, phase))).min(phase.users.into()),
    };
    let of_body = bytes.of_body * largest_own_body(plan, phase) as f64;
    (f64::from(phase.users) - connected) * RESTING_USER_BYTES
        + (connected - busy) * bytes.resting
        + busy * (bytes.busy + of_body)
}

/// The users with a request in flight at the same time, if the target answers within 100 ms.
fn busy_users(plan: &Plan, phase: &Phase, forecast: &PhaseForecast) -> u32 {
    let waits = plan.classes_of(phase).all(|class| class.wait.mean() >= 1.0);
    let at_rate = |rate: f64| ((rate * ASSUMED_RESPONSE_S).ceil() as u32).min(phase.users);
    match phase.load {
        Load::Open(load) => at_rate(load.most_per_second()),
        // Users that start at once are all busy at once.
        Load::Closed if waits && phase.users_at_once() == 0 => {
            forecast.peak_per_second.map_or(phase.users, at_rate)
        }
        Load::Closed => phase.users,
    }
}

/// The responses of a phase that are looked into.
fn looked_into(plan: &Plan, phase: &Phase, forecast: &PhaseForecast) -> LookedInto {
    let requests = || plan.classes_of(phase).flat_map(UserClass::requests);
    if !requests().any(Request::looks_into_response) {
        return LookedInto::default();
    }
    let copies = if requests().any(Request::parses_response) { JSON_COPIES } else { TEXT_COPIES };
    LookedInto { at_once: busy_users(plan, phase, forecast), copies }
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

/// Bytes of the slices of a phase, which keep the response times of each operation over time.
fn timeline(plan: &Plan, phase: &Phase, forecast: &PhaseForecast) -> f64 {
    let slices = phase.duration.seconds().min(MAX_SLICES as f64) * plan.operations_of(phase).len() as f64;
    let buckets = (slices * BUCKETS_OF_SLICE).min(MAX_BUCKETS as f64);
    let buckets = forecast.requests.map_or(buckets, |requests| buckets.min(requests));
    slices.mul_add(SLICE_BYTES, buckets * BUCKET_BYTES)
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
