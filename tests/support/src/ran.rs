//! A finished run: its streams, its files and its report.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A finished run.
pub struct Ran {
    pub folder: TempDir,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The time from start to end, by the clock of the run.
    pub took: Duration,
}

/// A line of `--log-requests`.
#[derive(Debug, serde::Deserialize)]
pub struct Logged {
    pub at: String,
    pub phase: String,
    pub user: u32,
    pub operation: String,
    pub intended_ms: f64,
    pub sent_ms: f64,
    pub finished_ms: f64,
    pub outcome: String,
    pub status: Option<u16>,
    pub new_connection: bool,
}

impl Ran {
    /// Panics with both output streams unless the exit code is this.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The path of a file of the run's folder; `None` if it does not exist.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.path().join("reports/latest").join(name);
        path.exists().then_some(path)
    }

    /// `report.json`.
    #[track_caller]
    pub fn report(&self) -> Value {
        let path = self.file("report.json").unwrap_or_else(|| panic!("no report:\n{}", self.stderr));
        read_json(&path)
    }

    /// A phase of the report.
    #[track_caller]
    pub fn phase(&self, name: &str) -> Value {
        named(&self.report()["phases"], name)
    }

    /// An objective of the report.
    #[track_caller]
    pub fn objective(&self, name: &str) -> Value {
        named(&self.report()["objectives"], name)
    }

    /// A check of the generator in a phase.
    #[track_caller]
    pub fn generator_check(&self, phase: &str, name: &str) -> Value {
        named(&self.phase(phase)["generator"]["checks"], name)
    }

    /// The log of requests of a run with `--log-requests requests.jsonl`.
    pub fn log(&self) -> Vec<Logged> {
        let text = std::fs::read_to_string(self.folder.path().join("requests.jsonl"));
        let text = text.expect("the run was asked for a log");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is a JSON object")).collect()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("it exists")).expect("it is one JSON document")
}

/// The item of an array with this name.
#[track_caller]
pub fn named(array: &Value, name: &str) -> Value {
    let found = array.as_array().into_iter().flatten().find(|value| value["name"] == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {array:#}")).clone()
}

/// A count of the report.
#[track_caller]
pub fn count(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count")) as usize
}

/// A number of the report.
#[track_caller]
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The number of requests of a phase that failed with this kind.
pub fn failed_as(phase: &Value, kind: &str) -> usize {
    let kinds = phase["errors_by_kind"].as_array().into_iter().flatten();
    kinds.filter(|error| error["kind"] == kind).map(|error| count(&error["count"])).sum()
}

/// Asserts the sums that hold in every report whose tasks are one request each.
#[track_caller]
pub fn assert_adds_up(phase: &Value) {
    assert_sums(phase);
    let arrivals = &phase["arrivals"];
    if !arrivals.is_null() {
        assert_eq!(count(&phase["requests"]), count(&arrivals["started"]), "{phase:#}");
    }
}

/// Asserts the sums that hold in every report.
#[track_caller]
pub fn assert_sums(phase: &Value) {
    let sum = |array: &str, key: &str| -> usize {
        phase[array].as_array().into_iter().flatten().map(|item| count(&item[key])).sum()
    };
    assert_eq!(count(&phase["requests"]), sum("operations", "requests"), "{phase:#}");
    assert_eq!(count(&phase["errors"]), sum("operations", "errors"), "{phase:#}");
    assert_eq!(count(&phase["errors"]), sum("errors_by_kind", "count"), "{phase:#}");
    assert_eq!(count(&phase["dropped"]), sum("operations", "dropped"), "{phase:#}");
    assert_eq!(count(&phase["cancelled"]), sum("operations", "cancelled"), "{phase:#}");
    let arrivals = &phase["arrivals"];
    if !arrivals.is_null() {
        let [scheduled, started, dropped] =
            ["scheduled", "started", "dropped"].map(|key| count(&arrivals[key]));
        assert_eq!(scheduled, started + dropped, "{phase:#}");
        assert_eq!(count(&phase["dropped"]), dropped, "{phase:#}");
    }
}
