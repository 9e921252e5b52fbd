//! Exit codes that follow from verdicts and from files that cannot be written.

use std::time::Duration;

use runner_test_support::ran::count;
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;
use crate::report::console;
use crate::report::model::Report;

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
fn an_objective_without_requests_exits_3() {
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
fn response_times_of_failures_alone_exit_3() {
    let run = Runner::plan(GET).against(&Target::always(Answer::Status(500))).objectives(FAST).run().exits(3);
    let objective = run.objective("Fast");
    assert_eq!(objective["verdict"], "no data");
    assert_eq!(objective["why"], "all 100 requests failed, so none has a response time");
}

#[test]
fn a_lost_sample_exits_70_even_where_all_objectives_are_met() {
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
fn a_folder_that_cannot_be_written_is_refused_before_any_request() {
    let target = Target::fast();
    let run = Runner::plan(GET).against(&target).objectives(FAST).with("--out /dev/null/x").run().exits(2);
    assert!(run.stderr.contains("`/dev/null` is no folder"), "{}", run.stderr);
    assert_eq!((run.stdout.as_str(), target.count()), ("", 0));
}

/// A target that makes the report of a run impossible to write while the run goes on, and its `--out`.
fn sabotage(answer: Answer) -> (Target, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    let report = out.path().join("latest/report.json");
    let target = Target::scripted(move |_, _| {
        let _ = std::fs::create_dir(&report);
        answer.clone()
    });
    (target, out)
}

#[test]
fn a_report_that_cannot_be_written_exits_74_and_is_still_shown() {
    let (target, out) = sabotage(Answer::Status(200));
    let options = format!("--out {}", out.path().display());
    let run = Runner::plan(GET).against(&target).objectives(FAST).with(&options).run().exits(74);
    assert!(run.stdout.contains("1 of 1 gated objectives met"), "{}", run.stdout);
    assert!(run.stderr.contains("could not write the report"), "{}", run.stderr);
}

#[test]
fn a_breach_exits_1_even_if_its_report_cannot_be_written() {
    let (target, out) = sabotage(Answer::Status(500));
    let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"";
    let options = format!("--set gate.decision=observed --out {}", out.path().display());
    Runner::plan(GET).against(&target).objectives(failed).with(&options).run().exits(1);
}

#[test]
fn a_stored_report_is_read_back_and_shown_as_printed() {
    let target = Target::scripted(|number, _| match number {
        50 => Answer::Status(500),
        _ => Answer::Late(200, Duration::from_millis(30)),
    });
    let objectives = format!(
        "{FAST}\n[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"0.99%\"\n\
         [[throughput]]\nname = \"Rate\"\nscenarios = [\"a\"]\nminimum = \"50/s\"\n"
    );
    let run =
        Runner::plan(GET).against(&target).objectives(&objectives).with("--set gate.decision=observed").run();
    let stored = run.report().clone();
    let report: Report = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), stored);
    assert_eq!(console::render(&report), run.stdout);
}

/// The lines from the verdict on.
fn end_of_report(stdout: &str) -> Vec<&str> {
    stdout.lines().skip_while(|line| !line.starts_with("verdict: ")).collect()
}

#[test]
fn the_report_ends_with_each_objective_that_was_not_met() {
    let target = Target::scripted(|number, _| match number {
        50 => Answer::Status(500),
        _ => Answer::Late(200, Duration::from_millis(30)),
    });
    let limit = |name: &str, keys: &str| {
        format!("[[response_time]]\nname = \"{name}\"\noperations = [\"get\"]\n{keys}\n")
    };
    let objectives = limit("Fast", "maximum = \"20ms\"")
        + &limit("Fast enough", "maximum = \"500ms\"")
        + &limit("Shown", "maximum = \"1ms\"\ngate = false")
        + "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"0.99%\"\n";
    let run = Runner::plan(GET)
        .against(&target)
        .objectives(&objectives)
        .with("--set gate.decision=observed")
        .run()
        .exits(1);
    let end = end_of_report(&run.stdout);
    assert!(end.len() <= 9, "{end:#?}");
    assert!(
        run.stdout.contains("verdict: breached (1 of 3 gated objectives met at tier maximum; observed,"),
        "{end:#?}"
    );
    let lines = &end[end.len() - 2..];
    assert!(lines[0].starts_with("  missed: a · Fast: p95 30"), "{end:#?}");
    assert!(lines[0].contains(", maximum 20 ms: beyond maximum"), "{end:#?}");
    // One of a hundred is more than 0.99 %, and is shown as more.
    assert!(lines[1].starts_with("  missed: a · Failed: 1 %, maximum 0.99 %: beyond maximum"), "{end:#?}");
}

#[test]
fn the_verdict_stands_in_the_last_ten_lines_however_many_objectives_were_missed() {
    let objectives: String = (0..12)
        .map(|number| {
            format!(
                "[[response_time]]\nname = \"Fast {number}\"\noperations = [\"get\"]\nmaximum = \"1ms\"\n"
            )
        })
        .collect();
    let run = Runner::plan(GET)
        .against(&Target::always(Answer::Late(200, Duration::from_millis(30))))
        .objectives(&objectives)
        .with("--set gate.decision=observed")
        .run()
        .exits(1);
    let end = end_of_report(&run.stdout);
    assert!(end.len() <= 10, "{end:#?}");
    assert_eq!(end.last(), Some(&"  and 6 more, see the tables above"), "{end:#?}");
}

#[test]
fn a_value_is_stored_and_shown_with_the_digits_that_tell_it_from_its_limit() {
    let target = Target::scripted(|number, _| Answer::Status(if number == 200 { 500 } else { 200 }));
    let plan = GET.replace("duration = \"1s\"", "duration = \"12s\"").replace("100/s", "83/s");
    let objectives = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"0.1%\"\n\
                      [[throughput]]\nname = \"Rate\"\nscenarios = [\"a\"]\nminimum = \"82.95/s\"\n";
    let run = Runner::plan(&plan)
        .against(&target)
        .objectives(objectives)
        .with("--set gate.decision=observed")
        .run()
        .exits(1);
    let failed = run.objective("Failed");
    assert_eq!(
        (failed["observed"].as_f64(), failed["limits"]["maximum"].as_f64()),
        (Some(100.0 / 996.0), Some(0.1))
    );
    assert!(run.stdout.contains("Failed: 0.1004 %, maximum 0.1 %"), "{}", run.stdout);
    assert!(
        failed["why"].as_str().unwrap().starts_with("error rate is 0.1004 %; 0.1 % of 996 requests"),
        "{failed:#}"
    );
    let rate = run.objective("Rate");
    assert_eq!(rate["limits"]["minimum"].as_f64(), Some(82.95));
    assert!(
        run.stdout.contains("82.95") && rate["why"].as_str().unwrap().contains("82.95/s"),
        "{}",
        run.stdout
    );
}
