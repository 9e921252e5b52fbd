//! On the machine's own timer, requests are never early, and waits, latencies and timeouts have their length.

use std::time::Duration;

use runner_test_support::phases::closed;
use runner_test_support::ran::Logged;
use runner_test_support::target::{Answer, Target};

use crate::support::runner::Runner;

/// The requests of one user, in order.
fn requests(class: &str, target: &Target, keys: &str) -> Vec<Logged> {
    let plan = closed(1, "1s") + "[users.any]\n" + class + "\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let run = Runner::plan(&plan).against(target).target(keys).with("--log-requests requests.jsonl").run();
    let mut log = run.exits(0).log();
    log.sort_unstable_by(|one, other| one.intended_ms.total_cmp(&other.intended_ms));
    assert!(log.len() >= 3, "{log:?}");
    log
}

#[test]
fn waits_and_latencies_are_kept_by_the_real_timer() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(20)));
    let log = requests("wait = \"100ms\"\nnetwork_latency = \"60ms\"", &target, "");
    for request in &log {
        let (latency, service) =
            (request.sent_ms - request.intended_ms, request.finished_ms - request.sent_ms);
        assert!((59.9..160.0).contains(&latency) && (15.0..120.0).contains(&service), "{request:?}");
    }
    for pair in log.windows(2) {
        let wait = pair[1].intended_ms - pair[0].finished_ms;
        assert!((wait - 100.0).abs() < 0.002, "{pair:?}");
    }
}

#[test]
fn a_timeout_is_kept_by_the_real_timer() {
    let log = requests("", &Target::always(Answer::Never), "timeout = \"300ms\"");
    for request in &log {
        assert_eq!(request.outcome, "timeout");
        let waited = request.finished_ms - request.sent_ms;
        assert!((299.0..400.0).contains(&waited), "{request:?}");
    }
}
