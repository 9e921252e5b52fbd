//! Tests of the ledger: the order of batches, partial seconds, holds, and the generator's health.

use std::path::Path;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::diagnostic::Problems;
use crate::measure::generator_health::GeneratorHealth;
use crate::measure::generator_vitals::ThreadVitals;
use crate::measure::indicator::CountBounds;
use crate::measure::indicator::{IntervalRule, Intervals};
use crate::measure::limits::LimitId;
use crate::measure::recorder::{Latency, Recorder, RecorderScope};
use crate::measure::sample::{ErrorKind, Outcome, Sample};
use crate::measure::window::Cell;
use crate::plan::model::OperationId;
use crate::plan::{Environment, Settings, load};

const PHASE: PhaseId = PhaseId(0);
const GET: OperationId = OperationId(0);
const LIMIT: Duration = Duration::from_millis(100);

/// A phase of 10.5 s on two workers. Its first two seconds are not judged.
fn ledger(kind: IndicatorKind) -> Ledger {
    let text = "name = \"l\"\ntarget.url = \"http://127.0.0.1:1\"\ngate.tier = \"none\"\n\
                phases = [{ name = \"p\", duration = \"10.5s\", warmup = \"2s\", users = 1, mix = { u = 1 } }]\n\
                users.u.tasks = [{ request = \"GET /\" }]";
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    let mut problems = Problems::default();
    let plan =
        load(Path::new("plans/l.toml"), &Settings::default(), &environment, &mut problems).plan.unwrap();
    let indicator =
        Indicator { phase: PHASE, operations: vec![GET], kind, intervals: None, keeps_timeline: false };
    let limits = Limits::of(std::slice::from_ref(&indicator), plan.operations.len());
    Ledger::new(&plan, vec![indicator], &limits, 2)
}

/// A second with this number of completed requests, all above the limit.
fn window(completed: u32) -> Window {
    let cell = Cell {
        requests: completed,
        succeeded: completed,
        completed,
        slower: [(LimitId(0), completed)].into_iter().collect(),
        ..Cell::default()
    };
    Window { cells: [(GET, cell)].into(), ..Window::default() }
}

fn batch(worker: u16, seconds: std::ops::Range<u32>, settled_before: u32) -> Batch {
    let windows = seconds.map(|second| (second, window(second + 1))).collect();
    Batch { source: worker, windows, settled_before, ..Batch::default() }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_second_is_folded_when_every_worker_has_settled_it() {
    let mut ledger = ledger(IndicatorKind::Completed);
    ledger.fold(&batch(0, 0..5, 5));
    assert_eq!(ledger.summary().phases[0].operations.len(), 0);
    ledger.fold(&batch(1, 0..3, 3));
    assert_eq!(ledger.summary().phases[0].operations[&GET].requests, 2 * (1 + 2 + 3));
    assert_eq!(ledger.pending_seconds(), 2);
}

#[test]
fn the_order_of_batches_changes_nothing() {
    let batches = [batch(0, 0..5, 5), batch(1, 0..8, 8), batch(0, 5..10, 10), batch(1, 8..10, 10)];
    let folded = |order: [usize; 4]| {
        let mut ledger = ledger(IndicatorKind::Slower(LIMIT));
        order.iter().for_each(|index| ledger.fold(&batches[*index]));
        ledger.finish(PHASE, ms(10_500));
        ledger.summary().evidence[0].clone()
    };
    let expected = folded([0, 1, 2, 3]);
    assert_eq!(expected, folded([1, 3, 0, 2]));
    assert_eq!(expected, folded([0, 2, 1, 3]));
    assert!(expected.counts.n > 0.0 && expected.counts.k == expected.counts.n);
}

#[test]
fn ramp_and_warm_up_count_as_requests_but_are_not_judged() {
    let mut ledger = ledger(IndicatorKind::Slower(LIMIT));
    ledger.fold(&batch(0, 0..10, 10));
    ledger.finish(PHASE, ms(10_500));
    assert_eq!(ledger.summary().phases[0].operations[&GET].requests, 55);
    assert_eq!(ledger.summary().evidence[0].counts.n, 55.0 - 1.0 - 2.0);
}

#[test]
fn a_partial_second_counts_but_is_no_block_of_throughput() {
    let mut ledger = ledger(IndicatorKind::Completed);
    ledger.fold(&batch(0, 0..11, 10));
    ledger.finish(PHASE, ms(10_500));
    let Evidence { counts: Counts { n, k, .. }, kept, .. } = &ledger.summary().evidence[0];
    assert_eq!((*n, *k), (8.5, f64::from((3..=11).sum::<u32>())));
    assert_eq!((kept.levels()[0].blocks, kept.levels()[0].k), (8, f64::from((3..=10).sum::<u32>())));
}

#[test]
fn an_interrupted_phase_is_judged_up_to_the_interrupt() {
    let mut ledger = ledger(IndicatorKind::Completed);
    ledger.fold(&batch(0, 0..5, 5));
    ledger.fold(&batch(1, 0..5, 5));
    // The run stopped after 5.5 s. Seconds 6 and 7 are the drain.
    ledger.fold(&batch(0, 5..8, 5));
    ledger.finish(PHASE, ms(5500));
    let summary = ledger.summary();
    assert_eq!(summary.phases[0].judged_seconds, 3.5);
    assert_eq!(summary.evidence[0].counts.k, f64::from(2 * (3 + 4 + 5) + 6));
    assert_eq!(summary.evidence[0].kept.levels()[0].blocks, 3);
    assert_eq!(summary.phases[0].operations[&GET].requests, 30 + 6 + 7 + 8);
}

#[test]
fn a_second_without_requests_is_a_block_too() {
    let mut ledger = ledger(IndicatorKind::Completed);
    ledger.finish(PHASE, ms(10_500));
    let Evidence { counts: Counts { n, k, .. }, kept, .. } = &ledger.summary().evidence[0];
    assert_eq!((*n, *k), (8.5, 0.0));
    assert_eq!(kept.levels().first().map_or(0, |level| level.blocks), 8);
}

/// Two holds of 3 s on one worker, 2 s apart. Intervals of 2 s must have no slow response.
fn staged() -> Ledger {
    let text = "name = \"l\"\ntarget.url = \"http://127.0.0.1:1\"\ngate.tier = \"none\"\n\
                phases = [{ name = \"p\", mix = { u = 1 }, stages = [{ users = 1, hold = \"3s\" }, \
                { users = 2, over = \"2s\", hold = \"3s\" }] }]\n\
                users.u.tasks = [{ request = \"GET /\" }]";
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    let mut problems = Problems::default();
    let plan =
        load(Path::new("plans/l.toml"), &Settings::default(), &environment, &mut problems).plan.unwrap();
    let intervals = Intervals { every: 2, rule: IntervalRule::None };
    let (phase, kind) = (PHASE, IndicatorKind::Slower(LIMIT));
    let operations = vec![GET];
    let intervals = Some(intervals);
    let indicator = Indicator { phase, operations, kind, intervals, keeps_timeline: false };
    let limits = Limits::of(std::slice::from_ref(&indicator), plan.operations.len());
    Ledger::new(&plan, vec![indicator], &limits, 1)
}

#[test]
fn blocks_and_intervals_do_not_span_two_holds() {
    let mut ledger = staged();
    ledger.fold(&batch(0, 0..8, 8));
    ledger.finish(PHASE, ms(8000));
    let Evidence { counts, kept, trials, .. } = &ledger.summary().evidence[0];
    assert_eq!(counts.n, f64::from(1 + 2 + 3 + 6 + 7 + 8));
    let blocks: Vec<u64> = kept.levels().iter().map(|level| level.blocks).collect();
    // Six seconds and one pair in each hold. No four seconds are contiguous.
    assert_eq!(blocks, [6, 2]);
    assert_eq!((trials.judged, trials.missed), (2, 2));
    assert_eq!(ledger.summary().phases[0].judged_seconds, 6.0);
}

#[test]
fn the_first_unbalanced_second_is_known_when_it_is_settled() {
    let mut ledger = staged();
    let mut changed = batch(0, 0..3, 3);
    changed.windows.get_mut(&1).unwrap().cells.get_mut(&GET).unwrap().succeeded -= 1;
    ledger.fold(&changed);
    let why = "1 of 2 requests succeeded, 0 failed and 0 were cancelled".to_owned();
    assert_eq!(ledger.summary().phases[0].unbalanced, Some((1, why.clone())));
    assert_eq!(ledger.summary().phases[0].contradiction(false), Some(format!("in second 1, {why}")));
}

#[test]
fn waiting_arrivals_starve_by_the_share_of_saturated_workers() {
    let busy = ThreadVitals { cpu_samples: 1, cpu: 900, ..ThreadVitals::default() };
    let second = |saturated: usize| {
        let mut window = Window::default();
        [60, 40, 900].into_iter().for_each(|wait| window.user_wait.record(ms(wait)));
        window.cells.entry(GET).or_default().dropped = 2;
        let workers = (0..4).map(|worker| {
            (worker, if usize::from(worker) < saturated { busy } else { ThreadVitals::default() })
        });
        window.vitals.workers = workers.collect();
        window
    };
    let mut health = GeneratorHealth::default();
    health.add(&second(0));
    assert_eq!(health.starved, 0.0);
    health.add(&second(1));
    assert_eq!(health.starved, 1.0);
    health.add(&second(4));
    assert_eq!((health.starved, health.workers[&0].saturated, health.workers[&3].saturated), (5.0, 2, 1));
}

#[test]
fn the_generators_health_is_that_of_the_judged_seconds() {
    let mut ledger = staged();
    let mut changed = batch(0, 0..8, 8);
    for (second, window) in &mut changed.windows {
        window
            .vitals
            .workers
            .insert(0, ThreadVitals::stall(ms(100 + u64::from(*second)), ms(100 + u64::from(*second))));
        window.vitals.lost = if *second == 6 { 2000 } else { 1000 };
    }
    ledger.fold(&changed);
    let health = &ledger.summary().phases[0].health;
    assert_eq!((health.workers[&0].stalls, health.workers[&0].longest), (6, ms(107)));
    assert_eq!((health.lost, health.max_lost_in_a_second), (ms(7), ms(2)));
}

proptest! {
    /// Whatever the outcomes, the true number of slow cases lies within the bounds that histograms give.
    #[test]
    fn an_uncounted_limit_is_bounded_by_the_truth(
        times in prop::collection::vec((1_u64..1500, 0_u8..10), 1..60),
        limit in 1_u64..1500,
        counted in prop::collection::vec(1_u64..1500, 0..3),
    ) {
        const TIMEOUT: u64 = 1000;
        let slower = |ms: u64| Indicator {
            phase: PHASE,
            operations: vec![GET],
            kind: IndicatorKind::Slower(Duration::from_millis(ms)),
            intervals: None,
            keeps_timeline: false,
        };
        let indicators: Vec<Indicator> =
            counted.iter().filter(|known| **known != limit).map(|known| slower(*known)).collect();
        let limits = Limits::of(&indicators, 1);
        let scope = RecorderScope { phase: PHASE, worker: 0, latency: Latency::None };
        let mut recorder = Recorder::new(Arc::new(limits.clone()), scope, ms(5000), 0);
        let (mut slow, mut cases) = (0.0, 0.0);
        for (time, outcome) in times {
            let (time, outcome) = match outcome {
                0 => (TIMEOUT + time / 100, Outcome::Failed(ErrorKind::Timeout)),
                1 => (time, Outcome::Failed(ErrorKind::Status5xx)),
                2 => (time, Outcome::Failed(ErrorKind::Cancelled)),
                _ => (time, Outcome::Succeeded),
            };
            recorder.expect(ms(0));
            recorder.record(&Sample { outcome, ..Sample::succeeded(GET, 0, time) });
            let above = f64::from(u8::from(time > limit));
            match outcome {
                Outcome::Failed(ErrorKind::Cancelled) => (slow, cases) = (slow + above, cases + above),
                Outcome::Failed(ErrorKind::Timeout) => (slow, cases) = (slow + 1.0, cases + 1.0),
                Outcome::Failed(_) => {}
                Outcome::Succeeded => (slow, cases) = (slow + above, cases + 1.0),
            }
        }
        let window = recorder.drain(ms(6000)).0.windows[&0].clone();
        let counts = count_second(&slower(limit), &limits, ms(TIMEOUT), &window);
        let CountBounds { kept, broken, .. } = IndicatorKind::Slower(ms(limit)).bounds(counts);
        prop_assert!(broken.1 <= slow && slow <= kept.1 - counts.untimed, "{counts:?}, {slow} of {cases}");
        // No pass is proven that the truth denies, and no breach: the bad share is not less, and not more.
        prop_assert!(kept.1 / kept.0.max(1.0) >= slow / f64::max(cases + counts.untimed, 1.0) - 1e-9, "{counts:?}");
        prop_assert!(broken.0 - broken.1 >= 0.0 && broken.0 <= kept.0);
    }
}

#[test]
fn an_outage_does_not_go_on_across_a_time_that_is_not_judged() {
    let text = "name = \"l\"\ntarget.url = \"http://127.0.0.1:1\"\ngate.tier = \"none\"\n\
                phases = [{ name = \"p\", mix = { u = 1 }, stages = [{ users = 1, hold = \"5s\" }, \
                { users = 2, over = \"2s\", hold = \"5s\" }] }]\n\
                users.u.tasks = [{ request = \"GET /\" }]";
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    let mut problems = Problems::default();
    let plan =
        load(Path::new("plans/l.toml"), &Settings::default(), &environment, &mut problems).plan.unwrap();
    let limits = Limits::of(&[], plan.operations.len());
    let mut ledger = Ledger::new(&plan, Vec::new(), &limits, 1);
    let scope = RecorderScope { phase: PHASE, worker: 0, latency: Latency::None };
    let mut recorder = Recorder::new(Arc::new(limits.clone()), scope, ms(12_000), 0);
    // It fails in seconds 3, 4, 7 and 8; those from 5 to 7 are not judged.
    for at in [3000, 4000, 7000, 8000] {
        recorder.expect(ms(at));
        let outcome = Outcome::Failed(ErrorKind::Reset);
        recorder.record(&Sample { outcome, ..Sample::succeeded(GET, at, at + 10) });
    }
    ledger.fold(&recorder.drain(ms(12_000)).0);
    ledger.finish(PHASE, ms(12_000));
    let outage = ledger.summary().phases[0].outages.longest().unwrap();
    assert_eq!((outage.from, outage.to), (ms(3000), ms(4020)));
}
