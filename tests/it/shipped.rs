//! The shipped plans and thresholds: valid, and with the intended loads and limits.

use std::path::{Path, PathBuf};

use runner::plan::GateTier;
use runner::plan::model::{Load, Phase, Plan, Request, Task, UserClass, Wait};
use runner::resources::metric::Metric;
use runner::slo::objective::{Family, ObjectiveKind};
use runner::statistics::{Allowed, min_samples};
use runner::units::TimeSpan;

use crate::support::answer::Answer;

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

/// A user class in short: its wait, and per task its weight and operations.
fn said(plan: &Plan, name: &str) -> String {
    let class = class(plan, name);
    let steps = |steps: &Vec<Request>| {
        let operations = steps.iter().map(|step| plan.operations[step.operation.index()].as_str());
        operations.collect::<Vec<_>>().join(" then ")
    };
    let task = |task: &Task| {
        let choices: Vec<String> = task.choices.iter().map(steps).collect();
        format!("{} {}", task.weight, choices.join("|"))
    };
    let tasks: Vec<String> = class.tasks.iter().map(task).collect();
    let wait = match class.wait {
        Wait::Nothing => "no wait".to_owned(),
        Wait::Uniform(low, high) => format!("{low} to {high}"),
        other => panic!("{other:?}"),
    };
    format!("{wait}: {}", tasks.join(", "))
}

/// A phase in short: name, scenario, duration, users, ramp, load and mix.
fn said_phase(plan: &Plan, phase: &Phase) -> String {
    let mix =
        phase.mix.iter().map(|(class, weight)| format!("{} {weight}", plan.classes[class.index()].name));
    let load = match phase.load {
        Load::Closed => "closed".to_owned(),
        Load::Open(arrivals) => arrivals.to_string(),
    };
    let Phase { name, scenario, duration, users, .. } = phase;
    let mix = mix.collect::<Vec<_>>().join(", ");
    format!("{name} ({scenario}): {duration}, {users} users in {}, {load}, {mix}", phase.ramp())
}

/// The only phase of a plan, in short.
fn said_only_phase(plan: &Plan) -> String {
    let [phase] = plan.phases.as_slice() else { panic!("{} phases", plan.phases.len()) };
    said_phase(plan, phase)
}

/// The names of the objectives; those that are not gated are in brackets.
fn said_objectives(answer: &Answer) -> String {
    let said = answer.objectives.all.iter().map(|objective| match objective.gated {
        true => objective.name.clone(),
        false => format!("({})", objective.name),
    });
    said.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_shipped_plan_loads_without_a_warning() {
    let plans = toml_files("plans");
    assert!(plans.len() >= 12);
    for path in plans.into_iter().chain(toml_files("benches/plans")) {
        let answer = Answer::of_file(&path);
        assert_eq!(answer.shown, "", "{}", path.display());
        let plan = answer.plan.unwrap();
        let judged = !answer.objectives.all.is_empty();
        assert_eq!(judged, plan.gate.tier != GateTier::NOTHING, "{}", path.display());
    }
}

#[test]
fn every_shipped_plan_can_prove_each_of_its_limits() {
    for path in toml_files("plans") {
        let answer = Answer::of_file(&path);
        let plan = answer.plan.unwrap();
        let forecasts = runner::forecast::forecast(&plan);
        for objective in answer.objectives.all.iter().filter(|objective| objective.gated) {
            let phase = objective.phase.index();
            let sample_size = forecasts[phase].sample_size(objective, &plan.phases[phase], &plan.gate);
            let (expected, fewest) = (sample_size.expected.unwrap(), sample_size.needed.unwrap_or(1) as f64);
            // The margin permits a few slow requests.
            assert!(expected >= 1.5 * fewest, "{}: {}: {expected}", path.display(), objective.name);
        }
    }
}

#[test]
fn the_readme_lists_every_shipped_plan() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, section) = readme.split_once("\n## Plans that come with it\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| [")?.split(']').next());
    let mut told: Vec<String> = rows.map(str::to_owned).collect();
    let stems = toml_files("plans").into_iter().map(|path| path.file_stem().unwrap().to_owned());
    let mut shipped: Vec<String> = stems.map(|stem| stem.into_string().unwrap()).collect();
    told.sort_unstable();
    shipped.sort_unstable();
    assert_eq!(told, shipped);
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
    // Without its index the service answers too.
    let ready = plan.target.ready.as_ref().unwrap();
    let findings: Vec<_> =
        ready.expect.findings(None, b"", Some(&serde_json::json!({ "vector_db_ready": false }))).collect();
    assert_eq!((ready.path.as_str(), findings.len()), ("/health", 1));
    assert!(findings[0].actual.is_some());
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
fn the_daily_plan_has_the_intended_user_classes() {
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
fn four_of_five_evening_requests_are_searches() {
    let (plan, _) = shipped("daily.toml");
    let evening = &plan.phases[2];
    // Arrivals are dealt in proportion to weight / mean wait.
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
fn the_daily_plan_is_judged_by_the_intended_limits() {
    let (plan, answer) = shipped("daily.toml");
    let limits = |name: &str| {
        let of_name = answer.objectives.all.iter().filter(|objective| objective.name == name);
        let mut said: Vec<_> = of_name
            .map(|objective| {
                let tiers = objective.tiers;
                assert!(objective.gated);
                let family = &objective.family;
                let metric = family.readings().map_or("", |(_, metric)| metric.as_str());
                let statistic = format!("{} {metric}", family.statistic()).trim_end().to_owned();
                (statistic, [tiers.target.unwrap(), tiers.acceptable.unwrap(), tiers.last])
            })
            .collect();
        let phases = said.len();
        said.dedup();
        assert_eq!(said.len(), 1, "{name}");
        let (statistic, limits) = said.remove(0);
        (phases, statistic, limits)
    };
    assert_eq!(limits("Single search"), (3, "p95".to_owned(), [50.0, 100.0, 200.0]));
    assert_eq!(limits("Health check"), (3, "p95".to_owned(), [10.0, 25.0, 50.0]));
    assert_eq!(limits("Sync status"), (2, "p95".to_owned(), [100.0, 200.0, 500.0]));
    assert_eq!(limits("Manual sync trigger"), (3, "p95".to_owned(), [500.0, 1000.0, 2000.0]));
    assert_eq!(limits("Steady state"), (1, "throughput".to_owned(), [20.0, 15.0, 10.0]));
    assert_eq!(limits("Peak load"), (1, "throughput".to_owned(), [100.0, 75.0, 50.0]));
    assert_eq!(limits("Search-heavy"), (1, "throughput".to_owned(), [50.0, 30.0, 20.0]));
    assert_eq!(limits("Failed requests"), (3, "error rate".to_owned(), [0.1, 0.5, 1.0]));
    let mean = |metric: Metric| format!("mean {}", metric.as_str());
    assert_eq!(limits("CPU Usage"), (3, mean(Metric::Cpu), [50.0, 70.0, 85.0]));
    assert_eq!(limits("Memory Usage"), (3, mean(Metric::Memory), [60.0, 80.0, 90.0]));
    assert_eq!(limits("Disk I/O"), (3, mean(Metric::DiskIo), [50.0, 70.0, 85.0]));
    assert_eq!(limits("No outage"), (3, "longest".to_owned(), [1.0, 2.0, 5.0]));
    assert_eq!(answer.objectives.all.len(), 32);
    let both = answer.objectives.all.iter().any(|objective| objective.family.operations().len() == 2);
    assert!(both, "`health` and `health-detailed` are judged together");
    assert_eq!(plan.operations.len(), 8);
}

#[test]
fn the_smoke_plan_proves_all_limits_in_under_a_minute() {
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
        let Family::Requests(requests) = &objective.family else { panic!("no requests") };
        let kind = objective.family.kind();
        let expected = if kind == ObjectiveKind::ResponseTime { rarest } else { judged };
        let (name, limit) = (&objective.name, objective.tiers.last);
        let share = requests.statistic.allowed_share(limit);
        let fewest = share.and_then(|share| min_samples(Allowed { share, alpha: plan.gate.alpha }));
        let fewest = fewest.unwrap_or(0) as f64;
        assert!(expected >= 2.0 * fewest, "{name}: {expected} of {fewest}");
        if kind == ObjectiveKind::Throughput {
            assert!(objective.tiers.target.unwrap() < arrivals.from.per_second(), "{name}");
        }
    }
    assert_eq!(answer.objectives.all.len(), 6);
}

#[test]
fn the_steady_plan_is_a_day_of_fifty_users() {
    let (plan, answer) = shipped("steady.toml");
    assert_eq!(said_only_phase(&plan), "steady (steady-state): 24h, 50 users in 10s, closed, steady 1");
    assert_eq!(said(&plan, "steady"), "30s to 40s: 1 manual-sync, 8 search, 2 health|sync-status|stats");
    assert_eq!(
        said_objectives(&answer),
        "Single search, Health check, Sync status, Manual sync trigger, (Steady state), Failed requests, No outage"
    );
}

#[test]
fn the_peak_plan_is_two_hours_of_two_hundred_users() {
    let (plan, answer) = shipped("peak.toml");
    assert_eq!(said_only_phase(&plan), "peak (peak-load): 2h, 200 users in 10s, closed, peak 1");
    assert_eq!(said(&plan, "peak"), "3s to 8s: 3 search, 2 health-detailed, 1 manual-sync, 1 scheduler-jobs");
    assert_eq!(
        said_objectives(&answer),
        "Single search, Health check, Manual sync trigger, (Peak load), CPU Usage, Memory Usage, Disk I/O, Failed requests, No reboot, No outage"
    );
}

#[test]
fn both_soak_plans_have_the_same_users() {
    for (file, phase) in [
        ("soak.toml", "soak (soak): 72h, 25 users in 12.5s, closed, soak 1"),
        ("weekly-soak.toml", "soak (soak): 168h, 25 users in 12.5s, closed, soak 1"),
    ] {
        let (plan, answer) = shipped(file);
        assert_eq!(said_only_phase(&plan), phase);
        assert_eq!(said(&plan, "soak"), "1m to 2m: 10 search, 1 health-detailed, 1 performance-report");
        assert_eq!(
            said_objectives(&answer),
            "Single search, Health check, CPU Usage, Memory Usage, Disk I/O, Memory growth, Growth of open files, \
             Growth of connections, Disk growth, Slower searches, Failed requests, No reboot",
            "{file}"
        );
    }
}

#[test]
fn the_mixed_plan_is_four_hours_of_three_kinds_of_users() {
    let (plan, answer) = shipped("mixed.toml");
    assert_eq!(
        said_only_phase(&plan),
        "mixed (search-heavy): 4h, 100 users in 10s, closed, regular 70, power 20, admin 10"
    );
    assert_eq!(said(&plan, "regular"), "45s to 1m30s: 5 search, 1 health");
    assert_eq!(said(&plan, "power"), "10s to 30s: 10 search, 2 sync-status|performance-report");
    assert_eq!(said(&plan, "admin"), "2m to 5m: 3 health-detailed, 2 scheduler-jobs, 1 manual-sync");
    assert_eq!(
        said_objectives(&answer),
        "Single search, Health check, Sync status, Manual sync trigger, (Search-heavy), CPU Usage, Memory Usage, Disk I/O, Failed requests, No reboot, No outage"
    );
}

#[test]
fn an_unreachable_throughput_is_shown_and_not_judged() {
    for (file, most) in [("steady.toml", 1.43), ("peak.toml", 36.4), ("mixed.toml", 2.08)] {
        let (plan, answer) = shipped(file);
        let offered = runner::forecast::forecast(&plan)[0].per_second.unwrap();
        assert!((offered / most - 1.0).abs() < 0.005, "{file}: {offered}");
        let all = answer.objectives.all.iter();
        let mut of_throughput = all.filter(|objective| objective.family.kind() == ObjectiveKind::Throughput);
        assert!(of_throughput.all(|objective| !objective.gated && objective.tiers.last > offered), "{file}");
    }
}

#[test]
fn the_geographic_plan_has_users_at_three_distances() {
    let (plan, answer) = shipped("geographic.toml");
    assert_eq!(
        said_only_phase(&plan),
        "geographic (geographic): 1h, 100 users in 10s, closed, us-east 40, europe 30, apac 30"
    );
    let span = |text: &str| text.parse::<TimeSpan>().unwrap();
    for (name, nearest, farthest) in
        [("us-east", "20ms", "50ms"), ("europe", "80ms", "150ms"), ("apac", "150ms", "300ms")]
    {
        assert_eq!(said(&plan, name), "1s to 3s: 1 search", "{name}");
        assert_eq!(class(&plan, name).network_latency, Some((span(nearest), span(farthest))), "{name}");
    }
    assert_eq!(said_objectives(&answer), "Single search, Failed requests, No outage");
}

#[test]
fn the_monitored_plan_only_searches() {
    let (plan, answer) = shipped("monitored.toml");
    assert_eq!(said_only_phase(&plan), "monitored (monitored): 1h, 50 users in 5s, closed, watched 1");
    assert_eq!(said(&plan, "watched"), "1s to 3s: 1 search");
    assert_eq!(
        said_objectives(&answer),
        "Single search, CPU Usage, Memory Usage, Disk I/O, Failed requests, No reboot, No outage"
    );
}

#[test]
fn the_search_heavy_plan_can_reach_its_throughput_target() {
    let (plan, answer) = shipped("search-heavy.toml");
    assert_eq!(said_only_phase(&plan), "search-heavy (search-heavy): 1h, 100 users in 10s, 60/s, searcher 1");
    assert_eq!(said(&plan, "searcher"), "no wait: 9 search, 1 health");
    assert_eq!(
        said_objectives(&answer),
        "Single search, Health check, Search-heavy, Failed requests, No outage"
    );
    let target =
        answer.objectives.all.iter().find_map(|o| o.tiers.target.filter(|_| o.name == "Search-heavy"));
    assert!(target.unwrap() < 60.0);
}

#[test]
fn the_tickets_plan_is_three_thousand_tickets_in_a_day() {
    let (plan, answer) = shipped("tickets.toml");
    assert_eq!(said_only_phase(&plan), "tickets (tickets): 24h, 10 users in 0s, 3000/day, ticket 1");
    assert_eq!(said(&plan, "ticket"), "no wait: 1 manual-sync then search then search then search");
    assert_eq!(said_objectives(&answer), "Single search, Manual sync trigger, Failed requests");
    let Load::Open(arrivals) = plan.phases[0].load else { panic!("closed") };
    assert_eq!(arrivals.from.times(plan.phases[0].duration.seconds()).round(), 3000.0);
    assert!((1.0 / arrivals.from.per_second() - 28.8).abs() < 1e-9);
}

#[test]
fn the_debug_plan_is_one_user_without_objectives() {
    let (plan, answer) = shipped("debug.toml");
    assert_eq!(said_only_phase(&plan), "debug (debug): 10s, 1 users in 0s, closed, curious 1");
    assert_eq!(said(&plan, "curious"), "1s to 1s: 1 search");
    assert!(plan.gate.tier == GateTier::NOTHING && answer.objectives.all.is_empty());
}
