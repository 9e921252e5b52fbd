//! `expect`: a response that differs is a failure of the matching kind.

use runner_test_support::phases::open;
use runner_test_support::ran::{Ran, assert_adds_up, count, failed_as, named};
use runner_test_support::target::{Answer, Target};
use serde_json::json;

use super::runner::Runner;

/// Runs 60 requests with this `expect` against responses in turn; returns the run and the number of each response.
fn run(expect: &str, answers: Vec<Answer>) -> (Ran, usize) {
    let each = 60 / answers.len();
    assert_eq!(each * answers.len(), 60);
    let target = Target::scripted(move |number, _| answers[number % answers.len()].clone());
    let plan = open(1, "1s", "60/s")
        + "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\nexpect = "
        + expect;
    let run = Runner::plan(&plan).against(&target).logging().run().exits(0);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert_eq!((count(&phase["requests"]), target.count()), (60, 60));
    (run, each)
}

/// Asserts that the first of these responses succeeds and that all others fail with this kind.
fn assert_others_fail(expect: &str, answers: Vec<Answer>, kind: &str) {
    let others = answers.len() - 1;
    let (run, each) = run(expect, answers);
    let phase = run.phase("a");
    assert_eq!(
        (count(&phase["errors"]), failed_as(&phase, kind)),
        (others * each, others * each),
        "{phase:#}"
    );
    let succeeded = run.log().iter().filter(|logged| logged.outcome == "succeeded").count();
    assert_eq!(succeeded, each);
    let example = &phase["errors_by_kind"][0]["example"];
    assert!(!example.as_str().unwrap().is_empty());
}

#[test]
fn an_unexpected_status_is_a_failure() {
    assert_others_fail("{ status = [201] }", [201, 200, 204].map(Answer::Status).into(), "unexpected");
    assert_others_fail("{ status = [200, 302] }", [200, 404].map(Answer::Status).into(), "status 4xx");
    let (run, _) = run("{ status = [200, 302] }", [200, 302].map(Answer::Status).into());
    assert_eq!(count(&run.phase("a")["errors"]), 0);
}

#[test]
fn a_class_of_statuses_is_accepted() {
    let expect = "{ status = [\"2xx\", 404] }";
    let (run, each) = run(expect, [200, 299, 404, 302, 403].map(Answer::Status).into());
    let phase = run.phase("a");
    assert_eq!((count(&phase["errors"]), failed_as(&phase, "status 4xx")), (2 * each, each), "{phase:#}");
}

#[test]
fn values_can_be_required_to_be_absent_or_null() {
    let answers =
        [json!({ "next": null }), json!({ "next": null, "error": null }), json!({ "next": 1 }), json!({})];
    let answers =
        answers.iter().map(Answer::json).chain([Answer::text("no JSON")]).chain([Answer::Status(200)]);
    let expect = r#"{ absent = ["/error"], null = ["/next"] }"#;
    assert_others_fail(expect, answers.collect(), "unexpected");
}

#[test]
fn headers_must_have_the_expected_values() {
    let with = |headers: &str| Answer::Full { status: 200, headers: headers.into(), body: String::new() };
    let answers = vec![
        with("x-node: a\r\nx-node: b\r\n"),
        with("x-node: ab\r\n"),
        with("x-nod: b\r\n"),
        with("x-node: B\r\n"),
    ];
    assert_others_fail("{ headers = { X-Node = \"b\" } }", answers, "unexpected");
    let (run, _) = run("{ headers = { x-node = \"b\" } }", vec![with("x-node: c\r\n"), Answer::Status(200)]);
    let messages = run.phase("a")["errors_by_kind"][0]["messages"].to_string();
    for message in ["expected header `x-node` to be `b`, found `c`", "found no such header"] {
        assert!(messages.contains(message), "{messages}");
    }
}

#[test]
fn json_values_must_equal_the_expected_ones() {
    let answers = [
        json!({ "total": 3, "deep": [{ "a/b": "x" }], "more": null }),
        json!({ "total": 4, "deep": [{ "a/b": "x" }] }),
        json!({ "total": "3", "deep": [{ "a/b": "x" }] }),
        json!({ "total": 3, "deep": [] }),
        json!([3]),
    ];
    let answers = answers.iter().map(Answer::json).chain([Answer::text("no JSON")]).collect();
    let expect = r#"{ json = { "/total" = 3, "/deep/0/a~1b" = "x" } }"#;
    assert_others_fail(expect, answers, "unexpected");
}

#[test]
fn the_example_names_the_pointer_and_the_found_value() {
    let (run, _) = run(r#"{ json = { "/total" = 3 } }"#, vec![Answer::json(&json!({ "total": 4711 }))]);
    let example = run.phase("a")["errors_by_kind"][0]["example"].as_str().unwrap().to_owned();
    assert!(example.contains("/total") && example.contains("4711"), "{example}");
}

#[test]
fn the_body_must_contain_the_expected_text() {
    let answers = ["the results are", "the result is", ""].map(Answer::text).into();
    assert_others_fail(r#"{ contains = "results" }"#, answers, "unexpected");
    let answers = ["a, b", "a", "b"].map(Answer::text).into();
    assert_others_fail(r#"{ contains = ["a", "b"] }"#, answers, "unexpected");
}

#[test]
fn a_body_may_have_the_allowed_size_and_no_byte_more() {
    let sizes = [1024, 1025, 100_000].map(|size| Answer::text(&"x".repeat(size)));
    assert_others_fail(r#"{ max_bytes = "1KiB" }"#, sizes.into(), "too large");
}

#[test]
fn all_expectations_must_be_met() {
    let found = |total: u32, text: &str| Answer::json(&json!({ "total": total, "text": text }));
    let answers = vec![
        found(3, "results"),
        found(4, "results"),
        found(3, "nothing"),
        found(3, &format!("results{}", "x".repeat(200))),
        Answer::Status(404),
    ];
    let expect = r#"{ status = [200], json = { "/total" = 3 }, contains = "results", max_bytes = "100B" }"#;
    let (run, each) = run(expect, answers);
    let phase = run.phase("a");
    let kinds = ["unexpected", "too large", "status 4xx"].map(|kind| failed_as(&phase, kind));
    assert_eq!(kinds, [2 * each, each, each], "{phase:#}");
    assert_eq!(count(&named(&phase["operations"], "get")["errors"]), 4 * each);
}

#[test]
fn failures_of_one_kind_are_counted_by_message() {
    let target = Target::scripted(|number, _| Answer::Status([500, 502, 503, 503][number % 4]));
    let plan = "[[phases]]\nname = \"a\"\nduration = \"4s\"\nusers = 20\nmix = { any = 1 }\narrivals = \"20/s\"\n\
                [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"";
    let run = Runner::plan(plan).against(&target).run().exits(0);
    let failed = &run.phase("a")["errors_by_kind"][0];
    let messages: Vec<_> = failed["messages"].as_array().unwrap().iter().collect();
    let counts: Vec<_> =
        messages.iter().map(|message| (message["message"].as_str(), &message["count"])).collect();
    assert_eq!(
        counts,
        [
            (Some("HTTP status 503 Service Unavailable"), &40.into()),
            (Some("HTTP status 500 Internal Server Error"), &20.into()),
            (Some("HTTP status 502 Bad Gateway"), &20.into())
        ]
    );
    assert_eq!(
        (&failed["count"], &failed["example"]),
        (&80.into(), &"HTTP status 503 Service Unavailable".into())
    );
    let line = "get: 80 × status 5xx: 40 × HTTP status 503 Service Unavailable";
    assert!(run.stdout.contains(line), "{}", run.stdout);
}
