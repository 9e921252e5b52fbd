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
/// The rows of both files, as text.
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
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values: Vec<String> = body["row"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(
        (values, &body["text"]),
        (row.map(str::to_owned).into(), &json!(format!("{}: {}", row[0], row[2])))
    );
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

/// A list of this many rows, whose column `name` holds their numbers.
fn numbered(rows: usize) -> String {
    (0..rows).fold("name\n".to_owned(), |text, row| format!("{text}{row}\n"))
}

/// Runs a plan with a list `accounts` of this many rows. Returns what the target received, in order.
fn with_accounts(plan: &str, rows: usize, keys: &str) -> Vec<Received> {
    let target = Target::fast();
    let plan = format!("{plan}\n[lists]\naccounts = {{ file = \"accounts.csv\"{keys} }}");
    let runner = Runner::plan(&plan).file("plans/accounts.csv", numbered(rows)).with("--workers 2");
    runner.against(&target).run().exits(0);
    target.received()
}

/// How often each of these requests was received, by the last part of its path.
fn taken(received: &[Received], path: &str) -> HashMap<usize, usize> {
    let rows = received.iter().filter_map(|request| request.what.strip_prefix(path)?.parse().ok());
    let mut taken = HashMap::new();
    rows.for_each(|row: usize| *taken.entry(row).or_default() += 1);
    taken
}

/// One phase with a mix of three classes, 70 to 20 to 10.
fn mixed(users: u32, load: &str) -> String {
    format!(
        "[[phases]]\nname = \"a\"\nduration = \"2s\"\nusers = {users}\n{load}\nmix = {{ most = 70, some = 20, few = 10 }}\n"
    )
}

/// Classes of which only `few` takes rows.
const FEW: &str = r#"
    [users.most]
    wait = "500ms"
    tasks = [{ request = "GET /most" }]
    [users.some]
    wait = "500ms"
    tasks = [{ request = "GET /some" }]
    [users.few]
    wait = "500ms"
    on_start = [{ request = "GET /login/${accounts.name}" }]
    tasks = [{ request = "GET /few/${accounts.name}" }]
"#;

#[test]
fn a_class_of_a_mix_takes_all_rows_of_its_list() {
    let received = with_accounts(&(mixed(100, "") + FEW), 10, "");
    let each_once = (0..10).map(|row| (row, 1)).collect::<HashMap<_, _>>();
    assert_eq!(taken(&received, "GET /login/"), each_once);
    let received = with_accounts(&(mixed(100, "arrivals = \"100/s\"") + FEW), 20, "");
    assert_eq!(taken(&received, "GET /few/"), (0..20).map(|row| (row, 1)).collect());
}

#[test]
fn a_user_keeps_its_row_in_all_it_does_and_shares_it_with_none() {
    let class = |name: &str| {
        format!(
            "[users.{name}]\nwait = \"300ms\"\nrow = \"accounts\"\n\
             on_start = [{{ request = \"GET /login/${{row.name}}\" }}]\n\
             on_stop = [{{ request = \"GET /logout/${{row.name}}\" }}]\n\
             tasks = [{{ request = \"POST /task/${{row.name}}\", json = {{ user = \"${{user()}}\" }} }}]\n"
        )
    };
    let classes = ["most", "some", "few"].map(class).concat();
    for load in ["", "arrivals = \"200/s\""] {
        let received = with_accounts(&(mixed(50, load) + &classes), 50, "");
        let each_once = (0..50).map(|row| (row, 1)).collect::<HashMap<_, _>>();
        assert_eq!(taken(&received, "GET /login/"), each_once);
        assert_eq!(taken(&received, "GET /logout/"), each_once);
        let tasks = received.iter().filter(|request| request.what.starts_with("POST /task/"));
        let mut owner = HashMap::new();
        for task in tasks {
            let user = task.json()["user"].clone();
            assert_eq!(owner.entry(task.what.clone()).or_insert_with(|| user.clone()), &user);
        }
        // In the open phase the users that were busy last do most of the work.
        assert!(owner.len() == 50 || !load.is_empty(), "{owner:?}");
    }
}

#[test]
fn arrivals_of_the_next_phase_go_on_with_the_next_row_unless_the_list_restarts() {
    let phase = |name: &str, load: &str| {
        let keys = format!("name = \"{name}\"\nduration = \"1s\"\nusers = 4\nmix = {{ any = 1 }}\n{load}\n");
        format!("[[phases]]\n{keys}")
    };
    let open = "arrivals = \"20/s\"";
    let plan = phase("a", open) + &phase("closed", "") + &phase("b", open);
    let plan =
        plan + "[users.any]\nwait = \"5s\"\n[[users.any.tasks]]\nrequest = \"GET /x/${accounts.name}\"\n";
    // The first four rows are those of the closed phase, which counts by users.
    let went_on = taken(&with_accounts(&plan, 100, ""), "GET /x/");
    assert_eq!(went_on, (0..40).map(|row| (row, if row < 4 { 2 } else { 1 })).collect());
    let restarted = taken(&with_accounts(&plan, 100, ", restart = \"phase\""), "GET /x/");
    assert_eq!(restarted, (0..20).map(|row| (row, if row < 4 { 3 } else { 2 })).collect());
}

#[test]
fn columns_keep_their_types_where_they_are_whole_json_values() {
    let task = r#"
        [[users.any.tasks]]
        request = "POST /"
        json = { id = "${accounts.name}", text = "no ${accounts.name}", list = ["${accounts.name}"] }
    "#;
    let received = with_accounts(&(open(1, "1s", "3/s") + task), 3, ", types = { name = \"number\" }");
    assert_eq!(received[2].json(), json!({ "id": 2, "text": "no 2", "list": [2] }));
    let received = with_accounts(&(open(1, "1s", "3/s") + task), 3, "");
    assert_eq!(received[2].json(), json!({ "id": "2", "text": "no 2", "list": ["2"] }));
}
