//! The files of a report over time: `timeseries.csv`, `latency.hlog` and `resources.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use runner_test_support::phases::open;
use runner_test_support::ran::{Ran, count, named};
use runner_test_support::target::{Answer, Target};
use serde_json::Value;

use crate::support::runner::{Runner, rerun};

/// Operations whose names a tag or a spreadsheet would misread, in the order of their tags.
const OPERATIONS: [&str; 3] = ["=1+1", "a b, c", "get"];

/// The cells of a row, by column.
type Row = BTreeMap<String, String>;

/// A run of two phases in which some requests fail. `w` writes the files over time.
fn run() -> Ran {
    let target = Target::scripted(|number, _| match number % 3 {
        0 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let phase = |name: &str| open(4, "1.5s", "120/s").replace("name = \"a\"", &format!("name = \"{name}\""));
    let tasks = OPERATIONS
        .map(|operation| format!("[[users.any.tasks]]\noperation = \"{operation}\"\nrequest = \"GET /\"\n"));
    let plan = phase("first") + &phase("-second") + &tasks.concat();
    let files = "--write timeseries=t.csv --write hlog=l.hlog --write resources=r.json";
    Runner::plan(&plan).against(&target).with(files).run().exits(0)
}

fn read(run: &Ran, name: &str) -> String {
    std::fs::read_to_string(run.folder.path().join(name)).unwrap()
}

fn rows(text: &str) -> Vec<Row> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
}

/// The number in a cell; 0 if the cell is empty.
fn cell(row: &Row, column: &str) -> usize {
    match row[column].as_str() {
        "" => 0,
        text => text.parse().unwrap(),
    }
}

/// The text of a cell whose start is escaped for spreadsheets.
fn unescaped(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

/// Asserts that a column adds up to these numbers: of each phase as a whole, and of each of its operations.
fn assert_sums(rows: &[Row], report: &Value, column: &str, key: &str) {
    let sum = |phase: &str, scope: &str, operation: &str| -> usize {
        let of = rows.iter().filter(|row| {
            unescaped(&row["phase"]) == phase
                && row["scope"] == scope
                && unescaped(&row["operation"]) == operation
        });
        of.map(|row| cell(row, column)).sum()
    };
    for phase in report["phases"].as_array().unwrap() {
        let name = phase["name"].as_str().unwrap();
        let operations = phase["operations"].as_array().unwrap();
        for operation in operations {
            let found = sum(name, "operation", operation["name"].as_str().unwrap());
            assert_eq!(found, count(&operation[key]), "{column} of {operation:#}");
        }
        let all: usize = operations.iter().map(|operation| count(&operation[key])).sum();
        assert_eq!(sum(name, "all", ""), all, "{column} of {name}");
    }
}

#[test]
fn the_files_over_time_add_up_to_the_report() {
    let run = run();
    let (report, text) = (run.report(), read(&run, "t.csv"));
    let rows = rows(&text);
    for (column, key) in [("requests", "requests"), ("failures", "errors"), ("dropped", "dropped")] {
        assert_sums(&rows, &report, column, key);
    }
    let requests = |phase: &Value| count(&phase["requests"]) > 100 && count(&phase["errors"]) > 20;
    assert!(report["phases"].as_array().unwrap().iter().all(requests), "{report:#}");
    for phase in ["first", "'-second"] {
        let of_phase = rows.iter().filter(|row| row["phase"] == phase && row["scope"] == "all");
        let scheduled: usize = of_phase.clone().map(|row| cell(row, "scheduled_arrivals")).sum();
        let arrivals = &named(&report["phases"], unescaped(phase))["arrivals"];
        assert_eq!(scheduled, count(&arrivals["scheduled"]));
        assert!(of_phase.clone().all(|row| cell(row, "users_max") == 4), "{text}");
        assert_eq!(of_phase.map(|row| row["elapsed_s"].as_str()).collect::<Vec<_>>(), ["0", "1"]);
    }
    // Names are no formulas.
    assert!(text.contains(",'=1+1,") && !text.contains(",=1+1"), "{text}");
    // A stored run gives the same bytes.
    let folder = run.file("report.json").unwrap().parent().unwrap().display().to_string();
    let files = "--write timeseries=t2.csv --write hlog=l2.hlog --write resources=r2.json";
    assert_eq!(rerun(&run, &format!("report {folder} {files}")).code, 0);
    for (one, other) in [("t.csv", "t2.csv"), ("l.hlog", "l2.hlog"), ("r.json", "r2.json")] {
        assert_eq!(read(&run, one), read(&run, other));
    }
}

#[test]
fn the_interval_log_has_a_line_for_each_row_with_response_times() {
    let run = run();
    let log = read(&run, "l.hlog");
    let entries: Vec<_> = IntervalLogIterator::new(log.as_bytes()).map(Result::unwrap).collect();
    let lines: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            LogEntry::Interval(line) => Some((line.start_timestamp(), line.tag().unwrap().as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(entries.len() - lines.len(), 2, "a start time and a base time: {log}");
    assert!(lines.is_sorted(), "{lines:?}");
    let rows = rows(&read(&run, "t.csv"));
    let timed = rows.iter().filter(|row| row["scope"] == "operation" && cell(row, "response_times") > 0);
    assert_eq!(lines.len(), timed.count());
    let first: Vec<&str> = lines.iter().take(3).map(|(_, tag)| *tag).collect();
    assert_eq!(first, ["=1+1", "a%20b%2C%20c", "get"]);
}

#[test]
fn resources_over_time_lie_within_the_report_of_their_host() {
    let folder = tempfile::tempdir().unwrap();
    let [resources, report] = ["r.json", "report.json"].map(|name| folder.path().join(name));
    let output = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["report", "tests/journals/version-4.2"])
        .args(["--write", &format!("resources={}", resources.display())])
        .args(["--write", &format!("json={}", report.display())])
        .output();
    assert!(output.unwrap().status.success());
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let (resources, report) = (read(&resources), read(&report));
    assert_eq!(resources["schema"], "runner-resources/1");
    let hosts = report["resources"].as_array().unwrap();
    assert!(!hosts.is_empty());
    for host in hosts {
        let phases = resources["phases"].as_array().unwrap().iter();
        let phase = phases.into_iter().find(|phase| phase["phase"] == host["phase"]).unwrap();
        let found = phase["hosts"].as_array().unwrap().iter().find(|found| found["host"] == host["host"]);
        let metrics = found.unwrap()["metrics"].as_array().unwrap();
        for (name, judged) in host["metrics"].as_object().unwrap() {
            let metric = metrics.iter().find(|metric| metric["metric"] == **name).unwrap();
            assert_eq!(metric["unit"], judged["unit"]);
            let slices = metric["slices"].as_array().unwrap();
            let readings: usize = slices.iter().map(|slice| count(&slice["readings"])).sum();
            assert!(readings > 0 && readings >= count(&host["readings"]) - 1, "{metric:#}");
            // The slices cover the whole phase, so that they reach at least as far as the judged readings.
            let of = |key: &'static str| slices.iter().map(move |slice| slice[key].as_f64().unwrap());
            let (lowest, highest) =
                (of("lowest").fold(f64::MAX, f64::min), of("highest").fold(0.0, f64::max));
            let [min, max] = ["min", "max"].map(|key| judged[key].as_f64().unwrap());
            assert!(lowest <= min + 0.5 && max <= highest + 0.5, "{name}: {metric:#}");
            assert!(of("lowest").zip(of("mean")).all(|(lowest, mean)| lowest <= mean), "{metric:#}");
        }
    }
}
