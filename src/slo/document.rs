//! Threshold files as they were written. Only `slo` sees these.

mod limit;

pub(super) use limit::{Drifting, Limit};

use crate::document::{Rule, Spanned, document};
use crate::resources::metric::Metric;
use crate::units::{Rate, Share, TimeSpan};

const STATISTIC: Rule = Rule::Matches(
    "statistic",
    r"^(?:mean|max|p(?:[5-8][0-9]|9[0-8])(?:\.[0-9]*)?|p99(?:\.(?:[0-8][0-9]*|90*)?)?)$",
);
const OF_READINGS: Rule =
    Rule::Matches("statistic", r"^(?:mean|max|p(?:[5-8][0-9]|9[0-8])(?:\.[0-9]*)?|p99(?:\.0*)?)$");
const WINDOWS: Rule = Rule::Needs("allow", "every");

document! {
    /// A file of objectives.
    pub(super) struct ThresholdsDocument ("a table") {
        /// How long requests may take.
        response_time: Vec<Spanned<ResponseTimeDocument>>,
        /// How many must succeed per time.
        throughput: Vec<Spanned<ThroughputDocument>>,
        /// Which share may fail.
        error_rate: Vec<Spanned<ErrorRateDocument>>,
        /// What hosts may use of their resources.
        resource: Vec<Spanned<ResourceDocument>>,
        /// How much may change over a phase.
        drift: Vec<Spanned<DriftDocument>>,
        reserved { recovery }
    }
}

document! {
    /// How long requests may take.
    pub(super) struct ResponseTimeDocument ("a table") {
        /// The objective's name.
        name: String = required,
        /// Names or globs of operations, pooled.
        operations: Vec<Spanned<String>> = required,
        /// `p50` to `p99.9`, `mean` or `max`; by default `p95`.
        statistic: String = default("p95"),
        /// Good.
        target: TimeSpan,
        /// Good enough.
        acceptable: TimeSpan,
        /// The limit.
        maximum: TimeSpan = required,
        /// Only in these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether it is judged.
        gate: bool = default(true),
        /// Judge each window of this length.
        every: TimeSpan,
        /// The share of the windows that may miss; none without it.
        allow: Share = default("0%") with every,
        /// End the run as soon as it is proven that this is missed.
        abort: bool = default(false),
        rules [STATISTIC, WINDOWS, Rule::NotEmpty(&["operations", "phases"])]
    }
}

document! {
    /// How many requests must succeed per time.
    pub(super) struct ThroughputDocument ("a table") {
        /// The objective's name.
        name: String = required,
        /// Names or globs of scenarios.
        scenarios: Vec<Spanned<String>> = required,
        /// Good.
        target: Rate,
        /// Good enough.
        acceptable: Rate,
        /// The limit.
        minimum: Rate = required,
        /// Only in these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether it is judged.
        gate: bool = default(true),
        /// Judge each window of this length.
        every: TimeSpan,
        /// The share of the windows that may miss; none without it.
        allow: Share = default("0%") with every,
        /// End the run as soon as it is proven that this is missed.
        abort: bool = default(false),
        rules [WINDOWS, Rule::NotEmpty(&["scenarios", "phases"])]
    }
}

document! {
    /// Which share of the requests may fail.
    pub(super) struct ErrorRateDocument ("a table") {
        /// The objective's name.
        name: String = required,
        /// Names or globs of operations, pooled.
        operations: Vec<Spanned<String>> = required,
        /// Good.
        target: Share,
        /// Good enough.
        acceptable: Share,
        /// The limit.
        maximum: Share = required,
        /// Only in these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether it is judged.
        gate: bool = default(true),
        /// Judge each window of this length.
        every: TimeSpan,
        /// The share of the windows that may miss; none without it.
        allow: Share = default("0%") with every,
        /// End the run as soon as it is proven that this is missed.
        abort: bool = default(false),
        rules [WINDOWS, Rule::NotEmpty(&["operations", "phases"])]
    }
}

document! {
    /// What a host may use of one of its resources.
    pub(super) struct ResourceDocument ("a table") {
        /// The objective's name.
        name: String = required,
        /// What is measured.
        metric: Metric = required,
        /// The host, as `[monitor]` names it.
        host: String = default("target"),
        /// `mean` or `max` of the readings, or `p50` to `p99` of their means over 60 s.
        statistic: String = default("mean"),
        /// Good.
        target: Limit,
        /// Good enough.
        acceptable: Limit,
        /// The limit.
        maximum: Limit = required,
        /// Only in these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether it is judged.
        gate: bool = default(true),
        /// Judge each window of this length, in whole minutes.
        every: TimeSpan,
        /// The share of the windows that may miss; none without it.
        allow: Share = default("0%") with every,
        /// End the run as soon as it is certain that this is missed.
        abort: bool = default(false),
        rules [OF_READINGS, WINDOWS, Rule::NotEmpty(&["phases"])]
    }
}

document! {
    /// How much something may change over a phase.
    pub(super) struct DriftDocument ("a table") {
        /// The objective's name.
        name: String = required,
        /// What may not grow.
        metric: Drifting = required,
        /// The host, as `[monitor]` names it; not for `response_time`.
        host: String = otherwise("`target`") with max_growth,
        /// For `response_time` names or globs of operations, pooled.
        operations: Vec<Spanned<String>>,
        /// By how much of what it is in the beginning it may grow over the phase.
        max_growth: Share,
        /// For `response_time` the largest ratio of the mean in the last tenth of the phase to that in the first.
        max_ratio: f64,
        /// A shorter phase decides nothing.
        min_length: TimeSpan = default("4h"),
        /// Only in these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether it is judged.
        gate: bool = default(true),
        rules [
            Rule::ExactlyOne(&[&["max_growth"], &["max_ratio", "operations"]]),
            Rule::Alone("max_growth", &["max_ratio", "operations"]),
            Rule::Alone("max_ratio", &["host"]),
            Rule::NotEmpty(&["operations", "phases"]),
        ]
    }
}
