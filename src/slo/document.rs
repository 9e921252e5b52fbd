//! Threshold files as they were written. Only `slo` sees these.

mod limit;

pub(super) use limit::{DriftMetric, ResourceLimit};

use crate::document::{Spanned, TableRule, document};
use crate::resources::metric::Metric;
use crate::units::{Rate, Share, TimeSpan};

const STATISTIC_RULE: TableRule = TableRule::Matches(
    "statistic",
    r"^(?:mean|max|p(?:[5-8][0-9]|9[0-8])(?:\.[0-9]*)?|p99(?:\.(?:[0-8][0-9]*|90*)?)?)$",
);
const READINGS_STATISTIC_RULE: TableRule =
    TableRule::Matches("statistic", r"^(?:mean|max|p(?:[5-8][0-9]|9[0-8])(?:\.[0-9]*)?|p99(?:\.0*)?)$");

/// What every objective has that is judged over a phase or over its windows.
pub(super) struct CommonKeys {
    pub(super) name: Option<Spanned<String>>,
    pub(super) phases: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) gate: Option<Spanned<bool>>,
    pub(super) every: Option<Spanned<TimeSpan>>,
    pub(super) allow: Option<Spanned<Share>>,
    pub(super) abort: Option<Spanned<bool>>,
}

/// Declares the table of such an objective: the keys of its own, before those that all have, and its rules.
macro_rules! objective {
    ($(#[doc = $about:literal])+ struct $name:ident {
        $( $(#[doc = $doc:literal])+ $field:ident : $kind:ty $( = $absent:ident $( ($how:literal) )? )? ,)*
        rules [ $( $rule:expr ),+ $(,)? ]
    }) => {
        document! {
            $(#[doc = $about])+
            pub(super) struct $name ("a table") {
                /// The objective's name.
                name: String = required,
                $( $(#[doc = $doc])+ $field: $kind $( = $absent $( ($how) )? )?, )*
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
                rules [ TableRule::Needs("allow", "every"), $( $rule ),+ ]
            }
        }

        impl $name {
            /// Takes out what all have.
            pub(super) fn common(&mut self) -> CommonKeys {
                CommonKeys {
                    name: self.name.take(),
                    phases: self.phases.take(),
                    gate: self.gate.take(),
                    every: self.every.take(),
                    allow: self.allow.take(),
                    abort: self.abort.take(),
                }
            }
        }
    };
}

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

objective! {
    /// How long requests may take.
    struct ResponseTimeDocument {
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
        rules [STATISTIC_RULE, TableRule::NotEmpty(&["operations", "phases"])]
    }
}

objective! {
    /// How many requests must succeed per time.
    struct ThroughputDocument {
        /// Names or globs of scenarios.
        scenarios: Vec<Spanned<String>> = required,
        /// Good.
        target: Rate,
        /// Good enough.
        acceptable: Rate,
        /// The limit.
        minimum: Rate = required,
        rules [TableRule::NotEmpty(&["scenarios", "phases"])]
    }
}

objective! {
    /// Which share of the requests may fail.
    struct ErrorRateDocument {
        /// Names or globs of operations, pooled.
        operations: Vec<Spanned<String>> = required,
        /// Good.
        target: Share,
        /// Good enough.
        acceptable: Share,
        /// The limit.
        maximum: Share = required,
        rules [TableRule::NotEmpty(&["operations", "phases"])]
    }
}

objective! {
    /// What a host may use of one of its resources; its windows have whole minutes.
    struct ResourceDocument {
        /// What is measured.
        metric: Metric = required,
        /// The host, as `[monitor]` names it.
        host: String = default("target"),
        /// `mean` or `max` of the readings, or `p50` to `p99` of their means over 60 s.
        statistic: String = default("mean"),
        /// Good.
        target: ResourceLimit,
        /// Good enough.
        acceptable: ResourceLimit,
        /// The limit.
        maximum: ResourceLimit = required,
        rules [READINGS_STATISTIC_RULE, TableRule::NotEmpty(&["phases"])]
    }
}

document! {
    /// How much something may change over a phase.
    pub(super) struct DriftDocument ("a table") {
        /// The objective's name.
        name: String = required,
        /// What may not grow.
        metric: DriftMetric = required,
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
            TableRule::ExactlyOne(&[&["max_growth"], &["max_ratio", "operations"]]),
            TableRule::Alone("max_growth", &["max_ratio", "operations"]),
            TableRule::Alone("max_ratio", &["host"]),
            TableRule::NotEmpty(&["operations", "phases"]),
        ]
    }
}
