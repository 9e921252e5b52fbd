//! Stored runs, judged again by objectives of which the run knew nothing. That each report follows from the journal alone
//! is asserted for every run on the simulated clock.

use std::time::Duration;

use clap::Parser;
use runner_test_support::ran::{Ran, number};
use runner_test_support::target::{Answer, Target};
use serde_json::Value;

use super::runner::{Runner, record_day};
use crate::app::arguments::{Arguments, Command};
use crate::app::commands::gate::gate;
use crate::app::output::capture;
use crate::app::tell;
use crate::gate::Ending;

const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "60s"
    users = 50
    mix = { any = 1 }
    arrivals = "20/s"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
"#;

fn objective(limit: &str) -> String {
    format!("[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"{limit}\"\n")
}

/// A run in which every response takes 30 ms, except one of a hundred, which takes 300 ms.
fn run() -> Ran {
    let target = Target::scripted(|number, _| {
        Answer::Late(200, Duration::from_millis(if number % 100 == 50 { 300 } else { 30 }))
    });
    Runner::plan(PLAN).against(&target).objectives(&objective("100ms")).run().exits(0)
}

/// The exit code and the report of `runner gate`, with thresholds of this text.
fn judge(run: &Ran, objectives: &str, options: &str) -> (u8, Value, String) {
    let file = run.folder.path().join("other.toml");
    std::fs::write(&file, objectives).unwrap();
    let (folder, file) = (run.folder.path().join("reports/latest"), file.display().to_string());
    let line = format!("runner gate {} --format json {options} --thresholds {file}", folder.display());
    let arguments = Arguments::try_parse_from(line.split(' ').filter(|word| !word.is_empty())).unwrap();
    let Some(Command::Gate(arguments)) = arguments.command else { panic!("another command") };
    let (judged, written) = capture::while_doing(|| gate(&arguments));
    let code = match judged {
        Ok(code) if code == std::process::ExitCode::SUCCESS => 0,
        Ok(code) => (1..=255).find(|known| code == std::process::ExitCode::from(*known)).unwrap(),
        Err(error) => tell(&error).code(),
    };
    (code, serde_json::from_str(&written.stdout).unwrap_or_default(), written.stdout + &written.stderr)
}

#[test]
fn a_limit_below_the_observed_value_changes_the_exit() {
    let run = run();
    let p95 = number(&run.objective("Fast")["observed"]);
    let by = |limit: f64| judge(&run, &objective(&format!("{limit}ms")), "");
    let (code, report, _) = by(p95 - 1.0);
    assert_eq!((code, report["verdict"].as_str()), (1, Some("breached")));
    assert_eq!(by(p95 + 1.0).0, 0);
    let why = report["objectives"][0]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("did not count this limit"), "{why}");
}

#[test]
fn a_limit_in_the_bucket_of_the_observed_value_is_undecided() {
    let run = run();
    let p95 = number(&run.objective("Fast")["observed"]);
    let (code, report, text) = judge(&run, &objective(&format!("{p95}ms")), "");
    let why = report["objectives"][0]["why"].as_str().unwrap().to_owned();
    assert_eq!((code, report["verdict"].as_str()), (3, Some("inconclusive")), "{text}");
    assert!(why.contains("count as slow for a pass and as not slow for a breach"), "{why}");
}

/// Every interval has one response that may be above the limit or not.
#[test]
fn intervals_in_doubt_are_not_good_ones() {
    let target = Target::scripted(|number, _| {
        Answer::Late(200, Duration::from_millis(if number % 100 == 50 { 300 } else { 30 }))
    });
    let observed = Runner::plan(PLAN).with("--set gate.decision=observed");
    let run = observed.against(&target).objectives(&objective("500ms")).run().exits(0);
    let longest = number(&run.phase("a")["operations"][0]["response_ms"]["max"]);
    for (allow, statistic) in [("allow = \"15%\"\n", "max"), ("", "max"), ("allow = \"15%\"\n", "p99.9")] {
        let every = format!(
            "{}statistic = \"{statistic}\"\nevery = \"5s\"\n{allow}",
            objective(&format!("{longest}ms"))
        );
        let (code, report, text) = judge(&run, &every, "");
        assert_eq!(code, 3, "{text}");
        let why = report["objectives"][0]["why"].as_str().unwrap();
        assert!(why.contains("did not count this limit") && !why.contains("failures"), "{why}");
    }
}

#[test]
fn a_maximum_in_doubt_is_undecided_and_says_why() {
    let run = run();
    let longest = number(&run.phase("a")["operations"][0]["response_ms"]["max"]);
    let max = objective(&format!("{longest}ms")) + "statistic = \"max\"\n";
    let (code, report, _) = judge(&run, &max, "");
    let why = report["objectives"][0]["why"].as_str().unwrap();
    assert_eq!(code, 3, "{why}");
    assert!(
        why.ends_with("undecided: requests too close to the limit to tell may have exceeded the limit"),
        "{why}"
    );
}

#[test]
fn objectives_that_the_plan_cannot_reach_are_refused() {
    let run = run();
    let (code, _, text) =
        judge(&run, "[[throughput]]\nname = \"T\"\nscenarios = [\"*\"]\nminimum = \"500/s\"\n", "");
    assert!(code == 2 && text.contains("can reach at most 20/s"), "{text}");
    let (code, _, text) = judge(&run, &objective("1s").replace("[\"get\"]", "[\"get\", \"nope*\"]"), "");
    assert!(code == 0 && text.contains("unknown operation `nope*`"), "{text}");
}

#[test]
fn a_limit_that_the_run_counted_is_decided_exactly() {
    let run = run();
    let (code, report, _) = judge(&run, &objective("100ms"), "");
    let (own, again) = (run.objective("Fast"), &report["objectives"][0]);
    assert_eq!((code, &own["why"]), (0, &again["why"]));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let run = run();
    let all = objective("29ms") + "[[error_rate]]\nname = \"E\"\noperations = [\"*\"]\nmaximum = \"1%\"\n";
    assert_eq!(judge(&run, &all, "--gate maximum").2, judge(&run, &all, "--gate maximum").2);
}

#[test]
fn objectives_that_do_not_fit_the_plan_are_refused() {
    let run = run();
    let (code, _, text) = judge(&run, &objective("1s").replace("get", "put"), "");
    assert!(code == 2 && text.contains("unknown operation `put`"), "{text}");
    let (code, _, text) = judge(&run, "not TOML", "");
    assert!(code == 2, "{text}");
}

#[test]
#[ignore = "records a day of 2.5 million requests for the benchmark of `runner gate`, see `benches/README.md`"]
fn a_day_is_recorded() {
    let target = Target::scripted(|number, _| {
        let ms = u64::try_from(number * 7919 % 97).expect("it is below 97");
        Answer::Late(200, Duration::from_millis(5 + ms))
    });
    // The health check has a tighter limit than these response times.
    assert_eq!(record_day(&target, "target/day"), Ending::Breached);
}
