//! The exit code is the verdict.

use runner_test_support::ran::count;
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

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
