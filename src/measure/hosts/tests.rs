//! Tests of the readings of hosts over judged periods.

use super::*;
use crate::plan::model::{HostId, PhaseId};
use crate::resources::reading::Values;

fn readings() -> PhaseReadings {
    PhaseReadings {
        ticks: Some(Ticks { first: 0.0, every: 10.0 }),
        expected: vec![7..13, 19..25],
        hosts: vec![HostSummary::default()],
        ..PhaseReadings::default()
    }
}

fn reading(tick: u32, value: f64) -> Reading {
    let values = Values { measured: vec![(Metric::Cpu, value)], ..Values::default() };
    Reading { phase: PhaseId(0), host: HostId(0), tick, covered_s: 10.0, values }
}

#[test]
fn unjudged_readings_do_not_count_and_gaps_are_known() {
    let mut readings = readings();
    for tick in (1..30).filter(|tick| ![9, 10, 24].contains(tick)) {
        readings.add(&reading(tick, f64::from(tick)));
    }
    let series = &readings.hosts[0].series[&Metric::Cpu];
    let coverage = series.seen.coverage(&readings.expected);
    assert_eq!((coverage.expected, coverage.seen), (12, 9));
    assert_eq!(coverage.holes, [9..11, 24..25]);
    assert_eq!(series.total, 10.0 * f64::from(7 + 8 + 11 + 12 + 19 + 20 + 21 + 22 + 23));
    assert_eq!((series.seconds, series.count()), (90.0, 9));
}

#[test]
fn a_short_reading_weighs_little_and_is_no_peak() {
    let mut readings = readings();
    let of = |tick, value, covered_s| Reading { covered_s, ..reading(tick, value) };
    let all = [of(6, 0.0, 10.0), of(7, 10.0, 19.9), of(8, 100.0, 0.1)];
    all.iter().for_each(|reading| readings.add(reading));
    let series = &readings.hosts[0].series[&Metric::Cpu];
    assert!((series.mean() - 10.45).abs() < 1e-9, "{}", series.mean());
    assert_eq!((series.highest, series.count()), (10.0, 2));
}

/// Of the 60 s before tick 7 only the last ten are judged.
#[test]
fn rates_from_before_judging_are_left_out_but_levels_count() {
    let mut readings = readings();
    let measured = |cpu, memory| vec![(Metric::Cpu, cpu), (Metric::Memory, memory)];
    for (tick, covered_s, measured) in [(1, 10.0, measured(90.0, 5.0)), (7, 60.0, measured(80.0, 6.0))] {
        let values = Values { measured, ..Values::default() };
        readings.add(&Reading { phase: PhaseId(0), host: HostId(0), tick, covered_s, values });
    }
    readings.add(&reading(8, 10.0));
    let host = &readings.hosts[0];
    assert_eq!((host.series[&Metric::Cpu].mean(), host.series[&Metric::Cpu].count()), (10.0, 1));
    assert_eq!((host.series[&Metric::Memory].mean(), host.seconds), (6.0, 20.0));
    assert_eq!(host.missing[&Metric::Cpu], "the previous snapshot failed");
    // The same between two judged periods. The second one begins with tick 19.
    [of_value(12, 10.0), of_value(20, 90.0)].iter().for_each(|reading| readings.add(reading));
    assert_eq!(readings.hosts[0].series[&Metric::Cpu].mean(), 10.0);
}

fn of_value(tick: u32, value: f64) -> Reading {
    Reading { covered_s: 80.0, ..reading(tick, value) }
}

#[test]
fn minutes_stay_in_one_judged_period_and_may_be_incomplete() {
    let mut readings = readings();
    (1..30).for_each(|tick| readings.add(&reading(tick, f64::from(tick))));
    let judged = [JudgedPeriod { from: 60, to: 120.0 }, JudgedPeriod { from: 180, to: 230.0 }];
    readings.finish(&judged);
    let minutes = &readings.hosts[0].series[&Metric::Cpu].minutes;
    let means: Vec<_> = minutes.iter().map(|m| (m.stretch, m.mean(), readings.whole(m))).collect();
    assert_eq!(means, [(0, 9.5, true), (1, 21.5, false)]);
}

#[test]
fn ongoing_trouble_is_listed_once_and_recurrence_again() {
    let mut readings = readings();
    for tick in [3, 4, 5, 9, 10] {
        let values = Values::failed(if tick == 4 { "timeout" } else { "refused" });
        readings.add(&Reading { values, ..reading(tick, 0.0) });
    }
    let listed: Vec<_> = readings.hosts[0].troubles.iter().map(|t| (t.ticks.clone(), &*t.message)).collect();
    assert_eq!(listed, [(3..4, "refused"), (4..5, "timeout"), (5..6, "refused"), (9..11, "refused")]);
}

#[test]
fn a_quantile_is_one_of_the_values() {
    let of = |part| quantile(&mut [5.0, 1.0, 4.0, 2.0, 3.0], part);
    assert_eq!([of(0.5), of(0.6), of(0.8), of(0.99)], [Some(3.0), Some(3.0), Some(4.0), Some(5.0)]);
    assert_eq!(quantile(&mut [], 0.5), None);
}

#[test]
fn readings_whose_query_looks_back_too_far_are_left_out() {
    let mut readings = readings();
    readings.hosts[0].early = [(Metric::Cpu, 2)].into();
    (1..30).for_each(|tick| readings.add(&reading(tick, f64::from(tick))));
    let host = &readings.hosts[0];
    assert_eq!(readings.expected_of(host, Metric::Cpu), [9..13, 21..25]);
    assert_eq!(readings.expected_of(host, Metric::Memory), readings.expected);
    let series = &host.series[&Metric::Cpu];
    assert_eq!((series.lowest, series.count()), (9.0, 8));
}
