//! Over TCP, with connections that the target closes, the target sees exactly the requests that the report counts.

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{assert_adds_up, count};
use runner_test_support::target::{Answer, Target};

use crate::runner::Runner;

const TASKS: &str = r#"
    [[users.any.tasks]]
    request = "GET /often"
    weight = 3
    [[users.any.tasks]]
    request = "POST /seldom"
    json = { user = "${user()}" }
"#;

fn assert_counted(phase: &str, at_least: usize) {
    // Every hundredth answer closes its connection.
    let target = Target::scripted(|number, _| match number % 100 {
        99 => Answer::Closing,
        _ => Answer::Status(200),
    });
    let run = Runner::plan(&(phase.to_owned() + TASKS)).against(&target).with("--workers 2").run().exits(0);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (target.count(), 0), "{phase:#}");
    assert!(target.count() >= at_least, "{} requests", target.count());
    for operation in phase["operations"].as_array().unwrap() {
        let name = operation["name"].as_str().unwrap();
        assert_eq!(count(&operation["requests"]), target.count_of(name), "{name}");
    }
}

#[test]
fn the_target_sees_what_the_report_counts_over_tcp() {
    assert_counted(&closed(20, "1s"), 1000);
    assert_counted(&open(50, "1s", "1000/s"), 1000);
}
