//! The plans and thresholds that come with the product: without a mistake, and exactly the loads and limits meant.

use std::path::{Path, PathBuf};

use runner::plan::model::{Load, Phase, Plan, UserClass};
use runner::slo::objective::Statistic;
use runner::units::TimeSpan;

use crate::answer::Answer;

fn shipped(name: &str) -> (Plan, Answer) {
    let mut answer = Answer::of_file(&Path::new("plans").join(name));
    assert_eq!(answer.shown, "");
    (answer.plan.take().unwrap(), answer)
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

fn class<'p>(plan: &'p Plan, name: &str) -> &'p UserClass {
    plan.classes.iter().find(|class| class.name == name).unwrap()
}

/// A class as people say it: its wait, and per task its weight and operations.
fn said(plan: &Plan, name: &str) -> String {
    let class = class(plan, name);
    let task = |task: &runner::plan::model::Task| {
        let operations = task.requests().map(|request| plan.operations[request.operation.index()].as_str());
        format!("{} {}", task.weight, operations.collect::<Vec<_>>().join("|"))
    };
    let tasks: Vec<String> = class.tasks.iter().map(task).collect();
    let runner::plan::model::Wait::Uniform(low, high) = class.wait else { panic!("{:?}", class.wait) };
    format!("{low} to {high}: {}", tasks.join(", "))
}

/// A phase as people say it.
fn said_phase(plan: &Plan, phase: &Phase) -> String {
    let mix =
        phase.mix.iter().map(|(class, weight)| format!("{} {weight}", plan.classes[class.index()].name));
    let Load::Open(arrivals) = phase.load else { panic!("{} has no arrivals", phase.name) };
    let Phase { name, scenario, duration, users, .. } = phase;
    let ramp = phase.ramp();
    let mix = mix.collect::<Vec<_>>().join(", ");
    format!("{name} ({scenario}): {duration}, {users} users in {ramp}, {arrivals}, {mix}")
}

#[test]
fn every_shipped_plan_loads_without_a_warning() {
    let plans = toml_files("plans");
    assert!(plans.len() >= 2);
    for path in plans {
        let answer = Answer::of_file(&path);
        assert_eq!(answer.shown, "", "{}", path.display());
        assert!(!answer.objectives.all.is_empty(), "{}", path.display());
    }
}

#[test]
fn every_shipped_file_is_used_by_a_shipped_plan() {
    let texts: Vec<String> =
        toml_files("plans").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for path in toml_files("plans/users").into_iter().chain(toml_files("thresholds")) {
        let name = format!("/{}\"", path.file_name().unwrap().to_str().unwrap());
        assert!(texts.iter().any(|text| text.contains(&name)), "{}", path.display());
    }
}

#[test]
fn the_daily_plan_is_fourteen_hours_in_three_phases() {
    let (plan, _) = shipped("daily.toml");
    assert_eq!(plan.target.ready, Some(("GET".parse().unwrap(), "/health".to_owned())));
    let phases: Vec<String> = plan.phases.iter().map(|phase| said_phase(&plan, phase)).collect();
    assert_eq!(
        phases,
        [
            "morning-steady (steady-state): 8h, 50 users in 10s, 25/s, steady 1",
            "afternoon-peak (peak-load): 2h, 200 users in 10s, 125/s, peak 1",
            "evening-mixed (search-heavy): 4h, 100 users in 10s, 60/s, regular 70, power 20, admin 10",
        ]
    );
    assert_eq!(plan.target.url.to_string(), "http://localhost:8008");
    assert!(plan.target.timeout > "2s".parse::<TimeSpan>().unwrap());
}

#[test]
fn the_users_of_the_daily_plan_wait_and_choose_as_meant() {
    let (plan, _) = shipped("daily.toml");
    for (class, meant) in [
        ("steady", "30s to 40s: 1 manual-sync, 8 search, 2 health|sync-status|stats"),
        ("peak", "3s to 8s: 3 search, 2 health-detailed, 1 manual-sync, 1 scheduler-jobs"),
        ("regular", "45s to 1m30s: 5 search, 1 health"),
        ("power", "10s to 30s: 10 search, 2 sync-status|performance-report"),
        ("admin", "2m to 5m: 3 health-detailed, 2 scheduler-jobs, 1 manual-sync"),
    ] {
        assert_eq!(said(&plan, class), meant, "{class}");
    }
}

#[test]
fn four_of_five_requests_of_the_evening_are_searches() {
    let (plan, _) = shipped("daily.toml");
    let evening = &plan.phases[2];
    // Arrivals are dealt by weight / mean wait.
    let dealt = |(id, weight): &(runner::plan::model::ClassId, f64)| {
        let class = &plan.classes[id.index()];
        (class, weight / class.wait.mean())
    };
    let search = plan.operations.iter().position(|name| name == "search").unwrap();
    let searches = |class: &UserClass| {
        let of_search = class.tasks.iter().filter(|task| task.choices[0][0].operation.index() == search);
        of_search.map(|task| task.weight).sum::<f64>() / class.cumulative_weights.last().unwrap()
    };
    let all: f64 = evening.mix.iter().map(dealt).map(|(_, rate)| rate).sum();
    let found: f64 = evening.mix.iter().map(dealt).map(|(class, rate)| rate * searches(class)).sum();
    assert!((found / all - 0.8).abs() < 0.02, "{}", found / all);
}

#[test]
fn the_daily_plan_is_judged_by_the_limits_meant() {
    let (plan, answer) = shipped("daily.toml");
    let limits = |name: &str| {
        let of_name = answer.objectives.all.iter().filter(|objective| objective.name == name);
        let mut said: Vec<_> = of_name
            .map(|objective| {
                let tiers = objective.tiers;
                assert!(objective.gated);
                (objective.statistic, [tiers.target.unwrap(), tiers.acceptable.unwrap(), tiers.last])
            })
            .collect();
        let phases = said.len();
        said.dedup();
        assert_eq!(said.len(), 1, "{name}");
        (phases, said[0].0, said[0].1)
    };
    let p95 = Statistic::Quantile(0.95);
    assert_eq!(limits("Single search"), (3, p95, [50.0, 100.0, 200.0]));
    assert_eq!(limits("Health check"), (3, p95, [10.0, 25.0, 50.0]));
    assert_eq!(limits("Sync status"), (2, p95, [100.0, 200.0, 500.0]));
    assert_eq!(limits("Manual sync trigger"), (3, p95, [500.0, 1000.0, 2000.0]));
    assert_eq!(limits("Steady state"), (1, Statistic::Throughput, [20.0, 15.0, 10.0]));
    assert_eq!(limits("Peak load"), (1, Statistic::Throughput, [100.0, 75.0, 50.0]));
    assert_eq!(limits("Search-heavy"), (1, Statistic::Throughput, [50.0, 30.0, 20.0]));
    assert_eq!(limits("Failed requests"), (3, Statistic::ErrorRate, [0.1, 0.5, 1.0]));
    assert_eq!(answer.objectives.all.len(), 17);
    let both = answer.objectives.all.iter().any(|objective| objective.operations.len() == 2);
    assert!(both, "`health` and `health-detailed` are judged together");
    assert_eq!(plan.operations.len(), 8);
}

#[test]
fn the_smoke_plan_can_prove_all_its_limits_with_twice_the_samples_in_under_a_minute() {
    let (plan, answer) = shipped("smoke.toml");
    let [phase] = plan.phases.as_slice() else { panic!("{} phases", plan.phases.len()) };
    let Load::Open(arrivals) = phase.load else { panic!("closed") };
    assert!(phase.duration < "45s".parse().unwrap());
    assert!(phase.judged_seconds() >= 16.0);
    let judged = arrivals.from.times(phase.judged_seconds());
    let tasks = &class(&plan, "smoke").tasks;
    let rarest = judged / tasks.len() as f64;
    assert!(tasks.iter().all(|task| task.weight == 1.0 && task.choices.len() == 1));
    for objective in answer.objectives.all.iter().filter(|objective| objective.gated) {
        let expected = match objective.statistic {
            Statistic::Quantile(_) => rarest,
            _ => judged,
        };
        let (name, limit) = (&objective.name, objective.tiers.last);
        let fewest = objective.statistic.fewest_samples(limit).unwrap_or(0) as f64;
        assert!(expected >= 2.0 * fewest, "{name}: {expected} of {fewest}");
        if objective.statistic == Statistic::Throughput {
            assert!(objective.tiers.target.unwrap() < arrivals.from.per_second(), "{name}");
        }
    }
    assert_eq!(answer.objectives.all.len(), 6);
}
