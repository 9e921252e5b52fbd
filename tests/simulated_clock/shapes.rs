//! The shape of the load: stages, ramps, changing rates and Poisson arrivals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{Ran, assert_sums, count, number};
use runner_test_support::target::Target;

use super::runner::Runner;

/// Users that send a request every 100 ms.
const PACED: &str = r#"
    [users.any]
    wait = { pace = "100ms" }
    [[users.any.tasks]]
    request = "GET /${user()}"
"#;
const GET: &str = "[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n";

/// The arrival times of each user's requests, in seconds after the first request of all.
fn shown(target: &Target) -> BTreeMap<usize, Vec<f64>> {
    let received = target.received();
    let mut users = BTreeMap::<usize, Vec<f64>>::new();
    for request in &received {
        let user = request.what.strip_prefix("GET /").unwrap().parse().unwrap();
        users.entry(user).or_default().push((request.at - received[0].at).as_secs_f64());
    }
    users
}

/// The users that sent a request in this range of time.
fn alive(users: &BTreeMap<usize, Vec<f64>>, from: f64, to: f64) -> BTreeSet<usize> {
    let there = users.iter().filter(|(_, shown)| shown.iter().any(|at| (from..to).contains(at)));
    there.map(|(user, _)| *user).collect()
}

#[test]
fn stages_change_the_users_as_planned_and_holds_are_judged() {
    let plan = format!(
        "[[phases]]\nname = \"a\"\nmix = {{ any = 1 }}\nstages = [\
         {{ users = 2, hold = \"1s\" }}, {{ users = 8, over = \"2s\", hold = \"2s\" }}, \
         {{ users = 3, over = \"1s\", hold = \"2s\" }}]\n{PACED}"
    );
    let target = Target::fast();
    let run = Runner::plan(&plan).against(&target).with("--workers 2").run().exits(0);
    let phase = run.phase("a");
    assert_sums(&phase);
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (target.count(), 0));
    assert_eq!((number(&phase["planned_s"]), number(&phase["judged_s"])), (8.0, 5.0));
    let users = shown(&target);
    // In a hold exactly the users of the stage are active; the edges of a second are left out.
    for (second, expected) in [(0, 2), (3, 8), (4, 8), (6, 3), (7, 3)] {
        let second = f64::from(second);
        let there = alive(&users, second + 0.15, second + 0.95);
        assert_eq!(there, (0..expected).collect(), "in second {second}");
    }
    // Between holds the number of users changes linearly; it is checked in the middle of each quarter of a second.
    for quarter in 0..8 {
        let at = 1.125 + 0.25 * f64::from(quarter);
        let expected = 2.0 + 3.0 * (at - 1.0);
        let there = alive(&users, at - 0.055, at + 0.055).len() as f64;
        assert!((there - expected).abs() <= 1.5, "{there} users at {at} s instead of {expected}");
    }
    for quarter in 0..4 {
        let at = 5.125 + 0.25 * f64::from(quarter);
        let expected = 8.0 - 5.0 * (at - 5.0);
        let there = alive(&users, at - 0.055, at + 0.055).len() as f64;
        assert!((there - expected).abs() <= 1.5, "{there} users at {at} s instead of {expected}");
    }
}

#[test]
fn users_start_at_the_spawn_rate() {
    let target = Target::fast();
    let run = Runner::plan(&(closed(8, "3s") + "spawn_rate = 4\n" + PACED)).against(&target).run().exits(0);
    assert_eq!(number(&run.phase("a")["judged_s"]), 1.0);
    let users = shown(&target);
    assert_eq!(users.len(), 8);
    for (user, shown) in users {
        let expected = user as f64 / 4.0;
        assert!((shown[0] - expected).abs() < 0.1, "user {user} came at {} s", shown[0]);
    }
}

/// The intended starts of a phase in seconds, sorted.
fn intended(run: &Ran) -> Vec<f64> {
    let mut intended: Vec<f64> = run.log().iter().map(|logged| logged.intended_ms / 1000.0).collect();
    intended.sort_unstable_by(f64::total_cmp);
    intended
}

/// The number of moments in each second of a phase.
fn per_second(moments: &[f64], seconds: usize) -> Vec<usize> {
    let mut counts = vec![0; seconds];
    moments.iter().for_each(|at| counts[*at as usize] += 1);
    counts
}

#[test]
fn arrival_rates_change_linearly_from_first_to_last() {
    for (from, to, counts) in [(10.0, 100.0, [25, 55, 85]), (100.0, 10.0, [85, 55, 25])] {
        let ramp = format!("arrivals = {{ from = \"{from}/s\", to = \"{to}/s\" }}\n");
        let target = Target::fast();
        let run = Runner::plan(&(closed(20, "3s") + &ramp + GET)).against(&target).logging().run().exits(0);
        let phase = run.phase("a");
        assert_eq!((count(&phase["arrivals"]["scheduled"]), target.count()), (165, 165));
        assert_eq!(number(&phase["judged_s"]), 3.0);
        let intended = intended(&run);
        let seen = per_second(&intended, 3);
        assert!(seen.iter().zip(counts).all(|(seen, count)| seen.abs_diff(count) <= 1), "{seen:?}");
        // The number of arrivals until a moment is the area under the rate.
        let until = |at: f64| from * at + (to - from) / 3.0 * at * at / 2.0;
        for (k, at) in intended.iter().enumerate() {
            assert!((until(*at) - k as f64).abs() < 0.01, "arrival {k} at {at} s");
        }
        // The target receives them at these times.
        let received = target.received();
        let first = received[0].at;
        let until_second =
            |second: u64| received.iter().filter(|it| it.at - first < Duration::from_secs(second)).count();
        let [one, two] = [until_second(1), until_second(2)];
        assert!(one.abs_diff(counts[0]) <= 3 && two.abs_diff(counts[0] + counts[1]) <= 3, "{one}, {two}");
    }
}

/// The intended starts of Poisson arrivals at 200/s.
fn poisson(duration: &str, arguments: &str) -> Vec<f64> {
    let plan = open(50, duration, "200/s") + "spacing = \"poisson\"\n" + GET;
    let target = Target::fast();
    let run = Runner::plan(&plan).against(&target).logging().with(arguments).run().exits(0);
    let arrivals = &run.phase("a")["arrivals"];
    assert_eq!((count(&arrivals["scheduled"]), count(&arrivals["dropped"])), (target.count(), 0));
    let intended = intended(&run);
    assert_eq!(intended.len(), target.count());
    intended
}

#[test]
fn poisson_arrivals_have_poisson_counts_and_gaps() {
    let intended = poisson("60s", "--seed 1");
    let counts: Vec<f64> = per_second(&intended, 60).iter().map(|count| *count as f64).collect();
    let mean = counts.iter().sum::<f64>() / 60.0;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 59.0;
    // Three standard deviations of the mean; the variance of a Poisson count is its mean.
    assert!((mean - 200.0).abs() <= 5.5, "{mean} per second");
    assert!((0.6..=1.5).contains(&(variance / mean)), "variance {variance}, mean {mean}");
    // A share of 1/e of exponential gaps is longer than their mean.
    let longer = intended.windows(2).filter(|pair| pair[1] - pair[0] > 0.005).count();
    let share = longer as f64 / intended.len() as f64;
    assert!((share - 0.368).abs() < 0.02, "{share} of the gaps are longer than their mean");
}

#[test]
fn poisson_arrivals_depend_on_the_seed_and_not_on_workers() {
    let one = poisson("2s", "--seed 7 --workers 1");
    assert!((300..=500).contains(&one.len()), "{} arrivals", one.len());
    assert_eq!(one, poisson("2s", "--seed 7 --workers 2"));
    assert_eq!(one, poisson("2s", "--seed 7 --workers 4"));
    assert_ne!(one, poisson("2s", "--seed 8 --workers 1"));
}
