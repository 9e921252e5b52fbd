//! Feasibility: a plan that can never meet an objective is refused, with changes that make it possible.

use runner_test_support::target::Target;

use crate::support::runner::Runner;

/// A closed phase with a minimum throughput.
fn plan(users: u32, wait: &str, minimum: &str) -> Runner {
    let objective =
        format!("[[throughput]]\nname = \"Steady\"\nscenarios = [\"a\"]\nminimum = \"{minimum}\"");
    Runner::plan(&format!(
        "[[phases]]\nname = \"a\"\nduration = \"5m\"\nusers = {users}\nmix = {{ any = 1 }}\n\
         [users.any]\nwait = {wait}\n[[users.any.tasks]]\nrequest = \"GET /\""
    ))
    .objectives(&objective)
}

fn assert_refused(plan: impl Fn() -> Runner, ways_out: [&str; 4]) {
    let target = Target::fast();
    for told in [plan().against(&target).check().exits(2), plan().against(&target).run().exits(2)] {
        for part in ways_out {
            assert!(told.stderr.contains(part), "no `{part}` in {}", told.stderr);
        }
        assert_eq!(told.stdout, "");
    }
    assert_eq!(target.count(), 0);
}

#[test]
fn fifty_users_with_a_long_wait_cannot_reach_ten_per_second() {
    assert_refused(
        || plan(50, r#"["30s", "40s"]"#, "10/s"),
        ["at most 1.43/s", "350 users", "a mean wait of 5 s", "or 7 requests per task"],
    );
}

#[test]
fn two_hundred_users_with_waits_cannot_reach_fifty_per_second() {
    assert_refused(
        || plan(200, r#"["3s", "8s"]"#, "50/s"),
        ["at most 36.4/s", "275 users", "a mean wait of 4 s", "or 1.38 requests per task"],
    );
}

#[test]
fn every_suggested_change_makes_the_objective_reachable() {
    let target = Target::fast();
    plan(350, r#"["30s", "40s"]"#, "10/s").against(&target).check().exits(0);
    plan(50, r#""5s""#, "10/s").against(&target).check().exits(0);
    plan(275, r#"["3s", "8s"]"#, "50/s").against(&target).check().exits(0);
    assert_eq!(target.count(), 0);
}
