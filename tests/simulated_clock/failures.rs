//! Failures: each kind is counted under its own name.

use std::time::Duration;

use runner_test_support::phases::open;
use runner_test_support::ran::{assert_adds_up, count, failed_as, named, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

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
fn a_500_fails_as_status_5xx() {
    assert_all_fail(Answer::Status(500), "status 5xx");
}

#[test]
fn a_404_fails_as_status_4xx() {
    assert_all_fail(Answer::Status(404), "status 4xx");
}

#[test]
fn an_expected_404_succeeds_and_a_200_fails() {
    let expecting = format!("{PLAN}\nexpect = {{ status = [404] }}");
    let target = Target::scripted(|number, _| Answer::Status(if number % 2 == 0 { 404 } else { 200 }));
    let phase = Runner::plan(&expecting).against(&target).run().exits(0).phase("a");
    assert_adds_up(&phase);
    assert_eq!(count(&phase["requests"]), target.count());
    assert_eq!(
        (count(&phase["errors"]), failed_as(&phase, "unexpected")),
        (target.count() / 2, target.count() / 2)
    );
}

#[test]
fn a_missing_response_times_out_at_the_limit() {
    let target = Target::always(Answer::Never);
    let run = Runner::plan(PLAN).against(&target).target("timeout = \"300ms\"").logging().run().exits(0);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert!(target.count() >= 4);
    assert_eq!(failed_as(&phase, "timeout"), target.count());
    // A timeout counts in the times with its elapsed time.
    let service = &named(&phase["operations"], "get")["service_ms"];
    assert!((295.0..600.0).contains(&number(&service["p50"])), "{service}");
    for logged in run.log() {
        assert_eq!(logged.outcome, "timeout");
        assert!(logged.finished_ms - logged.sent_ms >= 299.0, "{logged:?}");
    }
}

#[test]
fn slow_failures_enter_no_percentile() {
    let target = Target::scripted(|number, _| match number % 2 {
        0 => Answer::Status(200),
        _ => Answer::Late(500, Duration::from_millis(300)),
    });
    let phase = Runner::plan(PLAN).against(&target).run().exits(0).phase("a");
    assert!(failed_as(&phase, "status 5xx") > 0);
    for times in ["response_ms", "service_ms"] {
        let times = &named(&phase["operations"], "get")[times];
        assert!(number(&times["max"]) < 300.0, "{times}");
    }
}

#[test]
fn an_operation_that_never_succeeds_is_named_even_where_the_share_of_failures_is_within_its_limit() {
    let plan = format!(
        "{PLAN}\nweight = 97\n[[users.any.tasks]]\noperation = \"checkout\"\nweight = 3\nrequest = \"GET /checkout\"\n"
    );
    let limit = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"20%\"";
    let target = Target::scripted(|_, received| {
        Answer::Status(if received.what.contains("/checkout") { 500 } else { 200 })
    });
    let run =
        Runner::plan(&plan.replace("\"1s\"", "\"20s\"")).against(&target).objectives(limit).run().exits(0);
    let failed = target.count_of("GET /checkout");
    assert!(failed > 0);
    let told = format!(
        "`checkout` never succeeded in `a`: all its {failed} requests failed ({failed} × status 5xx)"
    );
    assert!(
        run.report()["notices"].as_array().unwrap().contains(&told.into()),
        "{:#}",
        run.report()["notices"]
    );
}

#[test]
fn bodies_of_unexpected_responses_are_kept_without_secrets() {
    let body =
        |number: usize| format!("{number}: no index for {} {}", env!("CARGO_PKG_NAME"), "ü".repeat(2000));
    let target = Target::scripted(move |number, it| match it.what.as_str() {
        "GET /ok" => Answer::text("fine"),
        "GET /other" => Answer::text(&format!("other {number}")),
        _ => Answer::Full { status: 503, headers: String::new(), body: body(number) },
    });
    let plan = open(1, "1s", "30/s")
        + r#"
        [users.any]
        headers = { x-token = "${secret:CARGO_PKG_NAME}" }
        [[users.any.tasks]]
        operation = "ok"
        request = "GET /ok"
        [[users.any.tasks]]
        operation = "other"
        request = "GET /other"
        expect = { contains = "fine" }
        [[users.any.tasks]]
        operation = "bad"
        request = "GET /bad"
    "#;
    let run = Runner::plan(&plan).against(&target).run().exits(0);
    let phase = run.phase("a");
    let errors = phase["errors_by_kind"].as_array().unwrap();
    let bodies = |operation: &str| {
        let error = errors.iter().find(|error| error["operation"] == operation).unwrap();
        error["bodies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((errors.len(), bodies("other").len(), bodies("bad").len()), (2, 4, 4));
    assert!(bodies("other").iter().all(|body| body.starts_with("other ")));
    for body in bodies("bad") {
        assert!(body.contains(": no index for *** üü") && body.ends_with("…") && body.len() < 2100, "{body}");
    }
}
