//! Bodies and paths: the value of a hole is escaped for its place, in every form of a body.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use runner_test_support::phases::{closed, open};
use runner_test_support::ran::count;
use runner_test_support::target::{Received, Target};
use serde_json::json;

use super::runner::Runner;

/// Texts with special characters, as TOML writes them; `ODD` has the same texts.
const LISTED: &str = r#"
    [lists]
    odd = ["say \"hi\" \\ bye", "tab\tline\nreturn\r", "\u0001\u001f\u007f", "ü 漢 😀 \u2028", "a/b?c#d&e=f+g%20;", "${literal", ""]
"#;
const ODD: [&str; 7] = [
    "say \"hi\" \\ bye",
    "tab\tline\nreturn\r",
    "\u{1}\u{1f}\u{7f}",
    "ü 漢 😀 \u{2028}",
    "a/b?c#d&e=f+g%20;",
    "${literal",
    "",
];

/// The requests of 100 tasks of this kind.
fn sent(task: &str) -> Vec<Received> {
    sent_with(Runner::plan(&(open(2, "1s", "100/s") + LISTED + "[[users.any.tasks]]\n" + task)))
}

fn sent_with(runner: Runner) -> Vec<Received> {
    let target = Target::fast();
    let phase = runner.against(&target).with("--seed 1").run().exits(0).phase("a");
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (100, 0), "{phase:#}");
    target.received()
}

/// Asserts that all odd texts were drawn, and no other text.
fn assert_odd(drawn: impl Iterator<Item = String>) {
    assert_eq!(drawn.collect::<BTreeSet<_>>(), ODD.map(str::to_owned).into());
}

#[test]
fn text_in_json_is_escaped_and_a_hole_alone_has_its_own_type() {
    let sent = sent(
        r#"
        request = "POST /"
        json = { alone = "${pick(odd)}", within = "<${pick(odd)}>", n = "${int(7, 7)}", text = "n${int(7, 7)}", "a \"key\"" = [1, 2.5, true, "q\" ü"], none = {} }
        "#,
    );
    for received in &sent {
        assert_eq!(received.header("content-type"), Some("application/json"));
        let body = received.json();
        assert_eq!((&body["n"], &body["text"]), (&json!(7), &json!("n7")));
        assert_eq!((&body["a \"key\""], &body["none"]), (&json!([1, 2.5, true, "q\" ü"]), &json!({})));
    }
    let texts = |key: &'static str| sent.iter().map(move |it| it.json()[key].as_str().unwrap().to_owned());
    assert_odd(texts("alone"));
    assert_odd(texts("within").map(|text| text[1..text.len() - 1].to_owned()));
}

#[test]
fn text_in_a_path_is_percent_encoded_only_in_holes() {
    let sent = sent(r#"request = "GET /in/${pick(odd)}/x%20y/é?q=${pick(odd)}&fix=a+b""#);
    let taken = |received: &Received| {
        let rest = received.what.strip_prefix("GET /in/").unwrap();
        let (first, rest) = rest.split_once("/x%20y/%C3%A9?q=").unwrap();
        let second = rest.strip_suffix("&fix=a+b").unwrap();
        [first, second].map(str::to_owned)
    };
    let filled: Vec<String> = sent.iter().flat_map(taken).collect();
    for text in &filled {
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{text}");
    }
    assert_odd(filled.iter().map(|text| percent_decode_str(text).decode_utf8().unwrap().into_owned()));
}

#[test]
fn a_form_is_form_encoded() {
    let sent = sent(
        r#"request = "POST /"
        form = { odd = "${pick(odd)}", within = "<${pick(odd)}>", n = 3, "a key" = "b c&d=é" }"#,
    );
    let fields = |received: &Received| -> Vec<(String, String)> {
        url::form_urlencoded::parse(&received.bytes).into_owned().collect()
    };
    for received in &sent {
        assert_eq!(received.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert!(received.body.bytes().all(|byte| byte.is_ascii_graphic()), "{}", received.body);
        let fields = fields(received);
        let names = ["odd", "within", "n", "a key"];
        assert!(fields.iter().map(|(name, _)| name.as_str()).eq(names), "{fields:?}");
        assert_eq!((fields[2].1.as_str(), fields[3].1.as_str()), ("3", "b c&d=é"));
    }
    assert_odd(sent.iter().map(|received| fields(received)[0].1.clone()));
    let inside = |text: &str| text[1..text.len() - 1].to_owned();
    assert_odd(sent.iter().map(|received| inside(&fields(received)[1].1)));
}

#[test]
fn a_text_body_is_sent_as_written() {
    let sent = sent(
        r#"request = "PUT /"
        body = "{\"n\": ${int(7, 7)}}\n<${pick(odd)}> ü $${int(7, 7)}""#,
    );
    for received in &sent {
        assert!(received.header("content-type").unwrap().starts_with("text/plain"));
        assert!(received.what == "PUT /" && received.body.starts_with("{\"n\": 7}\n<"), "{received:?}");
        assert!(received.body.ends_with("> ü ${int(7, 7)}"), "{received:?}");
    }
    let drawn = |body: &str| body["{\"n\": 7}\n<".len()..body.len() - "> ü ${int(7, 7)}".len()].to_owned();
    assert_odd(sent.iter().map(|received| drawn(&received.body)));
}

/// Every byte value, and text that would be a hole in a template.
fn every_byte() -> Vec<u8> {
    (0..=255).chain(*b"${int(1, 9)} ${nothing()}").collect()
}

#[test]
fn a_file_body_is_sent_byte_for_byte() {
    let plan = |headers: &str| {
        let task = "[[users.any.tasks]]\nrequest = \"POST /\"\nbody_file = \"files/bytes.bin\"\n";
        let plan = open(2, "1s", "100/s") + task + headers;
        sent_with(Runner::plan(&plan).file("plans/files/bytes.bin", every_byte()))
    };
    let plain = plan("");
    assert!(plain.iter().all(|received| received.bytes == every_byte()));
    assert!(plain.iter().all(|received| received.header("content-type") == Some("application/octet-stream")));
    let typed = plan("headers = { Content-Type = \"image/png\" }");
    assert!(typed.iter().all(|received| received.bytes == every_byte()));
    assert!(typed.iter().all(|received| received.header("content-type") == Some("image/png")));
}

#[test]
fn a_content_type_of_the_plan_replaces_that_of_the_body() {
    for body in ["json = { a = 1 }", "body = \"text\"", "form = { a = \"b\" }"] {
        let own = "headers = { Content-Type = \"application/vnd.own\" }";
        for received in sent(&format!("request = \"POST /\"\n{own}\n{body}")) {
            assert_eq!(received.header("content-type"), Some("application/vnd.own"));
        }
    }
}

#[test]
fn a_request_without_a_body_has_no_content_type() {
    for received in sent("request = \"GET /\"") {
        assert_eq!((received.header("content-type"), received.body.as_str()), (None, ""));
    }
}

#[test]
fn names_in_a_json_body_may_have_holes() {
    let task = r#"request = "POST /a"
        json = { "k${int(7, 7)}" = 1 }"#;
    let plan = closed(1, "1s") + "[users.any]\nwait = \"1h\"\n[[users.any.tasks]]\n" + task;
    let target = Target::fast();
    let runner = Runner::plan(&plan).target("headers = { content-type = \"application/x+json\" }");
    runner.against(&target).run().exits(0);
    let received = &target.received()[0];
    assert_eq!(
        (received.body.as_str(), received.header("content-type")),
        (r#"{"k7":1}"#, Some("application/x+json"))
    );
}

#[test]
fn a_method_that_expects_a_body_declares_an_empty_one() {
    for (task, length) in [
        ("request = \"POST /\"", Some("0")),
        ("request = \"PUT /\"\nbody = \"\"", Some("0")),
        ("request = \"PATCH /\"\nbody = \"${pick(odd)}\"", None),
        ("request = \"POST /\"\nform = {}", Some("0")),
        ("request = \"POST /\"\nbody = \"four\"", Some("4")),
        ("request = \"GET /\"", None),
        ("request = \"DELETE /\"", None),
    ] {
        for received in sent(task) {
            match length {
                None if task.contains("PATCH") => {
                    assert_eq!(
                        received.header("content-length"),
                        Some(received.bytes.len().to_string().as_str())
                    );
                }
                length => assert_eq!(received.header("content-length"), length, "{task}"),
            }
        }
    }
}

#[test]
fn large_bodies_arrive_whole() {
    let text: String = (0..100_000).map(|number: u32| (number % 7).to_string()).collect();
    for hole in ["", "${int(7, 7)}"] {
        let plan = open(2, "1s", "4/s")
            + &format!("[[users.any.tasks]]\nrequest = \"POST /\"\nbody = \"{text}{hole}\"\n");
        let target = Target::fast();
        Runner::plan(&plan).against(&target).run().exits(0);
        let whole = text.clone() + if hole.is_empty() { "" } else { "7" };
        assert_eq!(target.count(), 4);
        assert!(target.received().iter().all(|it| it.body == whole));
    }
}
