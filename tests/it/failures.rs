//! Failures that need TCP: reset, cut and refused connections, each counted under its own name.

use runner_test_support::ran::{assert_adds_up, count, failed_as, named, number};
use runner_test_support::target::{Answer, Target};

use crate::support::runner::Runner;

/// Two users that send requests for a second with a wait of 20 ms.
const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "1s"
    users = 2
    mix = { any = 1 }
    [users.any]
    wait = "20ms"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
"#;

/// Asserts that all requests of a run fail with this kind and have no response time.
fn assert_all_fail(answer: Answer, kind: &str) {
    let target = Target::always(answer);
    let run = Runner::plan(PLAN).against(&target).run().exits(0);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    let requests = count(&phase["requests"]);
    assert!(requests >= 10, "{phase:#}");
    assert_eq!((requests, requests), (target.count(), failed_as(&phase, kind)), "{phase:#}");
    let operation = named(&phase["operations"], "get");
    assert!(operation["response_ms"]["max"].is_null() && operation["service_ms"]["p50"].is_null());
    assert_eq!(number(&phase["throughput_per_s"]), 0.0);
}

#[test]
fn a_reset_and_an_early_end_are_different_failures() {
    assert_all_fail(Answer::Reset, "reset");
    assert_all_fail(Answer::CutOff, "eof");
}

#[test]
fn requests_to_a_stopped_target_are_refused() {
    let target = Target::fast();
    let running = Runner::plan(PLAN).against(&target).start();
    target.wait_for(10);
    let received = target.count();
    drop(target);
    let phase = running.end().exits(0).phase("a");
    assert_adds_up(&phase);
    assert!(failed_as(&phase, "connect refused") >= 10, "{phase:#}");
    assert!(count(&phase["requests"]) - count(&phase["errors"]) >= received.saturating_sub(2));
}
