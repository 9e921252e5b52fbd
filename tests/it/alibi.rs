//! The load generator is a suspect until it has an alibi.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runner_test_support::ran::{Ran, assert_adds_up, count, number};
use runner_test_support::target::{Answer, Target};
use rustix::process::Signal;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use crate::runner::Runner;

const CHECKS: [&str; 11] = [
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
];
const THROUGHPUT: &str = "[[throughput]]\nname = \"Some\"\nscenarios = [\"a\"]\nminimum = \"0.1/s\"";

const FAST: &str = "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"200ms\"";

/// A phase with arrivals at this rate.
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

/// The target is not blamed for anything.
#[track_caller]
fn assert_not_blamed(run: &Ran, check: &str) {
    let objective = run.objective("Fast");
    assert_eq!((&objective["verdict"], &objective["tier"]), (&"inconclusive".into(), &Value::Null));
    let why = objective["why"].as_str().unwrap();
    assert!(why.contains("the generator may have shaped this") && why.contains(check), "{why}");
}

/// Threads that never rest, on one core; they end when this is dropped.
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

/// Keeps this thread, and what it starts, on one core.
fn stay_on(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).unwrap();
}

/// A core that this thread may use.
fn some_core() -> usize {
    let cores = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).find(|core| cores.is_set(*core)).unwrap()
}

#[test]
fn every_check_is_in_the_report_of_an_ordinary_run() {
    let target = Target::fast();
    let run = Runner::plan(&open("100/s", "4s", 4)).against(&target).objectives(THROUGHPUT).run().exits(0);
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
    let lines: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    for check in checks {
        let row = ["name", "value", "verdict"].map(|key| check[key].as_str().unwrap());
        assert!(lines.iter().any(|line| line[..] == row), "{row:?} in {}", run.stdout);
    }
    assert!(run.stdout.contains("\n  target, notice: the target is on this machine"), "{}", run.stdout);
}

#[test]
fn a_generator_that_was_stopped_for_two_seconds_is_4() {
    let target = Target::fast();
    let running = Runner::plan(&open("100/s", "6s", 4)).against(&target).objectives(FAST).start();
    target.wait_for(100);
    running.signal(Signal::STOP);
    // How long it is stopped is what is tested.
    std::thread::sleep(Duration::from_secs(2));
    running.signal(Signal::CONT);
    let run = running.end().exits(4);
    assert_eq!(run.report()["verdict"], "invalid");
    let stalls = run.generator_check("a", "stalls");
    assert_eq!(stalls["verdict"], "invalid");
    assert!(run.stdout.contains("\n  stalls, invalid: the heartbeat of a worker"), "{}", run.stdout);
    assert_adds_up(&run.phase("a"));
    assert_eq!(target.count(), 600);
    assert!(number(&run.objective("Fast")["observed"]) > 200.0);
    assert_not_blamed(&run, "stalls");
}

#[test]
fn what_the_generator_shaped_ends_no_run() {
    let target = Target::fast();
    let max = format!("{FAST}\nstatistic = \"max\"\nabort = true");
    let running = Runner::plan(&open("20/s", "6s", 4)).against(&target).objectives(&max).start();
    target.wait_for(40);
    running.signal(Signal::STOP);
    // As long as is tested.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::CONT);
    let run = running.end().exits(4);
    assert_eq!((&run.report()["ended_early"], target.count()), (&Value::Null, 120));
    assert_not_blamed(&run, "stalls");
}

#[test]
fn a_stop_in_the_warm_up_is_not_blamed_on_the_target_whose_backlog_it_makes() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(105)));
    let plan = open("50/s", "9s", 6).replace("mix =", "warmup = \"3s\"\nmix =");
    let running = Runner::plan(&plan).against(&target).objectives(FAST).start();
    target.wait_for(50);
    running.signal(Signal::STOP);
    // As long as is tested.
    std::thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::CONT);
    let run = running.end().exits(4);
    assert_not_blamed(&run, "stalls");
}

#[test]
fn a_generator_starved_by_its_neighbours_is_4_and_says_what_it_lacked() {
    let target = Target::fast();
    let core = some_core();
    let before = sched_getaffinity(None).unwrap();
    let neighbours = Neighbours::on(core, 8);
    stay_on(core);
    let running = Runner::plan(&open("8000/s", "4s", 100))
        .against(&target)
        .objectives(&format!("{FAST}\n{}", THROUGHPUT.replace("0.1/s", "7900/s")))
        .with("--workers 1")
        .start();
    sched_setaffinity(None, &before).unwrap();
    let run = running.end().exits(4);
    drop(neighbours);
    let checks = run.phase("a")["generator"]["checks"].clone();
    assert_eq!(verdict(&run, "processor"), "invalid", "{checks:#}");
    let why = run.generator_check("a", "processor")["why"].to_string();
    assert_not_blamed(&run, "processor");
    assert_eq!(run.objective("Some")["verdict"], "inconclusive");
    assert!(why.contains("it waited") && why.contains("use a faster or less busy machine"), "{why}");
}

#[test]
fn a_slow_target_is_never_the_generators_fault() {
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
