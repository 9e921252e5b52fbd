//! Entries of `thresholds`: a whole file, a selection, or objectives without a gate. Also objectives per interval.

use std::time::Duration;

use runner_test_support::phases::open;
use runner_test_support::ran::{Ran, count};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

const GET: &str = "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n";
/// One objective that no target meets, and one that the target of these tests meets.
const OBJECTIVES: &str = r#"
    [[response_time]]
    name = "Fast"
    operations = ["get"]
    statistic = "p50"
    maximum = "1us"
    [[error_rate]]
    name = "Failed"
    operations = ["*"]
    maximum = "1%"
"#;
const OTHERS: &str = "[[throughput]]\nname = \"Throughput\"\nscenarios = [\"a\"]\nminimum = \"1/s\"\n";

/// A plan with these entries of `thresholds`.
fn taking(entries: &str) -> Runner {
    Runner::plan(&(open(5, "1s", "50/s") + GET))
        .objectives(OBJECTIVES)
        .file("thresholds/others.toml", OTHERS)
        .thresholds(entries)
        .with("--set gate.decision=observed")
}

/// The names of the objectives that were judged or shown.
fn names(run: &Ran) -> Vec<String> {
    let report = run.report();
    let objectives = report["objectives"].as_array().unwrap().iter();
    objectives.map(|objective| objective["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_selects_objectives_of_a_file() {
    let target = Target::fast();
    let run = |only: &str| {
        let entries = format!(
            "[{{ file = \"../thresholds/t.toml\", only = [{only}] }}, \"../thresholds/others.toml\"]"
        );
        taking(&entries).against(&target).run()
    };
    assert_eq!(names(&run("\"Failed\"").exits(0)), ["Failed", "Throughput"]);
    assert_eq!(names(&run("\"Fast\"").exits(1)), ["Fast", "Throughput"]);
    assert_eq!(names(&run("\"Failed\", \"Fast\"").exits(1)), ["Fast", "Failed", "Throughput"]);
}

#[test]
fn objectives_without_a_gate_are_shown_and_do_not_decide() {
    let target = Target::fast();
    let entries = "[{ file = \"../thresholds/t.toml\", gate = false }, { file = \"../thresholds/others.toml\", gate = true }]";
    let run = taking(entries).against(&target).run().exits(0);
    assert_eq!(run.report()["verdict"], "passed");
    let found = |name: &str| (run.objective(name)["verdict"].clone(), run.objective(name)["gated"].clone());
    assert_eq!(found("Fast"), ("missed".into(), false.into()));
    assert_eq!(found("Failed"), ("met".into(), false.into()));
    assert_eq!(found("Throughput"), ("met".into(), true.into()));
}

#[test]
fn as_many_intervals_may_miss_as_are_allowed() {
    // Slow in the middle of the fourth of ten seconds.
    let slow = Answer::Late(200, Duration::from_millis(250));
    let target = Target::scripted(move |number, _| match number {
        62..78 => slow.clone(),
        _ => Answer::Status(200),
    });
    let objective = |name: &str, windows: &str| {
        format!(
            "[[response_time]]\nname = \"{name}\"\noperations = [\"get\"]\nmaximum = \"150ms\"\n{windows}\n"
        )
    };
    let objectives = [
        objective("Two", "every = \"1s\"\nallow = \"20%\""),
        objective("One", "every = \"1s\"\nallow = \"10%\""),
        objective("Half", "every = \"1s\"\nallow = \"5%\""),
        objective("None", "every = \"1s\""),
        objective("Longer", "every = \"5s\"\nallow = \"20%\""),
    ];
    let run = Runner::plan(&(open(20, "10s", "20/s") + GET))
        .against(&target)
        .objectives(&objectives.concat())
        .with("--set gate.decision=observed")
        .run()
        .exits(1);
    assert_eq!(count(&run.phase("a")["requests"]), 200);
    let verdicts =
        ["Two", "One", "Half", "None", "Longer"].map(|name| run.objective(name)["verdict"].clone());
    // One of the two intervals of five seconds misses too, because 16 % of its requests are slow.
    assert_eq!(verdicts, ["met", "met", "missed", "missed", "missed"]);
}

#[test]
fn several_entries_may_select_parts_of_one_file() {
    let entries = r#"[{ file = "../thresholds/t.toml", only = ["Failed"] },
                      { file = "../thresholds/t.toml", only = ["Fast"], gate = false }]"#;
    let target = Target::fast();
    let run = taking(entries).against(&target).run().exits(0);
    let gated = |name: &str| run.objective(name)["gated"].as_bool().unwrap();
    assert_eq!((names(&run).len(), gated("Failed"), gated("Fast")), (2, true, false));
    let twice = entries.replace("\"Fast\"", "\"F*\"");
    let refused = taking(&twice).against(&target).run().exits(2);
    assert!(refused.stderr.contains("two objectives are named `Failed`"), "{}", refused.stderr);
}
