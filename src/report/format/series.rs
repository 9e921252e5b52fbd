//! `timeseries.csv` and `resources.json`: a run over time.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::measure::hosts::{HostSummary, ReadingSlice};
use crate::measure::rollup::Rollup;
use crate::measure::timeline::{Extremes, Slice, SliceOperation};
use crate::report::full::{FullReport, PhaseDetails};
use crate::report::model::PhaseReport;
use crate::resources::metric::Metric;
use crate::units::Unit;

/// The columns of `timeseries.csv`: the keys of [`SeriesPlace`], [`SeriesCounts`] and [`SeriesVitals`].
const COLUMNS: [&str; 27] = [
    "phase",
    "started_at",
    "elapsed_s",
    "interval_s",
    "scope",
    "operation",
    "requests",
    "failures",
    "dropped",
    "completed",
    "received_bytes",
    "response_times",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "max_ms",
    "scheduled_arrivals",
    "users_max",
    "in_flight_low",
    "in_flight_high",
    "ended_per_s_low",
    "ended_per_s_high",
    "p95_of_seconds_low_ms",
    "p95_of_seconds_high_ms",
    "send_lag_max_ms",
    "busiest_worker_cpu_percent",
];

/// The version of `resources.json`.
const RESOURCES_SCHEMA: &str = "runner-resources/1";

/// Characters at the start of a cell by which a spreadsheet takes it for a formula, and the apostrophe that is put in
/// front of them. It is put in front of itself too, so that different texts stay different.
const STARTS_OF_FORMULAS: [char; 12] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', '\''];

/// The requests in a row of `timeseries.csv`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum SeriesScope {
    /// Those of all operations. The cell of the operation is empty.
    All,
    /// Those of one operation.
    Operation,
}

/// The phase and the interval of a row of `timeseries.csv`.
#[derive(Debug, Clone, Serialize)]
struct SeriesPlace<'r> {
    phase: Cow<'r, str>,
    /// RFC 3339, UTC.
    started_at: String,
    /// Seconds from the start of the phase.
    elapsed_s: u64,
    interval_s: u32,
}

/// The requests of a row of `timeseries.csv`.
#[derive(Debug, Clone, Serialize)]
struct SeriesCounts<'r> {
    scope: SeriesScope,
    operation: Cow<'r, str>,
    requests: u64,
    failures: u64,
    dropped: u64,
    completed: u64,
    received_bytes: u64,
    /// The number of response times behind the percentiles.
    response_times: u64,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

/// The numbers that only the phase as a whole has. `None` in the rows of operations.
#[derive(Debug, Clone, Default, Serialize)]
struct SeriesVitals {
    scheduled_arrivals: Option<u64>,
    users_max: Option<u32>,
    in_flight_low: Option<u64>,
    in_flight_high: Option<u64>,
    ended_per_s_low: Option<u64>,
    ended_per_s_high: Option<u64>,
    p95_of_seconds_low_ms: Option<f64>,
    p95_of_seconds_high_ms: Option<f64>,
    send_lag_max_ms: Option<f64>,
    busiest_worker_cpu_percent: Option<f64>,
}

/// Everything over time: for each phase and interval a row of all operations, then one of each operation of the phase.
pub(super) fn timeseries(full: &FullReport<'_>) -> String {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS).expect("memory takes every byte");
    let mut write = |row: (&SeriesPlace<'_>, SeriesCounts<'_>, SeriesVitals)| {
        writer.serialize(row).expect("memory takes every byte");
    };
    let idle = SliceOperation::default();
    for (phase, details) in full.phases() {
        for (second, slice) in details.timeline.slices() {
            let place = SeriesPlace {
                phase: harmless(&phase.name),
                started_at: rfc3339(details.started_at, second),
                elapsed_s: second as u64,
                interval_s: slice.seconds,
            };
            let all = counts(SeriesScope::All, "", &slice.total());
            write((&place, all, vitals(phase, details, second, slice)));
            for id in details.operations.keys() {
                let counted = slice.operations.get(id).unwrap_or(&idle);
                let operation = counts(SeriesScope::Operation, details.name(*id), counted);
                write((&place, operation, SeriesVitals::default()));
            }
        }
    }
    let bytes = writer.into_inner().expect("memory takes every byte");
    String::from_utf8(bytes).expect("all cells are text")
}

fn counts<'r>(scope: SeriesScope, operation: &'r str, counted: &SliceOperation) -> SeriesCounts<'r> {
    let at = |part| counted.response.quantile(part).map(ms);
    let response_times = counted.response.count();
    SeriesCounts {
        scope,
        operation: harmless(operation),
        requests: counted.requests,
        failures: counted.failed(),
        dropped: counted.dropped,
        completed: counted.completed,
        received_bytes: counted.bytes,
        response_times,
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        max_ms: (response_times > 0).then(|| ms(counted.response.max())),
    }
}

fn vitals(phase: &PhaseReport, details: &PhaseDetails<'_>, second: f64, slice: &Slice) -> SeriesVitals {
    let low = |extremes: Extremes| extremes.get().map(|(low, _)| low);
    let high = |extremes: Extremes| extremes.get().map(|(_, high)| high);
    let is_idle = slice.operations.values().all(|operation| operation.requests == 0);
    SeriesVitals {
        scheduled_arrivals: phase.arrivals.as_ref().map(|_| slice.scheduled),
        users_max: most_users(&details.users, second, second + f64::from(slice.seconds)),
        in_flight_low: low(slice.in_flight),
        in_flight_high: high(slice.in_flight),
        ended_per_s_low: low(slice.ended),
        ended_per_s_high: high(slice.ended),
        p95_of_seconds_low_ms: low(slice.p95).map(ms),
        p95_of_seconds_high_ms: high(slice.p95).map(ms),
        send_lag_max_ms: (!is_idle).then(|| ms(slice.longest_send_lag)),
        busiest_worker_cpu_percent: Some(f64::from(slice.busiest_worker) / 10.0),
    }
}

/// The most users from one second to another. The users before the first second count: they may have left within it.
fn most_users(users: &[(f64, u32)], from: f64, to: f64) -> Option<u32> {
    let before = users.iter().take_while(|(at, _)| *at < from).last();
    let within = users.iter().filter(|(at, _)| (from..to).contains(at));
    before.into_iter().chain(within).map(|(_, users)| *users).max()
}

/// A foreign text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(STARTS_OF_FORMULAS) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// The wall-clock time of a second of a phase.
fn rfc3339(phase: Timestamp, second: f64) -> String {
    let at = phase.saturating_add(SignedDuration::from_secs_f64(second)).unwrap_or(phase);
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The readings of the hosts over time.
#[derive(Debug, Serialize)]
struct ResourcesFile<'r> {
    schema: &'static str,
    phases: Vec<PhaseResources<'r>>,
}

/// The readings of a phase.
#[derive(Debug, Serialize)]
struct PhaseResources<'r> {
    phase: &'r str,
    started_at: String,
    hosts: Vec<HostTimeline<'r>>,
}

/// The readings of a host.
#[derive(Debug, Serialize)]
struct HostTimeline<'r> {
    host: &'r str,
    metrics: Vec<MetricTimeline>,
}

/// The readings of a metric.
#[derive(Debug, Serialize)]
struct MetricTimeline {
    metric: Metric,
    unit: Unit,
    definition: &'static str,
    /// The length of a slice.
    interval_s: f64,
    slices: Vec<TimelineSlice>,
}

/// The readings in a slice of time.
#[derive(Debug, Serialize)]
struct TimelineSlice {
    /// Seconds from the start of the phase.
    start_s: f64,
    lowest: f64,
    mean: f64,
    highest: f64,
    /// The number of readings.
    readings: u32,
}

/// The readings of the hosts over time, of whole phases.
pub(super) fn resources(full: &FullReport<'_>) -> String {
    let phases = full.phases().map(|(phase, details)| PhaseResources {
        phase: &phase.name,
        started_at: rfc3339(details.started_at, 0.0),
        hosts: details.hosts.iter().map(|(host, found)| host_timeline(host, found)).collect(),
    });
    let file = ResourcesFile { schema: RESOURCES_SCHEMA, phases: phases.collect() };
    serde_json::to_string(&file).expect("readings are plain data") + "\n"
}

fn host_timeline<'r>(host: &'r str, found: &HostSummary) -> HostTimeline<'r> {
    let metrics = found.timelines.iter().map(|(metric, readings)| metric_timeline(*metric, readings));
    HostTimeline { host, metrics: metrics.collect() }
}

fn metric_timeline(metric: Metric, readings: &Rollup<ReadingSlice>) -> MetricTimeline {
    let unit = metric.unit();
    let slices = readings.iter().map(|(start_s, slice)| TimelineSlice {
        start_s: thousandths(start_s),
        lowest: rounded(slice.lowest, unit),
        mean: rounded(slice.mean(), unit),
        highest: rounded(slice.highest, unit),
        readings: slice.count,
    });
    let (definition, interval_s) = (metric.definition(), readings.width());
    MetricTimeline { metric, unit, definition, interval_s, slices: slices.collect() }
}

/// A value without digits that it does not have: whole bytes, and thousandths of everything else.
fn rounded(value: f64, unit: Unit) -> f64 {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => value.round(),
        _ => thousandths(value),
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_header_is_a_cell_of_the_rows() {
        let place = SeriesPlace {
            phase: "p".into(),
            started_at: rfc3339(Timestamp::UNIX_EPOCH, 90.0),
            elapsed_s: 90,
            interval_s: 1,
        };
        assert_eq!(place.started_at, "1970-01-01T00:01:30.000Z");
        let counts = counts(SeriesScope::All, "", &SliceOperation::default());
        let cells = [
            serde_json::to_value(place).unwrap(),
            serde_json::to_value(counts).unwrap(),
            serde_json::to_value(SeriesVitals::default()).unwrap(),
        ];
        let keys: Vec<&String> = cells.iter().flat_map(|cells| cells.as_object().unwrap().keys()).collect();
        assert_eq!(keys, COLUMNS);
    }

    #[test]
    fn no_name_is_a_formula_and_different_names_stay_different() {
        assert_eq!(harmless("search"), "search");
        assert_eq!(harmless("GET /a=b,c"), "GET /a=b,c");
        let names = ["=1+1", "'=1+1", "''=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "1+1"];
        let cells: std::collections::BTreeSet<_> = names.into_iter().map(harmless).collect();
        assert_eq!(cells.len(), names.len());
        assert!(cells.iter().all(|cell| cell.starts_with(['\'', '1'])), "{cells:?}");
    }

    #[test]
    fn the_most_users_of_an_interval_include_those_that_leave_within_it() {
        let users = [(0.0, 5), (2.0, 10), (7.0, 0)];
        let most = |from, to| most_users(&users, from, to);
        assert_eq!([most(0.0, 1.0), most(1.0, 2.0), most(1.0, 3.0)], [Some(5), Some(5), Some(10)]);
        assert_eq!([most(7.0, 8.0), most(8.0, 9.0)], [Some(10), Some(0)]);
        assert_eq!(most_users(&[], 0.0, 1.0), None);
    }

    #[test]
    fn bytes_are_whole_and_other_values_have_three_decimals() {
        assert_eq!(rounded(1_234.567_89, Unit::Bytes), 1235.0);
        assert_eq!(rounded(1_234.567_89, Unit::Percent), 1234.568);
    }
}
