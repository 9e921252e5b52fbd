//! Counts over TCP: with connections that the target closes, the report counts exactly the requests that arrived.

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{assert_adds_up, count};
use runner_test_support::target::{Answer, Target};
use serde_json::Value;

use crate::support::runner::Runner;

const TASKS: &str = r#"
    [[users.any.tasks]]
    request = "GET /often"
    weight = 3
    [[users.any.tasks]]
    request = "POST /seldom"
    json = { user = "${user()}" }
"#;

fn assert_counted(phase: &str) -> Value {
    // Every third response closes its connection.
    let target = Target::scripted(|number, _| match number % 3 {
        2 => Answer::Closing,
        _ => Answer::Status(200),
    });
    let run = Runner::plan(&(phase.to_owned() + TASKS)).against(&target).with("--workers 2").run().exits(0);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (target.count(), 0), "{phase:#}");
    assert!(target.count() >= 1000, "{} requests", target.count());
    for operation in phase["operations"].as_array().unwrap() {
        let name = operation["name"].as_str().unwrap();
        assert_eq!(count(&operation["requests"]), target.count_of(name), "{name}");
    }
    phase
}

#[test]
fn the_target_receives_exactly_the_requests_reported() {
    assert_counted(&closed(20, "1s"));
    let open = assert_counted(&open(50, "1s", "1000/s"));
    assert_eq!((count(&open["arrivals"]["scheduled"]), count(&open["dropped"])), (1000, 0), "{open:#}");
}
