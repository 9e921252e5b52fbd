//! CSV files in the columns of Locust 2.47: `stats.csv`, `stats_history.csv`, `failures.csv` and `exceptions.csv`.
//!
//! As in Locust, a row is an operation of the whole run, lines end in CRLF, and percentiles without data are `N/A`. Times
//! are milliseconds. Texts that a spreadsheet would take for a formula begin with an apostrophe.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::measure::histogram::DenseHistogram;
use crate::measure::sample::ErrorKind;
use crate::measure::summary::OperationSummary;
use crate::measure::timeline::{Slice, SliceOperation};
use crate::plan::model::OperationId;
use crate::report::full::{FullReport, PhaseDetails};
use crate::report::model::ErrorReport;

/// The percentiles of a row: the column and the part.
const PERCENTILES: [(&str, f64); 11] = [
    ("50%", 0.5),
    ("66%", 0.66),
    ("75%", 0.75),
    ("80%", 0.8),
    ("90%", 0.9),
    ("95%", 0.95),
    ("98%", 0.98),
    ("99%", 0.99),
    ("99.9%", 0.999),
    ("99.99%", 0.9999),
    ("100%", 1.0),
];
/// The columns of [`RowTotal::cells`].
const TOTALS: [&str; 7] = [
    "Request Count",
    "Failure Count",
    "Median Response Time",
    "Average Response Time",
    "Min Response Time",
    "Max Response Time",
    "Average Content Size",
];
const FAILURES: [&str; 6] = ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"];
const EXCEPTIONS: [&str; 4] = ["Count", "Message", "Traceback", "Nodes"];
const NO_DATA: &str = "N/A";

/// The numbers of requests.
#[derive(Debug, Clone, Copy, Default)]
struct RowCounts {
    requests: u64,
    failures: u64,
    bytes: u64,
}

/// The requests of a row of one operation, or of all.
#[derive(Debug, Default)]
struct RowTotal {
    counts: RowCounts,
    response: DenseHistogram,
}

/// The requests of a run, or of its part so far.
#[derive(Debug, Default)]
struct CsvTotals {
    operations: BTreeMap<OperationId, RowTotal>,
    all: RowTotal,
}

/// The method and the name of a row.
struct RowKey {
    name: String,
    method: String,
}

/// Failures with the same message. The times are those of the kind of failure.
#[derive(Debug, Default)]
struct FailureRow {
    method: String,
    count: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Requests and response times of each operation over the run. Counts are those of whole phases, and times those of the
/// judged periods, as in the report.
pub(super) fn stats(full: &FullReport<'_>) -> String {
    let mut totals = CsvTotals::default();
    totals.set_counts(&full.details);
    for (id, operation) in full.details.iter().flat_map(|details| details.operations) {
        totals.operations.entry(*id).or_default().response.merge(&operation.response);
        totals.all.response.merge(&operation.response);
    }
    let seconds: f64 = full.report.phases.iter().map(|phase| phase.ran_s).sum();
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let rows = totals.rows(full).into_iter().map(|(_, key, total)| {
        let RowCounts { requests, failures, .. } = total.counts;
        let rates = [per_second(requests), per_second(failures)].map(|rate| rate.to_string());
        let times = percentiles(|part| total.response.quantile(part).map(ms));
        key.cells().into_iter().chain(total.cells()).chain(rates).chain(times).collect()
    });
    let names = PERCENTILES.map(|(name, _)| name);
    table([&["Type", "Name"][..], &TOTALS, &["Requests/s", "Failures/s"], &names].concat(), rows)
}

/// The same over time: a row for each slice of a phase and each operation that has occurred. Rates and percentiles are
/// those of the slice, totals those of the run up to its end. The drain of a phase counts in the totals of its last row.
pub(super) fn stats_history(full: &FullReport<'_>) -> String {
    let mut so_far = CsvTotals::default();
    let mut rows = Vec::new();
    for (index, (phase, details)) in full.phases().enumerate() {
        let mut slices = details.timeline.slices().peekable();
        while let Some((from, slice)) = slices.next() {
            so_far.add(slice);
            if slices.peek().is_none() {
                so_far.set_counts(&full.details[..=index]);
            }
            let seconds = f64::from(slice.seconds);
            let users = details.users.iter().take_while(|(since, _)| *since < from + seconds).last();
            let at = details.at(from + seconds).map_or_else(String::new, |at| at.as_second().to_string());
            let at = [at, users.map_or(0, |(_, users)| *users).to_string()];
            // The last second may be a part of one.
            let length = Some((phase.ran_s - from).min(seconds)).filter(|length| *length > 0.0);
            let length = length.unwrap_or(seconds);
            for (id, key, total) in so_far.rows(full) {
                let (counts, times) = in_slice(slice, id);
                let rates = [counts.requests, counts.failures].map(|count| count as f64 / length);
                let rates = rates.map(|rate| format!("{rate:.6}"));
                let cells = at.clone().into_iter().chain(key.cells()).chain(rates).chain(times);
                rows.push(cells.chain(total.cells()).collect());
            }
        }
    }
    let names = PERCENTILES.map(|(name, _)| name);
    let totals = TOTALS.map(|name| format!("Total {name}"));
    let head = ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"];
    table([&head[..], &names, &totals.each_ref().map(String::as_str)].concat(), rows)
}

/// Failures of each operation by their message.
pub(super) fn failures(full: &FullReport<'_>) -> String {
    let mut rows: BTreeMap<(&str, String), FailureRow> = BTreeMap::new();
    for (phase, details) in full.phases() {
        for error in &phase.errors_by_kind {
            let id = details.operations.keys().find(|id| details.name(**id) == error.operation);
            let seen = |seconds: &BTreeMap<(OperationId, ErrorKind), u32>| {
                details.at(f64::from(*seconds.get(&(*id?, error.kind))?))
            };
            let (first, last) = (seen(&details.failures.first), seen(&details.failures.last));
            for (message, count) in messages(error) {
                let row = rows.entry((&error.operation, message)).or_default();
                row.method = id.map_or_else(String::new, |id| method(full, *id));
                row.count += count;
                row.first = row.first.into_iter().chain(first).min();
                row.last = row.last.max(last);
            }
        }
    }
    let mut rows: Vec<((&str, String), FailureRow)> = rows.into_iter().collect();
    rows.sort_by(|((one, _), a), ((other, _), b)| one.cmp(other).then(b.count.cmp(&a.count)));
    let rows = rows.into_iter().map(|((name, message), row)| {
        let [first, last] = [row.first, row.last]
            .map(|at| at.map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
        vec![row.method, text(name), text(&message), row.count.to_string(), first, last]
    });
    table(FAILURES.to_vec(), rows)
}

/// Failures that the machine of the load generator caused, by their message. They are failures of requests too.
pub(super) fn exceptions(full: &FullReport<'_>) -> String {
    let errors = full.report.phases.iter().flat_map(|phase| &phase.errors_by_kind);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (message, count) in errors.filter(|error| error.kind == ErrorKind::Local).flat_map(messages) {
        *counts.entry(message).or_default() += count;
    }
    let host = full.report.machine.as_ref().map_or("", |machine| machine.host.as_str());
    let node = if host.is_empty() { "local" } else { host };
    let rows = counts
        .iter()
        .map(|(message, count)| vec![count.to_string(), text(message), String::new(), text(node)]);
    table(EXCEPTIONS.to_vec(), rows)
}

/// The messages of failures with their numbers. Those without a message have one that says so.
fn messages(error: &ErrorReport) -> impl Iterator<Item = (String, u64)> {
    let known = error.messages.iter().map(|it| (it.message.clone(), it.count));
    let rest = error.count.saturating_sub(error.messages.iter().map(|it| it.count).sum());
    let other = format!("{}, other messages", error.kind);
    known.chain((rest > 0).then_some((other, rest)))
}

impl RowCounts {
    fn of_phase(operation: &OperationSummary) -> Self {
        Self { requests: operation.requests, failures: operation.failed(), bytes: operation.bytes }
    }

    fn of_slice(operation: &SliceOperation) -> Self {
        Self { requests: operation.requests, failures: operation.failed(), bytes: operation.bytes }
    }

    fn add(&mut self, other: Self) {
        let Self { requests, failures, bytes } = other;
        self.requests += requests;
        self.failures += failures;
        self.bytes += bytes;
    }
}

impl RowTotal {
    /// The cells of [`TOTALS`]. As in Locust, times are 0 without requests. Requests may have no time because all failed.
    fn cells(&self) -> [String; 7] {
        let RowCounts { requests, failures, bytes } = self.counts;
        let time = |time: Option<f64>| match time {
            None if requests == 0 => "0".to_owned(),
            other => cell(other),
        };
        let of = &self.response;
        let size = if requests == 0 { 0.0 } else { bytes as f64 / requests as f64 };
        [
            requests.to_string(),
            failures.to_string(),
            time(of.quantile(0.5).map(ms)),
            time(of.mean_ms()),
            time(of.min().map(ms)),
            time(of.max().map(ms)),
            size.to_string(),
        ]
    }
}

impl CsvTotals {
    /// Adds the requests of a slice.
    fn add(&mut self, slice: &Slice) {
        for (id, operation) in &slice.operations {
            let total = self.operations.entry(*id).or_default();
            for total in [total, &mut self.all] {
                total.counts.add(RowCounts::of_slice(operation));
                total.response.add(&operation.response);
            }
        }
    }

    /// Counts all requests of these phases, their drains included, and no others.
    fn set_counts(&mut self, phases: &[PhaseDetails<'_>]) {
        self.operations
            .values_mut()
            .chain([&mut self.all])
            .for_each(|total| total.counts = RowCounts::default());
        for (id, operation) in phases.iter().flat_map(|details| details.operations) {
            self.operations.entry(*id).or_default().counts.add(RowCounts::of_phase(operation));
            self.all.counts.add(RowCounts::of_phase(operation));
        }
    }

    /// The operations by name, and their sum at the end.
    fn rows(&self, full: &FullReport<'_>) -> Vec<(Option<OperationId>, RowKey, &RowTotal)> {
        let key =
            |id: OperationId| RowKey { name: full.details[0].name(id).to_owned(), method: method(full, id) };
        let operations = self.operations.iter().map(|(id, total)| (Some(*id), key(*id), total));
        let mut rows: Vec<_> = operations.collect();
        rows.sort_by(|(_, one, _), (_, other, _)| one.name.cmp(&other.name));
        let all = RowKey { name: "Aggregated".to_owned(), method: String::new() };
        rows.push((None, all, &self.all));
        rows
    }
}

impl RowKey {
    fn cells(&self) -> [String; 2] {
        [self.method.clone(), text(&self.name)]
    }
}

/// The counts and the percentiles of an operation in a slice, or of all.
fn in_slice(slice: &Slice, id: Option<OperationId>) -> (RowCounts, [String; 11]) {
    let mut counts = RowCounts::default();
    let operations = slice.operations.iter().filter(|(found, _)| id.is_none_or(|id| id == **found));
    operations.for_each(|(_, operation)| counts.add(RowCounts::of_slice(operation)));
    let response = match id {
        Some(id) => slice.operations.get(&id).map(|operation| operation.response.clone()).unwrap_or_default(),
        None => slice.response(),
    };
    (counts, percentiles(|part| response.quantile(part).map(|micros| micros as f64 / 1000.0)))
}

/// The methods of the requests of an operation.
fn method(full: &FullReport<'_>, id: OperationId) -> String {
    full.methods[id.index()].iter().copied().collect::<Vec<_>>().join("/")
}

fn percentiles(at: impl Fn(f64) -> Option<f64>) -> [String; 11] {
    PERCENTILES.map(|(_, part)| cell(at(part)))
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| NO_DATA.to_owned(), |value| value.to_string())
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

/// A foreign text as a cell. Spreadsheets compute cells that begin like a formula and show the others as they are, so an
/// apostrophe is put before such a text, and before one that begins with an apostrophe. A reader that removes one gets
/// the text back. Control characters that are no white space become visible escapes.
fn text(foreign: &str) -> String {
    // The last four are wide forms, which some spreadsheets take for the plain ones.
    let starts = ['\'', '=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let is_formula = foreign.trim_start().starts_with(starts) || foreign.starts_with(['\t', '\r', '\n']);
    let mut shown = if is_formula { "'".to_owned() } else { String::new() };
    for character in foreign.chars() {
        match character {
            '\t' | '\r' | '\n' => shown.push(character),
            other if other.is_control() => shown.extend(other.escape_unicode()),
            other => shown.push(other),
        }
    }
    shown
}

/// A file with a header, quoted where needed.
fn table(header: Vec<&str>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let written = writer.write_record(header);
    let written = written.and_then(|()| rows.into_iter().try_for_each(|row| writer.write_record(row)));
    written.expect("rows are as long as their header, and memory can be written");
    let bytes = writer.into_inner().expect("memory can be written");
    String::from_utf8(bytes).expect("CSV of texts is text")
}

#[cfg(test)]
mod tests;
