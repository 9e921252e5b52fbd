//! The schedule of an open phase: tasks start on it, regardless of the speed of the target.

use std::time::Duration;

use runner_test_support::ran::{assert_adds_up, count, failed_as, named, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

/// An open phase `a` of one operation `get`.
fn open(duration: &str, users: u32, arrivals: &str) -> Runner {
    Runner::plan(&format!(
        "[[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = {users}\nmix = {{ any = 1 }}\n\
         arrivals = \"{arrivals}\"\n[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\""
    ))
}

#[test]
fn forty_thousand_arrivals_are_sent_on_an_even_grid() {
    for workers in [1, 2] {
        assert_an_even_grid(workers);
    }
}

fn assert_an_even_grid(workers: u32) {
    let target = Target::fast();
    let run = open("20s", 200, "2000/s")
        .against(&target)
        .logging()
        .with(&format!("--workers {workers} --log-limit 50000"))
        .run()
        .exits(0);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    let arrivals = &phase["arrivals"];
    assert_eq!((count(&arrivals["scheduled"]), count(&arrivals["dropped"])), (40_000, 0));
    assert_eq!((target.count(), count(&phase["errors"])), (40_000, 0));
    let mut intended: Vec<f64> = run.log().iter().map(|logged| logged.intended_ms).collect();
    intended.sort_unstable_by(f64::total_cmp);
    let grid: Vec<f64> = (0..40_000).map(|k| f64::from(k) * 0.5).collect();
    assert_eq!(intended, grid);
}

#[test]
fn one_freeze_shows_in_response_time_and_hides_in_service_time() {
    for workers in [1, 2] {
        assert_a_freeze_shows(workers);
    }
}

fn assert_a_freeze_shows(workers: u32) {
    let target = Target::scripted(|number, _| match number {
        1000 => Answer::Late(200, Duration::from_secs(2)),
        _ => Answer::Status(200),
    });
    let run = open("20s", 1, "100/s").against(&target).with(&format!("--workers {workers}")).run().exits(0);
    let phase = run.phase("a");
    assert_eq!(count(&phase["requests"]), 2000);
    let operation = named(&phase["operations"], "get");
    assert!(number(&operation["response_ms"]["p99"]) >= 1700.0, "{operation:#}");
    assert!(number(&operation["service_ms"]["p99"]) < 50.0, "{operation:#}");
    assert!(number(&operation["service_ms"]["max"]) >= 1950.0, "{operation:#}");
    assert!(number(&phase["generator"]["user_wait_ms"]["p99"]) >= 1700.0, "{phase:#}");
}

#[test]
fn arrivals_without_an_idle_user_are_dropped_as_errors() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(250)));
    let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"";
    let run = open("4s", 1, "20/s")
        .against(&target)
        .target("timeout = \"1s\"")
        .objectives(failed)
        .with("--set gate.decision=observed")
        .run()
        .exits(1);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert_eq!(count(&phase["arrivals"]["scheduled"]), 80);
    let [requests, errors, dropped] = ["requests", "errors", "dropped"].map(|key| count(&phase[key]));
    assert!(dropped > 0, "{phase:#}");
    assert_eq!(count(&named(&phase["operations"], "get")["dropped"]), dropped);
    assert_eq!(requests, target.count());
    let objective = run.objective("Failed");
    let share = 100.0 * (errors + dropped) as f64 / (requests + dropped) as f64;
    assert!((number(&objective["observed"]) - share).abs() < 0.001, "{objective:#}");
    assert_eq!(count(&objective["samples"]), 80);
}

#[test]
fn arrivals_at_the_end_of_a_phase_are_completed() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(300)));
    let run = open("1s", 50, "40/s").against(&target).run().exits(0);
    let phase = run.phase("a");
    assert_eq!((count(&phase["requests"]), count(&phase["errors"]), target.count()), (40, 0, 40));
    assert_eq!(number(&phase["ran_s"]), 1.0);
}

#[test]
fn a_phase_ends_with_its_last_completed_arrival() {
    // Fifteen arrivals of 100 ms each for one user: the last ones wait, but much less than the timeout.
    let target = Target::always(Answer::Late(200, Duration::from_millis(100)));
    let run = open("1s", 1, "15/s").against(&target).target("timeout = \"20s\"").run().exits(0);
    let phase = run.phase("a");
    assert_eq!((count(&phase["requests"]), count(&phase["dropped"])), (15, 0));
    // 1.5 s of work for one user, and some time to start.
    assert!(run.took < Duration::from_millis(1700), "{:?}", run.took);
    assert_eq!(failed_as(&phase, "timeout"), 0);
}
