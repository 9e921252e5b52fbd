//! `on_start` and `on_stop`: the requests of a user before its first task and when it leaves.

use std::time::Duration;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{Ran, assert_sums, count, failed_as, named, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

const STARTING: &str = r#"
    on_start = [{ operation = "start", request = "POST /start/${user()}" }]
    on_stop = [{ operation = "stop", request = "POST /stop/${user()}" }]
    [[users.any.tasks]]
    operation = "task"
    request = "GET /task/${user()}"
"#;

/// A plan whose users have this wait between two tasks.
fn waiting(phase: &str, wait: &str) -> Runner {
    Runner::plan(&format!("{phase}[users.any]\nwait = \"{wait}\"\n{STARTING}")).logging()
}

/// The requests of each user, in order.
fn by_user(target: &Target, users: u32) -> Vec<Vec<String>> {
    let of_user = |user: u32| {
        let whats = target.whats().into_iter();
        whats.filter(|what| what.ends_with(&format!("/{user}"))).collect()
    };
    (0..users).map(of_user).collect()
}

fn requests(run: &Ran, operation: &str) -> usize {
    count(&named(&run.phase("a")["operations"], operation)["requests"])
}

/// Asserts that each of four users started first, stopped last and ran only tasks in between, and that all is counted.
fn assert_started_and_stopped(run: &Ran, target: &Target) {
    for (user, sent) in by_user(target, 4).iter().enumerate() {
        assert_eq!(sent[0], format!("POST /start/{user}"));
        assert_eq!(sent[sent.len() - 1], format!("POST /stop/{user}"));
        let tasks = &sent[1..sent.len() - 1];
        assert!(tasks.iter().all(|what| *what == format!("GET /task/{user}")), "{sent:?}");
    }
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!(count(&phase["requests"]), target.count());
    assert_eq!((requests(run, "start"), requests(run, "stop"), count(&phase["errors"])), (4, 4, 0));
}

/// Asserts that throughput counts only the tasks that were completed within the phase of one second.
fn assert_throughput_is_of_tasks(run: &Ran) {
    let log = run.log();
    let completed = log.iter().filter(|logged| logged.operation == "task" && logged.finished_ms < 1000.0);
    let phase = run.phase("a");
    assert_eq!(number(&phase["judged_s"]), 1.0);
    let told = number(&phase["throughput_per_s"]);
    assert!((told - completed.count() as f64).abs() < 0.001, "{phase:#}");
}

#[test]
fn users_of_a_closed_phase_start_and_stop_once() {
    let target = Target::fast();
    let run = waiting(&closed(4, "1s"), "20ms").against(&target).run().exits(0);
    assert_started_and_stopped(&run, &target);
    assert_throughput_is_of_tasks(&run);
    assert!(requests(&run, "task") >= 80);
}

#[test]
fn users_of_an_open_phase_start_and_stop_once() {
    let target = Target::fast();
    let run = waiting(&open(4, "1s", "60/s"), "20ms").against(&target).run().exits(0);
    assert_started_and_stopped(&run, &target);
    assert_throughput_is_of_tasks(&run);
    let arrivals = &run.phase("a")["arrivals"];
    assert_eq!((requests(&run, "task"), count(&arrivals["started"])), (60, 60));
}

#[test]
fn a_failed_start_is_retried_after_the_wait() {
    let target = Target::counting(|before, received| match received.what.starts_with("POST /start") {
        true if before < 2 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let run = waiting(&closed(3, "1s"), "100ms").against(&target).run().exits(0);
    for (user, sent) in by_user(&target, 3).iter().enumerate() {
        assert_eq!(sent[..3], [format!("POST /start/{user}"), sent[0].clone(), sent[0].clone()]);
        assert_eq!(sent[3], format!("GET /task/{user}"));
        assert_eq!(target.count_of(&sent[0]), 3);
        let received = target.received();
        let starts: Vec<_> = received.iter().filter(|received| received.what == sent[0]).collect();
        for pair in starts.windows(2) {
            let gap = pair[1].at - pair[0].at;
            assert!((Duration::from_millis(100)..Duration::from_millis(250)).contains(&gap), "{gap:?}");
        }
    }
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!(count(&phase["requests"]), target.count());
    assert_eq!((requests(&run, "start"), failed_as(&phase, "status 5xx")), (9, 6));
    assert_throughput_is_of_tasks(&run);
}

#[test]
fn without_a_wait_a_failed_start_is_retried_after_a_second() {
    let target = Target::counting(|before, received| match received.what.starts_with("POST /start") {
        true if before == 0 => Answer::Status(503),
        _ => Answer::Late(200, Duration::from_millis(10)),
    });
    let plan = closed(2, "2s") + "[users.any]\n" + STARTING;
    Runner::plan(&plan).against(&target).run().exits(0);
    let received = target.received();
    for user in 0..2 {
        let starts: Vec<_> = received.iter().filter(|r| r.what == format!("POST /start/{user}")).collect();
        assert_eq!(starts.len(), 2);
        let gap = starts[1].at - starts[0].at;
        assert!((Duration::from_secs(1)..Duration::from_millis(1400)).contains(&gap), "{gap:?}");
        assert!(target.count_of(&format!("GET /task/{user}")) > 10);
    }
}

#[test]
fn users_that_cannot_start_run_no_task() {
    let target = Target::scripted(|_, received| match received.what.starts_with("POST /start") {
        true => Answer::Status(401),
        false => Answer::Status(200),
    });
    let run = waiting(&closed(3, "1s"), "100ms").against(&target).run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    assert!(target.whats().iter().all(|what| !what.starts_with("GET /task")));
    assert_eq!(failed_as(&phase, "status 4xx"), requests(&run, "start"));
    assert!(requests(&run, "start") >= 18, "{phase:#}");
    assert_eq!(number(&phase["throughput_per_s"]), 0.0);
}

#[test]
fn arrivals_are_dropped_where_no_user_can_start() {
    let target = Target::always(Answer::Status(401));
    let run = waiting(&open(3, "1s", "20/s"), "100ms")
        .against(&target)
        .target("timeout = \"300ms\"")
        .run()
        .exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    let arrivals = &phase["arrivals"];
    assert_eq!((count(&arrivals["scheduled"]), count(&arrivals["dropped"])), (20, 20));
    assert_eq!(count(&named(&phase["operations"], "task")["dropped"]), 20);
    assert!(target.whats().iter().all(|what| !what.starts_with("GET /task")));
}

#[test]
fn a_class_header_with_a_captured_value_is_sent_after_capture() {
    let target = Target::scripted(|_, received| match received.what.as_str() {
        "POST /login" => Answer::json(&serde_json::json!({ "token": "t-1" })),
        _ => Answer::Status(200),
    });
    let plan = closed(1, "1s")
        + r#"
        [users.any]
        wait = "200ms"
        headers = { authorization = "Bearer ${token}" }
        on_start = [{ request = "POST /login", capture = { token = "/token" } }, { request = "GET /me" }]
        [[users.any.tasks]]
        request = "GET /task"
    "#;
    Runner::plan(&plan).against(&target).run().exits(0);
    let sent = |what: &str| -> Vec<Option<String>> {
        let of = target.received().into_iter().filter(|received| received.what == what);
        of.map(|received| received.header("authorization").map(str::to_owned)).collect()
    };
    assert_eq!(sent("POST /login"), [None]);
    assert_eq!(sent("GET /me"), [Some("Bearer t-1".to_owned())]);
    assert!(sent("GET /task").len() >= 3 && sent("GET /task").iter().all(Option::is_some));
}
