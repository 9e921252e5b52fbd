//! `connections` and `max_connection_age`: how long users keep a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use runner_test_support::phases::closed;
use runner_test_support::ran::count;
use runner_test_support::target::{Answer, Received, Target};

use super::runner::Runner;

/// The requests of each connection, in the order in which the connections were opened. `class` and `target` are further
/// keys.
fn by_connection(class: &str, target_keys: &str) -> (Vec<Vec<Received>>, serde_json::Value) {
    let target = Target::always(Answer::Late(200, Duration::from_millis(10)));
    let plan = closed(2, "10s")
        + "[users.any]\nwait = { pace = \"2s\" }\n"
        + class
        + r#"
        on_start = [{ request = "GET /in" }]
        [[users.any.tasks]]
        steps = [{ request = "GET /first" }, { request = "GET /second" }]
    "#;
    let run = Runner::plan(&plan).against(&target).target(target_keys).run().exits(0);
    let mut connections: BTreeMap<usize, Vec<Received>> = BTreeMap::new();
    target.received().into_iter().for_each(|it| connections.entry(it.connection).or_default().push(it));
    let phase = run.phase("a");
    assert_eq!(count(&phase["requests"]), target.count());
    (connections.into_values().collect(), phase)
}

#[test]
fn a_connection_is_kept_unless_the_plan_says_otherwise() {
    let (connections, phase) = by_connection("", "");
    let counted = connections.iter().map(Vec::len);
    assert_eq!(counted.collect::<Vec<_>>(), [11, 11]);
    // The class overrides the target.
    let (connections, _) = by_connection("connections = \"keep\"", "connections = \"per-request\"");
    assert_eq!(connections.len(), 2);
    assert_eq!(count(&phase["connections"]["opened"]), 2);
}

#[test]
fn each_task_has_a_connection_of_its_own() {
    let (connections, phase) = by_connection("connections = \"per-task\"", "");
    let whats = connections.iter().map(|requests| requests.iter().map(|it| it.what.as_str()).collect());
    let mut whats: Vec<Vec<&str>> = whats.collect();
    whats.sort_unstable();
    let (tasks, starts) = whats.split_at(10);
    assert!(tasks.iter().all(|it| *it == ["GET /first", "GET /second"]), "{whats:?}");
    assert_eq!(starts, [["GET /in"], ["GET /in"]]);
    assert_eq!(count(&phase["connections"]["opened"]), 12);
}

#[test]
fn each_request_has_a_connection_of_its_own_and_says_so() {
    let (connections, phase) = by_connection("", "connections = \"per-request\"");
    assert!(connections.iter().all(|it| it.len() == 1 && it[0].header("connection") == Some("close")));
    assert_eq!((connections.len(), count(&phase["connections"]["reused"])), (22, 0));
    assert_eq!(count(&phase["connections"]["closed_by_target"]), 0);
}

#[test]
fn an_old_connection_is_replaced_before_the_next_request() {
    let (connections, phase) = by_connection("max_connection_age = \"5s\"", "");
    // Tasks begin every 2 s: those after 0, 2 and 4 s share a connection, those after 6 and 8 s the next.
    let counts: Vec<usize> = connections.iter().map(Vec::len).collect();
    assert_eq!(counts, [7, 7, 4, 4]);
    assert_eq!(count(&phase["connections"]["closed_by_target"]), 0);
}
