//! What a plan means. Valid by construction: only `compile` makes one, and only from documents without a mistake.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use crate::diagnostic::Span;
use crate::plan::document::{GateTier, Inconclusive};
use crate::plan::template::Template;
use crate::units::{Rate, TimeSpan};

/// A phase's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PhaseId(pub u16);

/// An operation's place among the plan's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct OperationId(pub u16);

/// A user class's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u16);

impl PhaseId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl OperationId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl ClassId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A plan that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// The file, as the user named it.
    pub path: String,
    /// SHA-256 over the plan's files, in hexadecimal.
    pub digest: String,
    /// What chance depends on, if the plan says so.
    pub seed: Option<u64>,
    /// Who is tested.
    pub target: Target,
    /// What happens, in this order.
    pub phases: Vec<Phase>,
    /// User classes, by [`ClassId`].
    pub classes: Vec<UserClass>,
    /// The operations' names, by [`OperationId`].
    pub operations: Vec<String>,
    /// How the verdict is reached.
    pub gate: Gate,
    /// Values that no output may show.
    pub secrets: Secrets,
}

/// Values that no output may show.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// These secrets, in every form in which they are sent.
    pub(super) fn new(mut forms: Vec<String>) -> Self {
        // One may be a part of another, which must then be replaced first to go whole.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// The text with every secret in it replaced by `***`.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Who is tested and how to reach it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub url: TargetUrl,
    /// What is asked until it answers 2xx, before any load; a TCP connect where there is none.
    pub ready: Option<(Method, String)>,
    /// How long it may take to get ready.
    pub ready_within: TimeSpan,
    /// A request that takes longer, from sent, has failed.
    pub timeout: TimeSpan,
    /// A connection that takes longer has failed.
    pub connect_timeout: TimeSpan,
    /// Headers of every request, constant.
    pub headers: HeaderMap,
}

/// The parts of the target's URL that are needed to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What every path is appended to; without a slash at its end.
    pub base_path: String,
    /// The value of the `Host` header.
    pub authority: HeaderValue,
    /// The URL as it may be shown, without secrets.
    pub shown: String,
}

impl TargetUrl {
    /// A port of this machine.
    pub fn loopback(port: u16) -> Self {
        let authority = HeaderValue::from_str(&format!("127.0.0.1:{port}"));
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            base_path: String::new(),
            authority: authority.expect("an address is printable"),
            shown: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl std::fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A stretch of the plan with one load.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// The name that throughput objectives select on.
    pub scenario: String,
    /// From its start, the ramp included.
    pub duration: TimeSpan,
    /// Virtual users.
    pub users: u32,
    /// The time in which users are started.
    pub ramp: TimeSpan,
    /// Not judged, in addition to the ramp.
    pub warmup: TimeSpan,
    /// User classes and their weights.
    pub mix: Vec<(ClassId, f64)>,
    /// Closed or open.
    pub load: Load,
    /// Where the phase was written.
    pub span: Span,
}

/// What starts a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Users loop through task and wait.
    Closed,
    /// A schedule starts tasks, at this rate, even where answers stay out.
    Open(Rate),
}

impl Phase {
    /// The first second of the phase that is judged: the first whole one after ramp and warm-up.
    pub fn judged_from(&self) -> u32 {
        (self.ramp.seconds() + self.warmup.seconds() - 1e-6).ceil().max(0.0) as u32
    }

    /// How many seconds are judged.
    pub fn judged_seconds(&self) -> f64 {
        (self.duration.seconds() - f64::from(self.judged_from())).max(0.0)
    }

    /// How long after the phase's start a user starts.
    pub fn user_start(&self, user: u32) -> f64 {
        self.ramp.seconds() * f64::from(user) / f64::from(self.users.max(1))
    }
}

/// A kind of virtual user.
#[derive(Debug, Clone)]
pub struct UserClass {
    /// Its name.
    pub name: String,
    /// Its pause between two tasks.
    pub wait: Wait,
    /// What it does.
    pub tasks: Vec<Task>,
    /// The running sums of the tasks' weights.
    pub cumulative_weights: Vec<f64>,
}

/// A user's pause between two tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wait {
    /// Not at all.
    Nothing,
    /// Evenly distributed between two; a constant where both are the same.
    Uniform(TimeSpan, TimeSpan),
    /// Exponentially distributed with this mean.
    Exponential(TimeSpan),
    /// So long between the starts of two tasks; lost time is not made up for.
    Pace(TimeSpan),
}

impl Wait {
    /// The mean, in seconds; for a pace the cadence.
    pub fn mean(self) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Uniform(low, high) => f64::midpoint(low.seconds(), high.seconds()),
            Self::Exponential(mean) | Self::Pace(mean) => mean.seconds(),
        }
    }
}

/// Something a user does.
#[derive(Debug, Clone)]
pub struct Task {
    /// How often it is chosen, against the other tasks of its class.
    pub weight: f64,
    /// Its requests; each time one of them is chosen, all with the same chance.
    pub any_of: Vec<Request>,
}

/// A request, ready to be rendered.
#[derive(Debug, Clone)]
pub struct Request {
    /// What objectives and reports call it.
    pub operation: OperationId,
    /// The method.
    pub method: Method,
    /// The path, percent-encoded, below the target's base path.
    pub path: Template,
    /// Its own headers, the content type of its body among them.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: Option<Template>,
    /// Which answers are successes.
    pub expect: Statuses,
}

/// Which answers are successes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statuses {
    /// 2xx and 3xx.
    Default,
    /// One of these.
    Only(Vec<StatusCode>),
}

impl Statuses {
    /// Whether an answer is a success.
    pub fn accept(&self, status: StatusCode) -> bool {
        match self {
            Self::Default => status.is_success() || status.is_redirection(),
            Self::Only(statuses) => statuses.contains(&status),
        }
    }
}

/// How the verdict is reached.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// The tier at which objectives are judged.
    pub tier: GateTier,
    /// What an inconclusive objective does to the exit code.
    pub inconclusive: Inconclusive,
}

impl Plan {
    /// The operations that a phase can perform, in the plan's order.
    pub fn operations_of(&self, phase: &Phase) -> Vec<OperationId> {
        let classes = phase.mix.iter().map(|(class, _)| &self.classes[class.index()]);
        let requests = classes.flat_map(|class| &class.tasks).flat_map(|task| &task.any_of);
        let mut operations: Vec<OperationId> = requests.map(|request| request.operation).collect();
        operations.sort_unstable();
        operations.dedup();
        operations
    }

    /// How the arrivals of a phase are divided among its mix: by how often their users would act, which is weight by mean
    /// wait; by weight alone where a class does not wait.
    pub fn arrival_weights(&self, phase: &Phase) -> Vec<f64> {
        let waits = || phase.mix.iter().map(|(class, _)| self.classes[class.index()].wait.mean());
        let all_wait = waits().all(|wait| wait > 0.0);
        let shares = phase.mix.iter().zip(waits());
        shares.map(|((_, weight), wait)| if all_wait { weight / wait } else { *weight }).collect()
    }

    /// The most `${seq()}` that one request has.
    pub fn sequences_per_task(&self) -> u64 {
        let requests = self.classes.iter().flat_map(|class| &class.tasks).flat_map(|task| &task.any_of);
        requests.map(Request::sequences).max().unwrap_or(0)
    }
}

impl Request {
    /// How many `${seq()}` it has.
    pub fn sequences(&self) -> u64 {
        let headers: u64 = self.headers.iter().map(|(_, value)| value.sequences()).sum();
        self.path.sequences() + headers + self.body.as_ref().map_or(0, Template::sequences)
    }
}
