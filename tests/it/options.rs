//! What the command line says.

use serde_json::Value;

use crate::runner::{Ran, Runner, count, number};
use crate::target::{Answer, Target};

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
fn a_value_of_the_plan_can_be_overridden() {
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
fn the_load_can_be_sent_elsewhere() {
    let (plans, other) = (Target::fast(), Target::fast());
    let run = run(&format!("--phase a --target {}/base", other.url()), &plans).exits(0);
    assert_eq!((plans.count(), other.count_of("GET /base/")), (0, 60));
    assert_eq!(run.report()["target"], format!("{}/base", other.url()));
}

#[test]
fn the_gate_can_be_another() {
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
fn the_seed_is_recorded_and_told_and_drawn_where_none_is_given() {
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
fn quiet_says_nothing_on_stderr_and_verbose_tells_of_connections() {
    let target =
        Target::scripted(|number, _| if number == 30 { Answer::Closing } else { Answer::Status(200) });
    assert_eq!(run("--phase a --quiet", &target).exits(0).stderr, "");
    let target =
        Target::scripted(|number, _| if number == 30 { Answer::Closing } else { Answer::Status(200) });
    let told = run("--phase a -v", &target).exits(0).stderr;
    for part in ["user 0 connected", "user 1 connected", "the connection was closed", "user 0 leaves"] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    run("--phase a -v --quiet", &target).exits(2);
}

#[test]
fn where_stderr_is_no_terminal_nothing_is_coloured_or_moves() {
    let target = Target::always(Answer::Status(500));
    for (name, value) in [("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")] {
        let plan = |plan: &str| Runner::plan(plan).against(&target).variable(name, value);
        for run in [
            plan(PLAN).with("--phase a -v").run().exits(0),
            plan(PLAN).check().exits(0),
            plan(&PLAN.replace("users", "user")).run().exits(2),
            plan(PLAN).with("--no-such-flag").run().exits(2),
        ] {
            assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'), "{}", run.stderr);
            assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
        }
    }
}

#[test]
fn json_on_stdout_is_one_document_for_a_run_and_for_a_refusal() {
    let target = Target::fast();
    let finished = run("--phase a --format json", &target).exits(0);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document, finished.report());
    let plan = |plan: &str| Runner::plan(plan).against(&target).with("--format json");
    for refused in [
        plan(&PLAN.replace("duration", "duraton")).run().exits(2),
        plan(&PLAN.replace("duration", "duraton")).check().exits(2),
        plan("[[phases").run().exits(2),
        plan(PLAN).with("--phase c").run().exits(2),
    ] {
        let document: Value = serde_json::from_str(&refused.stdout).expect(&refused.stdout);
        assert!(!document["diagnostics"].as_array().unwrap().is_empty(), "{document:#}");
    }
}

#[test]
fn every_request_can_be_logged_up_to_a_limit() {
    let target = Target::fast();
    let whole = run("--phase a --log-requests requests.jsonl", &target).exits(0);
    let log = whole.log();
    assert_eq!(log.len(), 60);
    assert!(log.iter().all(|logged| logged.phase == "a" && logged.operation == "get"));
    assert!(
        log.iter().all(|logged| logged.intended_ms <= logged.sent_ms && logged.sent_ms <= logged.finished_ms)
    );
    assert!(log.iter().all(|logged| logged.outcome == "succeeded"));
    let cut = run("--phase a --log-requests requests.jsonl --log-limit 10", &target).exits(0);
    assert_eq!(cut.log().len(), 10);
    let notices = cut.report()["notices"].to_string();
    assert!(notices.contains("reached its limit"), "{notices}");
}
