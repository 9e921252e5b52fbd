//! Objective definitions: written objectives whose limits, statistics and intervals are checked, independent of a plan.

mod readings;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::Spanned;
use crate::resources::metric::Metric;
use crate::slo::document::{
    CommonKeys, ErrorRateDocument, OutageDocument, ResponseTimeDocument, ThresholdsDocument,
    ThroughputDocument,
};
use crate::slo::objective::{
    Aggregation, Bound, EveryInterval, LimitSpans, ObjectiveKind, RequestStatistic, Tiers,
};
use crate::units::{Share, TimeSpan, format_number};

/// An error rate above this, in percent, is probably meant as a rate of successes.
const MAX_PLAUSIBLE_ERROR_RATE: f64 = 50.0;
/// A request that succeeds within this time, in seconds, is no part of an outage.
const MIN_OUTAGE_S: f64 = 1.0;

/// A written objective with checked limits and statistic, not yet matched with the phases of a plan.
pub(super) struct ObjectiveDefinition {
    pub(super) name: Spanned<String>,
    pub(super) subject: Subject,
    pub(super) limits: CheckedLimits,
    pub(super) selector: Selector,
    /// Whether each operation is an objective of its own.
    pub(super) each: bool,
    pub(super) phases: Option<Vec<Spanned<String>>>,
    pub(super) gated: bool,
    pub(super) interval: Option<EveryInterval>,
    pub(super) abort: bool,
}

/// The limits of an objective, in order, and their places.
pub(super) struct CheckedLimits {
    pub(super) tiers: Tiers,
    pub(super) spans: LimitSpans,
}

impl ObjectiveDefinition {
    fn new(
        common: CommonKeys,
        subject: Subject,
        limits: CheckedLimits,
        selector: Selector,
        problems: &mut Problems,
    ) -> Option<Self> {
        let CommonKeys { name, phases, gate, every, allow, abort } = common;
        Some(Self {
            name: name?,
            subject,
            limits,
            selector,
            each: false,
            phases: phases.map(|phases| phases.value),
            gated: gate?.value,
            interval: interval(every.as_ref(), allow.as_ref(), problems),
            abort: abort?.value,
        })
    }
}

/// What an objective judges, independent of the phases, operations and hosts of a plan.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject {
    Requests(RequestStatistic),
    Host(Metric, Aggregation),
    /// `min_length` is in seconds.
    Growth {
        metric: Metric,
        min_length: f64,
    },
    /// `min_length` is in seconds.
    Slowdown {
        min_length: f64,
    },
    Outage,
}

impl Subject {
    /// The metric of a host, for readings.
    pub(super) fn metric(self) -> Option<Metric> {
        match self {
            Self::Host(metric, _) | Self::Growth { metric, .. } => Some(metric),
            Self::Requests(_) | Self::Slowdown { .. } | Self::Outage => None,
        }
    }
}

impl ObjectiveDefinition {
    /// The table that it stands in.
    pub(super) fn kind(&self) -> ObjectiveKind {
        match self.subject {
            Subject::Requests(RequestStatistic::ResponseTime(_)) => ObjectiveKind::ResponseTime,
            Subject::Requests(RequestStatistic::Throughput) => ObjectiveKind::Throughput,
            Subject::Requests(RequestStatistic::ErrorRate) => ObjectiveKind::ErrorRate,
            Subject::Host(..) => ObjectiveKind::Resource,
            Subject::Growth { .. } | Subject::Slowdown { .. } => ObjectiveKind::Drift,
            Subject::Outage => ObjectiveKind::Outage,
        }
    }
}

/// The operations, scenarios or host that an objective applies to.
pub(super) enum Selector {
    Operations(Vec<Spanned<String>>),
    Scenarios(Vec<Spanned<String>>),
    /// A host, and the place of the metric.
    Host(Spanned<String>, Span),
    /// The whole target.
    Target,
}

/// The intervals of `every` and `allow`; `None` without `every`.
fn interval(
    every: Option<&Spanned<TimeSpan>>,
    allow: Option<&Spanned<Share>>,
    problems: &mut Problems,
) -> Option<EveryInterval> {
    let Some(every) = every else {
        // If `every` could not be read, `allow` has its default.
        if let Some(allow) = allow.filter(|allow| allow.is_written()) {
            let diagnostic =
                Diagnostic::new(Code::ExactlyOne, "`allow` needs `every`").at(allow.span, "here");
            problems.report(diagnostic.help("add the length of the intervals, such as `every = \"1m\"`"));
        }
        return None;
    };
    let seconds = every.value.seconds();
    if seconds < 1.0 || seconds.fract() != 0.0 || seconds > 366.0 * 86_400.0 {
        let message = format!("`every` must be whole seconds from 1s to 366d, not `{}`", every.value);
        let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(every.span, "here");
        problems.report(diagnostic.help("write whole seconds, such as `\"30s\"` or `\"1m\"`"));
    }
    Some(EveryInterval { every: seconds as u32, allow: allow?.value.fraction() })
}

/// Checks the objectives of a file and appends them to `definitions`.
pub(super) fn read_definitions(
    document: ThresholdsDocument,
    definitions: &mut Vec<ObjectiveDefinition>,
    problems: &mut Problems,
) {
    let ThresholdsDocument { response_time, throughput, error_rate, resource, drift, outage } = document;
    let items = response_time.into_iter().flat_map(|items| items.value);
    definitions.extend(items.filter_map(|item| response_time_definition(item.value, problems)));
    let items = throughput.into_iter().flat_map(|items| items.value);
    definitions.extend(items.filter_map(|item| throughput_definition(item.value, problems)));
    let items = error_rate.into_iter().flat_map(|items| items.value);
    definitions.extend(items.filter_map(|item| error_rate_definition(item.value, problems)));
    let items = resource.into_iter().flat_map(|items| items.value);
    definitions.extend(items.filter_map(|item| readings::resource_definition(item.value, problems)));
    let items = drift.into_iter().flat_map(|items| items.value);
    definitions.extend(items.filter_map(|item| readings::drift_definition(item.value, problems)));
    let items = outage.into_iter().flat_map(|items| items.value);
    definitions.extend(items.filter_map(|item| outage_definition(item.value, problems)));
}

fn response_time_definition(
    mut document: ResponseTimeDocument,
    problems: &mut Problems,
) -> Option<ObjectiveDefinition> {
    let common = document.common();
    let ResponseTimeDocument { operations, each, statistic, target, acceptable, maximum, .. } = document;
    let of = read_aggregation(&statistic?, problems)?;
    let limits = written([target, acceptable, maximum], |limit| limit.seconds() * 1000.0);
    let definition = ObjectiveDefinition::new(
        common,
        Subject::Requests(RequestStatistic::ResponseTime(of)),
        checked(LastLimit::Maximum, &limits, problems)?,
        Selector::Operations(operations?.value),
        problems,
    )?;
    Some(ObjectiveDefinition { each: each?.value, ..definition })
}

fn throughput_definition(
    mut document: ThroughputDocument,
    problems: &mut Problems,
) -> Option<ObjectiveDefinition> {
    let common = document.common();
    let ThroughputDocument { scenarios, target, acceptable, minimum, .. } = document;
    let limits = written([target, acceptable, minimum], |limit| limit.per_second());
    let limits = checked(LastLimit::Minimum, &limits, problems)?;
    ObjectiveDefinition::new(
        common,
        Subject::Requests(RequestStatistic::Throughput),
        limits,
        Selector::Scenarios(scenarios?.value),
        problems,
    )
}

fn error_rate_definition(
    mut document: ErrorRateDocument,
    problems: &mut Problems,
) -> Option<ObjectiveDefinition> {
    let common = document.common();
    let ErrorRateDocument { operations, each, target, acceptable, maximum, .. } = document;
    if let Some(maximum) =
        maximum.as_ref().filter(|maximum| maximum.value.percent() > MAX_PLAUSIBLE_ERROR_RATE)
    {
        let allowed = format_number(maximum.value.percent());
        let success = format_number(100.0 - maximum.value.percent());
        let message = format!("an error rate of {allowed} % lets most requests fail");
        let diagnostic =
            Diagnostic::new(Code::Implausible, message).at(maximum.span, "the share that may fail");
        problems.report(diagnostic.help(format!(
            "write the share of failures: `{success}%` if {allowed} % of the requests must succeed"
        )));
    }
    let limits = written([target, acceptable, maximum], |limit| limit.percent());
    let limits = checked(LastLimit::Maximum, &limits, problems)?;
    let definition = ObjectiveDefinition::new(
        common,
        Subject::Requests(RequestStatistic::ErrorRate),
        limits,
        Selector::Operations(operations?.value),
        problems,
    )?;
    Some(ObjectiveDefinition { each: each?.value, ..definition })
}

fn outage_definition(document: OutageDocument, problems: &mut Problems) -> Option<ObjectiveDefinition> {
    let OutageDocument { name, target, acceptable, maximum, phases, gate } = document;
    let limits = written([target, acceptable, maximum], |limit| limit.seconds());
    for limit in limits.iter().flatten().filter(|limit| limit.value < MIN_OUTAGE_S) {
        let diagnostic = Diagnostic::new(Code::OutOfRange, "a limit of outages must be at least 1s");
        problems.report(
            diagnostic
                .at(limit.span, "here")
                .help("write a longer time; `[[response_time]]` and `[[error_rate]]` limit shorter ones"),
        );
    }
    Some(ObjectiveDefinition {
        each: false,
        name: name?,
        subject: Subject::Outage,
        limits: checked(LastLimit::Maximum, &limits, problems)?,
        selector: Selector::Target,
        phases: phases.map(|phases| phases.value),
        gated: gate?.value,
        interval: None,
        abort: false,
    })
}

/// The limits as numbers in the unit of the statistic.
fn written<T>(limits: [Option<Spanned<T>>; 3], number: impl Fn(&T) -> f64) -> [Option<Spanned<f64>>; 3] {
    limits.map(|limit| limit.map(|limit| Spanned::new(number(&limit.value), limit.span)))
}

fn read_aggregation(written: &Spanned<String>, problems: &mut Problems) -> Option<Aggregation> {
    let percentile = written.value.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
    let read = match (written.value.as_str(), percentile) {
        ("mean", _) => Some(Aggregation::Mean),
        ("max", _) => Some(Aggregation::Max),
        (_, Some(percent)) if (50.0..=99.9).contains(&percent) => {
            Some(Aggregation::Quantile(percent / 100.0))
        }
        _ => None,
    };
    if read.is_none() {
        let diagnostic = Diagnostic::new(Code::OutOfRange, format!("unknown statistic `{}`", written.value))
            .at(written.span, "here");
        let diagnostic = match elsewhere(&written.value) {
            Some(ours) => diagnostic.help(format!("`{}` is `{ours}` here", written.value)),
            None => diagnostic.suggest(&written.value, ["mean", "max", "p50", "p90", "p95", "p99", "p99.9"]),
        };
        problems.report(diagnostic.help("write `mean`, `max` or a percentile from `p50` to `p99.9`"));
    }
    read
}

/// The statistic that other tools write in this way: `median` in Locust, `avg` and `p(95)` in k6.
fn elsewhere(written: &str) -> Option<String> {
    let percentile = || {
        let number = written.trim_start_matches(['p', 'P']).trim_start_matches('(');
        let number = number.trim_end_matches(')').trim_end_matches('%').trim_end_matches("th");
        let percent: f64 = number.parse().ok()?;
        let percent = if percent < 1.0 { percent * 100.0 } else { percent };
        (50.0..=99.9).contains(&percent).then(|| Aggregation::Quantile(percent / 100.0).to_string())
    };
    match written.to_ascii_lowercase().as_str() {
        "median" | "med" => Some("p50".to_owned()),
        "avg" | "average" => Some("mean".to_owned()),
        "maximum" => Some("max".to_owned()),
        _ => percentile(),
    }
}

/// The kind of the last limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLimit {
    Maximum,
    /// A maximum that may be 0: no reading above it.
    MaximumOrZero,
    Minimum,
}

/// The limits, after checking that they are above 0 and in order.
fn checked(
    last: LastLimit,
    written: &[Option<Spanned<f64>>; 3],
    problems: &mut Problems,
) -> Option<CheckedLimits> {
    let (names, order) = match last {
        LastLimit::Maximum | LastLimit::MaximumOrZero => {
            (["target", "acceptable", "maximum"], "target ≤ acceptable ≤ maximum")
        }
        LastLimit::Minimum => (["target", "acceptable", "minimum"], "target ≥ acceptable ≥ minimum"),
    };
    let bound = |limit| match last {
        LastLimit::Maximum | LastLimit::MaximumOrZero => Bound::AtMost(limit),
        LastLimit::Minimum => Bound::AtLeast(limit),
    };
    let mut stricter: Option<(&str, &Spanned<f64>)> = None;
    let mut in_order = true;
    for (name, limit) in names.into_iter().zip(written) {
        let Some(limit) = limit else { continue };
        if limit.value < 0.0 || (limit.value == 0.0 && last != LastLimit::MaximumOrZero) {
            let least = if last == LastLimit::MaximumOrZero { "0 or more" } else { "above 0" };
            let message = format!("`{name}` must be {least}");
            let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(limit.span, "here");
            problems.report(diagnostic.help(format!("write a limit of {least}")));
            in_order = false;
        }
        if let Some((before, first)) = stricter
            && !bound(first.value).allows(limit.value)
        {
            let message = format!("`{before}` is looser than `{name}`");
            let diagnostic = Diagnostic::new(Code::Tiers, message)
                .at(limit.span, format!("stricter than `{before}`"))
                .at(first.span, format!("`{before}` is here"));
            problems.report(diagnostic.help(format!("the limits must be in the order {order}")));
            in_order = false;
        }
        stricter = Some((name, limit));
    }
    let value = |index: usize| written[index].as_ref().map(|limit| limit.value);
    let tiers = Tiers { target: value(0), acceptable: value(1), last: value(2).filter(|_| in_order)? };
    Some(CheckedLimits { tiers, spans: LimitSpans::of(written) })
}
