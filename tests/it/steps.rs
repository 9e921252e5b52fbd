//! Steps against the stand-in: captured values are used by later requests.

use runner_test_support::phases::closed;
use runner_test_support::ran::{assert_sums, count, named};

use crate::support::runner::Runner;

#[test]
fn steps_log_in_search_and_fetch_the_first_hit() {
    let plan = closed(4, "1s")
        + r#"
        [users.any]
        wait = "10ms"
        on_start = [{ operation = "login", request = "POST /login", json = { user = "u${user()}" }, capture = { token = "/access_token" } }]
        [[users.any.tasks]]
        steps = [
            { operation = "search", request = "POST /search", json = { query = "user login problems", top_k = 3 }, capture = { first = "/results/0/case_id" } },
            { operation = "case", request = "GET /cases/${first}", headers = { authorization = "Bearer ${token}" }, expect = { status = [200], contains = "user login" } },
        ]
    "#;
    let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"5%\"";
    let run = Runner::plan(&plan).objectives(failed).with("--stand-in").run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    let [logins, searches, cases] =
        ["login", "search", "case"].map(|name| count(&named(&phase["operations"], name)["requests"]));
    assert_eq!((logins, count(&phase["errors"])), (4, 0));
    assert!(searches >= 40 && (searches - 4..=searches).contains(&cases), "{searches} and {cases}");
}
