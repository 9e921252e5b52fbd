//! The exit code is the verdict.

use std::time::Duration;

use crate::runner::{Runner, count};
use crate::target::{Answer, Target, closed_port};

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
fn objectives_that_are_met_are_0() {
    let run = Runner::plan(GET).against(&Target::fast()).objectives(FAST).run().exits(0);
    assert_eq!((&run.report()["verdict"], &run.report()["exit_code"]), (&"passed".into(), &0.into()));
    assert_eq!(run.objective("Fast")["verdict"], "met");
    assert!(run.stdout.ends_with("verdict: passed (1 of 1 gated objectives met at tier maximum; exit 0)\n"));
}

#[test]
fn a_target_slower_than_its_limit_is_1() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(30)));
    let limit = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"20ms\"";
    let run = Runner::plan(GET).against(&target).objectives(limit).run().exits(1);
    assert_eq!((&run.report()["verdict"], &run.report()["exit_code"]), (&"breached".into(), &1.into()));
    assert_eq!(run.objective("Fast")["verdict"], "missed");
}

#[test]
fn whatever_cannot_be_run_is_2_and_sends_nothing() {
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
fn an_objective_that_saw_no_request_is_3() {
    let rare = "[[users.any.tasks]]\nweight = 0.000001\noperation = \"rare\"\nrequest = \"GET /rare\"";
    let objective = "[[response_time]]\nname = \"Rare\"\noperations = [\"rare\"]\nmaximum = \"500ms\"";
    let target = Target::fast();
    let run = Runner::plan(&format!("{GET}\n{rare}"))
        .against(&target)
        .objectives(objective)
        .with("--set gate.decision=observed")
        .run()
        .exits(3);
    assert_eq!((target.count(), target.count_of("GET /rare")), (100, 0));
    assert_eq!(run.report()["verdict"], "inconclusive");
    let objective = run.objective("Rare");
    assert_eq!((&objective["verdict"], count(&objective["samples"])), (&"no data".into(), 0));
    assert!(objective["observed"].is_null() && objective["tier"].is_null());
}

#[test]
fn response_times_of_nothing_but_failures_are_3() {
    let run = Runner::plan(GET).against(&Target::always(Answer::Status(500))).objectives(FAST).run().exits(3);
    let objective = run.objective("Fast");
    assert_eq!(objective["verdict"], "no data");
    assert_eq!(objective["why"], "all 100 requests failed, so none has a response time");
}

#[test]
fn a_target_that_does_not_get_ready_is_5_and_sees_no_load() {
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
}

#[test]
fn a_target_that_is_not_there_is_5() {
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
fn a_lost_sample_is_70_even_where_everything_else_is_well() {
    let target = Target::fast();
    let run =
        Runner::plan(GET).against(&target).objectives(FAST).with("--failpoint lose-a-sample").run().exits(70);
    assert_eq!(run.report()["verdict"], "internal");
    let notices = run.report()["notices"].to_string();
    let told = "the numbers of phase `a` do not add up: in second 0, ";
    assert!(notices.contains(told), "{notices}");
    assert_eq!(run.generator_check("a", "conservation")["verdict"], "invalid");
}

#[test]
fn a_panic_is_70() {
    let run = Runner::plan(GET).against(&Target::fast()).with("--failpoint panic").run().exits(70);
    assert!(run.stderr.contains("a fault of the runner itself"), "{}", run.stderr);
}

#[test]
fn a_report_that_cannot_be_written_is_74_and_is_still_shown() {
    let target = Target::fast();
    let run = Runner::plan(GET).against(&target).objectives(FAST).with("--out /dev/null/x").run().exits(74);
    assert!(run.stdout.contains("1 of 1 gated objectives met"), "{}", run.stdout);
    assert!(run.stderr.contains("/dev/null/x"), "{}", run.stderr);
    assert_eq!(target.count(), 100);
}

#[test]
fn a_breach_is_1_even_where_the_report_cannot_be_written() {
    let target = Target::always(Answer::Status(500));
    let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"";
    Runner::plan(GET)
        .against(&target)
        .objectives(failed)
        .with("--out /dev/null/x --set gate.decision=observed")
        .run()
        .exits(1);
}
