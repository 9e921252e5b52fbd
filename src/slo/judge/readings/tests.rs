//! Tests of resource and drift objectives on made-up readings.

use std::ops::Range;
use std::time::Duration;

use super::*;
use crate::diagnostic::{Problems, Span};
use crate::measure::indicator::Counts;
use crate::measure::indicator::OurPart;
use crate::measure::reading::Reading;
use crate::measure::summary::{Evidence, SliceCounts, Summary};
use crate::plan::model::{Gate, HostId, JudgedPeriod, OperationId, PhaseId};
use crate::plan::{Decision, Inconclusive, Tier};
use crate::resources::reading::{CounterReset, Values};
use crate::resources::ticks::Ticks;
use crate::slo::judge::{Excuses, Judgement, Policy, RunLength, Verdict, judge};
use crate::slo::objective::{Change, DriftObjective, Family, LimitSpans, Objective, TargetPart, Tiers};

const EVERY: f64 = 10.0;
const METRIC: Metric = Metric::ProcessMemory;

fn gate() -> Gate {
    let (tier, inconclusive, decision) = (Tier::Maximum.into(), Inconclusive::Fail, Decision::Proven);
    Gate { tier, inconclusive, decision, alpha: 0.05, breaker: true }
}

fn objective(family: Family, last: f64) -> Objective {
    let file = Problems::default().add_source("x", "");
    Objective {
        name: "x".into(),
        phase: PhaseId(0),
        family,
        tiers: Tiers { target: None, acceptable: Some(last / 2.0), last },
        gated: true,
        span: Span { file, start: 0, end: 0 },
        limit_spans: LimitSpans::default(),
    }
}

fn kms() -> JudgedHost {
    JudgedHost { id: HostId(0), name: "kms".into(), target: None }
}

fn cpu(of: Aggregation) -> Family {
    cpu_in(of, None)
}

fn cpu_in(of: Aggregation, interval: Option<EveryInterval>) -> Family {
    Family::Host(HostObjective { host: kms(), metric: Metric::Cpu, of, interval, abort: false })
}

fn growth_of(metric: Metric, min_length: f64) -> Family {
    Family::Drift(DriftObjective { change: Change::Growth { host: kms(), metric }, min_length })
}

/// Whether a breach of a limit of 50 % is certain.
fn is_certain(family: &Family, phase: &PhaseSummary) -> bool {
    let Family::Host(host) = family else { panic!("only readings of hosts end a run") };
    certain_breach(host, phase, 50.0, 0.05).is_some()
}

/// A phase of this length in seconds with a reading every 10 s. `read` gives the values of a tick; `None` is a failure.
fn phase(seconds: f64, read: impl Fn(u32) -> Option<Values>) -> PhaseSummary {
    let expected: Vec<Range<u32>> = vec![Ticks { first: 0.0, every: EVERY }.within(0.0, seconds)];
    let mut readings = PhaseReadings {
        started_at: Some("2026-03-01T12:00:00Z".parse().unwrap()),
        ticks: Some(Ticks { first: 0.0, every: EVERY }),
        expected: expected.clone(),
        hosts: vec![HostSummary::default()],
    };
    for tick in expected[0].clone() {
        let values = read(tick).unwrap_or_else(|| Values::failed("connection refused"));
        readings.add(&Reading { phase: PhaseId(0), host: HostId(0), tick, covered_s: EVERY, values });
    }
    PhaseSummary {
        ran: Some(Duration::from_secs_f64(seconds)),
        judged: vec![JudgedPeriod { from: 0, to: seconds }],
        judged_seconds: seconds,
        readings,
        ..PhaseSummary::default()
    }
}

fn value(metric: Metric, value: f64) -> Values {
    Values { measured: vec![(metric, value)], ..Values::default() }
}

fn judged_in(phase: PhaseSummary, objective: Objective, evidence: Vec<Evidence>) -> Judgement {
    let summary = Summary { phases: vec![phase], evidence };
    let gate = gate();
    let policy =
        Policy { gate: &gate, length: RunLength::Full, excuses: &[], cycle_seconds: &[], aborted: None };
    judge(&[objective], &summary, policy).pop().unwrap().unwrap()
}

fn judged(phase: PhaseSummary, objective: Objective) -> Judgement {
    judged_in(phase, objective, Vec::new())
}

/// A phase with this number of readings of processor use.
fn of_cpu(readings: u32, read: impl Fn(u32) -> Option<f64>) -> PhaseSummary {
    phase(f64::from(readings) * EVERY, |tick| Some(value(Metric::Cpu, read(tick)?)))
}

#[test]
fn readings_meet_the_tiers_and_the_text_names_host_and_value() {
    let high = judged(
        of_cpu(60, |tick| Some(if tick <= 30 { 95.0 } else { 99.0 })),
        objective(cpu(Aggregation::Mean), 85.0),
    );
    assert_eq!((high.verdict, high.tier, high.beyond_all), (Verdict::Missed, None, true));
    assert_eq!(high.why, "mean cpu of `kms` is 97 %; the limit is 85 % (60 of 60 readings); beyond maximum");
    let low = judged(of_cpu(60, |_| Some(42.0)), objective(cpu(Aggregation::Mean), 85.0));
    assert_eq!((low.verdict, low.tier, low.samples), (Verdict::Met, Some(Tier::Acceptable), 60));
    let one = judged(
        of_cpu(60, |tick| Some(if tick == 9 { 86.0 } else { 1.0 })),
        objective(cpu(Aggregation::Max), 85.0),
    );
    assert_eq!((one.verdict, one.observed), (Verdict::Missed, Some(86.0)));
}

#[test]
fn too_few_readings_are_neither_a_pass_nor_a_miss() {
    for (read, limit) in [(5.0, 85.0), (99.0, 85.0)] {
        let few = judged(of_cpu(5, |_| Some(read)), objective(cpu(Aggregation::Mean), limit));
        assert_eq!((few.verdict, few.tier, few.beyond_all), (Verdict::Inconclusive, None, false));
        assert!(few.why.contains("only 5 readings, and at least 6 are needed"), "{}", few.why);
    }
    let none = judged(of_cpu(60, |_| None), objective(cpu(Aggregation::Mean), 85.0));
    assert_eq!((none.verdict, none.observed), (Verdict::NoData, None));
    assert_eq!(none.why, "cpu of `kms`: no data 12:00:00–12:10:00 UTC (connection refused)");
}

#[test]
fn a_gap_over_a_minute_or_over_5_percent_missing_decide_nothing() {
    let with_hole = |hole: Range<u32>| {
        let read = move |tick| (!hole.contains(&tick)).then_some(99.0);
        judged(of_cpu(360, read), objective(cpu(Aggregation::Mean), 85.0))
    };
    // With five missing readings the gap is exactly a minute.
    assert_eq!(with_hole(20..25).verdict, Verdict::Missed);
    let long = with_hole(20..26);
    assert_eq!(long.verdict, Verdict::Inconclusive);
    assert!(long.why.ends_with("no data 12:03:10–12:04:10 UTC (connection refused)"), "{}", long.why);
    let scattered = |of: u32| {
        let read = move |tick| (tick % of != 0).then_some(1.0);
        judged(of_cpu(360, read), objective(cpu(Aggregation::Mean), 85.0)).verdict
    };
    assert_eq!((scattered(20), scattered(19)), (Verdict::Met, Verdict::Met));
    assert_eq!(scattered(18), Verdict::Inconclusive);
}

#[test]
fn percentiles_are_of_the_means_of_whole_minutes() {
    // Each minute has one reading of 60 and five of 0; in the last three minutes every reading is 24.
    let read = |tick: u32| {
        Some(if tick > 42 {
            24.0
        } else if tick.is_multiple_of(6) {
            60.0
        } else {
            0.0
        })
    };
    let p50 = judged(of_cpu(60, read), objective(cpu(Aggregation::Quantile(0.5)), 20.0));
    assert_eq!((p50.verdict, p50.observed), (Verdict::Met, Some(10.0)));
    let p95 = judged(of_cpu(60, read), objective(cpu(Aggregation::Quantile(0.95)), 20.0));
    assert_eq!((p95.verdict, p95.observed), (Verdict::Missed, Some(24.0)));
}

#[test]
fn a_share_of_intervals_may_miss_and_partial_ones_are_ignored() {
    let windows =
        |allow| objective(cpu_in(Aggregation::Mean, Some(EveryInterval { every: 120, allow })), 50.0);
    // The fifth of thirty intervals, and an incomplete last one.
    let read = |tick: u32| Some(if (49..=60).contains(&tick) || tick > 360 { 90.0 } else { 10.0 });
    assert_eq!(judged(of_cpu(363, read), windows(0.0)).verdict, Verdict::Missed);
    let some = judged(of_cpu(363, read), windows(0.2));
    assert_eq!((some.verdict, some.effective_samples), (Verdict::Met, Some(30.0)), "{}", some.why);
    assert!(
        some.why.contains("20 % of 30 intervals of 2m may miss the maximum of 50 % and 1 did"),
        "{}",
        some.why
    );
}

#[test]
fn missing_load_excuses_a_host_that_passes_and_none_that_fails() {
    let summary = Summary { phases: vec![of_cpu(60, |_| Some(80.0))], ..Summary::default() };
    let gate = gate();
    let excuses =
        [Excuses { pass: Some("load".to_owned()), breach: Some("steal".to_owned()), missing_load: 0.1 }];
    let policy =
        Policy { gate: &gate, length: RunLength::Full, excuses: &excuses, cycle_seconds: &[], aborted: None };
    let verdict = |limit: f64| {
        let judged =
            judge(&[objective(cpu(Aggregation::Mean), limit)], &summary, policy).pop().unwrap().unwrap();
        (judged.verdict, judged.excused)
    };
    assert_eq!(verdict(79.0), (Verdict::Missed, None));
    assert_eq!(verdict(81.0), (Verdict::Inconclusive, Some(Verdict::Met)));
}

#[test]
fn only_an_irreversible_breach_ends_a_run() {
    // `come` of sixty readings are there.
    let certain = |read: fn(u32) -> f64, come: u32, of: Aggregation, interval: Option<EveryInterval>| {
        let mut phase = of_cpu(come, |tick| Some(read(tick)));
        phase.readings.expected[0].end = 61;
        is_certain(&cpu_in(of, interval), &phase)
    };
    let mean = |come| certain(|_| 100.0, come, Aggregation::Mean, None);
    assert_eq!((mean(30), mean(31)), (false, true));
    let highest = |come| certain(|tick| if tick == 2 { 51.0 } else { 0.0 }, come, Aggregation::Max, None);
    // Fewer than six readings cannot decide.
    assert_eq!((highest(5), highest(6)), (false, true));
    // Five of ten minutes may be above; an incomplete minute is not counted.
    let middle = |come| certain(|_| 100.0, come, Aggregation::Quantile(0.5), None);
    assert_eq!((middle(36), middle(37)), (false, true));
    let none = Some(EveryInterval { every: 60, allow: 0.0 });
    let window = |come| certain(|tick| if tick > 5 { 60.0 } else { 0.0 }, come, Aggregation::Max, none);
    assert_eq!((window(6), window(7)), (false, true));
}

#[test]
fn readings_with_gaps_end_no_run() {
    let certain = |hole: Range<u32>| {
        let mut phase = of_cpu(40, |tick| (!hole.contains(&tick)).then_some(100.0));
        phase.readings.expected[0].end = 61;
        is_certain(&cpu(Aggregation::Mean), &phase)
    };
    // Future readings are not missing.
    assert_eq!((certain(0..0), certain(20..22), certain(20..26)), (true, true, false));
}

/// Memory of a service that collects its garbage every ten minutes; the memory that remains grows by a share.
fn memory(hours: f64, growth: f64) -> impl Fn(u32) -> Values {
    move |tick| {
        let seconds = f64::from(tick) * EVERY;
        let kept = 1e9 * (1.0 + growth * seconds / (hours * 3600.0));
        let noise = f64::from(tick.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let most = vec![(METRIC, 2e9)];
        Values { most, ..value(METRIC, kept * (1.0 + 0.3 * (seconds / 600.0).fract() + 0.01 * noise)) }
    }
}

fn growth(min_length: f64) -> Objective {
    let tiers = Tiers { target: None, acceptable: None, last: 5.0 };
    Objective { tiers, ..objective(growth_of(METRIC, min_length), 5.0) }
}

#[test]
fn a_leak_differs_from_garbage_and_has_a_time_to_full() {
    let read = memory(8.0, 0.2);
    let leak = judged(phase(8.0 * 3600.0, |tick| Some(read(tick))), growth(4.0 * 3600.0));
    assert_eq!(leak.verdict, Verdict::Missed, "{}", leak.why);
    assert!((leak.observed.unwrap() - 20.0).abs() < 1.0, "{}", leak.why);
    assert!(leak.why.starts_with("growth of process_memory of `kms` is "), "{}", leak.why);
    // (2 GB − about 1.3 GB) / 25 MB per hour.
    assert!(leak.why.contains("at this rate it reaches its capacity of 1.9GiB in "), "{}", leak.why);
    let read = memory(8.0, 0.0);
    let healthy = judged(phase(8.0 * 3600.0, |tick| Some(read(tick))), growth(4.0 * 3600.0));
    assert_eq!(healthy.verdict, Verdict::Met, "{}", healthy.why);
}

#[test]
fn a_short_phase_or_a_restarted_process_shows_no_growth() {
    let read = memory(3.0, 0.5);
    let short = judged(phase(3.0 * 3600.0, |tick| Some(read(tick))), growth(4.0 * 3600.0));
    assert_eq!(short.verdict, Verdict::Inconclusive);
    assert!(short.why.ends_with("judged for 3h, and drift needs at least 4h"), "{}", short.why);
    let again = |tick: u32| {
        let values = value(METRIC, 1e9);
        let message = vec!["process 7 was started 4 s ago".to_owned()];
        Some(if tick == 900 {
            Values { counter_reset: Some(CounterReset::Restart), troubles: message, ..values }
        } else {
            values
        })
    };
    let again = judged(phase(8.0 * 3600.0, again), growth(4.0 * 3600.0));
    assert_eq!(again.verdict, Verdict::Inconclusive);
    assert!(again.why.contains("process 7 was started 4 s ago at 14:30:00 UTC"), "{}", again.why);
}

/// Eight hours of a steady host with a counter reset at 14:30.
fn with_counter_reset(metric: Metric, by: CounterReset) -> PhaseSummary {
    let message = "a different host answered, or its counters were restored";
    phase(8.0 * 3600.0, |tick| {
        let values = value(metric, 10.0);
        let begun = Values { counter_reset: Some(by), troubles: vec![message.to_owned()], ..values.clone() };
        Some(if tick == 900 { begun } else { values })
    })
}

#[test]
fn readings_of_two_hosts_decide_nothing() {
    let of_cpu = |by| judged(with_counter_reset(Metric::Cpu, by), objective(cpu(Aggregation::Mean), 50.0));
    let two = of_cpu(CounterReset::OtherHost);
    assert_eq!(two.verdict, Verdict::Inconclusive);
    let message = "a different host answered, or its counters were restored at 14:30:00 UTC: \
        readings before and after it are from different hosts";
    assert!(two.why.ends_with(message), "{}", two.why);
    assert_eq!(of_cpu(CounterReset::Restart).verdict, Verdict::Met);
    let disk = |by| {
        judged(with_counter_reset(Metric::DiskUsed, by), objective(growth_of(Metric::DiskUsed, 3600.0), 5.0))
    };
    let (booted, two) = (disk(CounterReset::Restart), disk(CounterReset::OtherHost));
    assert_eq!((booted.verdict, two.verdict), (Verdict::Met, Verdict::Inconclusive), "{}", booted.why);
    assert!(two.why.ends_with(message), "{}", two.why);
}

#[test]
fn another_host_after_the_judged_period_is_ignored() {
    let mut phase = with_counter_reset(Metric::Cpu, CounterReset::OtherHost);
    phase.readings.expected[0].end = 900;
    let judged = judged(phase, objective(cpu(Aggregation::Mean), 50.0));
    assert_eq!(judged.verdict, Verdict::Met, "{}", judged.why);
}

#[test]
fn another_host_ends_no_run() {
    let certain = |by: Option<CounterReset>| {
        let mut phase = of_cpu(40, |_| Some(100.0));
        phase.readings.hosts[0].counter_resets.extend(by.map(|by| (20, by)));
        phase.readings.expected[0].end = 61;
        is_certain(&cpu(Aggregation::Mean), &phase)
    };
    assert_eq!(
        (certain(None), certain(Some(CounterReset::Restart)), certain(Some(CounterReset::OtherHost))),
        (true, true, false)
    );
}

#[test]
fn growth_tolerates_an_empty_minute_but_not_an_empty_segment() {
    let read = memory(8.0, 0.0);
    let with_hole = |hole: Range<u32>| {
        let phase = phase(8.0 * 3600.0, |tick| (!hole.contains(&tick)).then(|| read(tick)));
        judged(phase, growth(4.0 * 3600.0)).verdict
    };
    assert_eq!(with_hole(1000..1010), Verdict::Met);
    assert_eq!(with_hole(1000..1200), Verdict::Inconclusive);
}

#[test]
fn drift_compares_the_last_tenth_with_the_first() {
    // The generator's own part grows to this share of the times.
    let slower_with = |by: f64, ours: f64| {
        let mut evidence =
            Evidence { counts: Counts { n: 20_000.0, ..Counts::default() }, ..Evidence::default() };
        for second in 0..20_000_u32 {
            let noise = f64::from(second.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
            let time = 1000.0 * (1.0 + by * f64::from(second) / 20_000.0 + 0.1 * noise);
            let ours = OurPart { n: 0.0, k: ours * time * f64::from(second) / 20_000.0 };
            evidence.timeline.push(f64::from(second), SliceCounts { n: 1.0, k: time, ours });
        }
        let change = Change::Slowdown { operations: vec![OperationId(0)], indicator: 0 };
        let slowdown = Family::Drift(DriftObjective { change, min_length: 14_400.0 });
        let tiers = Tiers { target: None, acceptable: None, last: 1.1 };
        let objective = Objective { tiers, ..objective(slowdown, 1.1) };
        judged_in(phase(20_000.0, |_| None), objective, vec![evidence])
    };
    let slower = |by: f64| slower_with(by, 0.0);
    let ours = slower_with(0.5, 1.0 / 3.0);
    assert_eq!(ours.verdict, Verdict::Inconclusive, "{}", ours.why);
    let even = slower(0.0);
    assert_eq!(even.verdict, Verdict::Met, "{}", even.why);
    let slow = slower(0.5);
    assert_eq!(slow.verdict, Verdict::Missed, "{}", slow.why);
    assert!((slow.observed.unwrap() - 1.45 / 1.05).abs() < 0.05, "{}", slow.why);
}

/// A machine with this processor use, whose target uses this much of it.
fn shared_machine(machine: f64, target: f64, is_named: bool) -> Judgement {
    let mut phase = of_cpu(60, |_| Some(machine));
    let target_only = of_cpu(60, |_| Some(target)).readings.hosts.remove(0);
    phase.readings.hosts.push(target_only);
    let host = JudgedHost { target: Some(TargetPart { hosts: vec![HostId(1)], is_named }), ..kms() };
    let family = Family::Host(HostObjective {
        host,
        metric: Metric::Cpu,
        of: Aggregation::Mean,
        interval: None,
        abort: true,
    });
    assert_eq!(is_certain(&family, &phase), machine > 50.0 && !(is_named && machine - target > 50.0));
    judged(phase, objective(family, 50.0))
}

#[test]
fn a_limit_that_others_exceed_alone_is_not_missed_by_a_target_that_the_plan_names() {
    let innocent = shared_machine(95.0, 4.0, true);
    assert_eq!(innocent.verdict, Verdict::Inconclusive, "{}", innocent.why);
    let told = "other processes than the target's account for at least 91 %; undecided: it is beyond the limit without \
                the target too";
    assert!(innocent.why.ends_with(told), "{}", innocent.why);
    let unnamed = shared_machine(95.0, 4.0, false);
    assert_eq!(unnamed.verdict, Verdict::Missed, "{}", unnamed.why);
    assert!(
        unnamed.why.contains("other processes than the target's account for at least 91 %"),
        "{}",
        unnamed.why
    );
    let guilty = shared_machine(95.0, 60.0, true);
    assert_eq!(guilty.verdict, Verdict::Missed, "{}", guilty.why);
    assert!(!guilty.why.contains("other processes"), "{}", guilty.why);
    assert_eq!(shared_machine(40.0, 4.0, true).verdict, Verdict::Met);
}

#[test]
fn a_single_restart_is_a_breach_even_if_most_readings_are_missing() {
    let restarts = |seen: Range<u32>, at: u32| {
        let read = |tick: u32| {
            seen.contains(&tick).then(|| value(Metric::Restarts, f64::from(u8::from(tick == at))))
        };
        let (host, metric, of) = (kms(), Metric::Restarts, Aggregation::Max);
        let family = Family::Host(HostObjective { host, metric, of, interval: None, abort: false });
        let tiers = Tiers { target: None, acceptable: None, last: 0.0 };
        let judged = judged(phase(600.0, read), Objective { tiers, ..objective(family, 0.0) });
        let is_told = judged.why.ends_with("beyond maximum");
        assert_eq!(is_told, judged.verdict == Verdict::Missed, "{}", judged.why);
        (judged.verdict, judged.tier)
    };
    assert_eq!(restarts(50..61, 50), (Verdict::Missed, None));
    assert_eq!(restarts(0..61, 0), (Verdict::Met, Some(Tier::Maximum)));
    assert_eq!(restarts(50..61, 0), (Verdict::Inconclusive, None));
}
