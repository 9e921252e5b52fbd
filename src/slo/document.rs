//! The tables of threshold files as written. Only `slo` uses them.

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

/// The keys of every objective that is judged over a phase or over intervals.
pub(super) struct CommonKeys {
    pub(super) name: Option<Spanned<String>>,
    pub(super) phases: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) gate: Option<Spanned<bool>>,
    pub(super) every: Option<Spanned<TimeSpan>>,
    pub(super) allow: Option<Spanned<Share>>,
    pub(super) abort: Option<Spanned<bool>>,
}

/// Declares the table of such an objective: its own keys, the common keys and its rules.
macro_rules! objective {
    ($(#[doc = $about:literal])+ struct $name:ident {
        $( $(#[doc = $doc:literal])+ $field:ident : $kind:ty $( = $absent:ident $( ($how:literal) )? )? ,)*
        rules [ $( $rule:expr ),+ $(,)? ]
    }) => {
        document! {
            $(#[doc = $about])+
            pub(super) struct $name ("a table") {
                /// Name of the objective, unique within its kind.
                name: String = required,
                $( $(#[doc = $doc])+ $field: $kind $( = $absent $( ($how) )? )?, )*
                /// Judge only these phases.
                phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
                /// Whether the objective is judged; `false` only reports it.
                gate: bool = default(true),
                /// Judge each interval of this length.
                every: TimeSpan,
                /// Maximum share of intervals that may miss; by default none.
                allow: Share = default("0%") with every,
                /// End the run as soon as it is proven that the objective is missed.
                abort: bool = default(false),
                rules [ TableRule::Needs("allow", "every"), $( $rule ),+ ]
            }
        }

        impl $name {
            /// Takes the common keys out.
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
    /// A threshold file: objectives by kind.
    pub(super) struct ThresholdsDocument ("a table") {
        /// Limits on response times.
        response_time: Vec<Spanned<ResponseTimeDocument>>,
        /// Minimum rates of successful requests.
        throughput: Vec<Spanned<ThroughputDocument>>,
        /// Limits on the share of failed requests.
        error_rate: Vec<Spanned<ErrorRateDocument>>,
        /// Limits on the resource usage of hosts.
        resource: Vec<Spanned<ResourceDocument>>,
        /// Limits on growth over a phase.
        drift: Vec<Spanned<DriftDocument>>,
        /// Limits on times without a success.
        outage: Vec<Spanned<OutageDocument>>,
        reserved { recovery }
    }
}

objective! {
    /// A limit on response times.
    struct ResponseTimeDocument {
        /// Names or globs of operations; their requests are pooled.
        operations: Vec<Spanned<String>> = required,
        /// Judge each operation by itself instead of pooling their requests.
        each: bool = default(false),
        /// Statistic that is compared with the limits: `p50` to `p99.9`, `mean` or `max`; by default `p95`.
        statistic: String = default("p95"),
        /// Limit of the best tier.
        target: TimeSpan,
        /// Limit of the middle tier.
        acceptable: TimeSpan,
        /// Last limit.
        maximum: TimeSpan = required,
        rules [STATISTIC_RULE, TableRule::NotEmpty(&["operations", "phases"])]
    }
}

objective! {
    /// A minimum rate of successful requests.
    struct ThroughputDocument {
        /// Names or globs of scenarios; each phase is judged separately.
        scenarios: Vec<Spanned<String>> = required,
        /// Limit of the best tier.
        target: Rate,
        /// Limit of the middle tier.
        acceptable: Rate,
        /// Last limit.
        minimum: Rate = required,
        rules [TableRule::NotEmpty(&["scenarios", "phases"])]
    }
}

objective! {
    /// A limit on the share of failed requests.
    struct ErrorRateDocument {
        /// Names or globs of operations; their requests are pooled.
        operations: Vec<Spanned<String>> = required,
        /// Judge each operation by itself instead of pooling their requests.
        each: bool = default(false),
        /// Limit of the best tier.
        target: Share,
        /// Limit of the middle tier.
        acceptable: Share,
        /// Last limit.
        maximum: Share = required,
        rules [TableRule::NotEmpty(&["operations", "phases"])]
    }
}

objective! {
    /// A limit on the usage of a resource of a host; `every` is in whole minutes.
    struct ResourceDocument {
        /// Metric that is limited.
        metric: Metric = required,
        /// Name of the host under `[monitor]`.
        host: String = default("target"),
        /// Statistic of the readings: `mean`, `max`, or `p50` to `p99` of their means over 60 s.
        statistic: String = default("mean"),
        /// Limit of the best tier.
        target: ResourceLimit,
        /// Limit of the middle tier.
        acceptable: ResourceLimit,
        /// Last limit.
        maximum: ResourceLimit = required,
        rules [READINGS_STATISTIC_RULE, TableRule::NotEmpty(&["phases"])]
    }
}

document! {
    /// A limit on the growth of a value over a phase.
    pub(super) struct DriftDocument ("a table") {
        /// Name of the objective.
        name: String = required,
        /// Metric whose growth is limited.
        metric: DriftMetric = required,
        /// Name of the host under `[monitor]`; not for `response_time`.
        host: String = otherwise("`target`") with max_growth,
        /// For `response_time`: names or globs of operations; their requests are pooled.
        operations: Vec<Spanned<String>>,
        /// Maximum growth over the phase, in percent of the level at its beginning.
        max_growth: Share,
        /// For `response_time`: maximum ratio of the mean in the last tenth of the phase to that in the first tenth.
        max_ratio: f64,
        /// Shortest judged period that can decide.
        min_length: TimeSpan = default("4h"),
        /// Judge only these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether the objective is judged; `false` only reports it.
        gate: bool = default(true),
        rules [
            TableRule::ExactlyOne(&[&["max_growth"], &["max_ratio", "operations"]]),
            TableRule::Alone("max_growth", &["max_ratio", "operations"]),
            TableRule::Alone("max_ratio", &["host"]),
            TableRule::NotEmpty(&["operations", "phases"]),
        ]
    }
}

document! {
    /// A limit on the longest time in which requests waited or failed and none succeeded.
    pub(super) struct OutageDocument ("a table") {
        /// Name of the objective, unique within its kind.
        name: String = required,
        /// Limit of the best tier.
        target: TimeSpan,
        /// Limit of the middle tier.
        acceptable: TimeSpan,
        /// Last limit.
        maximum: TimeSpan = required,
        /// Judge only these phases.
        phases: Vec<Spanned<String>> = otherwise("every phase in which it applies"),
        /// Whether the objective is judged; `false` only reports it.
        gate: bool = default(true),
        rules [TableRule::NotEmpty(&["phases"])]
    }
}
