//! The CSV files in the columns of Locust: their sums are those of the report.

use std::collections::BTreeMap;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{Ran, count, number};
use runner_test_support::target::{Answer, Target};
use serde_json::Value;

use crate::support::runner::{Runner, rerun};

const TASKS: &str = "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n\
                     [[users.any.tasks]]\noperation = \"put\"\nrequest = \"PUT /\"\n";

type Row = BTreeMap<String, String>;

/// The rows of a file that `--write` makes of the journal.
fn rows(run: &Ran, kind: &str) -> Vec<Row> {
    let folder = run.file("report.json").unwrap();
    let folder = folder.parent().unwrap().display().to_string();
    assert_eq!(rerun(run, &format!("report {folder} --write {kind}=rows.csv")).code, 0);
    let mut reader = csv::Reader::from_path(run.folder.path().join("rows.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// The sum of a key over all phases, of one operation or of all.
fn sum(report: &Value, operation: &str, key: &str) -> usize {
    let phases = report["phases"].as_array().unwrap().iter();
    let operations = phases.flat_map(|phase| phase["operations"].as_array().unwrap());
    let found = operations.filter(|it| operation == "Aggregated" || it["name"] == operation);
    found.map(|it| count(&it[key])).sum()
}

fn whole(row: &Row, column: &str) -> usize {
    row[column].parse().unwrap()
}

#[test]
fn sums_of_the_csv_files_equal_the_report() {
    let target = Target::scripted(|_, request| match request.what.as_str() {
        "PUT /" | "POST /bye" => Answer::Status(503),
        _ => Answer::text("body"),
    });
    // The requests with which users leave are sent after the end of a phase.
    let plan = open(2, "2s", "50/s")
        + &closed(3, "1s").replace("name = \"a\"", "name = \"b\"")
        + "[users.any]\nwait = \"50ms\"\n[[users.any.on_stop]]\noperation = \"bye\"\nrequest = \"POST /bye\"\n"
        + TASKS;
    let run = Runner::plan(&plan).against(&target).run().exits(0);
    let report = run.report();
    let stats = rows(&run, "stats");
    let history = rows(&run, "stats-history");
    let names: Vec<&str> = stats.iter().map(|row| row["Name"].as_str()).collect();
    assert_eq!(names, ["bye", "get", "put", "Aggregated"]);
    for row in &stats {
        let name = &row["Name"];
        let of_report = ["requests", "errors"].map(|key| sum(&report, name, key));
        assert_eq!([whole(row, "Request Count"), whole(row, "Failure Count")], of_report, "{name}");
        let all: Vec<&Row> = history.iter().filter(|row| row["Name"] == *name).collect();
        let last =
            ["Total Request Count", "Total Failure Count"].map(|column| whole(all[all.len() - 1], column));
        assert_eq!(last, of_report, "{name}");
        // Both phases last whole seconds, so a rate is the count of its second.
        let sum: f64 = all.iter().map(|row| row["Requests/s"].parse::<f64>().unwrap()).sum();
        let drained = if ["bye", "Aggregated"].contains(&name.as_str()) { 5.0 } else { 0.0 };
        assert!((sum + drained - of_report[0] as f64).abs() < 0.01, "{name}: {sum} of {of_report:?}");
    }
    assert_eq!(history.iter().filter(|row| row["Name"] == "Aggregated").count(), 3);
    let failed: usize = rows(&run, "failures").iter().map(|row| whole(row, "Occurrences")).sum();
    assert_eq!(failed, sum(&report, "Aggregated", "errors"));
    assert_eq!(rows(&run, "exceptions"), Vec::<Row>::new());
}

#[test]
fn percentiles_of_stats_are_those_of_the_judged_period() {
    let target = Target::scripted(|number, _| match number {
        0 => Answer::Status(200).after(std::time::Duration::from_millis(300)),
        _ => Answer::Status(200),
    });
    let plan = open(2, "2s", "50/s")
        + "warmup = \"1s\"\n"
        + "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n";
    let run = Runner::plan(&plan).against(&target).run().exits(0);
    let times = &run.phase("a")["operations"][0]["response_ms"];
    let row = &rows(&run, "stats")[0];
    for (column, key) in [("50%", "p50"), ("95%", "p95"), ("99.9%", "p999"), ("100%", "max")] {
        assert_eq!(row[column].parse::<f64>().unwrap(), number(&times[key]), "{column}");
    }
    assert!(number(&times["max"]) < 300.0);
    // History also has the warm-up.
    let first = &rows(&run, "stats-history")[0];
    assert!(first["100%"].parse::<f64>().unwrap() >= 300.0, "{first:?}");
}
