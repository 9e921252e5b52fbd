//! The journal: its windows and readings, folded again, give the numbers of the report.

use std::path::Path;

use runner::diagnostic::Problems;
use runner::generator::{self, CheckContext};
use runner::journal::format::Record;
use runner::measure::histogram::DenseHistogram;
use runner::measure::ledger::Ledger;
use runner::plan::model::{Gate, PhaseId, Plan};
use runner::plan::{Decision, Environment, Settings};
use runner::slo::judge::{Policy, RunLength, judge};
use runner::slo::objective::Objective;
use runner_test_support::ran::{Ran, count, named, number};
use runner_test_support::target::{Answer, Target};

use crate::support::runner::Runner;

const PLAN: &str = r#"
    [[phases]]
    name = "open"
    duration = "2500ms"
    users = 3
    warmup = "1s"
    mix = { any = 1 }
    arrivals = "200/s"
    [[phases]]
    name = "closed"
    duration = "2s"
    users = 4
    mix = { any = 1 }
    [users.any]
    wait = "10ms"
    [[users.any.tasks]]
    weight = 5
    operation = "get"
    request = "GET /"
    [[users.any.tasks]]
    operation = "other"
    request = "GET /other"
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
"#;

/// Reads the journal of a run and folds its windows and readings.
fn fold(run: &Ran) -> (Ledger, Vec<Objective>, Plan) {
    let mut problems = Problems::default();
    let environment = Environment { read: &|path| std::fs::read(path), variable: &|_| None };
    let path = run.folder.path().join("plans/p.toml");
    let loaded = runner::plan::load(Path::new(&path), &Settings::default(), &environment, &mut problems);
    let objectives =
        runner::slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
    let bytes = std::fs::read(run.file(runner::journal::FILE_NAME).unwrap()).unwrap();
    let contents = runner::journal::reader::read(&bytes).unwrap();
    assert_eq!((contents.unknown, contents.lost_bytes), (0, 0));
    let Some(Record::Run(manifest)) = contents.records.first() else { panic!("the first record is the run") };
    assert_eq!(run.report()["plan"]["digest"], manifest.digest);
    assert_eq!(run.report()["seed"], manifest.seed);
    let plan = loaded.plan.unwrap();
    let mut ledger = Ledger::new(&plan, objectives.indicators, usize::from(manifest.workers) + 1);
    for record in &contents.records[1..] {
        match record {
            Record::Windows(batch) => ledger.fold(batch),
            Record::PhaseEnded { phase, ran } => ledger.finish(*phase, *ran),
            Record::Reading(reading) => ledger.read(reading),
            Record::PhaseStarted { phase, at } => {
                ledger.begin(*phase, jiff::Timestamp::from_microsecond(*at).unwrap());
            }
            Record::Run(_) => {}
        }
    }
    (ledger, objectives.all, plan)
}

fn assert_times(times: &DenseHistogram, reported: &serde_json::Value) {
    for (part, key) in [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99"), (0.999, "p999")] {
        assert_ms(times.quantile(part).unwrap().as_secs_f64() * 1000.0, &reported[key]);
    }
    assert_ms(times.max().unwrap().as_secs_f64() * 1000.0, &reported["max"]);
    assert_ms(times.mean_ms().unwrap(), &reported["mean"]);
}

fn assert_ms(folded: f64, reported: &serde_json::Value) {
    // The report rounds to the nearest microsecond; halves can go either way.
    assert!((folded - number(reported)).abs() < 0.000_501, "{folded} ms, reported as {reported}");
}

#[test]
fn windows_folded_from_the_journal_equal_the_report() {
    let slow = Answer::Late(200, std::time::Duration::from_millis(12));
    let target = Target::scripted(move |number, _| match number % 10 {
        0 => Answer::Status(500),
        1 | 2 => slow.clone(),
        _ => Answer::Status(200),
    });
    let run = Runner::plan(PLAN)
        .against(&target)
        .objectives(OBJECTIVES)
        .with("--workers 2 --set gate.decision=observed")
        .run()
        .exits(0);
    let (ledger, objectives, plan) = fold(&run);
    assert_eq!(ledger.pending_seconds(), 0);
    let summary = ledger.summary();
    let context = CheckContext { plan: &plan, objectives: &objectives, target_is_local: true };
    for ((name, folded), id) in ["open", "closed"].into_iter().zip(&summary.phases).zip((0..).map(PhaseId)) {
        let phase = run.phase(name);
        for check in generator::checks(context, id, folded) {
            let reported = named(&phase["generator"]["checks"], check.name);
            assert_eq!(
                (check.why.as_str(), check.verdict.as_str()),
                (reported["why"].as_str().unwrap(), reported["verdict"].as_str().unwrap())
            );
        }
        assert_eq!(folded.judged_seconds, number(&phase["judged_s"]));
        if name == "open" {
            let [scheduled, started] = ["scheduled", "started"].map(|key| &phase["arrivals"][key]);
            assert_eq!((folded.scheduled, folded.started), (count(scheduled) as u64, count(started) as u64));
        }
        for (operation, name) in folded.operations.values().zip(["get", "other"]) {
            let reported = named(&phase["operations"], name);
            let told = ["requests", "errors", "dropped"].map(|key| count(&reported[key]) as u64);
            assert_eq!([operation.requests, operation.failed(), operation.dropped], told);
            assert_times(&operation.response, &reported["response_ms"]);
            assert_times(&operation.service, &reported["service_ms"]);
        }
    }
    let gate = &Gate { decision: Decision::Observed, ..plan.gate };
    let judged = judge(
        &objectives,
        summary,
        Policy { gate, length: RunLength::Full, invalid: &[], cycle_seconds: &[], aborted: None },
    );
    let reported = run.report()["objectives"].as_array().unwrap().clone();
    assert_eq!((judged.len(), reported.len()), (4, 4));
    for (judged, reported) in judged.iter().flatten().zip(&reported) {
        assert_eq!(judged.verdict.as_str(), reported["verdict"]);
        assert_eq!(judged.why, reported["why"].as_str().unwrap());
        assert_eq!(judged.samples as usize, count(&reported["samples"]));
    }
}

#[test]
fn readings_judged_from_the_journal_give_the_same_verdicts() {
    let target = Target::fast();
    let monitored = "[monitor]\nevery = \"1s\"\nhosts = { target = \"local\" }\n";
    let phase = "[[phases]]\nname = \"closed\"\nduration = \"8s\"\nwarmup = \"1s\"\nusers = 2\nmix = { any = 1 }\n\
                 [users.any]\nwait = \"100ms\"\n[[users.any.tasks]]\nrequest = \"GET /\"\n";
    let objective = |name: &str, metric: &str, statistic: &str, maximum: &str| {
        format!(
            "[[resource]]\nname = \"{name}\"\nmetric = \"{metric}\"\nstatistic = \"{statistic}\"\n\
             maximum = {maximum}\n"
        )
    };
    let objectives = objective("CPU", "cpu", "mean", "\"100%\"")
        + &objective("Memory", "memory_used", "max", "\"1MiB\"")
        + &objective("Threads", "threads", "mean", "1000000");
    let run =
        Runner::plan(&(monitored.to_owned() + phase)).against(&target).objectives(&objectives).run().exits(1);
    let (ledger, objectives, plan) = fold(&run);
    let policy =
        Policy { gate: &plan.gate, length: RunLength::Full, invalid: &[], cycle_seconds: &[], aborted: None };
    let judged = judge(&objectives, ledger.summary(), policy);
    let reported = run.report()["objectives"].as_array().unwrap().clone();
    assert_eq!((judged.len(), reported.len()), (3, 3));
    for (judged, reported) in judged.iter().flatten().zip(&reported) {
        assert_eq!(
            (judged.verdict.as_str(), &*judged.why),
            (reported["verdict"].as_str().unwrap(), reported["why"].as_str().unwrap())
        );
        assert_eq!(judged.samples, 7, "{}", judged.why);
    }
    let verdicts: Vec<&str> = judged.iter().flatten().map(|judged| judged.verdict.as_str()).collect();
    assert_eq!(verdicts, ["met", "missed", "met"]);
}

#[test]
fn a_killed_run_leaves_the_windows_until_then() {
    let target = Target::fast();
    let plan = PLAN.replace("2500ms", "60s");
    let running = Runner::plan(&plan)
        .against(&target)
        .objectives(OBJECTIVES)
        .with("--set gate.decision=observed")
        .start();
    target.wait_for(500);
    running.signal(rustix::process::Signal::KILL);
    let run = running.end();
    let bytes = std::fs::read(run.file(runner::journal::FILE_NAME).unwrap()).unwrap();
    let records = runner::journal::reader::read(&bytes).unwrap().records;
    let batches = records.iter().filter_map(|record| match record {
        Record::Windows(batch) => Some(batch),
        _ => None,
    });
    let cells = batches.flat_map(|batch| batch.windows.values()).flat_map(|window| window.cells.values());
    let requests = cells.map(|cell| cell.requests as usize).sum::<usize>();
    assert!((200..=target.count()).contains(&requests), "{requests} of {}", target.count());
}
