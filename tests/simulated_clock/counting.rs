//! Counts: the report counts exactly the requests that arrived, in the shares of the plan.

use std::collections::BTreeSet;

use runner_test_support::ran::{Ran, assert_adds_up, count};
use runner_test_support::target::{Answer, Received, Target};
use serde_json::Value;

use super::runner::Runner;

const CLASSES: [(&str, f64); 3] = [("steady", 0.7), ("peak", 0.2), ("mixed", 0.1)];

/// One phase of three classes at 70/20/10, each with tasks at 1/8/2; the last task has three choices.
///
/// Operations keep their default name, the method and path that the target receives.
fn plan(phase: &str) -> String {
    let users = CLASSES.map(|(class, _)| {
        format!(
            r#"
            [[users.{class}.tasks]]
            weight = 1
            request = "GET /{class}/rare"
            [[users.{class}.tasks]]
            weight = 8
            request = "POST /{class}/search"
            json = {{ top_k = "${{int(5, 15)}}", user = "${{user()}}" }}
            [[users.{class}.tasks]]
            weight = 2
            any_of = [{{ request = "GET /{class}/x" }}, {{ request = "GET /{class}/y" }}, {{ request = "GET /{class}/z" }}]
            "#
        )
    });
    let phase =
        format!("[[phases]]\nname = \"load\"\nmix = {{ steady = 70, peak = 20, mixed = 10 }}\n{phase}\n");
    phase + &users.concat()
}

/// A target that closes the connection with every hundredth response.
fn closing() -> Target {
    Target::scripted(|number, _| if number % 100 == 99 { Answer::Closing } else { Answer::Status(200) })
}

#[test]
fn the_report_counts_every_request_of_users_without_a_wait() {
    for seed in 1..=3 {
        let target = closing();
        let run = Runner::plan(&plan("duration = \"3s\"\nusers = 20"))
            .against(&target)
            .with(&format!("--seed {seed} --workers {}", 1 + seed % 2))
            .run()
            .exits(0);
        assert_same_counts(&run, &target);
        let searches = searches(&target);
        let users = |class: &str| {
            let of_class = searches.iter().filter(|(what, _)| what.contains(class));
            of_class.map(|(_, body)| count(&body["user"])).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(CLASSES.map(|(class, _)| users(class)), [14, 4, 2]);
        assert_shares_of_tasks(&target);
        assert_top_k(&searches);
    }
}

#[test]
fn the_report_counts_every_request_of_arrivals() {
    for seed in 4..=6 {
        let target = closing();
        let run = Runner::plan(&plan("duration = \"8s\"\nusers = 100\narrivals = \"2500/s\""))
            .against(&target)
            .with(&format!("--seed {seed} --workers {}", 1 + seed % 2))
            .run()
            .exits(0);
        assert_same_counts(&run, &target);
        let arrivals = &run.phase("load")["arrivals"];
        assert_eq!((count(&arrivals["scheduled"]), count(&arrivals["dropped"])), (20_000, 0));
        for (class, share) in CLASSES {
            // Arrivals are dealt to classes, not drawn at random, so the counts are exact.
            assert_eq!(of_class(&target.received(), class) as f64, 20_000.0 * share);
        }
        assert_shares_of_tasks(&target);
        assert_top_k(&searches(&target));
    }
}

fn assert_same_counts(run: &Ran, target: &Target) {
    let phase = run.phase("load");
    assert_adds_up(&phase);
    assert_eq!(count(&phase["requests"]), target.count());
    assert_eq!(count(&phase["errors"]), 0, "{phase:#}");
    assert!(target.count() >= 20_000, "{} requests", target.count());
    let operations = phase["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 15);
    for operation in operations {
        let name = operation["name"].as_str().unwrap();
        assert_eq!(count(&operation["requests"]), target.count_of(name), "{name}");
    }
}

fn of_class(received: &[Received], class: &str) -> usize {
    received.iter().filter(|received| received.what.contains(class)).count()
}

/// Asserts that the tasks of each class have their shares, within five standard deviations.
fn assert_shares_of_tasks(target: &Target) {
    let received = target.received();
    for (class, _) in CLASSES {
        let all = of_class(&received, class) as f64;
        let tasks = [("GET", "rare", 1.0), ("POST", "search", 8.0)];
        let choices = ["x", "y", "z"].map(|choice| ("GET", choice, 2.0 / 3.0));
        for (method, task, weight) in tasks.into_iter().chain(choices) {
            let share = weight / 11.0;
            let seen = target.count_of(&format!("{method} /{class}/{task}")) as f64;
            let deviation = (all * share * (1.0 - share)).sqrt();
            assert!((seen - all * share).abs() <= 5.0 * deviation, "{class} {task}: {seen} of {all}");
        }
    }
}

/// Method and path, and body, of every search.
fn searches(target: &Target) -> Vec<(String, Value)> {
    let searches = target.received().into_iter().filter(|received| received.what.ends_with("/search"));
    searches.map(|search| (search.what, serde_json::from_str(&search.body).unwrap())).collect()
}

/// Asserts that every integer from 5 to 15 was sent as a number, and no other.
fn assert_top_k(searches: &[(String, Value)]) {
    let seen: BTreeSet<usize> = searches.iter().map(|(_, body)| count(&body["top_k"])).collect();
    assert_eq!(seen, (5..=15).collect());
}
