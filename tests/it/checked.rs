//! `runner check`: the forecast, the feasibility of objectives and the effective values of a plan.

use runner_test_support::phases::{closed, open};
use runner_test_support::ran::{count, named, number};
use runner_test_support::target::Target;
use serde_json::Value;

use crate::support::runner::Runner;

const TASKS: &str = r#"
    [[users.any.tasks]]
    weight = 3
    operation = "get"
    request = "GET /"
    [[users.any.tasks]]
    operation = "rare"
    request = "GET /rare"
"#;
const OBJECTIVES: &str = r#"
    [[response_time]]
    name = "Fast"
    operations = ["get"]
    maximum = "200ms"
    [[response_time]]
    name = "Rare"
    operations = ["rare"]
    statistic = "p99"
    maximum = "500ms"
    [[response_time]]
    name = "Shown"
    operations = ["rare"]
    statistic = "p99.9"
    maximum = "500ms"
    gate = false
    [[response_time]]
    name = "Minutes"
    operations = ["get"]
    maximum = "200ms"
    every = "10s"
    allow = "10%"
    [[throughput]]
    name = "Enough"
    scenarios = ["a"]
    minimum = "5/s"
"#;

fn plan() -> Runner {
    Runner::plan(&(open(50, "5m", "10/s") + TASKS)).objectives(OBJECTIVES)
}

fn json(check: Runner) -> Value {
    serde_json::from_str(&check.with("--format json").check().exits(0).stdout).unwrap()
}

#[test]
fn check_reports_samples_and_decidability_per_objective() {
    let told = json(plan());
    let objectives = &told["phases"][0]["objectives"];
    let of = |name: &str| {
        let objective = named(objectives, name);
        let needed = objective["needed"].as_u64();
        (count(&objective["expected"]), needed, objective["can_decide"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("Fast"), (2250, Some(59), "yes".to_owned()));
    assert_eq!(of("Rare"), (750, Some(299), "yes".to_owned()));
    assert_eq!(of("Shown"), (750, None, "not judged".to_owned()));
    assert_eq!(of("Minutes"), (30, Some(29), "just".to_owned()));
    assert_eq!(of("Enough"), (300, Some(4), "yes".to_owned()));
    let warning = &told["diagnostics"][0];
    assert_eq!(warning["code"], "W003");
    let message = "`Minutes` can expect 30 intervals in phase `a`, but 46 are needed if one of them is bad";
    assert_eq!(warning["message"], message);
    let said = plan().check().exits(0);
    let row = said.stdout.lines().find(|line| line.contains("Minutes")).unwrap();
    assert!(row.contains("30 intervals") && row.contains("29 intervals") && row.ends_with("just"), "{row}");
}

#[test]
fn the_gate_confidence_sets_the_samples_needed() {
    let told = json(plan().with("--set gate.confidence=90%"));
    let needed = |name: &str| count(&named(&told["phases"][0]["objectives"], name)["needed"]);
    assert_eq!((needed("Fast"), needed("Rare"), needed("Minutes")), (45, 230, 22));
    assert_eq!(number(&told["confidence_percent"]), 90.0);
    let refused = plan().with("--set gate.confidence=99.9%").check().exits(2);
    assert!(refused.stderr.contains("`Minutes` can expect 30 intervals"), "{}", refused.stderr);
    let observed = plan().with("--set gate.confidence=99.9% --set gate.decision=observed");
    assert!(json(observed)["phases"][0]["objectives"][0]["needed"].is_null());
}

#[test]
fn check_reports_requests_duration_disk_and_memory() {
    let told = json(plan());
    assert_eq!((count(&told["requests"]), number(&told["peak_per_s"])), (3000, 10.0));
    assert_eq!(number(&told["duration_s"]), 300.0);
    let end: jiff::Timestamp = told["ends_at"].as_str().unwrap().parse().unwrap();
    let left = end.duration_since(jiff::Timestamp::now()).as_secs_f64();
    assert!((280.0..=300.0).contains(&left), "{left}");
    for (what, there) in [("disk", "free_bytes"), ("memory", "available_bytes")] {
        let (needed, there) = (count(&told[what]["needed_bytes"]), count(&told[what][there]));
        assert!((100_000..1 << 30).contains(&needed) && there > 0, "{told:#}");
    }
    let said = plan().check().exits(0).stdout;
    for part in ["about 3000 requests, up to 10.0/s", "ends at", "if started now", "of disk (", "of memory"] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
}

#[test]
fn check_counts_the_bodies_that_users_fill_and_not_those_that_they_share() {
    let needed = |hole: &str| {
        let body = "x".repeat(1 << 20) + hole;
        let tasks = format!("[[users.any.tasks]]\nrequest = \"POST /\"\nbody = \"{body}\"\n");
        count(&json(Runner::plan(&(closed(100, "5m") + &tasks)))["memory"]["needed_bytes"]) >> 20
    };
    let (shared, own) = (needed(""), needed("${seq()}"));
    // A tenth more than the body.
    assert!((105..=115).contains(&(own - shared)), "{own} and {shared}");
}

#[test]
fn check_counts_the_users_that_hold_connections() {
    let mix = open(50, "5m", "10/s").replace("{ any = 1 }", "{ any = 3, admin = 2 }");
    let admin = "[users.admin]\non_start = [{ request = \"POST /login\" }]\n\
                 [[users.admin.tasks]]\nrequest = \"GET /\"\n";
    let plan = || Runner::plan(&(mix.clone() + TASKS + admin));
    assert_eq!(json(plan())["phases"][0]["connected_users"], 20);
    let said = plan().check().exits(0).stdout;
    assert!(said.contains("\n  20 users connect at the start and stay connected"), "{said}");
}

#[test]
fn check_gives_no_forecast_that_depends_on_the_target() {
    let told = json(Runner::plan(&(closed(5, "5m") + TASKS)).objectives(OBJECTIVES));
    assert!(told["requests"].is_null() && told["disk"]["needed_bytes"].is_null(), "{told:#}");
    let rare = named(&told["phases"][0]["objectives"], "Rare");
    assert_eq!((&rare["can_decide"], &rare["expected"]), (&"depends".into(), &Value::Null));
}

#[test]
fn a_run_starts_with_the_forecast_of_check() {
    let target = Target::fast();
    let run = Runner::plan(&(open(5, "500ms", "10/s") + TASKS)).against(&target).run().exits(0);
    for part in ["ends at", "of disk (", "of memory"] {
        assert!(run.stderr.contains(part), "no `{part}` in {}", run.stderr);
    }
}

#[test]
fn more_users_than_possible_connections_are_refused() {
    let plan = || Runner::plan(&(open(900_000, "5s", "10/s") + TASKS));
    for refused in [plan().check().exits(2), plan().run().exits(2)] {
        assert!(refused.stderr.contains("error[P023]"), "{}", refused.stderr);
        assert!(refused.stderr.contains("900000 users need"), "{}", refused.stderr);
    }
}

#[test]
fn a_rehearsal_of_an_unprovable_plan_is_refused() {
    let target = Target::fast();
    let short = Runner::plan(&(open(5, "2s", "10/s") + TASKS)).against(&target).objectives(OBJECTIVES);
    short.with("--rehearse 2s").run().exits(2);
    // Objectives that only the rehearsal is too short for are not assessed.
    let run = plan().against(&target).with("--rehearse 2s").run();
    assert!(run.code == 0 || run.code == 3, "{}", run.stderr);
    assert!(!run.stderr.contains("P033"), "{}", run.stderr);
}

/// A closed and an open phase of users that use environment variables and a secret.
const EXPLAINED: &str = r#"
    [[phases]]
    name = "a"
    duration = "5m"
    users = 4
    mix = { any = 1 }
    [[phases]]
    name = "b.c"
    duration = "1h"
    users = 4
    arrivals = "1/s"
    mix = { any = 1 }
    [users.any]
    wait = ["1s", "2s"]
    headers = { authorization = "Bearer ${secret:TOKEN}", x-site = "${env:SITE:-main}" }
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
    [[users.any.tasks]]
    request = "POST /${pick(words)}"
    json = { by = "${env:WHO}", again = "${env:TOKEN}" }
    [lists]
    words = ["a", "b"]
"#;

/// Keys of `EXPLAINED`, each with value, source, name of the source, and file.
const IN_EFFECT: [(&str, &str); 22] = [
    ("name", "p | file | - | plans/p.toml"),
    ("seed", "9 | command-line | --seed | -"),
    ("target.ready_within", "1m | file | - | plans/p.toml"),
    ("target.timeout", "30s | default | - | -"),
    ("target.ready", "a TCP connection | default | - | -"),
    ("phases.a.users", "40 | command-line | --set | -"),
    ("phases.a.duration", "5m | file | - | plans/p.toml"),
    ("phases.a.warmup", "0s | default | - | -"),
    ("phases.a.mix.any", "1 | file | - | plans/p.toml"),
    ("phases.\"b.c\".spacing", "even | default | - | -"),
    ("users.any.wait", "[\"1s\", \"2s\"] | file | - | plans/p.toml"),
    ("users.any.headers.authorization", "Bearer *** | environment | TOKEN | plans/p.toml"),
    ("users.any.headers.x-site", "main | file | - | plans/p.toml"),
    ("users.any.tasks.0.weight", "1 | default | - | -"),
    ("users.any.tasks.1.request", "POST /${pick(words)} | file | - | plans/p.toml"),
    ("users.any.tasks.1.operation", "its method and path | default | - | -"),
    (
        "users.any.tasks.1.json",
        "{ by = \"tester\", again = \"***\" } | environment | WHO, TOKEN | plans/p.toml",
    ),
    ("lists.words", "[\"a\", \"b\"] | file | - | plans/p.toml"),
    ("gate.tier", "maximum | command-line | --gate | -"),
    ("gate.confidence", "95% | default | - | -"),
    ("response_time.Fast.maximum", "200ms | file | - | thresholds/t.toml"),
    ("response_time.Fast.statistic", "p95 | default | - | -"),
];

fn explained() -> Runner {
    Runner::plan(EXPLAINED)
        .objectives("[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"200ms\"")
        .target("ready_within = \"1m\"")
        .variable("TOKEN", "correcthorse")
        .variable("WHO", "tester")
        .with("--explain --set phases.a.users=40 --seed 9 --gate maximum")
}

#[test]
fn explain_shows_the_source_of_every_effective_value() {
    let told = json(explained());
    let values = told["in_effect"].as_array().unwrap();
    let find = |key: &str| values.iter().find(|value| value["key"] == key);
    for (key, meant) in IN_EFFECT {
        let value = find(key).unwrap_or_else(|| panic!("no {key} in {told:#}"));
        let said = ["value", "source", "name", "file"].map(|field| value[field].as_str().unwrap_or("-"));
        assert_eq!(said.join(" | "), meant, "{key}");
    }
    assert!(find("phases.a.spacing").is_none(), "a closed phase has no spacing");
    assert_eq!(find("name").unwrap()["line"], 1);
    assert!(!told.to_string().contains("correcthorse"), "{told:#}");
}

#[test]
fn explain_fits_in_eighty_columns() {
    let said = explained().check().exits(0).stdout;
    for line in [
        "target.timeout = 30s                                                     default",
        "target.ready_within = 1m                                          plans/p.toml:5",
        "phases.a.users = 40                                                        --set",
        "users.any.headers.authorization = Bearer ***                   environment TOKEN",
    ] {
        assert!(said.lines().any(|told| told == line), "no `{line}` in\n{said}");
    }
    assert!(!said.contains("correcthorse"), "{said}");
    let explained = said.lines().filter(|line| line.contains(" = "));
    assert!(explained.clone().count() > 40, "{said}");
    assert!(explained.clone().all(|line| line.chars().count() <= 80), "{said}");
}

#[test]
fn the_command_line_overrides_the_files() {
    let entries = "[{ file = \"../thresholds/t.toml\", only = [\"Fast\", \"Enough\"], gate = false },
                    { file = \"../thresholds/t.toml\", only = [\"Rare\"] }]";
    let second =
        "[[phases]]\nname = \"b\"\nduration = \"1h\"\nusers = 1\narrivals = \"1/s\"\nmix = { any = 1 }\n";
    let plan = |arguments: &str| {
        let plan = open(50, "5m", "10/s") + TASKS + second;
        let plan = Runner::plan(&plan).objectives(OBJECTIVES).thresholds(entries).at("${env:NOT_SET}");
        json(plan.with("--explain").with(arguments))["in_effect"].clone()
    };
    let of = |told: &Value, key: &str| -> Option<(String, String)> {
        let found = told.as_array().unwrap().iter().find(|value| value["key"] == key)?;
        let from = [&found["name"], &found["file"]].into_iter().find_map(Value::as_str).unwrap_or("-");
        Some((found["value"].as_str().unwrap().to_owned(), from.to_owned()))
    };
    let elsewhere = plan("--target http://kms.example --phase a");
    let pair = |value: &str, from: &str| Some((value.to_owned(), from.to_owned()));
    assert_eq!(of(&elsewhere, "target.url"), pair("http://kms.example", "--target"));
    assert_eq!(of(&elsewhere, "phases"), pair("a", "--phase"));
    assert!(of(&elsewhere, "phases.a.users").is_some() && of(&elsewhere, "phases.b.users").is_none());
    let stand_in = plan("--stand-in");
    assert_eq!(of(&stand_in, "target.url").unwrap().1, "--stand-in");
    assert_eq!(of(&stand_in, "phases"), None);
    assert_eq!(of(&stand_in, "response_time.Fast.gate"), pair("false", "plans/p.toml"));
    assert_eq!(of(&stand_in, "response_time.Rare.gate"), pair("true", "-"));
    assert_eq!(of(&stand_in, "response_time.Shown.gate"), None);
}

/// The memory that `check` forecasts for a plan, as a multiple of what its run took.
fn memory_ratio(plan: impl Fn() -> Runner, target: &Target) -> f64 {
    let forecast = number(&json(plan())["memory"]["needed_bytes"]);
    let run = plan().against(target).run().exits(0);
    forecast / number(&run.phase("a")["generator"]["peak_memory_bytes"])
}

#[test]
fn forecast_disk_and_memory_match_a_real_run() {
    let plan = || Runner::plan(&(open(20, "3s", "100/s") + TASKS));
    let told = json(plan());
    // The forecast includes a megabyte for the reports.
    let disk = number(&told["disk"]["needed_bytes"]) - 1e6;
    let target = Target::fast();
    let run = plan().against(&target).run().exits(0);
    let journal = run.file(runner::journal::FILE_NAME).unwrap().metadata().unwrap().len() as f64;
    assert!((0.5..3.0).contains(&(disk / journal)), "{disk} for {journal}");
    let ratio = memory_ratio(plan, &target);
    assert!((0.667..1.5).contains(&ratio), "{ratio}");
}

#[test]
fn forecast_memory_includes_lists_bodies_and_users() {
    let target = Target::fast();
    let rows: String = (0..100_000).map(|row| format!("{row},user{row}@kms.example\n")).collect();
    let list = || {
        let task =
            "[[users.any.tasks]]\nrequest = \"GET /${rows.id}\"\n[lists]\nrows = { file = \"rows.csv\" }\n";
        Runner::plan(&(open(2, "1s", "10/s") + task)).file("plans/rows.csv", "id,mail\n".to_owned() + &rows)
    };
    let body = || {
        let body = "q".repeat(400_000);
        let task = format!("[[users.any.tasks]]\nrequest = \"POST /\"\nbody = \"${{user()}}{body}\"\n");
        Runner::plan(&(closed(40, "1s") + "[users.any]\nwait = \"100ms\"\n" + &task))
    };
    let users = || {
        let task = "[users.any]\nwait = \"1s\"\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
        Runner::plan(&(closed(700, "2s") + task))
    };
    let ratios = [memory_ratio(list, &target), memory_ratio(body, &target), memory_ratio(users, &target)];
    assert!(ratios.iter().all(|ratio| (0.667..1.5).contains(ratio)), "{ratios:?}");
}

#[test]
fn stages_exclude_users_duration_and_arrivals() {
    let stages = "stages = [{ users = 2, hold = \"1s\" }]\n";
    Runner::plan(&(closed(2, "1s") + stages + TASKS)).check().exits(2);
    Runner::plan(&(open(2, "1s", "1/s") + stages + TASKS)).check().exits(2);
}

#[test]
fn an_unknown_objective_name_in_only_is_refused() {
    let target = Target::fast();
    let entries = "[{ file = \"../thresholds/t.toml\", only = [\"Fsat\"] }]";
    let plan = || plan().thresholds(entries).against(&target);
    for refused in [plan().run(), plan().check()] {
        let said = refused.exits(2).stderr;
        assert!(said.contains("`Fsat`") && said.contains("did you mean `Fast`"), "{said}");
    }
    assert_eq!(target.count(), 0);
}
