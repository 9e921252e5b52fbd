//! Signals: an interrupted run drains, writes its report and ends with the verdict `interrupted`.

use std::io::{PipeReader, PipeWriter, Write};
use std::time::{Duration, Instant};

use runner_test_support::ran::{assert_adds_up, count, number};
use runner_test_support::target::{Answer, Target};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::runner::Runner;

/// Two phases of a minute with two users; phase `a` has 50 arrivals a second.
const BUSY: &str = r#"
    [[phases]]
    name = "a"
    duration = "60s"
    users = 2
    mix = { any = 1 }
    arrivals = "50/s"
    [[users.any.tasks]]
    operation = "get"
    request = "GET /"
    [[phases]]
    name = "b"
    duration = "60s"
    users = 2
    mix = { any = 1 }
"#;
const SLOW: Answer = Answer::Late(200, Duration::from_millis(100));

#[test]
fn sigint_drops_waiting_arrivals_and_drains_the_rest() {
    let target = Target::always(SLOW);
    let running = Runner::plan(BUSY).against(&target).start();
    target.wait_for(30);
    running.signal(Signal::INT);
    let run = running.end().exits(130);
    assert_eq!((&run.report()["verdict"], &run.report()["exit_code"]), (&"interrupted".into(), &130.into()));
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (target.count(), 0));
    assert!(count(&phase["dropped"]) > 0, "{phase:#}");
    assert!(number(&phase["ran_s"]) < 30.0, "{phase:#}");
    assert_eq!(run.report()["phases"].as_array().unwrap().len(), 1);
}

#[test]
fn sigterm_ends_a_run_like_sigint() {
    let target = Target::always(SLOW);
    let running = Runner::plan(BUSY).against(&target).with("--phase b").start();
    target.wait_for(10);
    running.signal(Signal::TERM);
    let run = running.end().exits(143);
    assert_eq!((&run.report()["verdict"], &run.report()["exit_code"]), (&"interrupted".into(), &143.into()));
    let phase = run.phase("b");
    assert_adds_up(&phase);
    assert_eq!((count(&phase["requests"]), count(&phase["errors"])), (target.count(), 0));
}

#[test]
fn further_signals_end_a_run_at_once() {
    let target = Target::always(Answer::Never);
    let mut running = Runner::plan(BUSY).against(&target).start();
    target.wait_for(2);
    running.signal(Signal::INT);
    running.hear("a third exits without a report");
    let told = Instant::now();
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    running.end().exits(130);
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
}

#[test]
fn a_signal_during_the_readiness_check_still_reports() {
    let target = Target::always(Answer::Status(503));
    let running = Runner::plan(BUSY).against(&target).target("ready = \"GET /health\"").start();
    target.wait_for(1);
    running.signal(Signal::INT);
    let run = running.end().exits(130);
    assert_eq!(run.report()["verdict"], "interrupted");
    assert_eq!(run.report()["reason"], "SIGINT stopped the run before its end");
    assert_eq!(target.count(), target.count_of("GET /health"));
}

#[test]
fn an_interrupted_run_keeps_its_breach() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(300)));
    let limit = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"200ms\"";
    let enough = "--set phases.a.users=20";
    let running = Runner::plan(BUSY).against(&target).objectives(limit).with(enough).start();
    target.wait_for(30);
    running.signal(Signal::INT);
    assert_eq!(running.end().exits(1).report()["verdict"], "breached");
}

#[test]
fn an_interrupted_user_runs_on_stop_only_after_its_start() {
    let target = Target::scripted(|_, received| match received.what.as_str() {
        "POST /slow" => Answer::Late(200, Duration::from_secs(1)),
        _ => Answer::Status(200),
    });
    let plan = r#"
        [[phases]]
        name = "a"
        duration = "60s"
        users = 2
        mix = { started = 1, starting = 1 }
        [users.started]
        wait = "100ms"
        on_stop = [{ request = "POST /bye/1" }, { request = "POST /bye/2" }]
        tasks = [{ request = "GET /" }]
        [users.starting]
        on_start = [{ request = "POST /slow" }, { request = "POST /login" }]
        on_stop = [{ request = "POST /never" }]
        tasks = [{ request = "GET /never" }]
    "#;
    let running = Runner::plan(plan).against(&target).start();
    target.wait_for(3);
    running.signal(Signal::INT);
    let run = running.end().exits(130);
    let counts = ["POST /bye/1", "POST /bye/2", "POST /slow", "POST /login", "POST /never", "GET /never"]
        .map(|what| target.count_of(what));
    assert_eq!(counts, [1, 1, 1, 0, 0, 0]);
    assert_eq!((count(&run.phase("a")["requests"]), count(&run.phase("a")["errors"])), (target.count(), 0));
}

#[test]
fn an_interruption_adds_no_errors() {
    let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"";
    let fast = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nstatistic = \"p95\"\nmaximum = \"200ms\"";
    let objectives = format!("{failed}\n{fast}");
    let plan = "[[phases]]\nname = \"a\"\nduration = \"60s\"\nusers = 2\nmix = { any = 1 }\narrivals = \"20/s\"\n\
                [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"";
    let target = Target::always(Answer::Late(200, Duration::from_millis(500)));
    let running =
        Runner::plan(plan).against(&target).target("timeout = \"20s\"").objectives(&objectives).start();
    target.wait_for(12);
    running.signal(Signal::INT);
    let run = running.end();
    // Arrivals that waited at the interruption had waited for more than 200 ms, and are not errors.
    let run = run.exits(1);
    assert!(count(&run.phase("a")["dropped"]) > 20, "{:#}", run.phase("a"));
    assert_eq!(
        (&run.objective("Fast")["verdict"], number(&run.objective("Failed")["observed"])),
        (&"missed".into(), 0.0)
    );
    assert!(run.stdout.contains("still waiting for a user when the run ended"), "{}", run.stdout);
    assert!(!run.stdout.contains("because no user was idle"), "{}", run.stdout);
}

/// A pipe without room for another byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

#[test]
fn output_that_nothing_reads_delays_neither_report_nor_signal() {
    let target = Target::fast();
    let (_unread, pipe) = full_pipe();
    let stderr = pipe.try_clone().unwrap();
    let run = Runner::plan(BUSY).against(&target).with("--phase a --set phases.a.duration=1s --verbose");
    let (folder, mut child) = run.spawn(pipe.into(), stderr.into());
    let report = folder.path().join("reports/latest/report.json");
    let began = Instant::now();
    // No event tells that a file is there.
    while !report.exists() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut code = None;
    // The standard library cannot wait for a process with a time limit.
    while code.is_none() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
        code = child.try_wait().unwrap().map(|status| status.code().unwrap());
    }
    let _ = child.kill();
    assert_eq!((code, report.exists(), target.count()), (Some(0), true, 50));
}
