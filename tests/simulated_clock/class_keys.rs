//! Keys of a user class that apply to all its requests: headers and network latency.

use std::time::Duration;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{Ran, count, named, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

#[test]
fn request_headers_override_class_and_target_headers() {
    let plan = open(2, "1s", "20/s")
        + r#"
        [users.any]
        headers = { X-Class = "class", x-request = "class", x-user = "u${user()}" }
        [[users.any.tasks]]
        request = "GET /"
        headers = { X-REQUEST = "request" }
    "#;
    let target = Target::fast();
    let keys = r#"headers = { x-target = "target", x-class = "target", x-request = "target" }"#;
    let run = Runner::plan(&plan).against(&target).target(keys).run().exits(0);
    assert_eq!((target.count(), count(&run.phase("a")["requests"])), (20, 20));
    for received in target.received() {
        let sent = ["x-target", "x-class", "x-request"].map(|name| received.header(name).unwrap());
        assert_eq!(sent, ["target", "class", "request"]);
        assert!(["u0", "u1"].contains(&received.header("x-user").unwrap()));
    }
    // Without network latency, a user waits for exactly the response time.
    let operation = &run.phase("a")["operations"][0];
    assert_eq!(operation["user_ms"], operation["response_ms"]);
}

const USERS: u32 = 8;

/// Users with a network latency of 150 to 300 ms, and a target that answers after 20 ms.
fn far_away() -> (Ran, Target) {
    let target = Target::always(Answer::Late(200, Duration::from_millis(20)));
    let plan = closed(USERS, "3s")
        + r#"
        [users.any]
        network_latency = ["150ms", "300ms"]
        [[users.any.tasks]]
        operation = "get"
        request = "GET /${user()}"
    "#;
    let run = Runner::plan(&plan).against(&target).with("--seed 1").run().exits(0);
    (run, target)
}

/// The median time that the target took, in ms.
fn own_median(target: &Target) -> f64 {
    let received = target.received();
    let mut took: Vec<f64> =
        received.iter().map(|it| (it.answered.unwrap() - it.at).as_secs_f64() * 1000.0).collect();
    took.sort_unstable_by(f64::total_cmp);
    took[took.len() / 2]
}

#[test]
fn network_latency_counts_in_user_times_only() {
    let (run, target) = far_away();
    let phase = run.phase("a");
    let operation = named(&phase["operations"], "get");
    let response = number(&operation["response_ms"]["p50"]);
    assert!((response - own_median(&target)).abs() <= 1.0, "{response} and {}", own_median(&target));
    let user = &operation["user_ms"];
    for key in ["p50", "p90", "p95", "p99"] {
        assert!((170.0..350.0).contains(&number(&user[key])), "{user}");
    }
    assert!(number(&operation["service_ms"]["p50"]) < 25.0, "{operation:#}");
    // The report on the terminal shows the latency too.
    let mut shown = run.stdout.lines().skip_while(|line| !line.contains("with network latency")).skip(2);
    let shown = shown.next().unwrap_or_else(|| panic!("no latency in\n{}", run.stdout));
    assert!(shown.contains("get") && shown.contains(&number(&user["max"]).round().to_string()), "{shown}");
}

#[test]
fn each_user_keeps_its_own_network_latency() {
    let (_, target) = far_away();
    let received = target.received();
    let mut means = Vec::new();
    for user in 0..USERS {
        let mine: Vec<_> = received.iter().filter(|it| it.what == format!("GET /{user}")).collect();
        assert!((8..=18).contains(&mine.len()), "{} requests of user {user}", mine.len());
        // Without a wait, the gap between a response and the next request is the latency alone.
        let gaps: Vec<f64> = mine
            .windows(2)
            .map(|pair| (pair[1].at - pair[0].answered.unwrap()).as_secs_f64() * 1000.0)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!(gaps.iter().all(|gap| (gap - mean).abs() < 15.0), "{gaps:?}");
        assert!((149.0..315.0).contains(&mean), "{mean}");
        means.push(mean);
    }
    let (least, most) = means.iter().fold((f64::MAX, 0_f64), |(l, m), it| (l.min(*it), m.max(*it)));
    assert!(most - least > 40.0, "{means:?}");
}

#[test]
fn one_latency_applies_to_every_step() {
    let target = Target::fast();
    let plan = closed(2, "1s")
        + r#"
        [users.any]
        network_latency = "60ms"
        [[users.any.tasks]]
        steps = [{ request = "GET /a" }, { request = "GET /b" }]
    "#;
    let run = Runner::plan(&plan).against(&target).logging().run().exits(0);
    let log = run.log();
    assert_eq!(log.len(), target.count());
    assert!((24..=36).contains(&log.len()), "{} requests", log.len());
    assert!(log.iter().all(|logged| logged.sent_ms - logged.intended_ms >= 59.9), "{log:?}");
}

#[test]
fn a_request_header_overrides_a_drawn_class_header() {
    let target = Target::fast();
    let plan = closed(1, "1s")
        + r#"
        [users.any]
        wait = "1h"
        headers = { x-team = "drawn ${user()}" }
        [[users.any.tasks]]
        request = "GET /a"
        headers = { x-team = "own" }
    "#;
    Runner::plan(&plan).against(&target).run().exits(0);
    assert_eq!(target.received()[0].header("x-team"), Some("own"));
}
