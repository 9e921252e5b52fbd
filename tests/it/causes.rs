//! Causes of a miss: the shipped plan `peak` runs against the stand-in, whose detailed health check blocks it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runner_test_support::ran::Ran;
use serde_json::Value;

use crate::support::peers::believed;

/// The stand-in as a process with these options; killed when dropped.
struct StandIn(Child, String);

impl StandIn {
    fn start(options: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(["stand-in", "--port", "0"]).args(options.split_whitespace());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("stand-in listening on ").unwrap().to_owned();
        Self(child, url)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // The process may have ended already; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rehearses the shipped plan `peak` against a stand-in with these options. Returns its phase of the report, and the
/// report on the terminal with its lines joined.
fn peak(options: &str, users: u32, length: &str) -> (Value, String) {
    let target = StandIn::start(options);
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(["plans/peak.toml", "--seed", "1", "--rehearse", length, "--target", &target.1, "--out"])
            .arg(folder.path())
            .args(["--set", &format!("phases.peak.users={users}")])
            .output()
            .unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        // `latest` is looked for under `reports`.
        std::os::unix::fs::symlink(".", folder.path().join("reports")).unwrap();
        Ran { folder, code: output.status.code().unwrap_or(-1), stdout, stderr, took: Duration::ZERO }
    };
    let run = believed(run);
    (run.phase("peak"), run.stdout.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn causes(phase: &Value) -> Vec<String> {
    phase["causes"].as_array().unwrap().iter().map(|cause| cause.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_freezing_operation_is_named_as_the_cause() {
    // The real service blocks for a second. Shorter freezes give the same number of freezes in less time.
    let services = [("--blocking-health=300ms", 80), ("--blocking-health=100ms", 200)];
    let runs = services.map(|(options, users)| std::thread::spawn(move || peak(options, users, "15s")));
    for (phase, text) in runs.map(|run| run.join().unwrap()) {
        let causes = causes(&phase);
        assert!(text.contains("likely cause: `health-detailed` freezes the other operations: "), "{text}");
        assert!(
            causes.iter().any(|cause| cause.starts_with("`health-detailed` freezes the other operations: ")),
            "{phase:#}"
        );
        for innocent in ["search", "manual-sync", "scheduler-jobs"] {
            let accused = [format!("`{innocent}` freezes"), format!("while `{innocent}`")];
            assert!(!accused.iter().any(|words| text.contains(words)), "{text}");
        }
    }
}

#[test]
fn no_cause_is_named_where_every_operation_is_slow() {
    let (phase, text) = peak("--delay 300ms --jitter 600ms", 60, "6s");
    assert!(text.contains("Single search, missed"), "{text}");
    assert_eq!(causes(&phase), Vec::<String>::new());
    assert!(!text.contains("likely cause"), "{text}");
}
