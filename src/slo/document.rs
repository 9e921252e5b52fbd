//! Threshold files as they were written. Only `slo` sees these.

use crate::document::{Rule, Spanned, document};
use crate::units::{Rate, Share, TimeSpan};

const STATISTIC: Rule = Rule::Matches(
    "statistic",
    r"^(?:mean|max|p(?:[5-8][0-9]|9[0-8])(?:\.[0-9]*)?|p99(?:\.(?:[0-8][0-9]*|90*)?)?)$",
);
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
        reserved { resource, drift, recovery }
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
