//! Seeds: random values depend on the seed and not on the number of workers.

use std::collections::{BTreeMap, HashSet};

use runner_test_support::ran::count;
use runner_test_support::target::Target;
use serde_json::Value;

use super::runner::Runner;

const DRAWN: &str = r#"
    [lists]
    words = ["one", "two", "three", "four"]
    [[users.any.tasks]]
    request = "POST /drawn"
    json = { pick = "${pick(words)}", int = "${int(0, 1000000)}", float = "${float(0, 1)}", id = "${uuid()}", seq = "${seq()}" }
"#;

/// The bodies that an open phase sends, sorted.
fn arrivals(arguments: &str) -> Vec<String> {
    let phase =
        "[[phases]]\nname = \"a\"\nduration = \"1s\"\nusers = 20\nmix = { any = 1 }\narrivals = \"800/s\"";
    let target = Target::fast();
    Runner::plan(&format!("{phase}\n{DRAWN}")).against(&target).with(arguments).run().exits(0);
    target.bodies()
}

#[test]
fn one_seed_gives_the_same_arrivals_on_any_worker_count() {
    let one = arrivals("--seed 7 --workers 1");
    assert_eq!(one.len(), 800);
    assert_eq!(one, arrivals("--seed 7 --workers 2"));
    let other: HashSet<String> = arrivals("--seed 8 --workers 2").into_iter().collect();
    assert!(one.iter().all(|body| !other.contains(body)));
}

/// The requests of each user of a closed phase, in order.
fn users(arguments: &str) -> BTreeMap<usize, Vec<String>> {
    let plan = r#"
        [[phases]]
        name = "a"
        duration = "1500ms"
        users = 6
        mix = { any = 2, other = 1 }
        [users.any]
        wait = ["10ms", "30ms"]
        [[users.any.tasks]]
        request = "POST /any"
        json = { user = "${user()}", int = "${int(0, 1000000)}", id = "${uuid()}", seq = "${seq()}" }
        [users.other]
        wait = "20ms"
        [[users.other.tasks]]
        weight = 3
        request = "POST /often"
        json = { user = "${user()}", float = "${float(0.5, 1.5)}" }
        [[users.other.tasks]]
        request = "POST /seldom"
        json = { user = "${user()}", seq = "${seq()}" }
    "#;
    let target = Target::fast();
    Runner::plan(plan).against(&target).with(arguments).run().exits(0);
    let mut users = BTreeMap::<usize, Vec<String>>::new();
    for received in target.received() {
        let body: Value = serde_json::from_str(&received.body).unwrap();
        users.entry(count(&body["user"])).or_default().push(format!("{} {body}", received.what));
    }
    users
}

#[test]
fn one_seed_gives_the_same_users_on_any_worker_count() {
    let (one, two, other) =
        (users("--seed 7 --workers 1"), users("--seed 7 --workers 2"), users("--seed 8 --workers 2"));
    assert_eq!(one.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    for (user, sent) in one {
        let common = sent.len().min(two[&user].len()).min(other[&user].len());
        assert!(common >= 20, "user {user} sent {common} requests");
        assert_eq!(sent[..common], two[&user][..common]);
        assert_ne!(sent[..common], other[&user][..common]);
    }
}

#[test]
fn sequence_numbers_are_unique_within_a_run() {
    let plan = r#"
        [[phases]]
        name = "open"
        duration = "1s"
        users = 5
        mix = { any = 1 }
        arrivals = "300/s"
        [[phases]]
        name = "closed"
        duration = "1s"
        users = 3
        mix = { any = 1 }
        [[users.any.tasks]]
        request = "POST /a?n=${seq()}"
        json = ["${seq()}", "${seq()}"]
        [[users.any.tasks]]
        request = "POST /b?n=${seq()}"
        json = []
    "#;
    let target = Target::fast();
    Runner::plan(plan).against(&target).with("--workers 2").run().exits(0);
    let mut given = Vec::new();
    for received in target.received() {
        given.push(received.what.rsplit_once('=').unwrap().1.parse::<u64>().unwrap());
        given.extend(serde_json::from_str::<Vec<u64>>(&received.body).unwrap());
    }
    assert!(given.len() > 600);
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len());
}
