//! `load-performance.json`: the summary of the run in the keys of k6, flat as `k6 run --summary-export` writes them.
//!
//! The load performance widget of GitLab reads it, and Testkube does. GitLab compares `http_reqs.rate`, `http_req_waiting`
//! and `checks` of two runs, and takes each difference of at least 0.005 for better or worse. So these percentiles and
//! this rate are rounded to the width of the confidence intervals of the run.

use serde::Serialize;

use crate::measure::histogram::DenseHistogram;
use crate::report::full::FullReport;
use crate::report::model::{ObjectiveReport, Report};
use crate::slo::judge::Verdict;
use crate::slo::objective::ObjectiveKind;

/// The percentiles of response times whose intervals tell how far those of the whole run are known.
const SUMMARISED: [&str; 2] = ["p90", "p95"];
/// The width of an interval, as a share of its value, if the run has none.
const DEFAULT_WIDTH: f64 = 0.05;
/// The identity that k6 gives to the group around all requests: the MD5 of an empty path.
const ROOT_GROUP_ID: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// The summary of a run, as k6 exports it.
#[derive(Serialize)]
struct K6Summary {
    metrics: K6Metrics,
    root_group: K6Group,
}

/// A metric without data is left out, because GitLab would compare its `NaN`.
#[derive(Serialize)]
struct K6Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<K6Rate>,
    data_received: K6Counter,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_req_duration: Option<K6Trend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_req_failed: Option<K6Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_req_waiting: Option<K6Percentiles>,
    http_reqs: K6Counter,
}

#[derive(Serialize)]
struct K6Counter {
    count: u64,
    rate: f64,
}

/// How often something held and how often it did not.
#[derive(Serialize)]
struct K6Rate {
    fails: u64,
    passes: u64,
    /// The share of the passes, from 0 to 1.
    value: f64,
}

/// Times in ms.
#[derive(Serialize)]
struct K6Trend {
    avg: f64,
    max: f64,
    med: f64,
    min: f64,
    #[serde(rename = "p(90)")]
    p90: f64,
    #[serde(rename = "p(95)")]
    p95: f64,
}

/// Times in ms, rounded.
#[derive(Serialize)]
struct K6Percentiles {
    #[serde(rename = "p(90)")]
    p90: f64,
    #[serde(rename = "p(95)")]
    p95: f64,
}

#[derive(Serialize)]
struct K6Group {
    name: &'static str,
    path: &'static str,
    id: &'static str,
    groups: serde_json::Map<String, serde_json::Value>,
    checks: serde_json::Map<String, serde_json::Value>,
}

/// The run as a summary of k6.
pub(super) fn render(full: &FullReport<'_>) -> String {
    let summary = summary(&full.report, &all_times(full));
    serde_json::to_string_pretty(&summary).expect("a summary is plain data") + "\n"
}

fn summary(report: &Report, times: &DenseHistogram) -> K6Summary {
    let duration = trend(times);
    let width = relative_width(report, ObjectiveKind::ResponseTime);
    let waiting = duration.as_ref().map(|K6Trend { p90, p95, .. }| K6Percentiles {
        p90: rounded(*p90, width),
        p95: rounded(*p95, width),
    });
    let ran_s: f64 = report.phases.iter().map(|phase| phase.ran_s).sum();
    let per_second = |count: u64| if ran_s > 0.0 { count as f64 / ran_s } else { 0.0 };
    let requests = report.phases.iter().map(|phase| phase.requests).sum();
    let operations = report.phases.iter().flat_map(|phase| &phase.operations);
    let bytes = operations.map(|operation| operation.received_bytes).sum();
    let metrics = K6Metrics {
        checks: checks(&report.objectives),
        data_received: K6Counter { count: bytes, rate: per_second(bytes) },
        http_req_duration: duration,
        http_req_failed: failed(report),
        http_req_waiting: waiting,
        http_reqs: K6Counter {
            count: requests,
            rate: rounded(per_second(requests), relative_width(report, ObjectiveKind::Throughput)),
        },
    };
    let (groups, checks) = Default::default();
    let root_group = K6Group { name: "", path: "", id: ROOT_GROUP_ID, groups, checks };
    K6Summary { metrics, root_group }
}

/// The response times of all operations in all phases.
fn all_times(full: &FullReport<'_>) -> DenseHistogram {
    let mut all = DenseHistogram::default();
    let operations = full.details.iter().flat_map(|details| details.operations.values());
    operations.for_each(|operation| all.merge(&operation.response));
    all
}

/// `None` without a time.
fn trend(times: &DenseHistogram) -> Option<K6Trend> {
    let ms = |time: std::time::Duration| time.as_micros() as f64 / 1000.0;
    let quantile = |part| times.quantile(part).map(ms);
    Some(K6Trend {
        avg: times.mean_ms()?,
        max: ms(times.max()?),
        med: quantile(0.5)?,
        min: ms(times.buckets().next()?.0.min(times.max()?)),
        p90: quantile(0.9)?,
        p95: quantile(0.95)?,
    })
}

/// The gated objectives: a pass is one that was met. Those that a rehearsal was too short for do not count.
fn checks(objectives: &[ObjectiveReport]) -> Option<K6Rate> {
    let assessed = objectives.iter().filter(|it| it.gated && it.verdict != Verdict::NotAssessed);
    let (met, unmet): (Vec<_>, Vec<_>) = assessed.partition(|it| it.verdict == Verdict::Met);
    rate(met.len() as u64, unmet.len() as u64)
}

/// A pass is a failed request, as in k6.
fn failed(report: &Report) -> Option<K6Rate> {
    let (mut failed, mut others) = (0, 0);
    for phase in &report.phases {
        failed += phase.errors;
        others += phase.requests.saturating_sub(phase.errors + phase.cancelled);
    }
    rate(failed, others)
}

/// `None` without a case.
fn rate(passes: u64, fails: u64) -> Option<K6Rate> {
    let all = passes + fails;
    (all > 0).then(|| K6Rate { fails, passes, value: passes as f64 / all as f64 })
}

/// The narrowest interval of the objectives of a kind, as a share of the observed value: that of the whole run, with more
/// requests than any of its parts, is about as wide.
fn relative_width(report: &Report, kind: ObjectiveKind) -> f64 {
    let is_alike = |it: &&ObjectiveReport| {
        it.kind == kind
            && (kind != ObjectiveKind::ResponseTime || SUMMARISED.contains(&it.statistic.as_str()))
    };
    let widths = report.objectives.iter().filter(is_alike).filter_map(|it| {
        let (observed, [low, high]) = (it.observed.filter(|value| *value > 0.0)?, it.interval?);
        Some((high - low) / observed)
    });
    widths.reduce(f64::min).unwrap_or(DEFAULT_WIDTH)
}

/// A value as a multiple of 1, 2 or 5 times a power of ten: the smallest that is at least as large as the interval, up to
/// the power of ten of the value, so that a known value never becomes 0.
fn rounded(value: f64, relative_width: f64) -> f64 {
    let width = (value * relative_width).max(value * 1e-3);
    if value <= 0.0 || !width.is_finite() {
        return value;
    }
    let power = width.log10().floor() as i32;
    let steps = [(1.0, power), (2.0, power), (5.0, power), (1.0, power + 1)];
    let largest = value.log10().floor() as i32;
    let shifted = |digits: f64, power: i32| -> f64 {
        format!("{digits}e{power}").parse().expect("a number with an exponent is a number")
    };
    let (digits, power) = steps
        .into_iter()
        .find(|(digits, power)| shifted(*digits, *power) >= width * (1.0 - 1e-9))
        .unwrap_or((1.0, power + 1));
    let (digits, power) = if power >= largest { (1.0, largest) } else { (digits, power) };
    let multiple = (value / shifted(digits, power)).round() * digits;
    shifted(multiple, power)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::measure::histogram::SparseHistogram;
    use crate::report::format::tests::sample;

    /// The summary of a run with these response times, in ms.
    fn read(report: &Report, times: &[u64]) -> Value {
        let mut second = SparseHistogram::default();
        times.iter().for_each(|ms| second.record(Duration::from_millis(*ms)));
        let mut all = DenseHistogram::default();
        all.add(&second);
        serde_json::to_value(summary(report, &all)).unwrap()
    }

    #[test]
    fn gitlab_finds_its_keys_flat_and_rounded() {
        let mut report = sample();
        let objective = ObjectiveReport {
            kind: ObjectiveKind::ResponseTime,
            statistic: "p95".to_owned(),
            observed: Some(100.0),
            interval: Some([96.0, 104.0]),
            ..report.objectives[0].clone()
        };
        report.objectives = vec![objective];
        let times: Vec<u64> = (1..=1000).collect();
        let metrics = &read(&report, &times)["metrics"];
        // 8 % of 900 ms and of 950 ms are between 50 ms and 100 ms.
        assert_eq!(
            (&metrics["http_req_waiting"]["p(90)"], &metrics["http_req_waiting"]["p(95)"]),
            (&900.0.into(), &1000.0.into())
        );
        assert!((metrics["http_req_duration"]["p(95)"].as_f64().unwrap() - 950.0).abs() < 1.0);
        assert!(metrics["http_reqs"]["rate"].is_number());
    }

    #[test]
    fn checks_count_gated_objectives() {
        let mut report = sample();
        let of = |verdict, gated| ObjectiveReport { verdict, gated, ..report.objectives[0].clone() };
        report.objectives = vec![
            of(Verdict::Met, true),
            of(Verdict::Met, true),
            of(Verdict::Missed, true),
            of(Verdict::Inconclusive, true),
            of(Verdict::NotAssessed, true),
            of(Verdict::Missed, false),
        ];
        let checks = read(&report, &[1])["metrics"]["checks"].clone();
        assert_eq!((&checks["passes"], &checks["fails"]), (&2.into(), &2.into()));
    }

    #[test]
    fn a_metric_without_data_is_left_out() {
        let mut report = sample();
        report.objectives.clear();
        let metrics = read(&report, &[])["metrics"].clone();
        for absent in ["checks", "http_req_waiting", "http_req_duration"] {
            assert_eq!(metrics.get(absent), None, "GitLab would compare NaN");
        }
    }

    #[test]
    fn a_value_keeps_the_digits_that_its_interval_supports() {
        for (value, width, shown) in [
            (53.21, 0.05, 55.0),
            (53.21, 0.09, 55.0),
            (53.21, 0.01, 53.0),
            (0.3128, 0.02, 0.31),
            (125.004, 0.0, 125.0),
            (1234.5, 0.05, 1200.0),
            (7.3, 4.0, 7.0),
        ] {
            assert_eq!(rounded(value, width), shown, "{value} to {width}");
        }
        assert_eq!(rounded(0.0, 0.1), 0.0);
    }
}
