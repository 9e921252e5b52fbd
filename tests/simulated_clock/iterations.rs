//! Phases with a number of tasks (`iterations`) instead of a duration.

use std::collections::BTreeMap;
use std::time::Duration;

use runner_test_support::ran::{Ran, assert_adds_up, count, named, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

/// A class whose task is one request of its user.
const ONE: &str = "[[users.any.tasks]]\noperation = \"task\"\nrequest = \"GET /${user()}\"\n";

/// A phase `a` with these keys.
fn phase(keys: &str) -> String {
    format!("[[phases]]\nname = \"a\"\nmix = {{ any = 1 }}\n{keys}\n")
}

/// The number of requests of each path.
fn by_path(target: &Target) -> BTreeMap<String, usize> {
    let mut paths = BTreeMap::new();
    target.whats().into_iter().for_each(|what| *paths.entry(what).or_default() += 1);
    paths
}

/// Asserts that phase `a` did this many tasks, all that were planned.
#[track_caller]
fn assert_all_done(run: &Ran, tasks: usize) {
    let phase = run.phase("a");
    assert_adds_up(&phase);
    let iterations = ["planned", "started"].map(|key| count(&phase["iterations"][key]));
    assert_eq!(iterations, [tasks, tasks]);
}

#[test]
fn a_closed_phase_ends_with_its_last_task() {
    for workers in [1, 3] {
        let target = Target::always(Answer::Late(200, Duration::from_millis(20)));
        let plan = phase("users = 4\niterations = 103") + "[users.any]\nwait = \"1s\"\n" + ONE;
        let run = Runner::plan(&plan).against(&target).with(&format!("--workers {workers}")).run().exits(0);
        assert_all_done(&run, 103);
        let shares = [("GET /0", 26), ("GET /1", 26), ("GET /2", 26), ("GET /3", 25)];
        assert_eq!(by_path(&target), shares.map(|(path, count)| (path.to_owned(), count)).into());
        // 26 tasks of 20 ms, and a second between two of them.
        let phase = run.phase("a");
        assert!((number(&phase["ran_s"]) - 25.52).abs() < 0.1, "{phase:#}");
        assert_eq!(number(&phase["judged_s"]), number(&phase["ran_s"]));
        assert!(phase["planned_s"].is_null(), "{phase:#}");
        assert!(run.stdout.contains("103 of 103 iterations"), "{}", run.stdout);
    }
}

#[test]
fn starts_stops_and_steps_are_extra() {
    let target = Target::fast();
    let class = "[users.any]\non_start = [{ operation = \"start\", request = \"GET /start\" }]\n\
                 on_stop = [{ operation = \"stop\", request = \"GET /stop\" }]\n[[users.any.tasks]]\n\
                 steps = [{ request = \"GET /one\" }, { request = \"GET /two\" }]\n";
    let run = Runner::plan(&(phase("users = 3\niterations = 10") + class)).against(&target).run().exits(0);
    assert_all_done(&run, 10);
    let sent = [("GET /start", 3), ("GET /one", 10), ("GET /two", 10), ("GET /stop", 3)];
    assert_eq!(by_path(&target), sent.map(|(path, count)| (path.to_owned(), count)).into());
    assert!(run.took < Duration::from_secs(2), "users leave at once: {:?}", run.took);
}

#[test]
fn classes_share_the_tasks_as_they_share_the_users() {
    let target = Target::fast();
    let phases = "[[phases]]\nname = \"a\"\nmix = { any = 3, other = 1 }\nusers = 8\niterations = 80\n";
    let other = "[[users.other.tasks]]\nrequest = \"GET /other\"\n";
    let run = Runner::plan(&format!("{phases}{ONE}{other}")).against(&target).run().exits(0);
    assert_all_done(&run, 80);
    assert_eq!(by_path(&target)["GET /other"], 20);
}

#[test]
fn an_open_phase_has_exactly_its_arrivals() {
    for (arrivals, seconds) in [
        ("arrivals = \"60/s\"", 33.333),
        ("arrivals = \"60/s\"\nspacing = \"poisson\"", 33.333),
        ("arrivals = { from = \"20/s\", to = \"80/s\" }\nspacing = \"poisson\"", 40.0),
        // Over a ramp of 2 s the rate rises from zero.
        ("arrivals = \"60/s\"\nspawn_rate = 20", 34.333),
    ] {
        for workers in [1, 2] {
            let target = Target::fast();
            let plan = phase(&format!("users = 40\niterations = 2000\n{arrivals}")) + ONE;
            let with = format!("--workers {workers} --seed 9");
            let run = Runner::plan(&plan).against(&target).with(&with).run().exits(0);
            assert_all_done(&run, 2000);
            assert_eq!(target.count(), 2000, "{arrivals}");
            let phase = run.phase("a");
            assert_eq!(count(&phase["arrivals"]["scheduled"]), 2000);
            assert!((number(&phase["planned_s"]) - seconds).abs() < 0.001, "{arrivals}: {phase:#}");
        }
    }
}

#[test]
fn a_phase_that_reaches_its_longest_time_passes_nothing() {
    let limits =
        "[[response_time]]\nname = \"Fast\"\noperations = [\"*\"]\nstatistic = \"max\"\nmaximum = \"5s\"\n";
    let keys = "users = 2\niterations = 100\nmax_duration = \"10s\"";
    let plan = phase(keys) + "[users.any]\nwait = { pace = \"1s\" }\n" + ONE;
    let run = |warn: &str| {
        let with = format!("--set gate.decision=observed {warn}");
        Runner::plan(&plan).against(&Target::fast()).objectives(limits).with(&with).run()
    };
    let failed = run("").exits(3);
    let told = "only 20 of the 100 iterations of `a` began within its `max_duration` of 10s";
    assert!(failed.stdout.replace('\n', " ").contains("only 20 of the 100 iterations"), "{}", failed.stdout);
    let notices = failed.report()["notices"].to_string();
    assert!(notices.contains(told), "{notices}");
    assert_eq!(count(&failed.phase("a")["requests"]), 20);
    run("--set gate.inconclusive=warn").exits(0);
    run("--exit-zero-on inconclusive").exits(0);
}

#[test]
fn objectives_of_a_phase_with_iterations_are_judged_up_to_its_end() {
    let limits = "[[throughput]]\nname = \"Rate\"\nscenarios = [\"a\"]\nminimum = \"1.9/s\"\n\
                  [[response_time]]\nname = \"Fast\"\noperations = [\"task\"]\nstatistic = \"p95\"\nmaximum = \"1s\"\n";
    let plan = phase("users = 2\niterations = 240") + "[users.any]\nwait = { pace = \"1s\" }\n" + ONE;
    let run = Runner::plan(&plan).against(&Target::fast()).objectives(limits).run().exits(0);
    let report = run.report();
    assert_eq!(report["verdict"], "passed");
    let fast = named(&report["objectives"], "Fast");
    assert_eq!(count(&fast["samples"]), 240);
}

#[test]
fn a_rehearsal_ends_after_its_time_or_with_the_tasks() {
    let plan = |iterations: u32| {
        phase(&format!("users = 2\nwarmup = \"1m\"\niterations = {iterations}"))
            + "[users.any]\nwait = { pace = \"1s\" }\n"
            + ONE
    };
    // Ramps, warm-ups and intervals shrink in proportion to the time of the waits, which is about 500 s here.
    let limits = "[[throughput]]\nname = \"Rate\"\nscenarios = [\"a\"]\nminimum = \"1/s\"\nevery = \"2m\"\n";
    let judged = Runner::plan(&plan(1000)).against(&Target::fast()).objectives(limits).with("--rehearse 10s");
    assert_eq!(judged.run().exits(0).objective("Rate")["verdict"], "met");
    let long = Runner::plan(&plan(1000)).against(&Target::fast()).with("--rehearse 10s").run().exits(0);
    let phase = long.phase("a");
    assert_eq!((number(&phase["ran_s"]), number(&phase["judged_s"])), (10.0, 8.0));
    let short = Runner::plan(&plan(8)).against(&Target::fast()).with("--rehearse 10s").run().exits(0);
    assert_eq!(count(&short.phase("a")["requests"]), 8);
    assert!(short.took < Duration::from_secs(5), "{:?}", short.took);
}

#[test]
fn an_interrupt_ends_a_phase_with_iterations() {
    let plan = phase("users = 2\niterations = 1000") + "[users.any]\nwait = { pace = \"1s\" }\n" + ONE;
    let stop = (Duration::from_millis(10_500), crate::gate::Signal::Interrupt);
    let run = Runner::plan(&plan).against(&Target::fast()).signal(stop.0, stop.1).run().exits(130);
    let phase = run.phase("a");
    assert!((number(&phase["ran_s"]) - 10.5).abs() < 0.1, "{phase:#}");
    assert_eq!(["planned", "started"].map(|key| count(&phase["iterations"][key])), [1000, 22]);
}
