//! Exit codes of the real program.

use std::process::Command;
use std::time::Duration;

use runner_test_support::target::{Answer, Target, closed_port};

use crate::support::runner::Runner;

const GET: &str = r#"
    [[phases]]
    name = "a"
    duration = "1s"
    users = 4
    mix = { any = 1 }
    arrivals = "100/s"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
"#;
const FAST: &str =
    "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\ntarget = \"200us\"\nmaximum = \"500ms\"";

#[test]
fn met_objectives_exit_0() {
    let run = Runner::plan(GET).against(&Target::fast()).objectives(FAST).run().exits(0);
    assert_eq!((&run.report()["verdict"], &run.report()["exit_code"]), (&"passed".into(), &0.into()));
    assert_eq!(run.objective("Fast")["verdict"], "met");
    assert!(run.stdout.ends_with("verdict: passed (1 of 1 gated objectives met at tier maximum; exit 0)\n"));
}

#[test]
fn a_target_slower_than_its_limit_exits_1() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(400)));
    // A tenth of the limit is what the generator may be late by.
    let limit = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"300ms\"";
    let run = Runner::plan(&GET.replace("users = 4", "users = 100"))
        .against(&target)
        .objectives(limit)
        .run()
        .exits(1);
    assert_eq!((&run.report()["verdict"], &run.report()["exit_code"]), (&"breached".into(), &1.into()));
    assert_eq!(run.objective("Fast")["verdict"], "missed");
}

#[test]
fn an_invalid_plan_or_command_exits_2_without_a_request() {
    let target = Target::fast();
    let run = |plan: &str, arguments: &str| Runner::plan(plan).against(&target).with(arguments).run();
    let misspelt = run(&GET.replace("duration", "duraton"), "").exits(2);
    assert!(misspelt.stderr.contains("did you mean `duration`?"), "{}", misspelt.stderr);
    let phase = run(GET, "--phase b").exits(2);
    assert!(phase.stderr.contains("the plan has no phase `b`"), "{}", phase.stderr);
    run(GET, "--no-such-flag").exits(2);
    run(GET, "--set phases.b.users=1").exits(2);
    run(GET, "--target ftp://localhost").exits(2);
    assert_eq!(target.count(), 0);
    for refused in [misspelt, phase] {
        assert!(refused.file("report.json").is_none() && refused.stdout.is_empty());
    }
}

#[test]
fn a_target_that_never_gets_ready_exits_5_without_load() {
    let target = Target::always(Answer::Status(503));
    let run = Runner::plan(GET)
        .against(&target)
        .target("ready = \"GET /health\"\nready_within = \"500ms\"")
        .objectives(FAST)
        .run()
        .exits(5);
    assert!(target.count() > 0 && target.count() == target.count_of("GET /health"));
    assert_eq!(run.report()["verdict"], "unavailable");
    assert_eq!(run.report()["phases"], serde_json::json!([]));
    assert!(run.stderr.contains("HTTP status 503"), "{}", run.stderr);
    let reason = run.report()["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("the target was not ready within 500ms: ") && reason.contains("HTTP status 503")
    );
    assert!(run.stdout.contains("  reason: the target was not ready within 500ms"), "{}", run.stdout);
    assert_eq!(run.objective("Fast")["verdict"], "not judged");
}

#[test]
fn an_unreachable_target_exits_5() {
    let nowhere = format!("http://127.0.0.1:{}", closed_port());
    let run = Runner::plan(GET).at(&nowhere).target("ready_within = \"300ms\"").run().exits(5);
    assert_eq!(run.report()["verdict"], "unavailable");
}

#[test]
fn a_target_that_gets_ready_in_time_is_loaded() {
    let target = Target::scripted(|number, _| Answer::Status(if number < 2 { 503 } else { 200 }));
    Runner::plan(GET).against(&target).target("ready = \"GET /health\"").objectives(FAST).run().exits(0);
    assert_eq!((target.count_of("GET /health"), target.count_of("GET /")), (3, 100));
}

#[test]
fn a_target_is_ready_when_its_response_is_as_expected() {
    let ready = "ready = { request = \"GET /health\", expect = { json = { \"/index\" = true } } }";
    let health = |is_ready: bool| Answer::json(&serde_json::json!({ "index": is_ready }));
    let target = Target::counting(move |number, it| match it.what.as_str() {
        "GET /health" => health(number >= 2),
        _ => Answer::Status(200),
    });
    Runner::plan(GET).against(&target).target(ready).objectives(FAST).run().exits(0);
    assert_eq!((target.count_of("GET /health"), target.count_of("GET /")), (3, 100));
    let without = Target::always(health(false));
    let keys = ready.to_owned() + "\nready_within = \"300ms\"";
    let run = Runner::plan(GET).against(&without).target(&keys).run().exits(5);
    assert!(run.stderr.contains("expected `/index` to be true, found false"), "{}", run.stderr);
}

#[test]
fn a_panic_exits_70() {
    let run = Runner::plan(GET).against(&Target::fast()).with("--failpoint panic").run().exits(70);
    assert!(run.stderr.contains("internal error of the runner"), "{}", run.stderr);
}

#[test]
fn version_names_the_program() {
    let said = Command::new(env!("CARGO_BIN_EXE_runner")).arg("--version").output().unwrap();
    assert_eq!(said.stdout, format!("runner {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

#[test]
fn a_report_that_standard_output_does_not_take_exits_74() {
    let target = Target::fast();
    let code = |maximum: &str, options: &str| {
        let objective =
            format!("[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"{maximum}\"");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let runner = Runner::plan(GET).against(&target).objectives(&objective).with(options);
        let (_folder, mut child) = runner.spawn(full.into(), std::process::Stdio::null());
        child.wait().unwrap().code()
    };
    assert_eq!(code("500ms", "--format json"), Some(74));
    // A breach stays one, and people have the report in its file.
    assert_eq!((code("1us", "--format json"), code("500ms", "")), (Some(1), Some(0)));
}
