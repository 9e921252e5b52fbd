//! Every way in which a request can fail is counted under its own name.

use runner_test_support::ran::{assert_adds_up, count, failed_as, named, number};
use runner_test_support::target::{Answer, Target};

use crate::runner::Runner;

/// Two users that ask for a second, ten times a second.
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

/// All requests of a run fail in this one way, and have no time.
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
fn a_connection_that_is_reset_is_told_from_one_that_ends() {
    assert_all_fail(Answer::Reset, "reset");
    assert_all_fail(Answer::CutOff, "eof");
}

#[test]
fn a_target_that_goes_away_refuses_connections() {
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
