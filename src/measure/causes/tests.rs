//! Tests of the cause detectors with simulated services, with and without a cause.

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::measure::causes::interference::MAX_OPERATIONS;
use crate::measure::limits::Limits;
use crate::measure::recorder::{Latency, Recorder, RecorderScope};
use crate::measure::sample::Sample;
use crate::measure::window::Cell;
use crate::plan::model::PhaseId;

const CHECK: OperationId = OperationId(0);
const SEARCH: OperationId = OperationId(1);
const LIST: OperationId = OperationId(2);

/// A request: the intended start and the end, in ms, and the operation.
type RequestTimes = (u64, u64, OperationId);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A service that handles one request at a time, in order of arrival. Each takes `takes` ms.
fn one_by_one(mut asked: Vec<(u64, OperationId)>, takes: impl Fn(OperationId) -> u64) -> Vec<RequestTimes> {
    asked.sort_unstable();
    let mut free = 0;
    let answer = |(at, operation): (u64, OperationId)| {
        free = free.max(at) + takes(operation);
        (at, free, operation)
    };
    asked.into_iter().map(answer).collect()
}

/// The detectors after these requests. Two workers record every other one.
fn causes(mut requests: Vec<RequestTimes>, seconds: u32) -> CauseDetectors {
    requests.sort_unstable_by_key(|(_, finished, _)| *finished);
    let mut windows = BTreeMap::<u32, Window>::new();
    for worker in 0..2 {
        let scope = RecorderScope { phase: PhaseId(0), worker, latency: Latency::None };
        let end = Duration::from_secs(seconds.into());
        let mut recorder = Recorder::new(Arc::new(Limits::default()), scope, end, 0);
        for (intended, finished, operation) in requests.iter().skip(worker.into()).step_by(2) {
            recorder.expect(ms(*intended));
            recorder.record(&Sample::succeeded(*operation, *intended, *finished));
        }
        for (second, window) in recorder.drain(end).0.windows {
            windows.entry(second).or_default().merge(&window);
        }
    }
    let mut causes = CauseDetectors::default();
    for second in 0..seconds {
        causes.add_second(second, windows.get(&second).unwrap_or(&Window::default()), PhasePart::Judged);
    }
    causes
}

/// Each test that expects no cause runs with all of these seeds, so that it does not pass by chance.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

/// `per_second` requests in each second, at random times and each of a random operation.
fn at_random(
    seed: u64,
    seconds: u64,
    per_second: impl Fn(u64) -> u64,
    operations: &[OperationId],
) -> Vec<(u64, OperationId)> {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
    let one = |second| (second, per_second(second));
    let mut moment = |second: u64| {
        let operation = operations[chance.random_range(0..operations.len())];
        (second * 1000 + chance.random_range(0..1000), operation)
    };
    (0..seconds).map(one).flat_map(|(second, count)| vec![second; count as usize]).map(&mut moment).collect()
}

#[track_caller]
fn assert_none_accused(causes: &CauseDetectors, seed: u64) {
    assert_eq!(causes.freezes.detect(), None, "seed {seed}");
    assert_eq!(causes.interference.detect(), None, "seed {seed}");
}

#[test]
fn an_operation_that_freezes_the_service_is_found() {
    let checks = (0..60).map(|index| (index * 5000 + 300, CHECK));
    let others = (0..6000).map(|index| (index * 50, if index % 2 == 0 { SEARCH } else { LIST }));
    let causes = causes(
        one_by_one(checks.chain(others).collect(), |operation| if operation == CHECK { 800 } else { 2 }),
        300,
    );
    let freeze = causes.freezes.detect().unwrap();
    assert_eq!((freeze.operation, freeze.times, freeze.of, freeze.answers), (CHECK, 60, 60, 60));
    assert!((freeze.silent.as_secs_f64() - 48.0).abs() < 1.5, "{freeze:?}");
    // Of the sixteen waiting requests, ten are answered within 20 ms. At most one more slot counts.
    assert!((9 * 60..=16 * 60).contains(&freeze.held), "{freeze:?}");
    let interference = causes.interference.detect().unwrap();
    assert_eq!((interference.operation, interference.with.0, interference.without.0), (CHECK, 120, 180));
    // Each freeze holds sixteen requests, for 400 ms on average; forty are sent in the two seconds.
    assert!((interference.with.1 - 16.0 * 400.0 / 40.0).abs() < 20.0, "{interference:?}");
    assert!((interference.without.1 - 2.0).abs() < 0.1 && interference.correlation > 0.5, "{interference:?}");
}

#[test]
fn it_is_found_even_if_in_flight_in_every_second() {
    // Two of seven requests are checks of 100 ms, so 36 requests per second exceed the capacity.
    let mix = [SEARCH, SEARCH, SEARCH, CHECK, CHECK, LIST, LIST];
    let asked = at_random(1, 60, |_| 36, &mix);
    let causes = causes(one_by_one(asked, |operation| if operation == CHECK { 100 } else { 1 }), 60);
    let freeze = causes.freezes.detect().unwrap();
    assert_eq!(freeze.operation, CHECK);
    assert!(freeze.times as f64 > 0.9 * freeze.of as f64, "{freeze:?}");
    assert_eq!(causes.interference.detect(), None);
}

#[test]
fn an_operation_that_is_slow_by_itself_is_not_accused() {
    for seed in SEEDS {
        let checks = (0..60).map(|index| (index * 5000 + 300, index * 5000 + 1100, CHECK));
        let others =
            at_random(seed, 300, |_| 10, &[SEARCH, LIST]).into_iter().map(|(at, id)| (at, at + 12, id));
        assert_none_accused(&causes(checks.chain(others).collect(), 300), seed);
        // The same with so few other requests that gaps fill most of its time.
        let checks = (0..60).map(|index| (index * 5000 + 300, index * 5000 + 1100, CHECK));
        let others =
            at_random(seed, 300, |_| 1, &[SEARCH, LIST]).into_iter().map(|(at, id)| (at, at + 12, id));
        assert_none_accused(&causes(checks.chain(others).collect(), 300), seed);
    }
}

#[test]
fn uniform_slowness_accuses_no_operation() {
    for seed in SEEDS {
        let mix = [CHECK, SEARCH, SEARCH, LIST];
        for (per_second, takes) in [(1, 900), (30, 900), (3, 250)] {
            let asked = at_random(seed, 300, |_| per_second, &mix).into_iter();
            assert_none_accused(&causes(asked.map(|(at, id)| (at, at + takes, id)).collect(), 300), seed);
        }
    }
}

#[test]
fn a_service_that_freezes_by_itself_accuses_none() {
    for seed in SEEDS {
        // The service freezes in the last second of every ten.
        let thawed = |at: u64| if at % 10_000 >= 9000 { at / 10_000 * 10_000 + 10_000 } else { at };
        for per_second in [2, 10, 40] {
            let asked = at_random(seed, 300, |_| per_second, &[CHECK, SEARCH, SEARCH, SEARCH, SEARCH, LIST])
                .into_iter();
            assert_none_accused(&causes(asked.map(|(at, id)| (at, thawed(at + 5), id)).collect(), 300), seed);
        }
    }
}

#[test]
fn operations_under_a_common_load_are_not_accused() {
    for seed in SEEDS {
        // The load rises and falls within a minute. Response times grow with the load.
        let per_second =
            |second: u64| (1.5 + 1.4 * (second as f64 / 60.0 * std::f64::consts::TAU).sin()).round() as u64;
        let asked = at_random(seed, 600, per_second, &[CHECK, SEARCH, LIST, OperationId(3), OperationId(4)])
            .into_iter();
        let takes = |at: u64| 10 + 100 * per_second(at / 1000).pow(2);
        assert_none_accused(&causes(asked.map(|(at, id)| (at, at + takes(at), id)).collect(), 600), seed);
        // The same with a load that is high in random seconds, about every other one.
        let lots: Vec<u64> =
            at_random(seed, 600, |_| 1, &[CHECK, SEARCH]).iter().map(|(_, id)| u64::from(id.0)).collect();
        let per_second = |second: u64| 1 + 5 * lots[second as usize];
        let asked = at_random(seed, 600, per_second, &[CHECK, SEARCH, LIST, OperationId(3), OperationId(4)])
            .into_iter();
        let takes = |at: u64| 10 + 50 * per_second(at / 1000);
        assert_none_accused(&causes(asked.map(|(at, id)| (at, at + takes(at), id)).collect(), 600), seed);
    }
}

#[test]
fn the_first_failure_divides_the_times() {
    let mut causes = CauseDetectors::default();
    for second in 0..20 {
        let mut cell = Cell { requests: 2, succeeded: 1, ended: 2, ..Cell::default() };
        cell.response.record(ms(if second < 12 { 10 } else { 400 }));
        if second >= 12 {
            cell.errors.insert(ErrorKind::Status5xx, 1);
        }
        causes.add_second(
            second,
            &Window { cells: [(SEARCH, cell)].into(), ..Window::default() },
            if second >= 2 { PhasePart::Judged } else { PhasePart::Unjudged },
        );
    }
    let Failures { first, before, since, .. } = causes.failures;
    assert_eq!(first, [((SEARCH, ErrorKind::Status5xx), 12)].into());
    assert_eq!((before.requests, before.ms(), since.requests, since.ms()), (10, Some(10.0), 8, Some(400.0)));
}

#[test]
fn memory_is_bounded_for_long_runs_and_large_plans() {
    let cell = || {
        let mut cell = Cell { requests: 1, ended: 1, answered: 1, completed: 1, ..Cell::default() };
        cell.response.record(ms(10));
        cell
    };
    let kept = |seconds: u32, operations: u16| {
        let mut causes = CauseDetectors::default();
        for second in 0..seconds {
            let cells = (0..operations).filter(|id| (second + u32::from(*id)) % 3 > 0);
            let cells = cells.map(|id| (OperationId(id), cell())).collect();
            causes.add_second(second, &Window { cells, ..Window::default() }, PhasePart::Judged);
        }
        // The number of values in the debug output stands for the memory.
        format!("{causes:?}").matches([':', '(']).count()
    };
    assert!(kept(604_800, 3) <= kept(64, 3));
    let more = kept(60, MAX_OPERATIONS + 200) - kept(60, MAX_OPERATIONS + 100);
    assert!(more < 100 * 10, "{more}");
}
