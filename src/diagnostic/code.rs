//! The codes of diagnostics and their meanings.

use crate::diagnostic::Severity;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The kind of a problem. `P…` is an error and refuses the plan; `W…` is a warning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code, in the order of `docs/reference/diagnostics.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as shown to users, such as `P001`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The meaning of the code, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The file is not TOML.
    Syntax = "P001",
    /// The file cannot be read, is not UTF-8 or is larger than a file of its kind may be.
    Unreadable = "P002",
    /// A table does not have this key.
    UnknownKey = "P003",
    /// A required key is missing.
    MissingKey = "P004",
    /// A value has the wrong type for its key.
    WrongType = "P005",
    /// A duration, rate, share or size has the wrong form.
    BadQuantity = "P006",
    /// The key is reserved for a later version.
    NotImplemented = "P007",
    /// A path leads out of the parent of the plan's folder.
    OutsideFolder = "P008",
    /// Files include each other in a circle.
    IncludeCycle = "P009",
    /// A name is defined twice.
    DefinedTwice = "P010",
    /// No file defines the user class.
    UnknownClass = "P011",
    /// No file defines the list.
    UnknownList = "P012",
    /// A hole in a text is unknown or unclosed, or its arguments are invalid.
    BadHole = "P013",
    /// No task of the plan has the operation.
    UnknownOperation = "P014",
    /// The plan does not have the phase or scenario.
    UnknownPhase = "P015",
    /// An environment variable is missing.
    MissingVariable = "P016",
    /// Of several keys exactly one (or at most one) must be present.
    ExactlyOne = "P017",
    /// A value is outside the range of its key.
    OutOfRange = "P018",
    /// The tiers of an objective are not in order, or none is present.
    Tiers = "P019",
    /// A phase has no second left to judge after ramp and warm-up.
    NothingJudged = "P020",
    /// An objective requires more throughput than the plan can reach.
    BeyondForecast = "P021",
    /// The request timeout is not above a gated limit.
    TimeoutBelowLimit = "P022",
    /// The plan needs more connections than this machine allows.
    TooManyConnections = "P023",
    /// A URL is invalid.
    BadUrl = "P024",
    /// A request is not a method and a path, or a header is invalid.
    BadRequest = "P025",
    /// An override does not name a value of the plan.
    BadOverride = "P026",
    /// The plan has no gated objective and does not set the gate's `tier` to `"none"`.
    NoObjectives = "P027",
    /// The plan can never produce a sample for an objective.
    NeverSampled = "P028",
    /// A file cannot be used as a list.
    BadList = "P029",
    /// A text is not a JSON pointer.
    BadPointer = "P030",
    /// Certificates or keys cannot be used.
    BadTls = "P031",
    /// The threshold file does not have the objective.
    UnknownObjective = "P032",
    /// A gated objective needs more samples for a proof than the plan can produce.
    NeverProven = "P033",
    /// A source of readings is invalid, or it measures a different machine than intended.
    BadSource = "P034",
    /// `[monitor]` does not have the host.
    UnknownHost = "P035",
    /// The source of a host does not provide the metric.
    MetricUnavailable = "P036",
    /// The folder for the reports cannot be created or written.
    UnwritableFolder = "P037",
    /// A key has no effect in this plan.
    NoEffect = "W001",
    /// The phase may have too few users; then the users, not the target, determine the response times.
    PoolTooSmall = "W002",
    /// The expected samples are just enough to prove an objective; a single slow or failed one leaves it undecided.
    FewSamples = "W003",
    /// An entry of a selector matches nothing.
    MatchesNothing = "W004",
    /// The run may need more disk space or memory than is free.
    LowHeadroom = "W005",
    /// The process judged as the target may not be the one that answers.
    OtherProcess = "W006",
    /// A limit is implausible.
    Implausible = "W007",
    /// The queries of a metric look back so far that a phase leaves too few readings to decide an objective. `check` refuses
    /// this (P033).
    LooksBack = "W008",
    /// A list has fewer rows than users that need one each, so some share a row.
    FewRows = "W009",
}

impl Code {
    /// Whether a diagnostic of this code refuses the plan.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('P') { Severity::Error } else { Severity::Warning }
    }
}
