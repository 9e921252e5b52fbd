//! Lists from files: the row that a task takes, and the values that reach the target.

use std::collections::HashMap;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::count;
use runner_test_support::target::{Received, Target};
use serde_json::{Value, json};

use super::runner::Runner;

/// Quoted fields with commas, quotes and a line break; the last row has an empty field.
const CSV: &str = "name,note,quoted\r\n\
    a,plain,\"x, y\"\r\n\
    b,\"line one\nline two\",\"say \"\"hi\"\"\"\r\n\
    c,ünï,7\r\n\
    d, spaced ,\"\"\r\n\
    e,,last\r\n";
const JSON_LINES: &str = r#"{"name": "a", "note": "plain", "quoted": "x, y"}
{"quoted": "say \"hi\"", "name": "b", "note": "line one\nline two"}
{"name": "c", "note": "ünï", "quoted": 7}
{"name": "d", "note": " spaced ", "quoted": ""}
{"name": "e", "note": "", "quoted": "last"}
"#;
/// The rows of both files; all columns are text.
const ROWS: [[&str; 3]; 5] = [
    ["a", "plain", "x, y"],
    ["b", "line one\nline two", "say \"hi\""],
    ["c", "ünï", "7"],
    ["d", " spaced ", ""],
    ["e", "", "last"],
];

const TASK: &str = r#"
    [[users.any.tasks]]
    request = "POST /${rows.name}"
    json = { user = "${user()}", row = ["${rows.name}", "${rows.note}", "${rows.quoted}"], text = "${rows.name}: ${rows.quoted}" }
"#;

/// The requests of a plan with a CSV file and with a JSON Lines file, each in order.
fn sent(plan: &str, arguments: &str) -> [Vec<Received>; 2] {
    [("rows.csv", CSV), ("rows.jsonl", JSON_LINES)].map(|(name, content)| {
        let target = Target::fast();
        let plan = format!("{plan}\n[lists]\nrows = {{ file = \"lists/{name}\" }}");
        let runner = Runner::plan(&plan).file(&format!("plans/lists/{name}"), content).with(arguments);
        let run = runner.against(&target).run().exits(0);
        assert_eq!(count(&run.phase("a")["requests"]), target.count());
        target.received()
    })
}

/// Asserts that a request of `TASK` has this row in all its places.
#[track_caller]
fn assert_row(received: &Received, number: usize) {
    let row = ROWS[number % ROWS.len()];
    assert_eq!(received.what, format!("POST /{}", row[0]));
    let body = received.json();
    assert_eq!((&body["row"], &body["text"]), (&json!(row), &json!(format!("{}: {}", row[0], row[2]))));
}

#[test]
fn an_arrival_takes_the_row_of_its_number() {
    for received in sent(&(open(1, "1s", "33/s") + TASK), "") {
        assert_eq!(received.len(), 33);
        received.iter().enumerate().for_each(|(number, received)| assert_row(received, number));
    }
}

#[test]
fn arrivals_take_all_rows_equally_often() {
    for received in sent(&(open(20, "1s", "200/s") + TASK), "--workers 2") {
        let mut taken = HashMap::<String, usize>::new();
        received.into_iter().for_each(|received| *taken.entry(received.what).or_default() += 1);
        assert_eq!(taken.len(), 5);
        assert!(taken.values().all(|count| *count == 40), "{taken:?}");
    }
}

#[test]
fn each_of_n_users_takes_every_nth_row() {
    let plan = closed(3, "1s") + "[users.any]\nwait = \"20ms\"" + TASK;
    for received in sent(&plan, "--workers 2") {
        let mut tasks = [0; 3];
        for received in received {
            let user = count(&received.json()["user"]);
            assert_row(&received, user + tasks[user] * 3);
            tasks[user] += 1;
        }
        assert!(tasks.iter().all(|count| *count > 10), "{tasks:?}");
    }
}

#[test]
fn all_steps_of_a_task_have_the_same_row() {
    let steps = r#"
        [[users.any.tasks]]
        steps = [
            { request = "GET /${rows.name}", headers = { x-quoted = "<${rows.quoted}>" } },
            { request = "POST /form", form = { name = "${rows.name}", note = "${rows.note}" } },
            { request = "POST /json", json = "${rows.note}" },
        ]
    "#;
    for received in sent(&(open(1, "1s", "12/s") + steps), "") {
        assert_eq!(received.len(), 36);
        for (number, step) in received.chunks(3).enumerate() {
            let [name, note, quoted] = ROWS[number % ROWS.len()];
            assert_eq!(step[0].what, format!("GET /{name}"));
            assert_eq!(step[0].header("x-quoted"), Some(format!("<{quoted}>").as_str()));
            let fields: Vec<_> = url::form_urlencoded::parse(&step[1].bytes).into_owned().collect();
            assert_eq!(fields, [("name", name), ("note", note)].map(|(k, v)| (k.to_owned(), v.to_owned())));
            assert_eq!(step[2].json(), Value::from(note));
        }
    }
}
