//! Options of the command line that change the load, the gate and the log of requests.

use std::collections::BTreeSet;

use jiff::Timestamp;
use runner_test_support::ran::{Ran, count, number};
use runner_test_support::target::Target;

use super::runner::Runner;

const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "1s"
    users = 2
    mix = { any = 1 }
    arrivals = "60/s"
    [[phases]]
    name = "b"
    duration = "30m"
    users = 2
    mix = { any = 1 }
    arrivals = "60/s"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
"#;
const SLOWER_THAN_TARGET: &str =
    "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\ntarget = \"1us\"\nmaximum = \"500ms\"";

fn run(arguments: &str, target: &Target) -> Ran {
    Runner::plan(PLAN).against(target).objectives(SLOWER_THAN_TARGET).with(arguments).run()
}

#[test]
fn set_overrides_a_value_of_the_plan() {
    let target = Target::fast();
    let run = run("--set phases.b.duration=1s --set phases.0.arrivals=90/s", &target).exits(0);
    assert_eq!((count(&run.phase("a")["requests"]), count(&run.phase("b")["requests"])), (90, 60));
    assert_eq!(number(&run.phase("b")["planned_s"]), 1.0);
}

#[test]
fn one_phase_can_be_run_alone() {
    let target = Target::fast();
    let run = run("--phase a", &target).exits(0);
    let report = run.report();
    assert_eq!(report["phases"].as_array().unwrap().len(), 1);
    assert_eq!(report["objectives"].as_array().unwrap().len(), 1);
    assert_eq!((count(&run.phase("a")["requests"]), target.count()), (60, 60));
}

#[test]
fn gate_selects_the_tier_that_decides() {
    let target = Target::fast();
    for (gate, code, verdict) in [
        ("maximum", 0, "passed"),
        ("acceptable", 0, "passed"),
        ("target", 1, "breached"),
        ("none", 0, "passed"),
    ] {
        let report = run(&format!("--phase a --gate {gate}"), &target).exits(code).report();
        assert_eq!((&report["gate"], &report["verdict"]), (&gate.into(), &verdict.into()));
    }
}

#[test]
fn the_seed_is_reported_and_random_by_default() {
    let target = Target::fast();
    assert_eq!(run("--phase a --seed 42", &target).exits(0).report()["seed"], 42);
    let drawn = [run("--phase a", &target).exits(0), run("--phase a", &target).exits(0)].map(|run| {
        let seed = run.report()["seed"].as_u64().unwrap();
        assert!(run.stderr.contains(&format!("seed {seed}")), "{}", run.stderr);
        seed
    });
    assert_ne!(drawn[0], drawn[1]);
}

#[test]
fn every_request_can_be_logged_up_to_a_limit() {
    let target = Target::fast();
    let logged = |arguments: &str| {
        let plan = Runner::plan(PLAN).against(&target).objectives(SLOWER_THAN_TARGET).logging();
        plan.with(arguments).run().exits(0)
    };
    let whole = logged("--phase a");
    let log = whole.log();
    assert_eq!(log.len(), 60);
    assert!(log.iter().all(|logged| logged.phase == "a" && logged.operation == "get"));
    assert!(
        log.iter().all(|logged| logged.intended_ms <= logged.sent_ms && logged.sent_ms <= logged.finished_ms)
    );
    assert!(log.iter().all(|logged| logged.outcome == "succeeded" && logged.status == Some(200)));
    let users: BTreeSet<u32> = log.iter().map(|logged| logged.user).collect();
    assert_eq!(users, BTreeSet::from([0, 1]));
    // One user is enough for the schedule, and connects before the phase begins; the other connects when it is needed.
    assert!(log.iter().filter(|logged| logged.new_connection).count() <= 1, "{log:?}");
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let started = time(whole.phase("a")["started_at"].as_str().unwrap());
    let offset_ms = |at: &str| time(at).duration_since(started).as_secs_f64() * 1000.0;
    assert!(log.iter().all(|logged| (offset_ms(&logged.at) - logged.sent_ms).abs() < 1.0), "{log:?}");
    let cut = logged("--phase a --log-limit 10");
    assert_eq!(cut.log().len(), 10);
    let notices = cut.report()["notices"].to_string();
    assert!(notices.contains("reached its limit"), "{notices}");
}

#[test]
fn a_log_of_requests_overwrites_no_file() {
    let target = Target::fast();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "precious").unwrap();
    let arguments = format!("--phase a --log-requests {}", file.path().display());
    let run = run(&arguments, &target).exits(2);
    assert!(run.stderr.contains("already exists and is not overwritten"), "{}", run.stderr);
    assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), target.count()), ("precious", 0));
    assert!(run.file("report.json").is_none());
}
