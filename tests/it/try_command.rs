//! `runner try`: each task once, with its requests and responses in full.

use runner_test_support::phases::closed;
use runner_test_support::target::{Answer, Target};
use serde_json::json;

use crate::support::runner::Runner;

const USERS: &str = r#"
    [users.any]
    wait = "1h"
    headers = { x-team = "support" }
    on_start = [{ operation = "login", request = "POST /login", json = { key = "${secret:KEY}" }, capture = { token = "/token" } }]
    [[users.any.tasks]]
    weight = 1000
    operation = "search"
    request = "POST /search?k=${secret:KEY}"
    headers = { authorization = "Bearer ${secret:KEY}" }
    json = { top_k = "${int(7, 7)}" }
    [[users.any.tasks]]
    weight = 0.001
    any_of = [{ operation = "x", request = "GET /x" }, { request = "GET /y" }, { request = "GET /z" }]
    [[users.any.tasks]]
    steps = [
        { operation = "list", request = "GET /list", capture = { first = "/0/id" } },
        { operation = "item", request = "GET /items/${first}", headers = { x-token = "${token}" } },
    ]
"#;
const SECRET: &str = "correcthorse";

fn plan() -> Runner {
    Runner::plan(&(closed(50, "8h") + USERS)).variable("KEY", SECRET)
}

/// A target for these tasks; it answers the request `odd` with this status.
fn target(odd: &'static str, status: u16) -> Target {
    Target::scripted(move |_, received| match received.what.as_str() {
        what if what == odd => Answer::Status(status),
        "POST /login" => Answer::json(&json!({ "token": "issued-token" })),
        "GET /list" => Answer::json(&json!([{ "id": "case 1" }])),
        "GET /y" => Answer::text("the-answer-of-y"),
        _ => Answer::Status(200),
    })
}

fn sorted(target: &Target) -> Vec<String> {
    let mut whats = target.whats();
    whats.sort_unstable();
    whats
}

#[test]
fn every_choice_and_step_is_tried_once_and_shown() {
    let target = target("", 200);
    let run = plan().against(&target).attempt().exits(0);
    let search = format!("POST /search?k={SECRET}");
    let all = ["GET /items/case%201", "GET /list", "GET /x", "GET /y", "GET /z", "POST /login", &search];
    assert_eq!(sorted(&target), all);
    let shown = &run.stdout;
    let requests = ["GET /items/case%201", "GET /list", "GET /x", "GET /y", "GET /z", "POST /login"];
    let headers = ["x-team: support", "x-token: issued-token", "content-type: application/json"];
    let bodies = ["\"top_k\":7", "the-answer-of-y", "case 1"];
    for part in requests.iter().chain(&headers).chain(&bodies) {
        // JSON may have a space after a colon or not.
        let found = shown.contains(part) || shown.replace(": ", ":").contains(&part.replace(": ", ":"));
        assert!(found, "no `{part}` in\n{shown}");
    }
    assert!(shown.contains("POST /search?k=***") && shown.contains("Bearer ***"), "{shown}");
    assert!(!shown.contains(SECRET) && !run.stderr.contains(SECRET), "{shown}\n{}", run.stderr);
}

#[test]
fn a_failed_request_exits_1_after_all_others_were_tried() {
    let target = target("GET /x", 404);
    let run = plan().against(&target).attempt().exits(1);
    assert_eq!(target.count(), 7);
    assert!(run.stdout.contains("404"), "{}", run.stdout);
}

#[test]
fn one_operation_tries_only_the_tasks_that_hold_it() {
    let made = |operation: &str| {
        let target = target("", 200);
        plan().against(&target).with(&format!("--operation {operation}")).attempt().exits(0);
        // The login before a task is not under test here.
        sorted(&target).into_iter().filter(|what| what != "POST /login").collect::<Vec<_>>()
    };
    assert_eq!(made("search"), [format!("POST /search?k={SECRET}")]);
    assert_eq!(made("item"), ["GET /items/case%201", "GET /list"]);
}

#[test]
fn an_unknown_operation_is_refused() {
    let target = target("", 200);
    let run = plan().against(&target).with("--operation serach").attempt().exits(2);
    assert_eq!(target.count(), 0);
    assert!(run.stderr.contains("did you mean `search`"), "{}", run.stderr);
}

#[test]
fn a_mistake_in_the_plan_is_refused_as_for_a_run() {
    let target = target("", 200);
    let plan = USERS.replace("capture = { token", "capture = { tokne");
    let run = Runner::plan(&(closed(1, "1s") + &plan)).variable("KEY", SECRET).against(&target).attempt();
    let said = run.exits(2).stderr;
    assert!(said.contains("`token`") && target.count() == 0, "{said}");
}

#[test]
fn a_missing_captured_value_fails_its_request_and_exits_1() {
    let target = Target::scripted(|_, _| Answer::json(&json!({ "id": 1 })));
    let plan = closed(1, "8h")
        + r#"
        [[users.any.tasks]]
        operation = "early"
        request = "GET /early/${id}"
        [[users.any.tasks]]
        request = "GET /late"
        capture = { id = "/id" }
    "#;
    let run = Runner::plan(&plan).against(&target).attempt().exits(1);
    assert_eq!(target.whats(), ["GET /late"]);
    assert!(run.stdout.contains("FAILED: `id` has not been captured"), "{}", run.stdout);
    assert!(run.stdout.ends_with("2 requests, 1 failed\n"), "{}", run.stdout);
}

#[test]
fn an_unreachable_target_exits_1() {
    let run = plan().at(&format!("http://{}", runner_test_support::target::closed_port())).attempt().exits(1);
    assert!(run.stdout.contains("FAILED"), "{}", run.stdout);
}

#[test]
fn an_echoed_secret_is_hidden_in_every_form_and_format() {
    const ODD: &str = "pa\"ss w/1\nnextrow";
    let target = Target::scripted(|_, received| {
        Answer::json(
            &json!({ "echo": format!("{} {}", received.header("x-key").unwrap_or(""), received.body) }),
        )
    });
    let plan = closed(1, "8h")
        + r#"
        [[users.any.tasks]]
        steps = [
            { request = "POST /first", body = "${secret:ODD}", headers = { x-key = "${secret:NUMBER}" }, capture = { echo = "/echo" } },
            { request = "POST /second?k=${secret:ODD}", form = { e = "${echo}" }, expect = { json = { "/echo" = 1 } } },
        ]
    "#;
    for format in ["human", "json"] {
        let runner = Runner::plan(&plan).variable("ODD", ODD).variable("NUMBER", "200");
        let run = runner.against(&target).with(&format!("--format {format}")).attempt().exits(1);
        for leaked in ["pa\"ss", "ss w", "ss%20w", "ss+w", "nextrow"] {
            assert!(!run.stdout.contains(leaked), "{leaked} in {}", run.stdout);
        }
        if format == "json" {
            let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(document["tasks"][0]["requests"][0]["answer"]["status"], 200);
        }
    }
}
