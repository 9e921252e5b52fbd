//! Lists from files: unknown columns, and files outside the plan's folders.

use runner_test_support::phases::open;
use runner_test_support::target::{Received, Target};
use serde_json::json;

use crate::support::runner::Runner;

/// Quoted fields with commas, quotes and a line break; the last row has an empty field.
const CSV: &str = "name,note,quoted\r\n\
    a,plain,\"x, y\"\r\n\
    b,\"line one\nline two\",\"say \"\"hi\"\"\"\r\n\
    c,ünï,7\r\n\
    d, spaced ,\"\"\r\n\
    e,,last\r\n";
/// The rows of `CSV`.
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

/// Asserts that a request of `TASK` has this row in all its places.
#[track_caller]
fn assert_row(received: &Received, number: usize) {
    let row = ROWS[number % ROWS.len()];
    assert_eq!(received.what, format!("POST /{}", row[0]));
    let body = received.json();
    assert_eq!((&body["row"], &body["text"]), (&json!(row), &json!(format!("{}: {}", row[0], row[2]))));
}

#[test]
fn a_column_missing_from_every_row_is_refused() {
    let plan = open(1, "1s", "1/s") + &TASK.replace("rows.quoted", "rows.qouted");
    let plan = format!("{plan}\n[lists]\nrows = {{ file = \"rows.csv\" }}");
    let said = Runner::plan(&plan).file("plans/rows.csv", CSV).check().exits(2).stderr;
    assert!(said.contains("`qouted`") && said.contains("did you mean `quoted`"), "{said}");
}

#[test]
fn a_list_file_outside_needs_allow_outside() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("rows.csv"), CSV).unwrap();
    let folder = outside.path().file_name().unwrap().to_str().unwrap();
    let plan = open(1, "1s", "10/s") + TASK;
    let plan = format!("{plan}\n[lists]\nrows = {{ file = \"../../{folder}/rows.csv\" }}");
    let target = Target::fast();
    let absolute = plan.replace(&format!("../../{folder}"), outside.path().to_str().unwrap());
    assert_ne!(plan, absolute);
    for refused in [
        Runner::plan(&plan).against(&target).run(),
        Runner::plan(&plan).check(),
        Runner::plan(&absolute).check(),
    ] {
        let said = refused.exits(2).stderr;
        assert!(said.contains("--allow-outside"), "{said}");
    }
    assert_eq!(target.count(), 0);
    Runner::plan(&plan).against(&target).with("--allow-outside").run().exits(0);
    assert_eq!(target.count(), 10);
    target.received().iter().enumerate().for_each(|(number, received)| assert_row(received, number));
}
