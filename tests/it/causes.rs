//! Causes of a miss: the shipped plan `peak` runs against the stand-in, whose detailed health check blocks it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use runner_test_support::phases::closed;
use runner_test_support::ran::{Ran, failed_as, number};
use runner_test_support::target::{Answer, Target};
use serde_json::{Value, json};

use crate::support::peers::believed;
use crate::support::runner::Runner;

/// The stand-in as a process with these options; killed when dropped.
struct StandIn(Child, String);

impl StandIn {
    fn start(options: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        let port = if options.contains("--port ") { "" } else { "--port 0 " };
        command.arg("stand-in").args(format!("{port}{options}").split_whitespace());
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

#[test]
fn a_target_that_reads_and_closes_is_no_keep_alive_timeout() {
    // The target has read these requests, so they fail, whatever the wait of the users.
    let target =
        Target::scripted(|number, _| if number % 8 < 4 { Answer::Status(200) } else { Answer::Closed });
    let plan = closed(4, "3s") + "[users.any]\nwait = \"700ms\"\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let run = Runner::plan(&plan).against(&target).run();
    let phase = run.phase("a");
    assert!(!causes(&phase).iter().any(|cause| cause.contains("keep-alive")), "{phase:#}");
    assert_eq!(failed_as(&phase, "eof"), target.count() / 8 * 4 + (target.count() % 8).saturating_sub(4));
    assert!(phase.to_string().contains("; the connection had been idle for 0.5 to 2 s"), "{phase:#}");
}

#[test]
fn a_target_that_dies_and_comes_back_misses_outage_and_restart_with_its_times() {
    let first = StandIn::start("--port 0");
    let port: u16 = first.1.rsplit(':').next().unwrap().parse().unwrap();
    let plan = format!(
        "[monitor]\nevery = \"1s\"\nhosts = {{ target-process = {{ process = \"port {port}\" }} }}\n{}\
         [users.any]\nwait = \"50ms\"\n[[users.any.tasks]]\nrequest = \"GET /stats\"\n",
        closed(4, "8s")
    );
    let objectives = "[[outage]]\nname = \"No outage\"\nmaximum = \"1s\"\n[[resource]]\nname = \"No restart\"\n\
                      metric = \"restarts\"\nhost = \"target-process\"\nstatistic = \"max\"\nmaximum = 0";
    let mut running = Runner::plan(&plan).at(&first.1).objectives(objectives).start();
    running.hear("workers");
    // The length of the outage is the input of this test.
    sleep(Duration::from_secs(3));
    drop(first);
    sleep(Duration::from_millis(1600));
    let _second = StandIn::start(&format!("--port {port}"));
    let run = running.end().exits(1);
    let (outage, restart) = (run.objective("No outage"), run.objective("No restart"));
    let length = number(&outage["observed"]);
    assert!((1.4..3.0).contains(&length), "{outage:#}");
    assert_eq!((&outage["verdict"], &restart["verdict"]), (&json!("missed"), &json!("missed")));
    assert!(outage["why"].as_str().unwrap().contains(" UTC; at most 1 s is allowed"), "{outage:#}");
    let phase = run.phase("a");
    let told = causes(&phase);
    let restarted = told.iter().find(|cause| cause.contains("ended and was started again between"));
    assert!(restarted.is_some_and(|cause| cause.contains("failures are from that time")), "{told:#?}");
}
