//! Secrets reach the target, and no stream or file of a run.

use std::fs;
use std::path::Path;

use runner_test_support::ran::Ran;
use runner_test_support::target::{Answer, Target};

use crate::support::runner::Runner;

/// The part of the secret that no escape changes; it finds the secret in every form.
const CORE: &str = "correcthorse";
/// Has characters that are escaped in JSON and in a path.
const SECRET: &str = "pa\"ss\\correcthorse/w o%rd&?#ü";

const PLAN: &str = r#"
    [[phases]]
    name = "a"
    duration = "1s"
    users = 2
    mix = { any = 1 }
    arrivals = "60/s"
    [[users.any.tasks]]
    request = "POST /in/${secret:TOKEN}?q=${secret:TOKEN}"
    headers = { authorization = "Bearer ${secret:TOKEN}" }
    json = { alone = "${secret:TOKEN}", within = "a ${secret:TOKEN} b" }
"#;
const FAILED: &str = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"6%\"";

/// Asserts that no stream and no file of a run shows the secret.
fn assert_hidden(run: &Ran) {
    assert!(!run.stdout.contains(CORE), "{}", run.stdout);
    assert!(!run.stderr.contains(CORE), "{}", run.stderr);
    assert_hidden_below(run.folder.path());
}

fn assert_hidden_below(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(!path.to_string_lossy().contains(CORE), "{}", path.display());
        if path.is_dir() {
            assert_hidden_below(&path);
        } else {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(CORE.len()).any(|window| window == CORE.as_bytes());
            assert!(!found, "in {}: {}", path.display(), String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_secret_reaches_the_target_but_no_stream_or_file() {
    let target = Target::scripted(|number, _| match number % 4 {
        0 => Answer::Status(500),
        1 => Answer::Reset,
        2 => Answer::Closing,
        _ => Answer::Status(200),
    });
    let run = Runner::plan(PLAN)
        .against(&target)
        .objectives(FAILED)
        .variable("TOKEN", SECRET)
        .with("-v --log-requests requests.jsonl")
        .run()
        .exits(1);
    assert_hidden(&run);
    assert_eq!(run.log().len(), 60);
    let received = target.received();
    assert_eq!(received.len(), 60);
    for received in received {
        let encoded = "pa%22ss%5Ccorrecthorse%2Fw%20o%25rd%26%3F%23%C3%BC";
        assert_eq!(received.what, format!("POST /in/{encoded}?q={encoded}"));
        assert!(received.head.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{}", received.head);
        let body: serde_json::Value = serde_json::from_str(&received.body).unwrap();
        assert_eq!(body, serde_json::json!({ "alone": SECRET, "within": format!("a {SECRET} b") }));
    }
}

#[test]
fn a_secret_is_hidden_in_json_too() {
    let target = Target::always(Answer::Status(404));
    let plan = || Runner::plan(PLAN).against(&target).variable("TOKEN", SECRET).with("--format json");
    assert_hidden(&plan().run().exits(0));
    assert_hidden(&plan().check().exits(0));
}

#[test]
fn diagnostics_of_a_broken_plan_do_not_show_a_secret() {
    let broken = [
        // An unknown key next to the secret.
        PLAN.replace("json =", "jsn ="),
        // An unknown hole in the same text.
        PLAN.replace("a ${secret:TOKEN} b", "a ${secret:TOKEN} ${nothing()} b"),
        // An invalid header name with the secret as its value.
        PLAN.replace("authorization = \"Bearer", "\"no header\" = \"Bearer"),
        PLAN.replace("POST /in/", "POST in/"),
    ];
    for plan in broken {
        assert_hidden(&Runner::plan(&plan).variable("TOKEN", SECRET).run().exits(2));
        assert_hidden(&Runner::plan(&plan).variable("TOKEN", SECRET).check().exits(2));
    }
    let unsendable = format!("{CORE}\n{CORE}");
    assert_hidden(&Runner::plan(PLAN).variable("TOKEN", &unsendable).run().exits(2));
    let url = "http://${secret:TOKEN}:port";
    assert_hidden(&Runner::plan(PLAN).at(url).variable("TOKEN", SECRET).run().exits(2));
}

#[test]
fn a_secret_in_the_target_url_is_hidden_in_every_encoding() {
    let target = Target::fast();
    let url = format!("{}/${{secret:BASE}}", target.url());
    let base = "pa\"ss correcthorse";
    let run = || Runner::plan(PLAN).at(&url).variable("BASE", base).variable("TOKEN", "x-another-one");
    // Its exit code depends on the machine: of sixty requests, one late one makes the send lag of 1 %.
    assert_hidden(&run().with("-v").run());
    assert!(target.received()[0].what.starts_with("POST /pa%22ss%20correcthorse/in/"));
    assert_hidden(&run().target("ready = \"GET /health\"\nready_within = \"300ms\"").check().exits(0));
}

#[test]
fn a_secret_is_hidden_when_the_target_does_not_get_ready() {
    let target = Target::always(Answer::Status(503));
    let ready = "ready = \"GET /${secret:TOKEN}\"\nready_within = \"300ms\"";
    let run = Runner::plan(PLAN).against(&target).target(ready).variable("TOKEN", SECRET).run().exits(5);
    assert_hidden(&run);
    assert!(run.stderr.contains("/***"), "{}", run.stderr);
}

#[test]
fn a_secret_that_starts_with_another_is_hidden_entirely() {
    let target = Target::always(Answer::Status(503));
    let ready = "headers = { x-first = \"${secret:FIRST}\" }\nready = \"GET /${secret:TOKEN}\"\nready_within = \"300ms\"";
    let plan = PLAN.replace("${secret:TOKEN}", "none");
    let run = Runner::plan(&plan)
        .against(&target)
        .target(ready)
        .variable("FIRST", "abc")
        .variable("TOKEN", "abccorrecthorse")
        .run()
        .exits(5);
    assert_hidden(&run);
}

#[test]
fn a_secret_echoed_by_an_exporter_is_hidden() {
    let target = Target::fast();
    let exporter = Target::scripted(|_, request| {
        let header = request.header("authorization").unwrap_or_default();
        Answer::text(&format!("denied {} {header}\n", request.what))
    });
    let (url, objectives) = (exporter.url(), FAILED);
    let hosts = format!(
        "[monitor]\nevery = \"1s\"\n[monitor.hosts]\n\
         a = {{ node_exporter = \"{url}/m?t=${{secret:TOKEN}}\", headers = {{ authorization = \"Bearer ${{secret:TOKEN}}\" }} }}\n\
         b = {{ prometheus = \"{url}\", query = {{ cpu = \"up == '${{secret:TOKEN}}'\" }} }}\n\
         c = {{ cgroup = \"/${{secret:TOKEN}}\" }}\nd = {{ process = \"file ${{secret:TOKEN}}\" }}\n"
    );
    let run = Runner::plan(&(hosts + PLAN))
        .against(&target)
        .objectives(objectives)
        .variable("TOKEN", SECRET)
        .with("--set phases.a.duration=2s")
        .run();
    assert!(exporter.count() > 2, "the exporter was asked");
    assert!(exporter.received().iter().any(|it| it.header("authorization").is_some()));
    assert_hidden(&run);
    let told = run.report()["resources"].to_string();
    assert!(told.contains("***"), "the redacted text is missing: {told}");
}
