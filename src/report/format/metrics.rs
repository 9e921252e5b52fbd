//! `metrics.txt`: the run in the text format of Prometheus, which is a valid page of OpenMetrics too.
//!
//! A finished run no longer counts, so all families are gauges and histograms. Values are in base units: seconds, bytes
//! and ratios. A value without data has no line. The page ends with `# EOF`, which OpenMetrics requires and which is a
//! comment for Prometheus.

mod buckets;

pub use buckets::response_time_bucket;

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::gate::RunVerdict;
use crate::generator::CheckVerdict;
use crate::measure::histogram::DenseHistogram;
use crate::report::format::metrics::buckets::BUCKETS;
use crate::report::full::FullReport;
use crate::report::model::{LagReport, ObjectiveReport, OperationReport, PhaseReport, Report, TimesReport};
use crate::resources::exporter::exposition::line;
use crate::slo::judge::Verdict;
use crate::units::Unit;

type OperationValue = fn(&OperationReport) -> Option<f64>;
type PhaseValue = fn(&PhaseReport) -> Option<f64>;
/// The labels of a line, in its order.
type LabelPairs<'r> = Vec<(&'r str, &'r str)>;

/// The families of each operation: name, help and value.
const OF_OPERATION: [(&str, &str, OperationValue); 7] = [
    ("runner_requests", "Requests that were sent or attempted in the whole phase.", |it| {
        Some(it.requests as f64)
    }),
    ("runner_judged_requests", "Requests that were intended in the judged period.", |it| {
        Some(it.judged as f64)
    }),
    ("runner_failed_requests", "Failed requests of the whole phase.", |it| Some(it.errors as f64)),
    ("runner_cancelled_requests", "Requests in flight when the drain of a stopped run ended.", |it| {
        Some(it.cancelled as f64)
    }),
    ("runner_dropped_arrivals", "Arrivals that were never sent.", |it| Some(it.dropped as f64)),
    ("runner_received_bytes", "Bytes of bodies that were received in the whole phase.", |it| {
        Some(it.received_bytes as f64)
    }),
    ("runner_throughput_per_second", "Successful completions per judged second.", |it| it.throughput_per_s),
];

/// The families of each phase: name, help and value.
const OF_PHASE: [(&str, &str, PhaseValue); 5] = [
    ("runner_phase_duration_seconds", "Duration of the phase without its drain.", |it| Some(it.ran_s)),
    ("runner_phase_judged_seconds", "Length of the judged period.", |it| Some(it.judged_s)),
    ("runner_phase_users", "Number of virtual users.", |it| Some(it.users.into())),
    ("runner_generator_cpu_ratio", "Processor time of the load generator per second; 1 is one core.", |it| {
        it.generator.cpu_percent.map(ratio)
    }),
    ("runner_generator_peak_memory_bytes", "Peak memory of the load generator since the run began.", |it| {
        it.generator.peak_memory_bytes.map(|bytes| bytes as f64)
    }),
];

/// The run as a page of metrics.
pub(super) fn render(full: &FullReport<'_>) -> String {
    let mut page = page_of(&full.report);
    add_histograms(&mut page, full);
    page.text + "# EOF\n"
}

/// All but the histograms.
fn page_of(report: &Report) -> MetricsPage<'_> {
    let mut page = MetricsPage { plan: &report.plan.name, text: String::new() };
    add_run(&mut page, report);
    add_objectives(&mut page, &report.objectives);
    for (name, help, value) in OF_PHASE {
        let values = report.phases.iter().map(|phase| (vec![("phase", phase.name.as_str())], value(phase)));
        page.add_gauges(name, help, values);
    }
    add_generator(&mut page, &report.phases);
    add_operations(&mut page, &report.phases);
    page
}

fn add_run(page: &mut MetricsPage<'_>, report: &Report) {
    let seed = report.seed.to_string();
    let mut info = vec![
        ("runner", report.runner.as_str()),
        ("digest", &report.plan.digest),
        ("target", &report.target),
        ("seed", &seed),
        ("gate", report.gate.as_str()),
        ("decision", report.decision.as_str()),
        ("rehearsal", if report.rehearsal { "true" } else { "false" }),
    ];
    let names = label_names(report.labels.keys());
    info.extend(names.iter().map(String::as_str).zip(report.labels.values().map(String::as_str)));
    page.add_gauges("runner_run_info", "The run and its labels; always 1.", [(info, Some(1.0))]);
    let verdicts = RunVerdict::ALL.iter();
    let is_it = |verdict: &RunVerdict| Some(f64::from(u8::from(*verdict == report.verdict)));
    let verdicts = verdicts.map(|verdict| (vec![("verdict", verdict.as_str())], is_it(verdict)));
    page.add_gauges("runner_run_verdict", "1 for the verdict of the run, 0 for all others.", verdicts);
    let code = Some(report.exit_code.into());
    page.add_gauges("runner_run_exit_code", "Exit code of the run.", [(Vec::new(), code)]);
    for (name, help, time) in [
        ("runner_run_start_timestamp_seconds", "Start of the run since 1970.", &report.started_at),
        ("runner_run_end_timestamp_seconds", "End of the run since 1970, drain included.", &report.ended_at),
    ] {
        let time = time.parse().ok().map(|time: Timestamp| shifted(time.as_millisecond() as f64, -3));
        page.add_gauges(name, help, [(Vec::new(), time)]);
    }
}

/// The names of labels for the labels of a run. Characters that a name cannot have become `_`; a name that is taken gets a
/// number.
fn label_names<'r>(keys: impl Iterator<Item = &'r String>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let name = |key: &String| {
        let plain: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let plain = format!("label_{plain}");
        let numbered = (2..).map(|number| format!("{plain}_{number}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        let free = names.find(|name| taken.insert(name.clone()));
        free.expect("some number is free")
    };
    keys.map(name).collect()
}

fn add_objectives(page: &mut MetricsPage<'_>, objectives: &[ObjectiveReport]) {
    let with = |objective, more: &[(&'static str, &'static str)]| {
        let mut labels = objective_labels(objective);
        labels.extend(more);
        labels
    };
    let name = "runner_objective_observed";
    let observed =
        objectives.iter().map(|it| (objective_labels(it), it.observed.map(|value| base(it.unit, value))));
    page.add_gauges(name, "Observed value of the objective, in the unit of its label.", observed);
    let name = "runner_objective_interval";
    let help = "Ends of the confidence interval of the true value, each at the confidence of the gate.";
    let ends = objectives.iter().flat_map(|it| {
        let end = |index: usize| it.interval.map(|ends| base(it.unit, ends[index]));
        [(with(it, &[("end", "lower")]), end(0)), (with(it, &[("end", "upper")]), end(1))]
    });
    page.add_gauges(name, help, ends);
    let limits = objectives.iter().flat_map(|it| {
        let limits = it.limits.iter();
        limits.map(|(tier, limit)| (with(it, &[("tier", tier.as_str())]), Some(base(it.unit, *limit))))
    });
    page.add_gauges("runner_objective_limit", "Limit of the objective at each tier.", limits);
    let name = "runner_objective_verdict";
    let verdicts = objectives.iter().flat_map(|it| {
        Verdict::ALL.iter().map(move |verdict| {
            let is_it = u8::from(*verdict == it.verdict);
            (with(it, &[("verdict", verdict.as_str())]), Some(is_it.into()))
        })
    });
    page.add_gauges(name, "1 for the verdict of the objective at the gate, 0 for all others.", verdicts);
}

fn objective_labels(objective: &ObjectiveReport) -> LabelPairs<'_> {
    vec![
        ("phase", &objective.phase),
        ("kind", objective.kind.as_str()),
        ("objective", &objective.name),
        ("statistic", &objective.statistic),
        ("unit", base_unit(objective.unit)),
        ("gated", if objective.gated { "true" } else { "false" }),
    ]
}

fn add_generator(page: &mut MetricsPage<'_>, phases: &[PhaseReport]) {
    let checks = phases.iter().flat_map(|phase| {
        phase.generator.checks.iter().flat_map(move |check| {
            CheckVerdict::ALL.iter().map(move |verdict| {
                let labels =
                    vec![("phase", &*phase.name), ("check", &check.name), ("verdict", verdict.as_str())];
                (labels, Some(u8::from(*verdict == check.verdict).into()))
            })
        })
    });
    let help = "1 for the verdict of a check of the load generator, 0 for all others.";
    page.add_gauges("runner_generator_check", help, checks);
    let lags = phases.iter().flat_map(|phase| {
        let LagReport { p50, p99, max } = phase.generator.send_lag_ms;
        [("p50", p50), ("p99", p99), ("max", max)].map(|(statistic, lag)| {
            (vec![("phase", phase.name.as_str()), ("statistic", statistic)], lag.map(seconds))
        })
    });
    let help = "Delay before sending that the load generator itself caused.";
    page.add_gauges("runner_generator_send_lag_seconds", help, lags);
}

fn add_operations(page: &mut MetricsPage<'_>, phases: &[PhaseReport]) {
    let operations =
        || phases.iter().flat_map(|phase| phase.operations.iter().map(move |operation| (phase, operation)));
    for (name, help, value) in OF_OPERATION {
        let values = operations().map(|(phase, it)| (operation_labels(phase, &it.name), value(it)));
        page.add_gauges(name, help, values);
    }
    let errors = phases.iter().flat_map(|phase| {
        phase.errors_by_kind.iter().map(move |error| {
            let mut labels = operation_labels(phase, &error.operation);
            labels.push(("kind", error.kind.as_str()));
            (labels, Some(error.count as f64))
        })
    });
    page.add_gauges("runner_errors", "Failed requests of the whole phase, by kind.", errors);
    let times = operations().flat_map(|(phase, operation)| {
        let TimesReport { p50, p90, p95, p99, p999, max, mean } = operation.response_ms;
        let all = [
            ("p50", p50),
            ("p90", p90),
            ("p95", p95),
            ("p99", p99),
            ("p99.9", p999),
            ("max", max),
            ("mean", mean),
        ];
        all.map(|(statistic, ms)| {
            let mut labels = operation_labels(phase, &operation.name);
            labels.push(("statistic", statistic));
            (labels, ms.map(seconds))
        })
    });
    let help = "Response time from the intended start over the judged period, to 0.1 %.";
    page.add_gauges("runner_response_time_statistic_seconds", help, times);
}

fn operation_labels<'r>(phase: &'r PhaseReport, operation: &'r str) -> LabelPairs<'r> {
    vec![("phase", &phase.name), ("operation", operation)]
}

fn add_histograms(page: &mut MetricsPage<'_>, full: &FullReport<'_>) {
    let name = "runner_response_time_seconds";
    let with_times = full.phases().flat_map(|(phase, details)| {
        let operations = details.operations.iter().filter(|(_, operation)| operation.response.count() > 0);
        operations
            .map(move |(id, operation)| (operation_labels(phase, details.name(*id)), &operation.response))
    });
    for (index, (labels, times)) in with_times.enumerate() {
        if index == 0 {
            let help =
                "Response times from the intended start, of judged requests that succeeded or timed out.";
            page.start_family(name, "histogram", help);
        }
        add_histogram(page, name, &labels, times);
    }
}

fn add_histogram(page: &mut MetricsPage<'_>, name: &str, labels: &LabelPairs<'_>, times: &DenseHistogram) {
    let count = times.count();
    for (bound, spelling) in BUCKETS {
        let mut labels = labels.clone();
        labels.push(("le", spelling));
        page.add(&format!("{name}_bucket"), &labels, (count - times.count_above(bound)) as f64);
    }
    let sum = times.mean_ms().map_or(0.0, |mean| shifted((mean * count as f64 * 1000.0).round(), -6));
    let mut infinite = labels.clone();
    infinite.push(("le", "+Inf"));
    page.add(&format!("{name}_bucket"), &infinite, count as f64);
    page.add(&format!("{name}_sum"), labels, sum);
    page.add(&format!("{name}_count"), labels, count as f64);
}

/// A page, to which families are added one after another.
struct MetricsPage<'p> {
    plan: &'p str,
    text: String,
}

impl MetricsPage<'_> {
    /// Adds a family of gauges. A value without data has no line, and a family without lines is left out.
    fn add_gauges<'r>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (LabelPairs<'r>, Option<f64>)>,
    ) {
        let mut known = values.into_iter().filter_map(|(labels, value)| Some((labels, value?))).peekable();
        if known.peek().is_some() {
            self.start_family(name, "gauge", help);
            known.for_each(|(labels, value)| self.add(name, &labels, value));
        }
    }

    fn start_family(&mut self, name: &str, kind: &str, help: &str) {
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a line. The plan is its first label.
    fn add(&mut self, name: &str, labels: &LabelPairs<'_>, value: f64) {
        let all = std::iter::once(("plan", self.plan)).chain(labels.iter().copied());
        let shown: Vec<(&str, Cow<'_, str>)> = all.map(|(name, text)| (name, visible(text))).collect();
        let pairs: Vec<(&str, &str)> = shown.iter().map(|(name, text)| (*name, &**text)).collect();
        self.text.push_str(&line(name, &pairs, value));
    }
}

/// The text without control characters, which some readers take for the end of a line; they become visible escapes. The
/// line feed stays, because the format can write it.
fn visible(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| if is_bad(c) { c.escape_unicode().to_string() } else { c.to_string() });
    Cow::Owned(shown.collect())
}

/// The base unit of the values of a unit.
fn base_unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Milliseconds | Unit::Seconds => "seconds",
        Unit::Percent | Unit::Ratio => "ratio",
        Unit::PerSecond => "per_second",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes_per_second",
        Unit::Count => "count",
    }
}

/// A value in its base unit.
fn base(unit: Unit, value: f64) -> f64 {
    match unit {
        Unit::Milliseconds => seconds(value),
        Unit::Percent => ratio(value),
        Unit::Seconds | Unit::Ratio | Unit::PerSecond | Unit::Bytes | Unit::BytesPerSecond | Unit::Count => {
            value
        }
    }
}

fn seconds(ms: f64) -> f64 {
    shifted(ms, -3)
}

fn ratio(percent: f64) -> f64 {
    shifted(percent, -2)
}

/// The value times a power of ten. Only the point moves, so that a limit of 5.7 ms is 0.0057 s and not 0.005700000000000001.
fn shifted(value: f64, by: i32) -> f64 {
    format!("{value}e{by}").parse().expect("a number with an exponent is a number")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::histogram::SparseHistogram;
    use crate::report::format::tests::{HOSTILE, sample};
    use crate::resources::exporter::exposition::samples;

    #[test]
    fn buckets_count_what_is_at_most_their_bound() {
        let mut second = SparseHistogram::default();
        let times = [5000, 5000, 5010, 200_000, 90_000_000];
        times.iter().for_each(|micros| second.record(Duration::from_micros(*micros)));
        let mut times = DenseHistogram::default();
        times.add(&second);
        let mut page = MetricsPage { plan: "p", text: String::new() };
        add_histogram(&mut page, "t", &vec![("phase", "a")], &times);
        let value = |start: &str| page.text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
        for (le, count) in
            [("0.003", "0"), ("0.005", "2"), ("0.0075", "3"), ("0.2", "4"), ("60.0", "4"), ("+Inf", "5")]
        {
            assert_eq!(
                value(&format!("t_bucket{{plan=\"p\",phase=\"a\",le=\"{le}\"}}")),
                Some(count),
                "{le}"
            );
        }
        assert_eq!(value("t_sum{plan=\"p\",phase=\"a\"}"), Some("90.21501"));
        assert_eq!(value("t_count{plan=\"p\",phase=\"a\"}"), Some("5"));
    }

    #[test]
    fn hostile_names_are_only_labels() {
        let usual = page_of(&sample()).text.lines().count();
        for hostile in HOSTILE {
            let mut report = sample();
            report.plan.name = (*hostile).to_owned();
            report.objectives[0].name = (*hostile).to_owned();
            report.phases[0].operations[0].name = (*hostile).to_owned();
            let page = page_of(&report).text;
            assert_eq!(page.lines().count(), usual, "{hostile}");
            let all: Result<Vec<_>, String> = samples(&page).collect();
            let plan = all.unwrap()[0].label("plan").to_owned();
            assert_eq!(plan, visible(hostile), "{page}");
        }
    }

    #[test]
    fn a_value_without_data_has_no_line() {
        let mut report = sample();
        report.objectives.iter_mut().for_each(|it| (it.observed, it.interval) = (None, None));
        let page = page_of(&report).text;
        assert!(!page.contains("runner_objective_observed"), "{page}");
        assert!(page.contains("runner_objective_limit"), "{page}");
    }

    #[test]
    fn values_are_in_base_units_without_noise() {
        assert_eq!((seconds(5.7), ratio(0.29), seconds(200.0)), (0.0057, 0.0029, 0.2));
        assert_eq!(base(Unit::Percent, 3.0), 0.03);
    }

    #[test]
    fn run_labels_become_label_names_that_differ() {
        let keys = ["a-b", "a.b", "ci/job", "commit"].map(str::to_owned);
        let names = label_names(keys.iter());
        assert_eq!(names, ["label_a_b", "label_a_b_2", "label_ci_job", "label_commit"]);
    }
}
