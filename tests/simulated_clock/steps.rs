//! Steps of a task: their order, and captured values in later requests.

use std::collections::HashMap;
use std::time::Duration;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{assert_sums, count, failed_as, named};
use runner_test_support::target::{Answer, Received, Target};
use serde_json::{Value, json};

use super::runner::Runner;

const THREE: &str = r#"
    [[users.any.tasks]]
    steps = [{ request = "GET /a" }, { request = "GET /b" }, { request = "GET /c" }]
"#;

#[test]
fn each_step_is_intended_at_the_end_of_the_previous_one() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(20)));
    let plan = closed(1, "1s") + "[users.any]\nwait = \"10ms\"\n" + THREE;
    let run = Runner::plan(&plan).against(&target).logging().run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!(count(&phase["requests"]), target.count());
    assert!(target.count() >= 12, "{} requests", target.count());
    for (what, expected) in target.whats().iter().zip(["GET /a", "GET /b", "GET /c"].iter().cycle()) {
        assert_eq!(what, expected);
    }
    let mut log = run.log();
    log.sort_unstable_by(|one, other| one.intended_ms.total_cmp(&other.intended_ms));
    for pair in log.windows(2) {
        let gap = pair[1].intended_ms - pair[0].finished_ms;
        let wanted = if pair[1].operation == "GET /a" { 10.0 } else { 0.0 };
        assert!((gap - wanted).abs() < 0.002, "{pair:?}");
    }
}

#[test]
fn an_arrival_completes_all_steps_after_the_phase_ends() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(100)));
    let run = Runner::plan(&(open(40, "1s", "20/s") + THREE)).against(&target).run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!((count(&phase["arrivals"]["started"]), count(&phase["requests"])), (20, 60));
    assert_eq!(["GET /a", "GET /b", "GET /c"].map(|what| target.count_of(what)), [20, 20, 20]);
}

#[test]
fn a_failed_step_ends_its_task() {
    // Every second task fails at its second step.
    let target = Target::scripted(|number, _| Answer::Status(if number % 5 == 4 { 500 } else { 200 }));
    let run = Runner::plan(&(open(1, "1s", "20/s") + THREE)).against(&target).run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (50, 10));
    assert_eq!((target.count(), failed_as(&phase, "status 5xx")), (50, 10));
    let expected = ["GET /a", "GET /b", "GET /c", "GET /a", "GET /b"];
    for (what, expected) in target.whats().iter().zip(expected.iter().cycle()) {
        assert_eq!(what, expected);
    }
}

#[test]
fn values_are_captured_from_headers_statuses_and_by_regular_expressions() {
    let body = r#"<input type=hidden name="csrf" value="t&amp;1"> took 17 ms"#;
    let answer =
        Answer::Full { status: 201, headers: "ETag: \"v1\"\r\netag: v2\r\n".into(), body: body.to_owned() };
    let target = Target::always(answer);
    let plan = open(1, "1s", "4/s")
        + r#"
        [[users.any.tasks]]
        steps = [
            { request = "GET /", capture = { tag = { header = "ETag" }, code = { status = true }, csrf = { regex = 'csrf" value="([^"]+)' }, took = { regex = '\d+ ms' }, again = { field = "csrf" } } },
            { request = "POST /", json = { tag = "${tag}", code = "${code}", csrf = "${csrf}", took = "${took}", again = "${again}" } },
        ]
    "#;
    let phase = Runner::plan(&plan).against(&target).run().exits(0).phase("a");
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (8, 0));
    let sent = json!({ "tag": "\"v1\"", "code": 201, "csrf": "t&amp;1", "took": "17 ms", "again": "t&1" });
    assert!(target.received().iter().filter(|it| it.what == "POST /").all(|it| it.json() == sent));
}

#[test]
fn a_value_that_is_not_there_fails_the_request_and_says_so() {
    let target = Target::always(Answer::text("none"));
    for (place, why) in [
        ("{ header = \"etag\" }", "cannot capture `it`: the response has no header `etag`"),
        ("{ regex = 'x+' }", "cannot capture `it`: the body does not match `x+`"),
        ("{ json = \"/id\" }", "cannot capture `it`: the response is not JSON"),
        ("{ field = \"csrf\" }", "cannot capture `it`: the body has no hidden input `csrf`"),
    ] {
        let task = format!("[[users.any.tasks]]\nrequest = \"GET /\"\ncapture = {{ it = {place} }}\n");
        let run = Runner::plan(&(open(1, "1s", "4/s") + &task)).against(&target).run().exits(0);
        let phase = run.phase("a");
        assert_eq!(failed_as(&phase, "unexpected"), 4);
        assert_eq!(phase["errors_by_kind"][0]["example"], why);
    }
}

#[test]
fn a_star_in_a_pointer_picks_any_element_and_the_seed_decides_which() {
    let hits = json!([{ "id": "a", "n": "a" }, { "id": "b", "n": "b" }, { "id": "c", "n": "c" }]);
    let listed = json!({ "hits": hits, "*": { "none": [] } });
    let picked = |seed: u64, pointer: &str| {
        let target = Target::always(Answer::json(&listed));
        let task = format!(
            "[[users.any.tasks]]\nsteps = [{{ request = \"GET /\", capture = {{ id = \"{pointer}\", n = \"/hits/*/n\" }} }},\n\
             {{ request = \"GET /${{id}}?${{n}}\" }}]\n"
        );
        let plan = open(1, "1s", "60/s") + &task;
        let run = Runner::plan(&plan).against(&target).with(&format!("--seed {seed}")).run().exits(0);
        let all: Vec<String> = target.whats().into_iter().filter(|what| what != "GET /").collect();
        (all, run.phase("a")["errors_by_kind"][0]["example"].as_str().map(str::to_owned))
    };
    let (one, _) = picked(1, "/hits/*/id");
    assert_eq!(one, picked(1, "/hits/*/id").0);
    assert_ne!(one, picked(2, "/hits/*/id").0);
    // Both captures take the same element.
    for id in ["GET /a?a", "GET /b?b", "GET /c?c"] {
        // Of 60 picks 20 are expected; 8 are less likely than one in a thousand.
        assert!(one.iter().filter(|what| *what == id).count() > 7, "{one:?}");
    }
    let (none, why) = picked(1, "/*/none/*");
    assert_eq!(
        (none.len(), why.unwrap().as_str()),
        (0, "cannot capture `id`: the response has no value at `/*/none/*`")
    );
}

#[test]
fn a_captured_link_is_followed_within_the_origin() {
    let followed = |link: &Value| {
        let link = link.clone();
        let target = Target::scripted(move |_, it| match it.what.as_str() {
            "GET /api/start" => Answer::json(&json!({ "next": link })),
            _ => Answer::Status(200),
        });
        let plan = open(1, "1s", "1/s")
            + r#"
            [[users.any.tasks]]
            steps = [{ request = "GET /start", capture = { next = "/next" } }, { operation = "next", request = "GET ${next}" }]
        "#;
        let runner =
            Runner::plan(&plan).against(&target).with("--set target.url=http://kms.example:8008/api");
        let phase = runner.run().exits(0).phase("a");
        let why = phase["errors_by_kind"][0]["example"].as_str().unwrap_or_default().to_owned();
        (target.whats().get(1).cloned().unwrap_or_default(), failed_as(&phase, "blocked"), why)
    };
    for (link, what) in [
        ("/api/next?page=2&x=ü#top", "GET /api/next?page=2&x=%C3%BC"),
        ("next", "GET /api/next"),
        ("../other", "GET /other"),
        ("?page=3", "GET /api/?page=3"),
        ("http://kms.example:8008/x", "GET /x"),
    ] {
        assert_eq!(followed(&json!(link)), (what.to_owned(), 0, String::new()));
    }
    for (link, why) in [
        (json!(null), "the captured link is empty: the response names no link"),
        (json!(""), "the captured link is empty: the response names no link"),
        (
            json!("http://elsewhere.example/"),
            "the captured link `http://elsewhere.example/` leaves the origin",
        ),
        (json!("//kms.example/x"), "the captured link `//kms.example/x` leaves the origin"),
        (json!("http://["), "the captured link `http://[` is not a URL: invalid IPv6 address"),
    ] {
        assert_eq!(followed(&link), (String::new(), 1, why.to_owned()));
    }
}

/// A text that is escaped differently in each place.
const ODD: &str = "a/b \"c\" ü&=+";

#[test]
fn captured_values_fill_paths_headers_json_and_forms() {
    let whole = json!({ "x": [1, null, true] });
    let answer = json!({ "deep": [{ "id": 17 }], "odd": ODD, "whole": whole });
    let target = Target::scripted(move |_, received| match received.what.as_str() {
        "GET /first" => Answer::json(&answer),
        _ => Answer::Status(200),
    });
    let plan = open(2, "1s", "10/s")
        + r#"
        [[users.any.tasks]]
        steps = [
            { request = "GET /first", capture = { id = "/deep/0/id", odd = "/odd", whole = "/whole" } },
            { request = "GET /in/${odd}?q=${odd}&id=${id}", headers = { x-odd = "<${odd}>", x-id = "${id}" } },
            { request = "POST /json", json = { id = "${id}", odd = "${odd}", whole = "${whole}", within = "<${odd}${id}>" } },
            { request = "POST /form", form = { odd = "<${odd}>", id = "${id}" } },
        ]
    "#;
    let run = Runner::plan(&plan).against(&target).run().exits(0);
    assert_eq!((count(&run.phase("a")["requests"]), count(&run.phase("a")["errors"])), (40, 0));
    let encoded = "a%2Fb%20%22c%22%20%C3%BC%26%3D%2B";
    let with = |what: &str| -> Vec<Received> {
        target.received().into_iter().filter(|received| received.what == what).collect()
    };
    let got = with(&format!("GET /in/{encoded}?q={encoded}&id=17"));
    assert_eq!(got.len(), 10);
    assert_eq!(got[0].header("x-odd"), Some(format!("<{ODD}>").as_str()));
    assert_eq!(got[0].header("x-id"), Some("17"));
    let posted = with("POST /json");
    let within = format!("<{ODD}17>");
    assert_eq!(posted[9].json(), json!({ "id": 17, "odd": ODD, "whole": whole, "within": within }));
    let fields: Vec<_> = url::form_urlencoded::parse(&with("POST /form")[9].bytes).into_owned().collect();
    assert_eq!(fields, [("odd".into(), format!("<{ODD}>")), ("id".into(), "17".to_owned())]);
}

#[test]
fn a_missing_capture_fails_its_request_and_its_dependents() {
    let target = Target::always(Answer::json(&json!({ "other": 1 })));
    let plan = open(1, "1s", "40/s")
        + r#"
        [[users.any.tasks]]
        steps = [{ request = "GET /give", capture = { token = "/token" } }, { request = "GET /after" }]
        [[users.any.tasks]]
        request = "GET /use/${token}"
    "#;
    let run = Runner::plan(&plan).against(&target).run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    let requests = |name: &str| count(&named(&phase["operations"], name)["requests"]);
    assert_eq!(requests("GET /give") + requests("GET /use/${token}"), 40);
    assert_eq!((count(&phase["requests"]), failed_as(&phase, "unexpected")), (40, 40), "{phase:#}");
    // A request without its value is not sent.
    assert_eq!(target.count(), requests("GET /give"));
    assert_eq!(target.count_of("GET /give"), target.count());
}

#[test]
fn captured_values_are_never_sent_by_another_user() {
    // A login returns a token with the number of its user. Responses arrive in another order than their requests.
    let target = Target::scripted(|number, received| {
        let user: u64 = received.header("x-user").unwrap().parse().unwrap();
        match received.what.as_str() {
            "POST /login" => Answer::json(&json!({ "access_token": format!("{user}-{number}") }))
                .after(Duration::from_millis(40 - 5 * (user % 8))),
            _ => Answer::Late(200, Duration::from_millis(user % 3)),
        }
    });
    let plan = r#"
        [[phases]]
        name = "closed"
        duration = "1s"
        users = 8
        mix = { any = 1 }
        [[phases]]
        name = "open"
        duration = "1s"
        users = 8
        mix = { any = 1 }
        arrivals = "150/s"
        [users.any]
        wait = "20ms"
        on_start = [{ request = "POST /login", headers = { x-user = "${user()}" }, capture = { token = "/access_token" } }]
        [[users.any.tasks]]
        steps = [
            { request = "GET /one", headers = { x-user = "${user()}", authorization = "Bearer ${token}" } },
            { request = "GET /two/${token}", headers = { x-user = "${user()}", authorization = "Bearer ${token}" } },
        ]
        [[users.any.tasks]]
        request = "POST /three"
        headers = { x-user = "${user()}", authorization = "Bearer ${token}" }
        json = { token = "${token}" }
    "#;
    let run = Runner::plan(plan).against(&target).with("--workers 2").run().exits(0);
    for name in ["closed", "open"] {
        let phase = run.phase(name);
        assert_eq!(count(&phase["errors"]), 0, "{phase:#}");
        assert_eq!(count(&named(&phase["operations"], "POST /login")["requests"]), 8);
        assert!(count(&phase["requests"]) >= 200, "{phase:#}");
    }
    let mut tokens = HashMap::new();
    for (number, received) in target.received().iter().enumerate() {
        let user = received.header("x-user").unwrap();
        if received.what == "POST /login" {
            tokens.insert(user.to_owned(), format!("{user}-{number}"));
            continue;
        }
        let token = &tokens[user];
        assert_eq!(received.header("authorization"), Some(format!("Bearer {token}").as_str()));
        match received.what.as_str() {
            "GET /one" => {}
            "POST /three" => assert_eq!(received.json(), json!({ "token": token })),
            what => assert_eq!(what, format!("GET /two/{token}")),
        }
    }
    assert_eq!(tokens.len(), 8);
}
