use crate::diagnostic::Severity;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Which problem a diagnostic reports. `P…` refuses the plan, `W…` only tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code, in the order of `docs/diagnostics.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as users see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What the code means, one sentence.
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
    /// A key is not one of those its table can have.
    UnknownKey = "P003",
    /// A key that must be there is missing.
    MissingKey = "P004",
    /// A value has another type than its key takes.
    WrongType = "P005",
    /// A duration, rate, share or size is not written as one.
    BadQuantity = "P006",
    /// The key belongs to the language, but this version does not build it yet.
    NotImplemented = "P007",
    /// A path leads out of the parent of the plan's folder.
    OutsideFolder = "P008",
    /// Files include each other in a circle.
    IncludeCycle = "P009",
    /// A name is defined twice.
    DefinedTwice = "P010",
    /// A user class is named that no file defines.
    UnknownClass = "P011",
    /// A list is named that no file defines.
    UnknownList = "P012",
    /// A hole in a text is not one of those that exist, or its arguments do not fit.
    BadHole = "P013",
    /// An operation is named that no task of the plan has.
    UnknownOperation = "P014",
    /// A phase or scenario is named that the plan does not have.
    UnknownPhase = "P015",
    /// A variable of the environment is missing.
    MissingVariable = "P016",
    /// Of several keys exactly one (or at most one) must be there.
    ExactlyOne = "P017",
    /// A value is outside of what its key can take.
    OutOfRange = "P018",
    /// The tiers of an objective are not in order, or none is there.
    Tiers = "P019",
    /// A phase has no second left to judge after ramp and warm-up.
    NothingJudged = "P020",
    /// An objective asks for more throughput than the plan can offer.
    BeyondForecast = "P021",
    /// The request timeout is not above a limit that is gated.
    TimeoutBelowLimit = "P022",
    /// The plan needs more connections than this machine allows.
    TooManyConnections = "P023",
    /// A URL is not one that can be used.
    BadUrl = "P024",
    /// A request is not a method and a path, or a header is not one.
    BadRequest = "P025",
    /// An override does not name a value of the plan.
    BadOverride = "P026",
    /// The plan has no objective and does not say that nothing is to be judged.
    NoObjectives = "P027",
    /// An objective that this plan can never give a sample.
    NeverSampled = "P028",
    /// A file cannot be used as a list.
    BadList = "P029",
    /// A text is not a JSON pointer.
    BadPointer = "P030",
    /// Certificates or keys cannot be used.
    BadTls = "P031",
    /// An objective is named that the threshold file does not have.
    UnknownObjective = "P032",
    /// A gated objective needs more samples than the plan can give it to be proven.
    NeverProven = "P033",
    /// A source of readings is not one, or tells of another machine than the one it is meant for.
    BadSource = "P034",
    /// A host is named that the plan does not look at.
    UnknownHost = "P035",
    /// The source of a host cannot give a metric.
    MetricUnavailable = "P036",
    /// Something written has no effect in this plan.
    NoEffect = "W001",
    /// More users may be needed than the phase has: then they, not the target, set the response times.
    PoolTooSmall = "W002",
    /// The expected samples are just enough to prove an objective: a single slow or failed one leaves it undecided.
    FewSamples = "W003",
    /// An entry of a selector matches nothing.
    MatchesNothing = "W004",
    /// The run may need more disk or memory than there is.
    LowHeadroom = "W005",
    /// The process that is judged as the target may not be the one that answers.
    OtherProcess = "W006",
}

impl Code {
    /// Whether a diagnostic of this code refuses the plan.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('P') { Severity::Error } else { Severity::Warning }
    }
}
