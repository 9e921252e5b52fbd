//! Tests of the CSV files in the columns of Locust.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::diagnostic::Problems;
use crate::measure::ledger::Ledger;
use crate::measure::limits::Limits;
use crate::measure::summary::PhaseRun;
use crate::measure::window::{Batch, Cell, FailureText, Window};
use crate::plan::model::{PhaseId, Plan};
use crate::plan::{Environment, Settings, load};
use crate::report::format::tests::{HOSTILE, sample};
use crate::report::model::{FailureMessage, PhaseReport};

const LIST: OperationId = OperationId(0);
const BUY: OperationId = OperationId(1);
const REFUSED: ErrorKind = ErrorKind::ConnectRefused;

/// Two phases of 3 s, whose first second is a warm-up. `buy` has two methods.
fn plan() -> Plan {
    let text = "name = \"c\"\ntarget.url = \"http://127.0.0.1:1\"\ngate.tier = \"none\"\n\
                phases = [{ name = \"a\", duration = \"3s\", warmup = \"1s\", users = 2, mix = { u = 1 } },\n\
                { name = \"b\", duration = \"3s\", users = 5, mix = { u = 1 } }]\n\
                users.u.tasks = [{ operation = \"list\", request = \"GET /a\" }, \
                { operation = \"buy\", request = \"PUT /b\" }, { operation = \"buy\", request = \"POST /b\" }]";
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    load(Path::new("plans/c.toml"), &Settings::default(), &environment, &mut Problems::default())
        .plan
        .unwrap()
}

/// Requests of 100 bytes that took these times, and more that were refused.
fn cell(times_ms: &[u64], refused: u32) -> Cell {
    let succeeded = u32::try_from(times_ms.len()).unwrap();
    let errors = if refused > 0 { [(REFUSED, refused)].into() } else { BTreeMap::new() };
    let requests = succeeded + refused;
    let mut cell = Cell { requests, succeeded, errors, bytes: 100 * u64::from(succeeded), ..Cell::default() };
    times_ms.iter().for_each(|ms| cell.response.record(Duration::from_millis(*ms)));
    cell
}

/// A second of a phase with the requests of each operation.
type Second = (u32, Vec<(OperationId, Cell)>);

/// Runs phases of these seconds, and reads the files of the run.
fn run<R>(phases: Vec<Vec<Second>>, read: impl FnOnce(&FullReport<'_>) -> R) -> R {
    let plan = plan();
    let mut ledger = Ledger::new(&plan, Vec::new(), &Limits::default(), 1);
    let mut runs = Vec::new();
    for (index, seconds) in (0..).zip(phases) {
        let window = |cells: Vec<_>| Window { cells: cells.into_iter().collect(), ..Window::default() };
        let text = FailureText { operation: BUY, kind: REFUSED, text: "refused".to_owned(), count: 1 };
        ledger.fold(&Batch {
            phase: PhaseId(index),
            source: 0,
            windows: seconds.into_iter().map(|(second, cells)| (second, window(cells))).collect(),
            settled_before: 3,
            failures: vec![text],
            recorded_before: 3,
            bodies: Vec::new(),
        });
        ledger.finish(PhaseId(index), Duration::from_millis(3000));
        let started_at = format!("2026-03-04T00:00:{}0.9Z", index + 1).parse().unwrap();
        runs.push(PhaseRun { phase: PhaseId(index), started_at, usage: None });
    }
    let summary = ledger.summary();
    let phases = runs.iter().map(|run| {
        let counted = &summary.phases[run.phase.index()];
        let errors = counted.operations.iter().flat_map(|(id, operation)| {
            operation.errors.iter().map(|(kind, count)| ErrorReport {
                operation: plan.operations[id.index()].clone(),
                kind: *kind,
                count: *count,
                example: String::new(),
                messages: vec![FailureMessage { message: "refused".to_owned(), count: 1 }],
                bodies: Vec::new(),
            })
        });
        PhaseReport { ran_s: 3.0, errors_by_kind: errors.collect(), ..sample().phases[0].clone() }
    });
    let report = crate::report::model::Report { phases: phases.collect(), ..sample() };
    read(&FullReport::of(report, &plan, summary, &runs))
}

/// The records of a file, each as its cells by their columns.
fn read(file: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn cells<'r, const N: usize>(row: &'r BTreeMap<String, String>, names: [&str; N]) -> [&'r str; N] {
    names.map(|name| row[name].as_str())
}

#[test]
fn a_run_of_two_phases_has_one_row_for_each_operation() {
    let first = vec![(0, vec![(LIST, cell(&[900], 0))]), (1, vec![(LIST, cell(&[10, 20], 0))])];
    let second = vec![(2, vec![(LIST, cell(&[30, 40], 0)), (BUY, cell(&[], 3))])];
    let rows = run(vec![first, second], |full| read(&stats(full)));
    let names = ["Type", "Name", "Request Count", "Failure Count", "Average Content Size", "Failures/s"];
    assert_eq!(cells(&rows[0], names), ["POST/PUT", "buy", "3", "3", "0", "0.5"]);
    assert_eq!(cells(&rows[1], names), ["GET", "list", "5", "0", "100", "0"]);
    assert_eq!(cells(&rows[2], names), ["", "Aggregated", "8", "3", "62.5", "0.5"]);
    // The time of the warm-up does not count, as in the report.
    let names = ["50%", "100%", "Median Response Time", "Average Response Time", "Max Response Time"];
    assert_eq!(cells(&rows[1], names), ["20.015", "40", "20.015", "25", "40"]);
    assert!(cells(&rows[0], names).iter().all(|time| *time == "N/A"), "{:?}", rows[0]);
}

#[test]
fn a_run_without_requests_has_the_row_that_locust_writes() {
    let file = run(vec![Vec::new()], stats);
    let row = format!(",Aggregated,0,0,0,0,0,0,0,0,0{}\r\n", ",N/A".repeat(11));
    assert_eq!(file.split_once('\n').unwrap().1, row);
}

#[test]
fn history_has_rates_of_the_slice_and_totals_with_the_drain() {
    let first = vec![
        (0, vec![(LIST, cell(&[900], 0))]),
        (2, vec![(LIST, cell(&[10], 0))]),
        // The phase has ended.
        (4, vec![(BUY, cell(&[5], 1))]),
    ];
    let second = vec![(1, vec![(LIST, cell(&[20, 20], 0))])];
    let rows = run(vec![first, second], |full| read(&stats_history(full)));
    let of = |name: &str, columns: [&str; 5]| -> Vec<[String; 5]> {
        let rows = rows.iter().filter(|row| row["Name"] == name);
        rows.map(|row| cells(row, columns).map(str::to_owned)).collect()
    };
    let columns = ["Timestamp", "User Count", "Requests/s", "100%", "Total Request Count"];
    let list = of("list", columns);
    let started = 1_772_582_410;
    let expected = [
        (1, "2", "1.000000", "900", "1"),
        (2, "2", "0.000000", "N/A", "1"),
        (3, "2", "1.000000", "10", "2"),
        (11, "5", "0.000000", "N/A", "2"),
        (12, "5", "2.000000", "20", "4"),
        (13, "5", "0.000000", "N/A", "4"),
    ];
    let expected = expected.map(|(at, users, rate, longest, total)| {
        [&(started + at).to_string(), users, rate, longest, total].map(str::to_owned)
    });
    assert_eq!(list, expected);
    // Requests of the drain count from the last row of their phase on, and have no times.
    let columns = ["Requests/s", "Failures/s", "Total Request Count", "Total Failure Count", "100%"];
    let buy = of("buy", columns);
    assert_eq!(buy.len(), 4);
    assert!(buy.iter().all(|row| *row == ["0.000000", "0.000000", "2", "1", "N/A"]), "{buy:?}");
    let all = of("Aggregated", columns);
    assert_eq!(all.last().unwrap()[2..4], ["6", "1"]);
}

#[test]
fn failures_have_the_seconds_of_their_kind_over_all_phases() {
    let second = |at, refused| (at, vec![(BUY, cell(&[], refused))]);
    let phases = vec![vec![second(1, 1), second(4, 1)], vec![second(0, 1), second(2, 7)]];
    let rows = run(phases, |full| read(&failures(full)));
    let [first, last] = ["2026-03-04T00:00:11Z", "2026-03-04T00:00:22Z"];
    let expected = [
        ["POST/PUT", "buy", "connect refused, other messages", "8", first, last],
        ["POST/PUT", "buy", "refused", "2", first, last],
    ];
    assert_eq!([cells(&rows[0], FAILURES), cells(&rows[1], FAILURES)], expected);
    assert_eq!(rows.len(), 2);
    // The time of a failure in the drain is not known.
    let rows = run(vec![vec![second(3, 1)]], |full| read(&failures(full)));
    assert_eq!(cells(&rows[0], FAILURES)[3..], ["1", "", ""]);
}

#[test]
fn only_errors_of_the_generator_are_exceptions() {
    let exceptions_of = |kind| {
        run(vec![vec![(1, vec![(BUY, cell(&[], 1))])]], |full| {
            let mut full = full.clone();
            full.report.phases[0].errors_by_kind[0].kind = kind;
            full.report.machine = None;
            read(&exceptions(&full))
        })
    };
    assert_eq!(exceptions_of(REFUSED).len(), 0);
    assert_eq!(cells(&exceptions_of(ErrorKind::Local)[0], EXCEPTIONS), ["1", "refused", "", "local"]);
}

#[test]
fn hostile_texts_stay_in_their_cells_and_are_no_formulas() {
    let formulas = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "＝1", "'=1", "'"];
    for hostile in HOSTILE.iter().chain(&formulas) {
        let rows = run(vec![vec![(1, vec![(BUY, cell(&[], 1))])]], |full| {
            let mut full = full.clone();
            full.report.phases[0].errors_by_kind[0].messages[0].message = (*hostile).to_owned();
            read(&failures(&full))
        });
        assert_eq!(rows.len(), 1, "{hostile:?}");
        let cell = &rows[0]["Error"];
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', ' ', '＝', '\u{1b}']), "{cell:?}");
        if !hostile.contains(['\u{1b}', '\u{0}']) {
            assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), *hostile);
        }
    }
}
