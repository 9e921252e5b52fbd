//! Definitions of resource and drift objectives.

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::document::Spanned;
use crate::measure::hosts::MINUTE_S;
use crate::resources::metric::Metric;
use crate::slo::definition::{
    CheckedLimits, LastLimit, ObjectiveDefinition, Selector, Subject, checked, read_aggregation,
};
use crate::slo::document::{DriftDocument, DriftMetric, ResourceDocument, ResourceLimit};
use crate::slo::objective::{Aggregation, LimitSpans, Tiers};
use crate::units::Unit;
use crate::units::{Share, TimeSpan};

pub(super) fn resource_definition(
    mut document: ResourceDocument,
    problems: &mut Problems,
) -> Option<ObjectiveDefinition> {
    let common = document.common();
    let ResourceDocument { metric, host, statistic, target, acceptable, maximum, .. } = document;
    let metric = metric?;
    let aggregation = aggregation(&statistic?, problems)?;
    let limits =
        [target, acceptable, maximum].map(|limit| limit.map(|limit| in_unit(&limit, metric.value, problems)));
    if let Some(every) = &common.every {
        check_intervals(every, aggregation, problems);
    }
    let subject = Subject::Host(metric.value, aggregation);
    let limits = checked(LastLimit::MaximumOrZero, &all(limits)?, problems)?;
    ObjectiveDefinition::new(common, subject, limits, Selector::Host(host?, metric.span), problems)
}

fn check_intervals(every: &Spanned<TimeSpan>, aggregation: Aggregation, problems: &mut Problems) {
    let message = match aggregation {
        Aggregation::Quantile(_) => "`every` cannot be combined with a percentile",
        _ if every.value.seconds() % MINUTE_S != 0.0 => "`every` must be whole minutes for host readings",
        _ => return,
    };
    let help = "write `every = \"1m\"` or more whole minutes, with `statistic = \"mean\"` or `\"max\"`";
    problems.report(Diagnostic::new(Code::OutOfRange, message).at(every.span, "here").help(help));
}

/// The limits; `None` if one could not be read.
fn all(written: [Option<Option<Spanned<f64>>>; 3]) -> Option<[Option<Spanned<f64>>; 3]> {
    let read = |limit: &Option<Option<Spanned<f64>>>| limit.as_ref().is_none_or(Option::is_some);
    written.iter().all(read).then(|| written.map(Option::flatten))
}

/// The limit in the metric's unit; reports any other unit.
fn in_unit(limit: &Spanned<ResourceLimit>, metric: Metric, problems: &mut Problems) -> Option<Spanned<f64>> {
    let ResourceLimit { value, unit } = limit.value;
    if unit == metric.unit() {
        return Some(Spanned::new(value, limit.span));
    }
    let (kind, form) = match metric.unit() {
        Unit::Percent => ("a share", "\"85%\""),
        Unit::Bytes => ("a size", "\"2GiB\""),
        Unit::BytesPerSecond => ("a size per second", "\"50MiB/s\""),
        // No metric has one of the others.
        Unit::Count | Unit::Milliseconds | Unit::Seconds | Unit::PerSecond | Unit::Ratio => {
            ("a number", "10000")
        }
    };
    let message = format!("a limit of `{}` must be {kind}", metric.as_str());
    let diagnostic = Diagnostic::new(Code::BadQuantity, message).at(limit.span, format!("not {kind}"));
    problems.report(diagnostic.help(format!("write {kind} such as `{form}`")));
    None
}

fn aggregation(written: &Spanned<String>, problems: &mut Problems) -> Option<Aggregation> {
    match read_aggregation(written, problems)? {
        Aggregation::Quantile(part) if part > 0.99 => {
            let message = format!("`{}` is above the highest percentile of readings, `p99`", written.value);
            let help = "write `mean`, `max` or a percentile from `p50` to `p99`";
            problems.report(Diagnostic::new(Code::OutOfRange, message).at(written.span, "here").help(help));
            None
        }
        aggregation => Some(aggregation),
    }
}

pub(super) fn drift_definition(
    document: DriftDocument,
    problems: &mut Problems,
) -> Option<ObjectiveDefinition> {
    let metric = document.metric.as_ref()?.value;
    let right = match metric {
        DriftMetric::Metric(_) => {
            check_keys(&document, problems, ["max_growth"], ["max_ratio", "operations"])
        }
        DriftMetric::ResponseTime => {
            check_keys(&document, problems, ["max_ratio", "operations"], ["max_growth", "host"])
        }
    };
    let DriftDocument {
        name,
        metric: written,
        host,
        operations,
        max_growth,
        max_ratio,
        min_length,
        phases,
        gate,
    } = document;
    let written = written?;
    let min_length = min_length?.value.seconds();
    right?;
    let (subject, selector, limits) = match metric {
        DriftMetric::Metric(metric) => {
            let host =
                host.unwrap_or_else(|| Spanned::new(crate::plan::model::TARGET.to_owned(), written.span));
            let growth = Subject::Growth { metric, min_length };
            (growth, Selector::Host(host, written.span), growth_limit(&max_growth?, problems)?)
        }
        DriftMetric::ResponseTime => {
            let selector = Selector::Operations(operations?.value);
            (Subject::Slowdown { min_length }, selector, ratio_limit(&max_ratio?, problems)?)
        }
    };
    Some(ObjectiveDefinition {
        each: false,
        name: name?,
        subject,
        limits,
        selector,
        phases: phases.map(|phases| phases.value),
        gated: gate?.value,
        interval: None,
        abort: false,
    })
}

/// Reports keys that the metric needs but the table lacks, and keys that the metric does not allow.
fn check_keys<const M: usize, const N: usize>(
    document: &DriftDocument,
    problems: &mut Problems,
    needed: [&str; M],
    forbidden: [&str; N],
) -> Option<()> {
    let metric = document.metric.as_ref()?;
    let place = |key: &str| match key {
        "max_growth" => document.max_growth.as_ref().map(|value| value.span),
        "max_ratio" => document.max_ratio.as_ref().map(|value| value.span),
        "operations" => document.operations.as_ref().map(|value| value.span),
        _ => document.host.as_ref().map(|value| value.span),
    };
    let missing: Vec<&str> = needed.into_iter().filter(|key| place(key).is_none()).collect();
    let keys = needed.map(|key| format!("`{key}`")).join(" and ");
    for key in &missing {
        let message = format!("`{key}` is missing");
        let diagnostic = Diagnostic::new(Code::MissingKey, message).at(metric.span, "for this metric");
        problems.report(diagnostic.help(format!("this metric needs {keys}")));
    }
    let wrong: Vec<_> = forbidden.into_iter().filter_map(|key| Some((key, place(key)?))).collect();
    for (key, span) in &wrong {
        let message = format!("`{key}` cannot be used with this metric");
        let diagnostic =
            Diagnostic::new(Code::ExactlyOne, message).at(*span, "here").at(metric.span, "this metric");
        problems.report(diagnostic.help(format!("remove it; this metric needs {keys}")));
    }
    (missing.is_empty() && wrong.is_empty()).then_some(())
}

/// The only limit of an objective.
fn only_limit<T>(limit: f64, written: &Spanned<T>) -> CheckedLimits {
    let tiers = Tiers { target: None, acceptable: None, last: limit };
    CheckedLimits { tiers, spans: LimitSpans::of_last(written.span) }
}

fn growth_limit(written: &Spanned<Share>, problems: &mut Problems) -> Option<CheckedLimits> {
    let percent = written.value.percent();
    if percent <= 0.0 {
        let diagnostic =
            Diagnostic::new(Code::OutOfRange, "`max_growth` must be above 0").at(written.span, "here");
        let help = "no growth at all can never be proven; write a share such as `\"5%\"`";
        problems.report(diagnostic.help(help));
    }
    (percent > 0.0).then(|| only_limit(percent, written))
}

fn ratio_limit(written: &Spanned<f64>, problems: &mut Problems) -> Option<CheckedLimits> {
    let ratio = written.value;
    if ratio <= 1.0 {
        let diagnostic =
            Diagnostic::new(Code::OutOfRange, format!("`max_ratio` must be above 1, not `{ratio}`"));
        let help = "no slowdown at all can never be proven; write a ratio such as `1.10`";
        problems.report(diagnostic.at(written.span, "here").help(help));
    }
    (ratio > 1.0).then(|| only_limit(ratio, written))
}
