use std::time::Duration;

use super::*;
use crate::diagnostic::{Problems, Span};
use crate::measure::counts::Counts;
use crate::measure::summary::OperationSummary;
use crate::plan::model::{OperationId, PhaseId};
use crate::slo::objective::Tiers;

fn objective(statistic: Statistic, tiers: Tiers) -> Objective {
    let file = Problems::default().add_source("x", "");
    Objective {
        name: "x".into(),
        phase: PhaseId(0),
        operations: vec![OperationId(0)],
        scenario: None,
        statistic,
        tiers,
        gated: true,
        windows: None,
        span: Span { file, start: 0, end: 0 },
        watches: tiers.all().enumerate().map(|(index, (tier, _))| (tier, index)).collect(),
    }
}

fn evidence(n: f64, k: f64, f: f64) -> Evidence {
    Evidence { counts: Tally { n, k, f }, ..Evidence::default() }
}

/// A phase that ran for a minute, with 100 requests of 30 ms.
fn summary(evidence: Vec<Evidence>) -> Summary {
    let mut counts = crate::measure::counts::Counts::default();
    (0..100).for_each(|_| counts.record(Duration::from_millis(30)));
    let mut operation =
        OperationSummary { requests: 100, succeeded: 100, completed: 100, ..Default::default() };
    operation.response.add(&counts);
    let mut phase =
        PhaseSummary { ran: Some(Duration::from_secs(60)), judged_seconds: 60.0, ..Default::default() };
    phase.operations.insert(OperationId(0), operation);
    let mut sent = Counts::default();
    sent.record(Duration::ZERO);
    phase.send_lag.add(&sent);
    Summary { phases: vec![phase], evidence }
}

const TIERS: Tiers = Tiers { target: Some(50.0), acceptable: Some(100.0), last: 200.0 };

fn judged(statistic: Statistic, tiers: Tiers, counts: Vec<Evidence>, gate: GateTier) -> Judged {
    let objective = objective(statistic, tiers);
    judge(&[objective], &summary(counts), gate, Length::Full).remove(0).unwrap()
}

fn p95(counts: [(f64, f64, f64); 3], gate: GateTier) -> Judged {
    judged(Statistic::Quantile(0.95), TIERS, counts.map(|(n, k, f)| evidence(n, k, f)).into(), gate)
}

#[test]
fn the_tier_is_the_best_one_that_holds_and_the_gate_decides() {
    let counts = [(100.0, 9.0, 0.0), (100.0, 5.0, 0.0), (100.0, 0.0, 0.0)];
    for (gate, verdict) in [
        (GateTier::Maximum, Verdict::Met),
        (GateTier::Acceptable, Verdict::Met),
        (GateTier::Target, Verdict::Missed),
    ] {
        let judged = p95(counts, gate);
        assert_eq!((judged.tier, judged.verdict), (Some(Tier::Acceptable), verdict), "{gate:?}");
    }
}

#[test]
fn counters_decide_and_not_the_histogram() {
    // The histogram says 30 ms, but drops and timeouts are slow: 6 of 100 are beyond every limit.
    let judged = p95([(100.0, 6.0, 0.0); 3], GateTier::Maximum);
    assert_eq!(judged.verdict, Verdict::Missed);
    assert_eq!(judged.tier, None);
}

#[test]
fn failures_without_a_time_are_no_slow_answers_and_no_answers_either() {
    // 5 of 95 are more than 5 %.
    assert_eq!(p95([(100.0, 5.0, 5.0); 3], GateTier::Maximum).verdict, Verdict::Missed);
    let all_failed = p95([(100.0, 0.0, 100.0); 3], GateTier::Maximum);
    assert_eq!(all_failed.verdict, Verdict::NoData);
    assert!(all_failed.why.contains("all 100 requests failed"), "{}", all_failed.why);
}

#[test]
fn no_data_is_never_met() {
    let statistics = [
        Statistic::Quantile(0.95),
        Statistic::Mean,
        Statistic::Max,
        Statistic::Throughput,
        Statistic::ErrorRate,
    ];
    for statistic in statistics {
        let mut empty = summary(vec![evidence(0.0, 0.0, 0.0); 3]);
        empty.phases[0].operations.clear();
        let judged = judge(&[objective(statistic, TIERS)], &empty, GateTier::Maximum, Length::Full);
        assert_eq!(judged[0].as_ref().unwrap().verdict, Verdict::NoData, "{statistic}");
    }
}

#[test]
fn a_phase_that_was_not_run_is_not_judged() {
    let mut none = summary(vec![evidence(0.0, 0.0, 0.0); 3]);
    none.phases[0].ran = None;
    assert_eq!(judge(&[objective(Statistic::Mean, TIERS)], &none, GateTier::Maximum, Length::Full), [None]);
}

#[test]
fn throughput_and_error_rate_compare_what_was_counted() {
    let rates = Tiers { target: Some(20.0), acceptable: Some(15.0), last: 10.0 };
    let counts = vec![evidence(60.0, 960.0, 0.0); 3];
    let throughput = judged(Statistic::Throughput, rates, counts, GateTier::Maximum);
    assert_eq!((throughput.observed, throughput.tier), (Some(16.0), Some(Tier::Acceptable)));
    let shares = Tiers { target: Some(0.1), acceptable: Some(0.5), last: 1.0 };
    let errors =
        judged(Statistic::ErrorRate, shares, vec![evidence(1000.0, 11.0, 0.0); 3], GateTier::Maximum);
    assert_eq!((errors.observed, errors.verdict), (Some(1.1), Verdict::Missed));
}

#[test]
fn mean_and_maximum_are_of_the_answers() {
    let mean = judged(Statistic::Mean, TIERS, vec![evidence(10.0, 600_000.0, 0.0); 3], GateTier::Maximum);
    assert_eq!((mean.tier, mean.verdict), (Some(Tier::Acceptable), Verdict::Met));
    let max = vec![evidence(100.0, 3.0, 0.0), evidence(100.0, 1.0, 0.0), evidence(100.0, 0.0, 0.0)];
    let max = judged(Statistic::Max, TIERS, max, GateTier::Maximum);
    assert_eq!((max.tier, max.verdict), (Some(Tier::Maximum), Verdict::Met));
}

#[test]
fn dropped_arrivals_are_the_slowest_of_all() {
    // A hundred answers of 30 ms, and a hundred arrivals that were never sent.
    let half_dropped = p95([(200.0, 100.0, 0.0); 3], GateTier::Maximum);
    assert_eq!((half_dropped.verdict, half_dropped.observed), (Verdict::Missed, None));
    assert!(
        half_dropped.why.starts_with("the p95 is an arrival that was never sent"),
        "{}",
        half_dropped.why
    );
    let few_dropped = p95([(104.0, 4.0, 0.0); 3], GateTier::Maximum);
    assert_eq!((few_dropped.verdict, few_dropped.observed.map(f64::round)), (Verdict::Met, Some(30.0)));
}

#[test]
fn a_maximum_is_not_met_where_requests_failed_without_a_time() {
    let max = judged(Statistic::Max, TIERS, vec![evidence(100.0, 0.0, 99.0); 3], GateTier::Maximum);
    assert_eq!((max.verdict, max.tier), (Verdict::Inconclusive, None));
}

#[test]
fn seconds_in_which_nothing_was_tried_are_no_throughput_of_zero() {
    let mut idle = summary(vec![evidence(60.0, 0.0, 0.0); 3]);
    idle.phases[0].operations.clear();
    idle.phases[0].send_lag = Times::default();
    let judged = judge(&[objective(Statistic::Throughput, TIERS)], &idle, GateTier::Maximum, Length::Full);
    assert_eq!(judged[0].as_ref().unwrap().verdict, Verdict::NoData);
}

#[test]
fn a_rehearsal_does_not_assess_what_too_few_samples_cannot_decide() {
    let objective = objective(Statistic::Quantile(0.95), TIERS);
    let few = summary(vec![evidence(58.0, 58.0, 0.0); 3]);
    let enough = summary(vec![evidence(59.0, 59.0, 0.0); 3]);
    let verdict = |summary| {
        judge(std::slice::from_ref(&objective), summary, GateTier::Maximum, Length::Rehearsed)[0]
            .clone()
            .unwrap()
            .verdict
    };
    assert_eq!(verdict(&few), Verdict::NotAssessed);
    assert_eq!(verdict(&enough), Verdict::Missed);
}

#[test]
fn the_reason_is_a_sentence_with_the_numbers() {
    let judged = p95([(100.0, 3.0, 0.0); 3], GateTier::Maximum);
    assert_eq!(
        judged.why,
        "observed p95 30 ms; maximum is 200 ms; 5 % of 100 requests may take longer than 200 ms and 3 did; observed, not proven"
    );
}
