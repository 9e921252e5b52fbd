//! Tests of the generator's checks, on both sides of each limit.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::diagnostic::{Problems, render};
use crate::measure::generator_health::WorkerHealth;
use crate::measure::histogram::SparseHistogram;
use crate::plan::{Environment, Settings};

/// A plan with one phase of 100 s, and its objectives.
struct CheckFixture {
    plan: Plan,
    objectives: Vec<Objective>,
}

impl CheckFixture {
    /// Adds these keys of the phase, tables of users, and objectives.
    fn new(phase: &str, users: &str, objectives: &str) -> Self {
        let text = format!(
            "name = \"g\"\ntarget.url = \"http://127.0.0.1:1\"\nthresholds = [\"t.toml\"]\n\
             [[phases]]\nname = \"p\"\nduration = \"100s\"\nusers = 10\nmix = {{ u = 1 }}\n{phase}\n{users}"
        );
        let failed = "[[error_rate]]\nname = \"Failed\"\noperations = [\"*\"]\nmaximum = \"1%\"\n";
        let objectives = format!("{failed}{objectives}");
        let read = |path: &Path| {
            let text = if path.ends_with("t.toml") { &objectives } else { &text };
            Ok(text.as_bytes().to_vec())
        };
        let environment = Environment { read: &read, variable: &|_| None };
        let mut problems = Problems::default();
        let loaded =
            crate::plan::load(Path::new("plans/g.toml"), &Settings::default(), &environment, &mut problems);
        let compiled =
            crate::slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
        let Some(plan) = loaded.plan else { panic!("{}", render(&problems, false)) };
        Self { plan, objectives: compiled.all }
    }

    fn open() -> Self {
        Self::new("arrivals = \"10/s\"", TASK, "")
    }

    #[track_caller]
    fn check(&self, name: &str, summary: &PhaseSummary) -> Check {
        let context = CheckContext { plan: &self.plan, objectives: &self.objectives, target_is_local: false };
        let checks = checks(context, PhaseId(0), summary);
        checks.into_iter().find(|check| check.name == name).expect("every check is made")
    }

    #[track_caller]
    fn verdict(&self, name: &str, summary: &PhaseSummary) -> CheckVerdict {
        self.check(name, summary).verdict
    }
}

use CheckVerdict::{Invalid, Notice, Ok as Fine};

const TASK: &str = "[[users.u.tasks]]\noperation = \"get\"\nrequest = \"GET /\"";

/// A phase of 100 s without a fault, all of it judged.
fn healthy() -> PhaseSummary {
    PhaseSummary { ran: Some(Duration::from_secs(100)), judged_seconds: 100.0, ..PhaseSummary::default() }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Requests with these lags, each as (microseconds, number of requests).
fn lagging(lags: &[(u64, u64)]) -> PhaseSummary {
    let mut summary = healthy();
    for (micros, count) in lags {
        let mut counts = SparseHistogram::default();
        (0..*count).for_each(|_| counts.record(Duration::from_micros(*micros)));
        summary.send_lag.add(&counts);
    }
    summary
}

fn worker(worker: WorkerHealth) -> PhaseSummary {
    let mut summary = healthy();
    summary.health.workers.insert(0, WorkerHealth::default());
    summary.health.workers.insert(1, worker);
    summary
}

/// The same without a stamp of the kernel on any response.
fn unstamped(mut summary: PhaseSummary) -> PhaseSummary {
    summary.health.unstamped = 100;
    summary
}

#[test]
fn send_lag_is_compared_with_the_tightest_gated_time_limit() {
    let limit = |limit: &str| {
        let objectives = format!(
            "[[response_time]]\nname = \"Fast\"\noperations = [\"get\"]\ntarget = \"1ms\"\nmaximum = \"{limit}\"\n\
             [[response_time]]\nname = \"Shown\"\noperations = [\"get\"]\nmaximum = \"10ms\"\ngate = false"
        );
        CheckFixture::new("arrivals = \"10/s\"", TASK, &objectives)
    };
    let none = CheckFixture::open();
    let (hundred, ten) = (limit("100ms"), limit("10ms"));
    let verdicts = |fixture: &CheckFixture, lags: [u64; 2]| {
        lags.map(|micros| fixture.verdict("send lag", &lagging(&[(micros, 1000)])))
    };
    assert_eq!(verdicts(&none, [9_900, 10_100]), [Fine, Notice]);
    assert_eq!(verdicts(&hundred, [4_990, 5_010]), [Fine, Notice]);
    assert_eq!(verdicts(&ten, [1_990, 2_010]), [Fine, Notice]);
    assert_eq!(none.verdict("send lag", &healthy()), Fine);
}

#[test]
fn the_99th_percentile_of_the_lag_decides_for_few_requests_too() {
    let fixture = CheckFixture::open();
    let late =
        |late: u64, of: u64| fixture.verdict("send lag", &lagging(&[(1000, of - late), (60_000, late)]));
    assert_eq!([late(1, 20), late(1, 100), late(2, 100)], [Notice, Fine, Notice]);
    assert_eq!([late(10, 1000), late(11, 1000)], [Fine, Notice]);
}

#[test]
fn without_stamps_long_or_many_stalls_excuse_a_breach() {
    let stalls = |stalls: u64, longest: u64, stalled: u64| {
        let (longest, stalled) = (ms(longest), ms(stalled));
        CheckFixture::open().verdict(
            "stalls",
            &unstamped(worker(WorkerHealth { stalls, stalled, longest, ..WorkerHealth::default() })),
        )
    };
    assert_eq!([stalls(0, 0, 0), stalls(1, 51, 51)], [Fine, Notice]);
    assert_eq!([stalls(1, 1000, 1000), stalls(1, 1001, 1001)].map(|verdict| verdict == Invalid), [true; 2]);
    // Outside the judged period only a long stall counts.
    assert_eq!([stalls(0, 1000, 0), stalls(0, 1001, 0)], [Fine, Invalid]);
    // 0.5 % of 100 s are 500 ms.
    assert_eq!([stalls(9, 60, 500), stalls(9, 60, 501)], [Notice, Invalid]);
    let short = PhaseSummary {
        judged_seconds: 10.0,
        ..worker(WorkerHealth { stalls: 1, longest: ms(499), stalled: ms(499), ..WorkerHealth::default() })
    };
    assert_eq!(CheckFixture::open().verdict("stalls", &short), Notice);
    let mut long = PhaseSummary {
        judged_seconds: 1e6,
        ..worker(WorkerHealth { stalls: 1, longest: ms(1001), stalled: ms(1001), ..WorkerHealth::default() })
    };
    assert_eq!(CheckFixture::open().verdict("stalls", &long), Notice);
    long.health.unstamped = 1;
    assert_eq!(CheckFixture::open().check("stalls", &long).excuses, Some(Excused::Breach));
    long.health.stamped = 100;
    assert_eq!(CheckFixture::open().verdict("stalls", &long), Notice);
}

#[test]
fn without_stamps_a_saturated_processor_excuses_a_breach() {
    let seconds = |pressed: u64, saturated: u64, lag: u64| {
        let fared = WorkerHealth {
            seconds: 100,
            pressed,
            saturated,
            cpu: 950,
            delay: Some(510),
            ..WorkerHealth::default()
        };
        let summary = unstamped(PhaseSummary { send_lag: lagging(&[(lag, 1000)]).send_lag, ..worker(fared) });
        CheckFixture::open().verdict("processor", &summary)
    };
    assert_eq!([seconds(0, 0, 20_000), seconds(1, 0, 20_000)], [Fine, Notice]);
    assert_eq!(
        [seconds(20, 20, 20_000), seconds(21, 21, 20_000), seconds(21, 21, 9_000)],
        [Notice, Invalid, Notice]
    );
    assert_eq!(CheckFixture::open().verdict("processor", &healthy()), Fine);
}

#[test]
fn steal_and_throttling_are_notices_then_invalid() {
    let steal = |stolen: u64| {
        let mut summary = healthy();
        (summary.health.machine.ticks, summary.health.machine.stolen) = (10_000, stolen);
        CheckFixture::open().verdict("steal", &summary)
    };
    assert_eq!([steal(200), steal(201), steal(1000), steal(1001)], [Fine, Notice, Notice, Invalid]);
    let throttled = |throttled: u64| {
        let mut summary = healthy();
        (summary.health.machine.periods, summary.health.machine.throttled) = (1000, throttled);
        CheckFixture::open().verdict("throttling", &unstamped(summary))
    };
    assert_eq!([throttled(0), throttled(1), throttled(10), throttled(11)], [Fine, Notice, Notice, Invalid]);
    let unknown = ["steal", "throttling"].map(|name| CheckFixture::open().check(name, &healthy()));
    assert_eq!(
        unknown.each_ref().map(|check| (check.verdict, check.value.as_str())),
        [(Fine, "unknown"), (Fine, "no limit")]
    );
}

#[test]
fn a_value_beyond_a_limit_is_never_shown_as_that_limit() {
    let mut stolen = healthy();
    (stolen.health.machine.ticks, stolen.health.machine.stolen) = (100_000, 10_001);
    let mut late = healthy();
    (late.health.scheduled, late.health.issued) = (100_000, 96_999);
    let poisson = CheckFixture::new("arrivals = \"10/s\"\nspacing = \"poisson\"", TASK, "");
    let shown = [("steal", &stolen), ("load", &late)].map(|(name, summary)| {
        let check = poisson.check(name, summary);
        assert_eq!(check.verdict, Invalid, "{check:?}");
        check.value
    });
    assert_eq!(shown, ["10.001 %", "3.001 % missing"]);
}

#[test]
fn one_local_error_excuses_a_pass() {
    let mut summary = healthy();
    assert_eq!(CheckFixture::open().verdict("local errors", &summary), Fine);
    summary.health.local_errors = 1;
    assert_eq!(CheckFixture::open().check("local errors", &summary).excuses, Some(Excused::Pass));
}

#[test]
fn counts_that_do_not_add_up_are_invalid_and_located() {
    let mut summary = healthy();
    assert_eq!(CheckFixture::open().verdict("conservation", &summary), Fine);
    summary.unbalanced = Some((7, "1 of 3 arrivals were started and 1 dropped".to_owned()));
    let check = CheckFixture::open().check("conservation", &summary);
    assert!(
        check.verdict == Invalid && check.why.starts_with("in second 7, 1 of 3 arrivals were started"),
        "{check:?}"
    );
    summary.unbalanced = None;
    summary.scheduled = 1;
    assert_eq!(CheckFixture::open().verdict("conservation", &summary), Invalid);
}

#[test]
fn arrivals_not_issued_or_starved_are_missing_load() {
    let fixture = CheckFixture::open();
    let issued = |issued: u64, starved: f64| {
        let mut summary = healthy();
        (summary.health.scheduled, summary.health.issued, summary.health.starved) = (1000, issued, starved);
        fixture.verdict("load", &summary)
    };
    assert_eq!(
        [issued(990, 0.0), issued(989, 0.0), issued(970, 0.0), issued(969, 0.0)],
        [Fine, Notice, Notice, Invalid]
    );
    assert_eq!([issued(1000, 30.0), issued(1000, 30.5)], [Notice, Invalid]);
    // Arrivals were dropped while the workers had time to spare, so the target was too slow.
    let mut slow = healthy();
    (slow.scheduled, slow.health.scheduled, slow.health.issued) = (1000, 1000, 1000);
    assert_eq!(fixture.verdict("load", &slow), Fine);
}

#[test]
fn an_interrupted_phase_misses_no_later_load() {
    let mut summary = healthy();
    // At 10/s there are 101 arrivals until 10.04 s, the last of them 40 ms before the stop.
    (summary.ran, summary.judged_seconds) = (Some(ms(10_040)), 10.04);
    (summary.health.scheduled, summary.health.issued) = (100, 100);
    assert_eq!(CheckFixture::open().check("load", &summary).value, "0 % missing");
    summary.health.issued = 96;
    assert_eq!(CheckFixture::open().check("load", &summary).verdict, Invalid);
    let poisson = CheckFixture::new("arrivals = \"10/s\"\nspacing = \"poisson\"", TASK, "");
    (summary.health.scheduled, summary.health.issued) = (5, 5);
    assert_eq!(poisson.check("load", &summary).verdict, Fine);
}

#[test]
fn lag_in_the_cycles_of_waiting_users_is_missing_load() {
    let lost = |users: &str, lost: Duration| {
        let mut summary = healthy();
        summary.health.lost = lost;
        CheckFixture::new("", &format!("{users}\n{TASK}"), "").check("load", &summary)
    };
    let waiting = "[users.u]\nwait = \"1s\"";
    // Ten users have 1000 s together.
    let verdicts =
        [10_000, 10_001, 30_000, 30_001].map(|ms| lost(waiting, Duration::from_millis(ms)).verdict);
    assert_eq!(verdicts, [Fine, Notice, Notice, Invalid]);
    let mut once = healthy();
    (once.health.lost, once.health.max_lost_in_a_second) = (ms(40_000), ms(10_000));
    let fixture = CheckFixture::new("", &format!("{waiting}\n{TASK}"), "");
    assert_eq!(fixture.verdict("load", &once), Notice);
    once.health.max_lost_in_a_second = ms(9_999);
    assert_eq!(fixture.verdict("load", &once), Invalid);
    let check = lost("", ms(0));
    assert_eq!((check.verdict, check.value.as_str()), (Fine, "no set load"));
}

#[test]
fn only_users_that_wait_and_only_in_holds_have_time_to_lose() {
    let text = "name = \"g\"\ntarget.url = \"http://127.0.0.1:1\"\ngate.tier = \"none\"\n\
                phases = [{ name = \"p\", mix = { u = 3, v = 1 }, stages = [{ users = 4, hold = \"10s\" }, \
                { users = 8, over = \"5s\", hold = \"10s\" }] }]\n\
                users.u.wait = \"1s\"\nusers.u.tasks = [{ request = \"GET /\" }]\nusers.v.tasks = [{ request = \"GET /\" }]";
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    let mut problems = Problems::default();
    let plan =
        crate::plan::load(Path::new("plans/g.toml"), &Settings::default(), &environment, &mut problems)
            .plan
            .unwrap();
    let fixture = CheckFixture { plan, objectives: Vec::new() };
    let mut summary = PhaseSummary { ran: Some(ms(25_000)), judged_seconds: 20.0, ..PhaseSummary::default() };
    // Three users for 10 s, then six.
    summary.health.lost = ms(900);
    assert_eq!(fixture.check("load", &summary).value, "1 % missing");
    summary.ran = Some(ms(20_000));
    assert_eq!(fixture.check("load", &summary).value, "1.5 % missing");
}

#[test]
fn unlikely_draws_are_a_notice_and_too_few_are_not() {
    let users = "[users.u]\ntasks = [{ request = \"GET /a\", weight = 3 }, { request = \"GET /b\" }]";
    let draws = |counts: [u64; 2]| {
        let mut summary = healthy();
        summary.health.draws = counts.to_vec();
        CheckFixture::new("arrivals = \"10/s\"", users, "").check("draws", &summary)
    };
    // With one degree of freedom, p = 0.001 is at a chi-square of 10.83: 45.06 from the 750 expected of 1000
    // draws.
    assert_eq!([draws([795, 205]).verdict, draws([796, 204]).verdict], [Fine, Notice]);
    assert_eq!(draws([795, 205]).value, "p 0.001");
    // Five of 20 draws are expected. With fewer draws there is no test.
    assert_eq!([draws([0, 19]).value, draws([0, 20]).value], ["too few", "p under 0.001"]);
}

#[test]
fn sleep_and_clock_steps_are_notices_long_sleep_is_invalid() {
    let clocks = |suspended_us: u64, clock_steps: u32| {
        let mut summary = healthy();
        (summary.health.machine.suspended_us, summary.health.machine.clock_steps) =
            (suspended_us, clock_steps);
        CheckFixture::open().verdict("clocks", &summary)
    };
    assert_eq!(
        [clocks(0, 0), clocks(0, 1), clocks(500_000, 0), clocks(500_001, 0)],
        [Fine, Notice, Notice, Invalid]
    );
}

#[test]
fn a_target_on_the_same_machine_is_a_notice() {
    assert_eq!([machine::target(false).verdict, machine::target(true).verdict], [Fine, Notice]);
}

#[test]
fn the_failed_checks_are_named_by_what_they_excuse() {
    let fixture = CheckFixture::open();
    let context = CheckContext { plan: &fixture.plan, objectives: &[], target_is_local: false };
    let failed = |name, excuses| Check::failed(name, "so much", excuses, "");
    let notice = Check::new("b", "so much", Notice, "");
    let of = |checks: &[Check]| excuses(context, PhaseId(0), &healthy(), checks);
    let none = of(std::slice::from_ref(&notice));
    assert_eq!((none.pass, none.breach), (None, None));
    let checks =
        [failed("a", Excused::Pass), notice, failed("c", Excused::Both), failed("d", Excused::Breach)];
    let Excuses { pass, breach, .. } = of(&checks);
    assert_eq!(pass.unwrap(), "the load generator failed its own checks: a (so much), c (so much)");
    assert_eq!(breach.unwrap(), "the load generator failed its own checks: c (so much), d (so much)");
}

#[test]
fn the_advice_names_the_cause_of_a_delay() {
    let advice = |cpu: u16, others: u64| {
        let mut summary = lagging(&[(60_000, 1000)]);
        summary.health.workers.insert(0, WorkerHealth { cpu, ..WorkerHealth::default() });
        (summary.health.machine.ticks, summary.health.machine.used_by_others) = (1000, others);
        let why = CheckFixture::open().check("send lag", &summary).why;
        why.rsplit("; ").next().unwrap().to_owned()
    };
    assert_eq!(
        advice(100, 840),
        "other processes used 84 % of this machine: raise the runner's priority or move it"
    );
    assert!(advice(950, 100).contains("ask for less load"));
    assert_eq!(advice(100, 100), "use a machine that is not paused or busy with other work");
}
