//! The judged period: requests of ramp and warm-up are counted and not judged.

use runner_test_support::ran::{Logged, Ran, assert_adds_up, count, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

const OBJECTIVES: &str = r#"
    [[response_time]]
    name = "Fast"
    operations = ["get"]
    maximum = "500ms"
    [[response_time]]
    name = "Other"
    operations = ["other"]
    statistic = "mean"
    maximum = "500ms"
    [[error_rate]]
    name = "Failed"
    operations = ["*"]
    maximum = "1%"
    [[throughput]]
    name = "Throughput"
    scenarios = ["a"]
    minimum = "1/s"
"#;

/// Runs a phase of 4.5 s with a ramp of 1.5 s and a warm-up of 1 s, so that the time from second 3 on is judged.
fn run(load: &str) -> (Ran, Target) {
    let plan = format!(
        r#"
        [[phases]]
        name = "a"
        duration = "4500ms"
        users = 6
        spawn_rate = 4
        warmup = "1s"
        mix = {{ any = 1 }}
        {load}
        [[users.any.tasks]]
        weight = 3
        operation = "get"
        request = "GET /"
        [[users.any.tasks]]
        operation = "other"
        request = "GET /other"
        "#
    );
    // Failures occur only in ramp and warm-up, and would breach if these were judged.
    let target = Target::scripted(|number, _| Answer::Status(if number < 20 { 500 } else { 200 }));
    let run = Runner::plan(&plan)
        .against(&target)
        .objectives(OBJECTIVES)
        .logging()
        .with("--set gate.decision=observed")
        .run()
        .exits(0);
    (run, target)
}

fn assert_judged_from_second_three(run: &Ran, target: &Target) {
    let log = run.log();
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert_eq!((log.len(), count(&phase["requests"])), (target.count(), target.count()));
    assert_eq!(count(&phase["errors"]), 20);
    assert_eq!(number(&phase["judged_s"]), 1.5);
    let samples = |name: &str| count(&run.objective(name)["samples"]);
    let logged = |judged: &dyn Fn(&Logged) -> bool| log.iter().filter(|logged| judged(logged)).count();
    let intended = |logged: &Logged| logged.intended_ms >= 3000.0;
    assert!(logged(&intended) < log.len() && logged(&intended) > 20);
    assert_eq!(samples("Fast"), logged(&|logged| intended(logged) && logged.operation == "get"));
    assert_eq!(samples("Other"), logged(&|logged| intended(logged) && logged.operation == "other"));
    assert_eq!(samples("Failed"), logged(&intended));
    assert_eq!(number(&run.objective("Failed")["observed"]), 0.0);
    let completed = |logged: &Logged| (3000.0..4500.0).contains(&logged.finished_ms);
    assert_eq!(samples("Throughput"), logged(&completed));
    let throughput = logged(&completed) as f64 / 1.5;
    assert!((number(&run.objective("Throughput")["observed"]) - throughput).abs() < 0.001);
    assert!((number(&phase["throughput_per_s"]) - throughput).abs() < 0.001);
}

#[test]
fn a_closed_phase_is_judged_after_ramp_and_warm_up() {
    let (run, target) = run("[users.any]\nwait = \"25ms\"");
    assert_judged_from_second_three(&run, &target);
    // The ramp starts users one after another.
    let early = run.log().iter().filter(|logged| logged.intended_ms < 250.0).count();
    let later = run.log().iter().filter(|logged| (1500.0..1750.0).contains(&logged.intended_ms)).count();
    assert!(early * 2 < later, "{early} in the first quarter of a second, {later} in one after the ramp");
}

#[test]
fn an_open_phase_is_judged_after_ramp_and_warm_up() {
    let (run, target) = run("arrivals = \"100/s\"");
    assert_judged_from_second_three(&run, &target);
    // 75 arrivals in the ramp, in which the rate rises from zero, and 300 after it.
    assert_eq!(count(&run.phase("a")["arrivals"]["scheduled"]), 375);
    assert_eq!(count(&run.objective("Failed")["samples"]), 150);
}

#[test]
fn slow_requests_in_the_warm_up_do_not_breach() {
    let plan = r#"
        [[phases]]
        name = "a"
        duration = "3s"
        users = 50
        warmup = "1s"
        mix = { any = 1 }
        arrivals = "50/s"
        [[users.any.tasks]]
        operation = "get"
        request = "GET /"
    "#;
    let slow = std::time::Duration::from_millis(600);
    let target = Target::scripted(move |number, _| match number {
        0..45 => Answer::Late(200, slow),
        _ => Answer::Status(200),
    });
    let limit = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nstatistic = \"max\"\nmaximum = \"500ms\"";
    let run = Runner::plan(plan).against(&target).objectives(limit).run().exits(0);
    assert_eq!(count(&run.objective("Fast")["samples"]), 100);
}
