//! Generator checks: a target is not blamed for a stopped or starved generator, and a slow target is not excused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runner_test_support::ran::{Ran, assert_adds_up, count, number};
use runner_test_support::target::{Answer, Target};
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use crate::support::runner::Runner;

const CHECKS: [&str; 12] = [
    "send lag",
    "stalls",
    "processor",
    "steal",
    "throttling",
    "local errors",
    "conservation",
    "load",
    "draws",
    "clocks",
    "target",
    "arrival times",
];
const THROUGHPUT: &str = "[[throughput]]\nname = \"Some\"\nscenarios = [\"a\"]\nminimum = \"0.1/s\"";

const FAST: &str = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"200ms\"";

/// An open phase `a` with this arrival rate and one operation `get`.
fn open(rate: &str, duration: &str, users: u32) -> String {
    format!(
        "[[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = {users}\nmix = {{ any = 1 }}\narrivals = \"{rate}\"\n\
         [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n"
    )
}

#[track_caller]
fn verdict(run: &Ran, check: &str) -> String {
    run.generator_check("a", check)["verdict"].as_str().unwrap().to_owned()
}

/// Asserts that the objective `Fast` is undecided because of the generator's own part.
#[track_caller]
fn assert_not_blamed(run: &Ran) {
    let objective = run.objective("Fast");
    assert_eq!((&objective["verdict"], &objective["tier"]), (&"inconclusive".into(), &Value::Null));
    let why = objective["why"].as_str().unwrap();
    let says = |text| why.contains(text);
    assert!(says("only because the generator was late") || says("without the generator's own part"), "{why}");
}

/// Threads that spin on one core until this is dropped.
struct Neighbours {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Neighbours {
    fn on(core: usize, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                stay_on(core);
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        let threads = threads.collect();
        Self { stop, threads }
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Pins this thread, and every process that it starts, to one core.
fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).unwrap();
}

/// The first core that this thread may use.
fn some_core() -> usize {
    let cores = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core)).unwrap()
}

#[test]
fn every_check_is_in_the_report_of_an_ordinary_run() {
    let target = Target::fast();
    let closed = "[[phases]]\nname = \"b\"\nduration = \"2s\"\nusers = 8\nspawn_rate = 8\nmix = { far = 1 }\n\
                  [users.far]\nwait = [\"50ms\", \"150ms\"]\nnetwork_latency = \"20ms\"\n\
                  [[users.far.tasks]]\noperation = \"get\"\nrequest = \"GET /\"\n";
    let plan = open("100/s", "4s", 4) + closed;
    let run = Runner::plan(&plan).against(&target).objectives(THROUGHPUT).run().exits(0);
    for check in run.phase("b")["generator"]["checks"].as_array().unwrap() {
        assert_ne!(check["verdict"], "invalid", "{check:#}");
    }
    let phase = run.phase("a");
    let checks = phase["generator"]["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, CHECKS);
    for check in checks {
        assert!(["ok", "notice"].contains(&check["verdict"].as_str().unwrap()), "{check:#}");
        assert!(check["why"].as_str().unwrap().len() > 20 && !check["value"].as_str().unwrap().is_empty());
    }
    assert_eq!(run.generator_check("a", "load")["value"], "0 % missing");
    assert_eq!(verdict(&run, "target"), "notice");
    // The terminal has one line for all that are ok, and the explanation of each that is not.
    let ok = checks.iter().filter(|check| check["verdict"] == "ok").count();
    let line = format!("\n  generator: {ok} of {} checks ok: send lag p99 ", CHECKS.len());
    assert!(run.stdout.contains(&line), "no `{line}` in {}", run.stdout);
    let of_phase = run.stdout.split("\nb · ").next().unwrap();
    let explained = of_phase.lines().filter(|line| line.contains(", notice: ")).count();
    assert_eq!(explained, CHECKS.len() - ok, "{}", run.stdout);
    assert!(run.stdout.contains("\n  target, notice: the target is on this machine"), "{}", run.stdout);
}

#[test]
fn a_generator_stopped_for_two_seconds_blames_no_target() {
    let target = Target::fast();
    let running = Runner::plan(&open("100/s", "6s", 4)).against(&target).objectives(FAST).start();
    target.wait_for(100);
    running.signal(Signal::STOP);
    // The length of the stop is the input of this test.
    std::thread::sleep(Duration::from_secs(2));
    running.signal(Signal::CONT);
    let run = running.end().exits(3);
    assert_eq!(verdict(&run, "stalls"), "notice");
    assert!(run.stdout.contains("\n  stalls, notice: the heartbeat of a worker"), "{}", run.stdout);
    assert_adds_up(&run.phase("a"));
    assert_eq!(target.count(), 600);
    assert!(number(&run.objective("Fast")["observed"]) > 200.0);
    assert_not_blamed(&run);
    // The kernel knows when the responses arrived that were read two seconds later.
    let service = &run.phase("a")["operations"][0]["service_ms"];
    assert!(number(&service["max"]) < 1000.0, "{service}");
    assert_eq!(run.generator_check("a", "arrival times")["value"], "by the kernel");
}

#[test]
fn a_stopped_generator_aborts_no_run() {
    let target = Target::fast();
    let max = format!("{FAST}\nstatistic = \"max\"\nabort = true");
    let running = Runner::plan(&open("20/s", "6s", 4)).against(&target).objectives(&max).start();
    target.wait_for(40);
    running.signal(Signal::STOP);
    // The length of the stop is the input of this test.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::CONT);
    let run = running.end().exits(3);
    assert_eq!((&run.report()["ended_early"], target.count()), (&Value::Null, 120));
    assert_not_blamed(&run);
}

#[test]
fn a_stop_in_the_warm_up_is_not_blamed_on_the_target() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(105)));
    let plan = open("50/s", "9s", 6).replace("mix =", "warmup = \"3s\"\nmix =");
    let running = Runner::plan(&plan).against(&target).objectives(FAST).start();
    target.wait_for(50);
    running.signal(Signal::STOP);
    // The length of the stop is the input of this test.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::CONT);
    let run = running.end().exits(3);
    assert_not_blamed(&run);
}

#[test]
fn a_generator_starved_of_cpu_still_finds_a_slow_target() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(400)));
    let core = some_core();
    let before = sched_getaffinity(None).unwrap();
    let neighbours = Neighbours::on(core, 8);
    stay_on(core);
    let running =
        Runner::plan(&open("200/s", "2s", 100)).against(&target).objectives(FAST).with("--workers 1").start();
    sched_setaffinity(None, &before).unwrap();
    let run = running.end().exits(1);
    drop(neighbours);
    assert_eq!(run.objective("Fast")["verdict"], "missed");
    let check = run.generator_check("a", "processor");
    let why = check["why"].to_string();
    assert!(check["verdict"] == "notice" && why.contains("it waited"), "{check:#}");
}

#[test]
fn a_slow_target_is_not_blamed_on_the_generator() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(300)));
    let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"";
    let run = Runner::plan(&open("100/s", "3s", 4))
        .against(&target)
        .target("timeout = \"1s\"")
        .objectives(failed)
        .run()
        .exits(1);
    let phase = run.phase("a");
    assert_adds_up(&phase);
    assert!(count(&phase["dropped"]) > 100, "{phase:#}");
    for check in CHECKS {
        assert_ne!(verdict(&run, check), "invalid", "{check}");
    }
    assert_eq!(run.generator_check("a", "load")["value"], "0 % missing");
    assert_eq!(run.objective("Failed")["verdict"], "missed");
}
