//! Stored runs: their report is rebuilt from the journal alone, and they are judged again.

use std::collections::BTreeSet;
use std::time::Duration;

use runner::journal::reader::JournalReader;
use runner_test_support::ran::{Ran, count, named};
use runner_test_support::target::{Answer, Target};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::runner::{Runner, rerun};

/// An open and a closed phase on two workers, with readings of this machine.
const PLAN: &str = r#"
    [monitor]
    every = "1s"
    hosts = { target = "local" }
    [[phases]]
    name = "open"
    duration = "2500ms"
    users = 3
    warmup = "1s"
    mix = { any = 1 }
    arrivals = "200/s"
    [[phases]]
    name = "closed"
    duration = "7s"
    users = 4
    mix = { any = 1 }
    [users.any]
    wait = "50ms"
    [[users.any.tasks]]
    weight = 5
    operation = "get"
    request = "GET /${rows.id}"
    headers = { authorization = "Bearer ${secret:TOKEN}" }
    [[users.any.tasks]]
    operation = "other"
    request = "GET /other"
    [lists]
    rows = { file = "rows.csv" }
"#;
const OBJECTIVES: &str = r#"
    [[response_time]]
    name = "Fast"
    operations = ["*"]
    target = "10ms"
    acceptable = "15ms"
    maximum = "500ms"
    [[throughput]]
    name = "Throughput"
    scenarios = ["*"]
    minimum = "1/s"
    [[resource]]
    name = "CPU"
    metric = "cpu"
    phases = ["closed"]
    maximum = "100%"
    [[resource]]
    name = "Memory"
    metric = "memory_used"
    statistic = "max"
    phases = ["closed"]
    maximum = "1MiB"
    gate = false
    [[drift]]
    name = "Growth"
    metric = "memory_used"
    max_growth = "100%"
    min_length = "6s"
    gate = false
"#;

/// A target that is slow for two of ten requests and fails one.
fn target() -> Target {
    let slow = Answer::Late(200, std::time::Duration::from_millis(12));
    Target::scripted(move |number, _| match number % 10 {
        0 => Answer::Status(500),
        1 | 2 => slow.clone(),
        _ => Answer::Status(200),
    })
}

fn run(target: &Target) -> Runner {
    Runner::plan(PLAN)
        .file("plans/rows.csv", "id,\"a b\"\n1,x\n2,y\n")
        .variable("TOKEN", "hush-hush")
        .against(target)
        .objectives(OBJECTIVES)
        .with("--workers 2 --set gate.decision=observed")
}

/// Removes everything of a run but its journal.
fn keep_only_the_journal(run: &Ran) {
    for folder in ["plans", "thresholds"] {
        std::fs::remove_dir_all(run.folder.path().join(folder)).unwrap();
    }
    std::fs::remove_file(run.file("report.json").unwrap()).unwrap();
}

#[test]
fn the_report_is_rebuilt_from_the_journal_alone() {
    let target = target();
    let run = run(&target).run().exits(0);
    let stored = std::fs::read_to_string(run.file("report.json").unwrap()).unwrap();
    keep_only_the_journal(&run);
    let json = rerun(&run, "report reports/latest --format json");
    assert_eq!((json.code, json.stdout), (0, stored));
    assert_eq!(rerun(&run, "report reports/latest").stdout, run.stdout);
    let journal = std::fs::read(run.file(runner::journal::FILE_NAME).unwrap()).unwrap();
    assert!(!journal.windows(9).any(|bytes| bytes == b"hush-hush"), "the journal shows a secret");
}

#[test]
fn a_killed_run_is_judged_up_to_its_last_second() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(20)));
    let plan = "[[phases]]\nname = \"a\"\nduration = \"60s\"\nusers = 4\nmix = { any = 1 }\n\
                [users.any]\nwait = \"10ms\"\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let limit = |limit: &str| {
        format!("[[response_time]]\nname = \"T\"\noperations = [\"*\"]\nmaximum = \"{limit}\"\n")
    };
    let running = Runner::plan(plan).against(&target).objectives(&limit("10s")).start();
    target.wait_for(500);
    running.signal(Signal::KILL);
    let run = running.end();
    let judged = rerun(&run, "gate reports/latest --format json");
    assert_eq!(judged.code, 3, "{}", judged.stderr);
    let report: Value = serde_json::from_str(&judged.stdout).unwrap();
    assert_eq!(report["verdict"], "inconclusive");
    assert!(report["reason"].as_str().unwrap().contains("killed"), "{}", report["reason"]);
    let phase = named(&report["phases"], "a");
    assert!((250..=target.count()).contains(&count(&phase["requests"])), "{phase:#}");
    assert_eq!(phase["generator"]["cpu_percent"], Value::Null);
    // A breach is certain however the run would have gone on.
    std::fs::write(run.folder.path().join("strict.toml"), limit("1ms")).unwrap();
    assert_eq!(rerun(&run, "gate reports/latest --thresholds strict.toml").code, 1);
}

#[test]
fn a_folder_without_a_journal_is_refused() {
    let target = target();
    let run = run(&target).with("--phase open").run();
    for command in ["gate nowhere", "report nowhere", "gate plans"] {
        let refused = rerun(&run, command);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{command}");
        assert!(refused.stderr.contains("run.journal") && refused.stderr.contains("reports/latest"));
    }
}

/// Asserts that every value of `facts` is in `report`.
fn assert_has(report: &Value, facts: &Value, place: &str) {
    match facts {
        Value::Object(facts) => {
            facts.iter().for_each(|(key, fact)| assert_has(&report[key], fact, &format!("{place}/{key}")));
        }
        Value::Array(facts) => {
            assert_eq!(report.as_array().map(Vec::len), Some(facts.len()), "{place}");
            for (index, fact) in facts.iter().enumerate() {
                assert_has(&report[index], fact, &format!("{place}/{index}"));
            }
        }
        fact => assert_eq!(report, fact, "{place}"),
    }
}

#[test]
fn journals_of_every_version_are_read() {
    let mut versions: BTreeSet<u32> = BTreeSet::new();
    for entry in std::fs::read_dir("tests/journals").unwrap() {
        let folder = entry.unwrap().path();
        let Ok(facts) = std::fs::read_to_string(folder.join("facts.json")) else { continue };
        let journal = std::fs::File::open(folder.join(runner::journal::FILE_NAME)).unwrap();
        let mut events = JournalReader::new(journal).unwrap();
        assert!(events.by_ref().count() > 10);
        assert_eq!((events.unknown, events.is_torn), (0, false), "{}", folder.display());
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(["report", "--format", "json"])
            .arg(&folder)
            .output()
            .unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        assert_has(&report, &serde_json::from_str(&facts).unwrap(), &folder.display().to_string());
        let name = folder.file_name().unwrap().to_str().unwrap().strip_prefix("version-").unwrap().to_owned();
        versions.insert(name.split('.').next().unwrap().parse().unwrap());
    }
    let readable = runner::journal::format::OLDEST_VERSION..=runner::journal::format::VERSION;
    assert!(versions.into_iter().eq(readable), "each readable version has a folder under tests/journals");
}
