//! Verdicts against a target with exactly known delays.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use runner_test_support::ran::{Ran, count, number};
use runner_test_support::target::{Answer, Target};

use super::runner::Runner;

/// The share of slow requests that a p95 allows.
const ALLOWED: f64 = 0.05;
const P95: &str =
    "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nstatistic = \"p95\"\nmaximum = \"200ms\"";
const ABORTING: &str =
    "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"200ms\"\nabort = true";
const SLOW: Duration = Duration::from_millis(400);

fn plan(duration: &str, arrivals: &str) -> Runner {
    Runner::plan(&format!(
        "[[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = 300\nmix = {{ any = 1 }}\n\
         arrivals = \"{arrivals}\"\n[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\""
    ))
}

/// A target that answers each request slowly with this probability.
fn slow_by_chance(share: f64, seed: u64) -> Target {
    Target::scripted(move |number, _| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed << 32 | number as u64);
        answer(random.random::<f64>() < share)
    })
}

/// A target with slow spells of ten seconds on average, in which half of the requests are slow, at `rate` requests/s.
///
/// It uses the first seed with which the spells take the intended share of the time, within 5 %.
fn slow_in_spells(share: f64, rate: usize, seconds: usize) -> Target {
    let part = share / 0.5;
    let typical = |spells: &Vec<bool>| {
        let slow = spells.iter().filter(|slow| **slow).count() as f64 / spells.len() as f64;
        (slow / part - 1.0).abs() < 0.05
    };
    let (seed, spells) =
        (1..).map(|seed| (seed, spells(part, seconds, seed))).find(|(_, spells)| typical(spells)).unwrap();
    Target::scripted(move |number, _| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed << 32 | number as u64);
        answer(spells[(number / rate).min(seconds)] && random.random::<f64>() < 0.5)
    })
}

/// Whether each second is in a spell; on average this part of all seconds is.
fn spells(part: f64, seconds: usize, seed: u64) -> Vec<bool> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut in_spell = random.random::<f64>() < part;
    let seconds = (0..=seconds).map(|_| {
        let change = if in_spell { 0.1 } else { 0.1 * part / (1.0 - part) };
        in_spell ^= random.random::<f64>() < change;
        in_spell
    });
    seconds.collect()
}

fn answer(slow: bool) -> Answer {
    if slow { Answer::Late(200, SLOW) } else { Answer::Status(200) }
}

/// The exit codes of twenty runs of 5 s with 200 requests a second.
fn codes(share: f64) -> Vec<i32> {
    let runs = (1000..1020).map(|seed| {
        let target = slow_by_chance(share, seed);
        let run = plan("5s", "200/s").against(&target).objectives(P95).with("--workers 1").run();
        assert!(run.code == 0 || run.objective("Fast")["why"].as_str().unwrap().contains("1 000 requests"));
        run.code
    });
    runs.collect()
}

fn of(codes: &[i32], code: i32) -> usize {
    codes.iter().filter(|other| **other == code).count()
}

#[test]
fn half_the_allowed_share_never_breaches_and_mostly_passes() {
    let codes = codes(0.5 * ALLOWED);
    assert_eq!(of(&codes, 0) + of(&codes, 3), 20, "{codes:?}");
    assert!(of(&codes, 0) > 10, "{codes:?}");
}

#[test]
fn exactly_the_allowed_share_is_mostly_inconclusive() {
    let codes = codes(ALLOWED);
    assert!(of(&codes, 3) > 10, "{codes:?}");
    assert_eq!(of(&codes, 0) + of(&codes, 1) + of(&codes, 3), 20, "{codes:?}");
}

#[test]
fn twice_the_allowed_share_never_passes_and_mostly_breaches() {
    let codes = codes(2.0 * ALLOWED);
    assert_eq!(of(&codes, 1) + of(&codes, 3), 20, "{codes:?}");
    assert!(of(&codes, 1) > 10, "{codes:?}");
}

#[test]
fn a_long_run_with_slow_spells_gets_no_wrong_verdict() {
    for (times, allowed) in [(0.5, [0, 3]), (1.0, [3, 3]), (2.0, [1, 3])] {
        let target = slow_in_spells(times * ALLOWED, 20, 1000);
        let run = plan("1000s", "20/s").against(&target).objectives(P95).with("--workers 1").run();
        assert!(
            allowed.contains(&run.code),
            "{times} times what is allowed: exit {}: {}",
            run.code,
            run.objective("Fast")["why"]
        );
    }
}

#[test]
fn quick_failures_do_not_make_a_fast_target() {
    let target = Target::scripted(|number, _| Answer::Status(if number % 10 == 0 { 200 } else { 500 }));
    let run = plan("5s", "200/s").against(&target).objectives(P95).run().exits(3);
    let objective = run.objective("Fast");
    assert_eq!(
        (&objective["verdict"], &objective["tier"]),
        (&"inconclusive".into(), &serde_json::Value::Null)
    );
    let why = objective["why"].as_str().unwrap();
    assert!(why.contains("900 failed without a response time"), "{why}");
}

#[test]
fn an_operation_that_was_never_reached_exits_3() {
    let steps = "[[phases]]\nname = \"a\"\nduration = \"4s\"\nusers = 20\nmix = { any = 1 }\narrivals = \"50/s\"\n\
                 [[users.any.tasks]]\nsteps = [{ operation = \"first\", request = \"GET /a\" }, \
                 { operation = \"get\", request = \"GET /b\" }]";
    let target = Target::always(Answer::Status(500));
    let run = Runner::plan(steps).against(&target).objectives(P95).run().exits(3);
    assert_eq!(target.count_of("GET /b"), 0);
    let objective = run.objective("Fast");
    assert_eq!((&objective["verdict"], count(&objective["samples"])), (&"no data".into(), 0));
}

#[test]
fn users_that_cannot_start_exit_3() {
    let plan = "[[phases]]\nname = \"a\"\nduration = \"4s\"\nusers = 20\nmix = { any = 1 }\n[users.any]\n\
                wait = \"100ms\"\non_start = [{ request = \"POST /login\" }]\n\
                [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"";
    let target = Target::scripted(|_, received| {
        Answer::Status(if received.what.starts_with("POST") { 503 } else { 200 })
    });
    let run = Runner::plan(plan).against(&target).objectives(P95).run().exits(3);
    assert_eq!(target.count_of("GET /"), 0);
    assert_eq!(run.objective("Fast")["verdict"], "no data");
}

#[test]
fn throughput_of_users_that_cannot_start_has_no_data() {
    let plan = "[[phases]]\nname = \"a\"\nduration = \"4s\"\nusers = 20\nmix = { any = 1 }\n[users.any]\n\
                wait = \"100ms\"\non_start = [{ request = \"POST /login\" }]\n\
                [[users.any.tasks]]\nrequest = \"GET /\"";
    let some = "[[throughput]]\nname = \"Some\"\nscenarios = [\"a\"]\nminimum = \"10/s\"";
    let target = Target::always(Answer::Status(503));
    let run = Runner::plan(plan).against(&target).objectives(some).run().exits(3);
    assert_eq!(run.objective("Some")["verdict"], "no data");
}

#[test]
fn an_observed_pass_says_that_it_is_not_proven() {
    let target = Target::fast();
    let run = plan("2s", "20/s")
        .against(&target)
        .objectives(P95)
        .with("--set gate.decision=observed")
        .run()
        .exits(0);
    let told = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.ends_with("observed, not proven; exit 0)"), "{}", run.stdout);
    assert_eq!((&run.report()["decision"], &run.report()["verdict"]), (&"observed".into(), &"passed".into()));
    assert!(run.objective("Fast")["why"].as_str().unwrap().ends_with("within maximum; observed, not proven"));
}

fn ended_early(run: &Ran) -> serde_json::Value {
    run.report()["ended_early"].clone()
}

#[test]
fn a_missed_maximum_aborts_the_run_at_once() {
    let later =
        "[[phases]]\nname = \"b\"\nduration = \"60s\"\nusers = 5\nmix = { any = 1 }\narrivals = \"10/s\"\n";
    let plan = format!(
        "[[phases]]\nname = \"a\"\nduration = \"60s\"\nusers = 5\nmix = {{ any = 1 }}\narrivals = \"50/s\"\n{later}\
         [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\""
    );
    let max = ABORTING.replace("abort", "statistic = \"max\"\nphases = [\"a\"]\nabort");
    let target = Target::scripted(|number, _| answer(number == 60));
    let run = Runner::plan(&plan).against(&target).objectives(&max).run().exits(1);
    let ended = ended_early(&run);
    assert_eq!(
        (&ended["by"], &ended["objective"], &ended["phase"]),
        (&"abort".into(), &"Fast".into(), &"a".into())
    );
    assert!(ended["why"].as_str().unwrap().contains("1 of "), "{ended}");
    assert!(number(&run.phase("a")["ran_s"]) < 10.0);
    assert_eq!(run.report()["phases"].as_array().unwrap().len(), 1);
    assert!(run.stdout.contains("ended early: in `a`"), "{}", run.stdout);
}

#[test]
fn only_a_broken_target_aborts_after_300_judged_seconds() {
    let [broken, healthy] = [2.0, 0.5].map(|times| {
        let target = slow_by_chance(times * ALLOWED, 3);
        plan("330s", "20/s").against(&target).objectives(ABORTING).with("--workers 1").run()
    });
    let broken = broken.exits(1);
    assert_eq!(ended_early(&broken)["by"], "abort");
    assert!((300.0..312.0).contains(&number(&broken.phase("a")["ran_s"])));
    assert_eq!(ended_early(&healthy.exits(0)), serde_json::Value::Null);
}

/// Two requests of five succeed.
fn collapsed() -> Target {
    Target::scripted(|number, _| Answer::Status(if number % 5 < 2 { 200 } else { 503 }))
}

/// A phase `a` with a warm-up of 100 s, and a phase `evening` after it.
fn two_phases() -> Runner {
    let phase = |name: &str| {
        format!(
            "[[phases]]\nname = \"{name}\"\nduration = \"120s\"\nwarmup = \"100s\"\nusers = 300\nmix = {{ any = 1 }}\n\
             arrivals = \"10/s\"\n"
        )
    };
    Runner::plan(&format!(
        "{}{}[[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"",
        phase("a"),
        phase("evening")
    ))
}

#[test]
fn a_minute_of_mostly_failures_is_a_collapse() {
    let run = plan("120s", "10/s").against(&collapsed()).objectives(P95).run().exits(1);
    let ended = ended_early(&run);
    assert_eq!((&ended["by"], &ended["objective"]), (&"breaker".into(), &serde_json::Value::Null));
    assert!((60.0..70.0).contains(&number(&run.phase("a")["ran_s"])), "{}", run.phase("a")["ran_s"]);
    let why = ended["why"].as_str().unwrap();
    assert!(
        why.starts_with("the target collapsed: 2") && why.contains(" requests succeeded in the last 60 s"),
        "{why}"
    );
    assert!(run.stdout.contains(&format!("  missed: a · {why}")), "{}", run.stdout);
}

#[test]
fn a_collapse_in_the_warm_up_is_missed_and_shows_the_phase() {
    let run = two_phases().against(&collapsed()).objectives(P95).run().exits(1);
    let phase = run.phase("a");
    assert_eq!(
        (number(&phase["judged_s"]), run.objective("Fast")["verdict"].as_str()),
        (0.0, Some("no data"))
    );
    // What is known of the phase is shown: the times of its answers, and why it failed.
    assert!(number(&phase["operations"][0]["response_ms"]["p50"]) >= 0.0, "{phase:#}");
    assert!(phase["causes"][0].as_str().unwrap().contains("failed (status 5xx)"), "{phase:#}");
    let not_run = &run.report()["not_run"];
    assert_eq!((&not_run[0]["name"], count(&not_run[0]["gated_objectives"])), (&"evening".into(), 1));
    assert!(run.stdout.contains("did not run: `evening` (1 gated objective)"), "{}", run.stdout);
    let last = run.report()["objectives"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["phase"], &last["verdict"]), (&"evening".into(), &"not judged".into()));
}

#[test]
fn without_a_gate_a_collapse_ends_the_run_and_misses_nothing() {
    let run = two_phases().against(&collapsed()).run().exits(3);
    assert_eq!(ended_early(&run)["by"], "breaker");
    assert!(run.stdout.contains("  ended early: a · the target collapsed"), "{}", run.stdout);
}

#[test]
fn arrivals_without_users_are_no_collapse_while_answers_are_fast() {
    let target = Target::always(Answer::Late(200, Duration::from_millis(100)));
    let few = |maximum: &str| {
        let plan = "[[phases]]\nname = \"a\"\nduration = \"120s\"\nusers = 1\nmix = { any = 1 }\narrivals = \"30/s\"\n\
                    [[users.any.tasks]]\noperation = \"get\"\nrequest = \"GET /\"";
        let objective =
            format!("[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"{maximum}\"");
        Runner::plan(plan).target("timeout = \"1s\"").against(&target).objectives(&objective).run().exits(1)
    };
    assert_eq!(ended_early(&few("500ms")), serde_json::Value::Null);
    assert_eq!(ended_early(&few("50ms"))["by"], "breaker");
}

/// A target that answers nothing from second 10 until second 15 of an open phase of 10/s, and all that waited then.
fn frozen_for_5_s(number: usize) -> Answer {
    let at = Duration::from_millis(100 * number as u64);
    let waits = Duration::from_secs(15).checked_sub(at).filter(|_| at >= Duration::from_secs(10));
    Answer::Late(200, waits.unwrap_or(Duration::from_millis(5)))
}

#[test]
fn a_silence_is_named_with_its_time_in_a_passed_run_too() {
    let causes = |maximum: &str, code: i32| {
        let target = Target::scripted(|number, _| frozen_for_5_s(number));
        let objective =
            format!("[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\nmaximum = \"{maximum}\"");
        let run = plan("60s", "10/s").against(&target).objectives(&objective).run().exits(code);
        run.phase("a")["causes"].as_array().unwrap().clone()
    };
    for causes in [causes("20ms", 3), causes("6s", 0)] {
        let first = causes[0].as_str().unwrap();
        assert!(
            first.starts_with("no answers for 5s, ") && first.contains(" UTC; 50 requests were waiting"),
            "{first}"
        );
    }
}

#[test]
fn a_target_that_stops_answering_is_named_with_the_time_since() {
    let target = Target::scripted(|number, _| if number < 100 { Answer::Status(200) } else { Answer::Never });
    let run = plan("40s", "10/s").target("timeout = \"1s\"").against(&target).objectives(P95).run().exits(1);
    let causes = run.phase("a")["causes"].clone();
    assert!(causes[0].as_str().unwrap().starts_with("no answer in the last 30s, from "), "{causes:#}");
    assert!(causes[1].as_str().unwrap().contains("got no response within their timeout"), "{causes:#}");
    assert_eq!(causes.as_array().unwrap().len(), 2, "{causes:#}");
}

#[test]
fn with_each_an_operation_is_not_hidden_by_the_others() {
    let plan = "[[phases]]\nname = \"a\"\nduration = \"60s\"\nusers = 300\nmix = { any = 1 }\narrivals = \"20/s\"\n\
                [[users.any.tasks]]\noperation = \"common\"\nrequest = \"GET /a\"\nweight = 9\n\
                [[users.any.tasks]]\noperation = \"rare\"\nrequest = \"GET /b\"";
    let target =
        Target::scripted(|_, request| Answer::Status(if request.what == "GET /b" { 500 } else { 200 }));
    let failed = |each: bool| {
        let objective = format!(
            "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"20%\"\neach = {each}"
        );
        Runner::plan(plan).against(&target).objectives(&objective).run()
    };
    let pooled = failed(false).exits(0);
    assert_eq!(pooled.objective("Failed")["verdict"], "met");
    let run = failed(true).exits(1);
    let verdict = |name| run.objective(name)["verdict"].clone();
    assert_eq!((verdict("Failed: common"), verdict("Failed: rare")), ("met".into(), "missed".into()));
}

#[test]
fn an_error_rate_that_may_be_meant_as_success_rate_warns() {
    let objective = "[[error_rate]]\nname = \"Worked\"\noperations = [\"*\"]\nmaximum = \"99%\"";
    let run = plan("60s", "20/s")
        .against(&Target::always(Answer::Status(200)))
        .objectives(objective)
        .run()
        .exits(0);
    assert!(
        run.stderr.contains("warning[W007]: an error rate of 99 % lets most requests fail"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("`1%` if 99 % of the requests must succeed"), "{}", run.stderr);
}
