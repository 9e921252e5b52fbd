//! Cancelled runs: after a signal or an early end the drain is bounded, and the report is written.

use std::time::Duration;

use runner_test_support::ran::{Ran, assert_sums, count};
use runner_test_support::target::{Answer, Target};
use serde_json::Value;

use super::runner::Runner;
use crate::gate::Signal::{Interrupt, Terminate};

/// Every tenth request hangs; the others take 300 ms.
const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "60s"
    users = 40
    mix = { any = 1 }
    arrivals = "20/s"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
"#;
const TIMEOUT: &str = "timeout = \"40s\"";

fn hanging() -> Target {
    Target::scripted(|number, _| match number % 10 {
        9 => Answer::Never,
        _ => Answer::Late(200, Duration::from_millis(300)),
    })
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn max(limit: &str) -> String {
    format!(
        "[[response_time]]\nname = \"Slow\"\noperations = [\"get\"]\nstatistic = \"max\"\nmaximum = \"{limit}\"\n\
         [[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"50%\"\n"
    )
}

fn run(objectives: &str) -> Runner {
    Runner::plan(PLAN).against(&hanging()).target(TIMEOUT).objectives(objectives)
}

/// Asserts that a run took this time, to a tenth of a second.
#[track_caller]
fn assert_took(run: &Ran, seconds: f64) {
    let took = run.took.as_secs_f64();
    assert!((seconds..seconds + 0.1).contains(&took), "{took} s, not {seconds} s");
}

/// The number of cancelled requests of phase `a`, whose counts add up without an error.
#[track_caller]
fn cancelled(run: &Ran) -> usize {
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!(count(&phase["errors"]), 0, "{phase:#}");
    count(&phase["cancelled"])
}

#[test]
fn a_signal_ends_a_run_with_hung_requests_after_the_drain() {
    let run = run(&max("100ms")).signal(at(4.0), Interrupt).run().exits(1);
    assert_took(&run, 9.0);
    assert_eq!((cancelled(&run), &run.report()["verdict"]), (8, &"breached".into()));
    assert_eq!(run.report()["reason"], "SIGINT stopped the run before its end");
    assert!(run.stdout.contains("8 requests of `a` were cancelled"), "{}", run.stdout);
}

#[test]
fn a_cancelled_request_is_slow_only_for_limits_that_it_exceeded() {
    let run = |limit: &str| run(&max(limit)).signal(at(4.0), Terminate).run();
    // The first request to hang was sent after about half a second, and the drain ended after nine seconds.
    let exceeded = run("8s").exits(1);
    let finished = count(&exceeded.phase("a")["requests"]) - 8;
    assert_eq!(count(&exceeded.objective("Failed")["samples"]), finished);
    assert_eq!((cancelled(&exceeded), &exceeded.objective("Slow")["verdict"]), (8, &"missed".into()));
    let unknown = run("9s").exits(143);
    assert_eq!((cancelled(&unknown), &unknown.objective("Slow")["verdict"]), (8, &"met".into()));
}

#[test]
fn the_drain_takes_as_long_as_asked() {
    let run = run("").with("--drain 1500ms").signal(at(4.0), Interrupt).run().exits(130);
    assert_took(&run, 5.5);
    assert_eq!(cancelled(&run), 8);
}

#[test]
fn a_second_signal_ends_the_drain_and_keeps_the_report() {
    let run = run("").signal(at(4.0), Interrupt).signal(at(4.5), Terminate).run().exits(130);
    assert_took(&run, 4.5);
    assert_eq!(cancelled(&run), 8);
}

#[test]
fn an_early_end_drains_no_longer() {
    let objectives = max("200ms").replacen("statistic", "abort = true\nstatistic", 1);
    // The first second is complete, and shows the breach, after two seconds.
    let target = Target::scripted(|number, _| match number {
        0..=20 => Answer::Late(200, Duration::from_millis(300)),
        _ => Answer::Never,
    });
    let run = Runner::plan(PLAN).against(&target).target(TIMEOUT).objectives(&objectives).run().exits(1);
    assert_eq!(run.report()["ended_early"]["by"], "abort");
    assert_took(&run, 7.0);
    assert!(cancelled(&run) > 0);
}

#[test]
fn a_hung_on_stop_ends_with_the_drain() {
    let plan = r#"
        [[phases]]
        name = "a"
        duration = "60s"
        users = 3
        mix = { any = 1 }
        [users.any]
        wait = "1s"
        on_stop = [{ request = "POST /bye" }, { request = "POST /never" }]
        tasks = [{ request = "GET /" }]
    "#;
    let target = Target::scripted(|_, received| match received.what.as_str() {
        "POST /bye" => Answer::Never,
        _ => Answer::Status(200),
    });
    let run = Runner::plan(plan).against(&target).signal(at(4.0), Interrupt).run().exits(130);
    assert_took(&run, 9.0);
    assert_eq!((cancelled(&run), target.count_of("POST /never")), (3, 0));
}

#[test]
fn a_signal_during_the_ramp_ends_a_run_as_quickly() {
    let plan = PLAN.replace("users = 40", "users = 40\nspawn_rate = 2");
    let run = Runner::plan(&plan).against(&Target::always(Answer::Never)).target(TIMEOUT);
    let run = run.signal(at(6.0), Interrupt).run().exits(130);
    assert_took(&run, 11.0);
    assert!(cancelled(&run) > 0);
}

#[test]
fn a_signal_in_the_drain_of_a_phase_bounds_it() {
    let plan = PLAN.replace("60s", "5s").replacen(
        "[[users",
        "[[phases]]\nname = \"b\"\nduration = \"60s\"\nusers = 2\nmix = { any = 1 }\n[[users",
        1,
    );
    let run = Runner::plan(&plan).against(&hanging()).target(TIMEOUT).objectives(&max("30s"));
    let run = run.signal(at(8.0), Interrupt).run().exits(130);
    assert_took(&run, 13.0);
    assert_eq!(cancelled(&run), 10);
    let objectives = run.report()["objectives"].as_array().unwrap().clone();
    let verdicts = |phase: &str| -> Vec<Value> {
        let of_phase = objectives.iter().filter(|objective| objective["phase"] == *phase);
        of_phase.map(|objective| objective["verdict"].clone()).collect()
    };
    assert_eq!(verdicts("b"), ["not judged", "not judged"]);
    assert!(!verdicts("a").contains(&"not judged".into()), "{:?}", verdicts("a"));
}

/// Three users that start, perform tasks and leave.
const LEAVING: &str = r#"
    [[phases]]
    name = "a"
    duration = "60s"
    users = 3
    mix = { any = 1 }
    [users.any]
    on_start = [{ request = "POST /hello" }]
    on_stop = [{ request = "POST /bye" }]
    tasks = [{ request = "GET /" }]
"#;

#[test]
fn a_user_that_is_cancelled_sends_no_on_stop() {
    let target = Target::scripted(|_, received| match received.what.as_str() {
        "GET /" => Answer::Never,
        _ => Answer::Status(200),
    });
    let run = Runner::plan(LEAVING).against(&target).signal(at(4.0), Interrupt).run().exits(130);
    assert_eq!((cancelled(&run), target.count_of("POST /bye")), (3, 0));
}

#[test]
fn a_request_that_waits_for_its_latency_is_not_sent_after_the_drain() {
    let plan = LEAVING.replace("[users.any]", "[users.any]\nnetwork_latency = [\"20s\", \"20s\"]");
    let target = Target::fast();
    let run = Runner::plan(&plan).against(&target).signal(at(4.0), Interrupt).run().exits(130);
    assert_took(&run, 9.0);
    assert_eq!((cancelled(&run), target.count()), (3, 0));
}

/// All responses come in the drain, and so does the proof.
#[test]
fn a_breach_found_in_the_last_windows_ends_the_run_early() {
    let late = Target::scripted(|_, _| Answer::Late(200, Duration::from_millis(2600)));
    let plan = PLAN.replace("60s", "2s").replace("20/s", "4/s");
    let objectives = max("1s").replace("statistic = \"max\"", "statistic = \"max\"\nabort = true");
    let run = Runner::plan(&plan).against(&late).target(TIMEOUT).objectives(&objectives).run().exits(1);
    assert_eq!(run.report()["ended_early"]["by"], "abort", "{}", run.stderr);
}
