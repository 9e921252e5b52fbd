//! Tests of verdicts on request objectives with made-up counts.

use std::time::Duration;

use super::*;
use crate::diagnostic::{Problems, Span};
use crate::measure::histogram::{DenseHistogram, SparseHistogram};
use crate::measure::indicator::{Counts, OurPart};
use crate::measure::summary::{Evidence, OperationSummary};
use crate::plan::model::{OperationId, PhaseId};
use crate::plan::{GateTier, Inconclusive};
use crate::slo::objective::{EveryInterval, LimitSpans, RequestObjective, RequestStatistic, Tiers};

const P95: RequestStatistic = RequestStatistic::ResponseTime(Aggregation::Quantile(0.95));
const MEAN: RequestStatistic = RequestStatistic::ResponseTime(Aggregation::Mean);
const MAX: RequestStatistic = RequestStatistic::ResponseTime(Aggregation::Max);

fn objective(statistic: RequestStatistic, tiers: Tiers) -> Objective {
    in_intervals(statistic, tiers, None)
}

fn in_intervals(statistic: RequestStatistic, tiers: Tiers, interval: Option<EveryInterval>) -> Objective {
    let file = Problems::default().add_source("x", "");
    Objective {
        name: "x".into(),
        phase: PhaseId(0),
        family: Family::Requests(RequestObjective {
            statistic,
            operations: vec![OperationId(0)],
            scenario: None,
            interval,
            abort: false,
            indicators: tiers.all().enumerate().map(|(index, (tier, _))| (tier, index)).collect(),
        }),
        tiers,
        gated: true,
        span: Span { file, start: 0, end: 0 },
        limit_spans: LimitSpans::default(),
    }
}

/// Counts spread evenly over a minute.
fn evidence(n: f64, k: f64, untimed: f64) -> Evidence {
    let mut evidence =
        Evidence { counts: Counts { n, k, untimed, ..Counts::default() }, ..Evidence::default() };
    for _ in 0..60 {
        evidence.kept.push(n / 60.0, (k + untimed) / 60.0);
        evidence.broken.push((n - untimed) / 60.0, k / 60.0);
    }
    evidence
}

/// Completions in each second of a minute.
fn per_second(completed: impl Fn(u32) -> f64) -> Evidence {
    let mut evidence = Evidence::default();
    for second in 0..60 {
        evidence.counts.add(Counts { n: 1.0, k: completed(second), ..Counts::default() });
        evidence.kept.push(1.0, completed(second));
        evidence.broken.push(1.0, completed(second));
    }
    evidence
}

fn gate(tier: GateTier) -> Gate {
    let (inconclusive, decision) = (Inconclusive::Fail, Decision::Proven);
    Gate { tier, inconclusive, decision, alpha: 0.05, breaker: true }
}

/// A phase that ran for a minute, with 100 requests of 30 ms.
fn summary(evidence: Vec<Evidence>) -> Summary {
    let mut counts = crate::measure::histogram::SparseHistogram::default();
    (0..100).for_each(|_| counts.record(Duration::from_millis(30)));
    let mut operation =
        OperationSummary { requests: 100, succeeded: 100, completed: 100, ..Default::default() };
    operation.response.add(&counts);
    let mut phase =
        PhaseSummary { ran: Some(Duration::from_secs(60)), judged_seconds: 60.0, ..Default::default() };
    phase.operations.insert(OperationId(0), operation);
    let mut sent = SparseHistogram::default();
    sent.record(Duration::ZERO);
    phase.send_lag.add(&sent);
    phase.health.draws = vec![100];
    Summary { phases: vec![phase], evidence }
}

const TIERS: Tiers = Tiers { target: Some(50.0), acceptable: Some(100.0), last: 200.0 };

fn judge_with(objectives: &[Objective], summary: &Summary, gate: &Gate) -> Vec<Judgement> {
    let policy = Policy { gate, length: RunLength::Full, excuses: &[], cycle_seconds: &[], aborted: None };
    judge(objectives, summary, policy).into_iter().flatten().collect()
}

fn judged(statistic: RequestStatistic, tiers: Tiers, counts: Vec<Evidence>, tier: GateTier) -> Judgement {
    judge_with(&[objective(statistic, tiers)], &summary(counts), &gate(tier)).remove(0)
}

fn p95(counts: [(f64, f64, f64); 3], tier: GateTier) -> Judgement {
    judged(P95, TIERS, counts.map(|(n, k, untimed)| evidence(n, k, untimed)).into(), tier)
}

/// A p95 judged at maximum, with the same counts for every tier.
fn p95_of(n: f64, k: f64, untimed: f64) -> Judgement {
    p95([(n, k, untimed); 3], Tier::Maximum.into())
}

#[test]
fn the_tier_is_the_best_one_that_is_proven_and_the_gate_decides() {
    let counts = [(5000.0, 300.0, 0.0), (5000.0, 224.0, 0.0), (5000.0, 0.0, 0.0)];
    for (gate, verdict) in [
        (Tier::Maximum.into(), Verdict::Met),
        (Tier::Acceptable.into(), Verdict::Met),
        (Tier::Target.into(), Verdict::Missed),
    ] {
        let judged = p95(counts, gate);
        assert_eq!((judged.tier, judged.verdict), (Some(Tier::Acceptable), verdict), "{gate:?}");
    }
}

#[test]
fn counts_between_pass_and_breach_are_inconclusive() {
    for (n, k, verdict) in [
        (59.0, 0.0, Verdict::Met),
        (58.0, 0.0, Verdict::Inconclusive),
        (500.0, 16.0, Verdict::Met),
        (500.0, 17.0, Verdict::Inconclusive),
        (500.0, 33.0, Verdict::Inconclusive),
        (500.0, 34.0, Verdict::Missed),
        (5000.0, 224.0, Verdict::Met),
        (5000.0, 225.0, Verdict::Inconclusive),
        (5000.0, 276.0, Verdict::Inconclusive),
        (5000.0, 277.0, Verdict::Missed),
    ] {
        assert_eq!(p95_of(n, k, 0.0).verdict, verdict, "{k} of {n}");
    }
}

#[test]
fn counters_decide_and_not_the_histogram() {
    // The histogram shows 30 ms, but drops and timeouts are slow.
    let judged = p95_of(500.0, 40.0, 0.0);
    assert_eq!((judged.verdict, judged.tier, judged.beyond_all), (Verdict::Missed, None, true));
}

#[test]
fn failures_without_a_time_prove_neither_slow_nor_fast() {
    // 90 % fail without a time; the rest is fast.
    let judged = p95_of(1000.0, 0.0, 900.0);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(judged.why.contains("undecided: failed requests may have been slow ("), "{}", judged.why);
    // 40 of 500 responses are beyond the limit; the failures cannot make up for them.
    assert_eq!(p95_of(5000.0, 40.0, 4500.0).verdict, Verdict::Missed);
    let all_failed = p95_of(100.0, 0.0, 100.0);
    assert_eq!(all_failed.verdict, Verdict::NoData);
    assert!(all_failed.why.contains("all 100 requests failed"), "{}", all_failed.why);
}

#[test]
fn no_data_is_never_met() {
    let statistics = [P95, MEAN, MAX, RequestStatistic::Throughput, RequestStatistic::ErrorRate];
    for statistic in statistics {
        for decision in [Decision::Proven, Decision::Observed] {
            let mut empty = summary(vec![Evidence::default(); 3]);
            empty.phases[0].operations.clear();
            let gate = Gate { decision, ..gate(Tier::Maximum.into()) };
            let judged = judge_with(&[objective(statistic, TIERS)], &empty, &gate).remove(0);
            assert_eq!((judged.verdict, judged.tier), (Verdict::NoData, None), "{statistic}");
        }
    }
}

#[test]
fn a_phase_that_was_not_run_is_not_judged() {
    let mut none = summary(vec![evidence(0.0, 0.0, 0.0); 3]);
    none.phases[0].ran = None;
    let gate = gate(Tier::Maximum.into());
    let policy =
        Policy { gate: &gate, length: RunLength::Full, excuses: &[], cycle_seconds: &[], aborted: None };
    assert_eq!(judge(&[objective(MEAN, TIERS)], &none, policy), [None]);
}

#[test]
fn throughput_is_decided_by_batches() {
    let rates = Tiers { target: Some(20.0), acceptable: Some(15.0), last: 10.0 };
    let of = |completed: fn(u32) -> f64| {
        judged(RequestStatistic::Throughput, rates, vec![per_second(completed); 3], Tier::Maximum.into())
    };
    let steady = of(|_| 16.0);
    assert_eq!((steady.observed, steady.interval), (Some(16.0), Some([16.0, 16.0])));
    assert_eq!((steady.tier, steady.verdict), (Some(Tier::Acceptable), Verdict::Met));
    // 11/s on average, but in waves.
    let waves = of(|second| if second / 4 % 2 == 0 { 22.0 } else { 0.0 });
    assert_eq!((waves.verdict, waves.tier), (Verdict::Inconclusive, None), "{}", waves.why);
    assert_eq!(of(|second| f64::from(second % 2) * 10.0).verdict, Verdict::Missed);
}

#[test]
fn throughput_is_undecided_before_a_full_user_cycle() {
    let gate = gate(Tier::Maximum.into());
    let objective =
        objective(RequestStatistic::Throughput, Tiers { target: None, acceptable: None, last: 10.0 });
    let verdict = |round: f64| {
        let policy = Policy {
            gate: &gate,
            length: RunLength::Full,
            excuses: &[],
            cycle_seconds: &[round],
            aborted: None,
        };
        let counts = summary(vec![per_second(|_| 5.0)]);
        let judged = judge(std::slice::from_ref(&objective), &counts, policy);
        judged[0].as_ref().unwrap().verdict
    };
    // The median response time is 30 ms.
    assert_eq!((verdict(59.9), verdict(60.0)), (Verdict::Missed, Verdict::Inconclusive));
}

#[test]
fn error_rates_are_shares() {
    let shares = Tiers { target: Some(0.1), acceptable: Some(0.5), last: 1.0 };
    let of = |n, k| {
        judged(RequestStatistic::ErrorRate, shares, vec![evidence(n, k, 0.0); 3], Tier::Maximum.into())
    };
    let errors = of(5000.0, 63.0);
    assert_eq!((errors.observed, errors.verdict), (Some(1.26), Verdict::Missed));
    assert_eq!(of(5000.0, 62.0).verdict, Verdict::Inconclusive);
    assert_eq!(of(5000.0, 38.0).verdict, Verdict::Met);
    let [low, high] = of(5000.0, 38.0).interval.unwrap();
    assert!(low < 0.76 && 0.76 < high && high < 1.0, "{low} {high}");
}

#[test]
fn mean_and_maximum_are_of_the_responses() {
    let mean = judged(MEAN, TIERS, vec![evidence(60.0, 3_600_000.0, 0.0); 3], Tier::Maximum.into());
    assert_eq!((mean.tier, mean.verdict), (Some(Tier::Acceptable), Verdict::Met));
    let max = vec![evidence(100.0, 3.0, 0.0), evidence(100.0, 1.0, 0.0), evidence(100.0, 0.0, 0.0)];
    let max = judged(MAX, TIERS, max, Tier::Maximum.into());
    assert_eq!((max.tier, max.verdict), (Some(Tier::Maximum), Verdict::Met));
    let one = judged(MAX, TIERS, vec![evidence(100.0, 1.0, 0.0); 3], Tier::Maximum.into());
    assert_eq!(one.verdict, Verdict::Missed);
    let failed = judged(MAX, TIERS, vec![evidence(100.0, 0.0, 99.0); 3], Tier::Maximum.into());
    assert_eq!((failed.verdict, failed.tier), (Verdict::Inconclusive, None));
}

#[test]
fn dropped_arrivals_are_the_slowest_of_all() {
    // A hundred responses of 30 ms, and a hundred arrivals that were never sent.
    let half_dropped = p95_of(200.0, 100.0, 0.0);
    assert_eq!((half_dropped.verdict, half_dropped.observed), (Verdict::Missed, None));
    assert!(
        half_dropped.why.starts_with("the p95 falls among arrivals that were never sent"),
        "{}",
        half_dropped.why
    );
    let few_dropped = p95_of(104.0, 4.0, 0.0);
    assert_eq!(few_dropped.observed.map(f64::round), Some(30.0));
}

#[test]
fn seconds_without_attempts_are_no_data_for_throughput() {
    let mut idle = summary(vec![per_second(|_| 0.0); 3]);
    idle.phases[0].operations.clear();
    idle.phases[0].send_lag = DenseHistogram::default();
    idle.phases[0].health.draws.clear();
    let judged =
        judge_with(&[objective(RequestStatistic::Throughput, TIERS)], &idle, &gate(Tier::Maximum.into()))
            .remove(0);
    assert_eq!(judged.verdict, Verdict::NoData);
}

#[test]
fn intervals_need_as_many_cases_as_requests() {
    let windows = |allow, judged, missed, doubted| {
        let mut counted = evidence(1000.0, 0.0, 0.0);
        (counted.trials.judged, counted.trials.missed, counted.trials.doubted) = (judged, missed, doubted);
        let objective = in_intervals(P95, TIERS, Some(EveryInterval { every: 60, allow }));
        judge_with(&[objective], &summary(vec![counted; 3]), &gate(Tier::Maximum.into())).remove(0).verdict
    };
    assert_eq!(windows(0.05, 59, 0, 0), Verdict::Met);
    assert_eq!(windows(0.05, 58, 0, 0), Verdict::Inconclusive);
    assert_eq!(windows(0.05, 500, 34, 34), Verdict::Missed);
    // Intervals of failures without a time are not good ones.
    assert_eq!(windows(0.05, 500, 0, 34), Verdict::Inconclusive);
    // If none may miss, counting is enough.
    assert_eq!(windows(0.0, 3, 0, 0), Verdict::Met);
    assert_eq!(windows(0.0, 3, 1, 1), Verdict::Missed);
    assert_eq!(windows(0.0, 3, 0, 1), Verdict::Inconclusive);
    assert_eq!(windows(0.05, 0, 0, 0), Verdict::NoData);
}

#[test]
fn a_single_breach_may_be_chance_among_many_objectives() {
    let (alone, many) = (1, 12);
    let verdicts = |count: usize| {
        // 35 of 500: a p-value of 3 %.
        let mut objectives = vec![objective(P95, TIERS); count];
        let good = (0..3).map(|_| evidence(500.0, 10.0, 0.0));
        let all = (0..3).map(|_| evidence(500.0, 35.0, 0.0)).chain(good).collect();
        for objective in objectives.iter_mut().skip(1) {
            let Family::Requests(requests) = &mut objective.family else { unreachable!() };
            requests.indicators.iter_mut().for_each(|(_, indicator)| *indicator += 3);
        }
        judge_with(&objectives, &summary(all), &gate(Tier::Maximum.into())).remove(0)
    };
    assert_eq!(verdicts(alone).verdict, Verdict::Missed);
    let among = verdicts(many);
    assert_eq!(among.verdict, Verdict::Inconclusive);
    assert!(among.why.contains("a breach is proven for this objective alone"), "{}", among.why);
    assert!(among.beyond_all, "the reported tier does not share the risk");
}

/// The verdict with these excuses, and the one that they take away.
fn excused(objective: Objective, summary: &Summary, excuses: Excuses) -> (Verdict, Option<Verdict>) {
    let gate = gate(Tier::Maximum.into());
    let policy = Policy {
        gate: &gate,
        length: RunLength::Full,
        excuses: &[excuses],
        cycle_seconds: &[],
        aborted: None,
    };
    let judged = judge(&[objective], summary, policy).pop().unwrap().unwrap();
    let reason = judged.excused.map(|_| "the generator was stopped");
    assert!(reason.is_none_or(|reason| judged.why.contains(reason)), "{}", judged.why);
    (judged.verdict, judged.excused)
}

fn excuse(pass: bool, breach: bool, missing_load: f64) -> Excuses {
    let why = |excused: bool| excused.then(|| "the generator was stopped".to_owned());
    Excuses { pass: why(pass), breach: why(breach), missing_load }
}

#[test]
fn a_failed_check_excuses_one_direction_only() {
    let of = |k: f64, pass: bool, breach: bool| {
        let counts = summary(vec![evidence(5000.0, k, 0.0); 3]);
        excused(objective(P95, TIERS), &counts, excuse(pass, breach, 0.0))
    };
    use Verdict::{Inconclusive, Met, Missed};
    assert_eq!([of(0.0, true, false), of(4000.0, true, false)], [(Inconclusive, Some(Met)), (Missed, None)]);
    assert_eq!([of(0.0, false, true), of(4000.0, false, true)], [(Met, None), (Inconclusive, Some(Missed))]);
    // Counts that prove nothing are not excused.
    assert_eq!(of(250.0, true, true), (Inconclusive, None));
}

#[test]
fn missing_load_excuses_low_throughput_by_its_share() {
    let rates = Tiers { target: None, acceptable: None, last: 10.0 };
    let of = |rate: fn(u32) -> f64, missing: f64| {
        let counts = summary(vec![per_second(rate)]);
        excused(
            objective(RequestStatistic::Throughput, rates),
            &counts,
            excuse(missing > 0.03, false, missing),
        )
    };
    use Verdict::{Inconclusive, Met, Missed};
    assert_eq!(
        [of(|_| 9.0, 0.0), of(|_| 9.0, 0.05), of(|_| 9.0, 0.11)].map(|of| of.0),
        [Missed, Missed, Inconclusive]
    );
    assert_eq!(of(|_| 11.0, 0.5), (Met, None));
}

#[test]
fn cases_that_are_slow_because_of_the_generator_prove_nothing() {
    let of = |decision, n: f64, k: f64, ours: f64| {
        let mut of = evidence(n, k, 0.0);
        of.counts.ours = OurPart { n: 0.0, k: ours };
        of.broken = evidence(n, k - ours, 0.0).broken;
        let gate = Gate { decision, ..gate(Tier::Maximum.into()) };
        judge_with(&[objective(P95, TIERS)], &summary(vec![of; 3]), &gate).remove(0)
    };
    for decision in [Decision::Proven, Decision::Observed] {
        assert_eq!(of(decision, 5000.0, 1000.0, 0.0).verdict, Verdict::Missed);
        assert_eq!(of(decision, 5000.0, 1000.0, 500.0).verdict, Verdict::Missed);
        let judged = of(decision, 5000.0, 1000.0, 900.0);
        assert_eq!((judged.verdict, judged.excused), (Verdict::Inconclusive, None));
        assert!(judged.why.contains("900 are slow or failed only because the generator"), "{}", judged.why);
    }
}

#[test]
fn a_rehearsal_assesses_a_breach_but_nothing_undecidable() {
    let objective = objective(P95, TIERS);
    let verdict = |decision, n, k| {
        let gate = Gate { decision, ..gate(Tier::Maximum.into()) };
        let policy = Policy {
            gate: &gate,
            length: RunLength::Rehearsed,
            excuses: &[],
            cycle_seconds: &[],
            aborted: None,
        };
        let counts = summary(vec![evidence(n, k, 0.0); 3]);
        judge(std::slice::from_ref(&objective), &counts, policy)[0].clone().unwrap().verdict
    };
    assert_eq!(verdict(Decision::Proven, 58.0, 0.0), Verdict::NotAssessed);
    assert_eq!(verdict(Decision::Proven, 59.0, 0.0), Verdict::Met);
    assert_eq!(verdict(Decision::Proven, 58.0, 58.0), Verdict::Missed);
    assert_eq!(verdict(Decision::Observed, 58.0, 58.0), Verdict::NotAssessed);
    assert_eq!(verdict(Decision::Observed, 59.0, 59.0), Verdict::Missed);
}

#[test]
fn an_observed_objective_is_marked_as_observed() {
    let gate = Gate { decision: Decision::Observed, ..gate(Tier::Maximum.into()) };
    let of = |n, k| {
        let counts = summary(vec![evidence(n, k, 0.0); 3]);
        judge_with(&[objective(P95, TIERS)], &counts, &gate).remove(0)
    };
    let judged = of(100.0, 5.0);
    assert_eq!((judged.verdict, judged.tier), (Verdict::Met, Some(Tier::Target)));
    assert_eq!(
        judged.why,
        "p95 is 30 ms; 5 % of 100 requests may exceed 200 ms and 5 did; within target; observed, not proven"
    );
    assert_eq!(of(100.0, 6.0).verdict, Verdict::Missed);
}

#[test]
fn the_reason_is_a_sentence_with_the_numbers() {
    let counts = [900.0, 600.0, 312.0].map(|k| evidence(8214.0, k, 0.0));
    let mut many = summary(counts.into());
    let mut times = SparseHistogram::default();
    (100..8214).for_each(|_| times.record(Duration::from_millis(30)));
    many.phases[0].operations.get_mut(&OperationId(0)).unwrap().response.add(&times);
    let gate = gate(Tier::Maximum.into());
    assert_eq!(
        judge_with(&[objective(P95, TIERS)], &many, &gate)[0].why,
        "p95 is 30 ms [30, 30]; 5 % of 8 214 requests may exceed 200 ms and 312 did; proven within maximum, \
         not within acceptable"
    );
    assert_eq!(
        p95_of(58.0, 0.0, 0.0).why,
        "p95 is 30 ms; 5 % of 58 requests may exceed 200 ms and none did; undecided: at least 59 requests \
         are needed (maximum, 95 % confidence)"
    );
    let rates = Tiers { target: None, acceptable: None, last: 10.0 };
    let slow = judged(RequestStatistic::Throughput, rates, vec![per_second(|_| 9.0)], Tier::Maximum.into());
    assert_eq!(
        slow.why,
        "throughput is 9/s [9, 9]; 540 requests succeeded in 60.0 s and at least 10/s must; proven below minimum"
    );
}
