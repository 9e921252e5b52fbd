//! The compiled plan, valid by construction: only `compile` builds one, and only from documents without a mistake.

mod monitor;
mod phase;
mod rows;
mod secrets;
mod target;

pub use monitor::{Host, HostId, Monitor, TARGET};
pub use phase::{JudgedPeriod, Load, OpenLoad, Phase, Stage};
pub use rows::{RowSource, RowTaker};
pub use secrets::Secrets;
pub use target::{ConnectionUse, HttpVersion, KeptFor, ReadyProbe, Target, TargetUrl, Tls, Trust};

use http::Method;
use http::header::HeaderName;
use regex::bytes::Regex;

use crate::plan::document::{Decision, Inconclusive};
use crate::plan::expect::Expectation;
use crate::plan::template::{Hole, Pointer, Template};
use crate::plan::tier::GateTier;
use crate::units::TimeSpan;

/// Index of a phase in [`Plan::phases`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct PhaseId(pub u16);

/// Index of an operation in [`Plan::operations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct OperationId(pub u16);

/// Index of a user class in [`Plan::classes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u16);

impl PhaseId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl OperationId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl ClassId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A plan that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Path of the plan file, as given on the command line.
    pub path: String,
    /// SHA-256 over the plan's files, in hexadecimal.
    pub digest: String,
    /// Random seed, if the plan sets one.
    pub seed: Option<u64>,
    pub target: Target,
    /// In the order in which they run.
    pub phases: Vec<Phase>,
    /// User classes, by [`ClassId`].
    pub classes: Vec<UserClass>,
    /// Lists whose rows are dealt, by the index that columns in templates have.
    pub row_sources: Vec<RowSource>,
    /// Names of the operations, by [`OperationId`].
    pub operations: Vec<String>,
    /// Hosts whose resource usage is measured; `None` without `[monitor]`.
    pub monitor: Option<Monitor>,
    pub gate: Gate,
    /// Values that no output may show.
    pub secrets: Secrets,
}

/// A kind of virtual user.
#[derive(Debug, Clone)]
pub struct UserClass {
    pub name: String,
    /// Think time between two tasks.
    pub wait: Wait,
    pub tasks: Vec<Task>,
    /// Running sums of the tasks' weights.
    pub cumulative_weights: Vec<f64>,
    /// Range of the simulated network distance. A value is drawn once per user and slept before each of its requests.
    pub network_latency: Option<(TimeSpan, TimeSpan)>,
    /// Requests of a user before its first task, in order.
    pub on_start: Vec<Request>,
    /// Requests of a user when it leaves, in order.
    pub on_stop: Vec<Request>,
    pub cookies: Cookies,
    pub connections: ConnectionUse,
    /// Number of values that its users capture.
    pub captures: usize,
}

/// Whether users keep the cookies that responses set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookies {
    /// Each user keeps its own cookies.
    Kept,
    /// `Set-Cookie` has no effect.
    Ignored,
}

impl UserClass {
    /// All requests that its users can send.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        let tasks = self.tasks.iter().flat_map(Task::requests);
        self.on_start.iter().chain(tasks).chain(&self.on_stop)
    }

    /// Mean network latency of its users, in seconds.
    pub fn mean_latency(&self) -> f64 {
        self.network_latency.map_or(0.0, |(low, high)| f64::midpoint(low.seconds(), high.seconds()))
    }

    /// Mean number of requests per task.
    pub fn requests_per_task(&self) -> f64 {
        let total = self.cumulative_weights.last().copied().unwrap_or(1.0);
        self.tasks.iter().map(|task| task.weight / total * task.mean_requests()).sum()
    }
}

/// Think time of a user between two tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wait {
    /// No pause.
    Nothing,
    /// Uniformly distributed between two durations; constant where they are equal.
    Uniform(TimeSpan, TimeSpan),
    /// Exponentially distributed with this mean.
    Exponential(TimeSpan),
    /// Time between the starts of two tasks; lost time is not made up for.
    Pace(TimeSpan),
}

impl Wait {
    /// Mean in seconds; for a pace the time between two starts.
    pub fn mean(self) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Uniform(low, high) => f64::midpoint(low.seconds(), high.seconds()),
            Self::Exponential(mean) | Self::Pace(mean) => mean.seconds(),
        }
    }
}

/// Unit of work of a user between two waits.
#[derive(Debug, Clone)]
pub struct Task {
    /// Relative frequency among the tasks of its class.
    pub weight: f64,
    /// Request sequences. Each time one is drawn, all with the same probability, and its requests are sent in order.
    pub choices: Vec<Vec<Request>>,
}

impl Task {
    /// All requests that it can send.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.choices.iter().flatten()
    }

    fn mean_requests(&self) -> f64 {
        self.requests().count() as f64 / self.choices.len().max(1) as f64
    }
}

/// A request, ready to be rendered.
#[derive(Debug, Clone)]
pub struct Request {
    pub operation: OperationId,
    pub method: Method,
    /// Path with its query, percent-encoded, below the target's base path; or a captured link.
    pub path: Template,
    /// Whether the path is a captured link, which is followed as a browser does.
    pub is_link: bool,
    /// Headers of the request and of its class.
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Option<Template>,
    /// Content type of the body, where no header sets one.
    pub content_type: Option<&'static str>,
    /// Conditions for a response to be a success.
    pub expect: Expectation,
    /// Values to keep from the response.
    pub captures: Vec<Capture>,
}

/// A value to keep from a response.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Name in the plan.
    pub name: String,
    /// Index among the values that a user keeps.
    pub slot: usize,
    pub source: CaptureSource,
}

/// Place of a captured value in a response.
#[derive(Debug, Clone)]
pub enum CaptureSource {
    /// In its JSON body.
    Json(Pointer),
    Header(HeaderName),
    Status,
    /// What the first group of the first match in the body has, or the whole match without a group.
    Regex(Regex),
    /// The hidden input with this name in a form of its HTML body.
    Field(String),
}

impl CaptureSource {
    /// Whether it needs the body.
    pub fn inspects_body(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Regex(_) | Self::Field(_))
    }

    /// Whether it picks a random element.
    pub fn picks(&self) -> bool {
        matches!(self, Self::Json(pointer) if pointer.picks())
    }
}

/// Rules that turn measurements into verdicts and an exit code.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// Tier at which objectives are judged.
    pub tier: GateTier,
    /// Effect of an inconclusive objective on the exit code.
    pub inconclusive: Inconclusive,
    /// Whether a verdict must be proven.
    pub decision: Decision,
    /// Risk of a wrong verdict that each decision may take: 1 − confidence.
    pub alpha: f64,
    /// Whether the circuit breaker is active.
    pub breaker: bool,
}

impl Plan {
    /// User classes in the mix of a phase.
    pub fn classes_of<'p>(&'p self, phase: &'p Phase) -> impl Iterator<Item = &'p UserClass> {
        phase.mix.iter().map(|(class, _)| &self.classes[class.index()])
    }

    /// Operations that a phase can perform, in the plan's order.
    pub fn operations_of(&self, phase: &Phase) -> Vec<OperationId> {
        let requests = self.classes_of(phase).flat_map(UserClass::requests);
        let mut operations: Vec<OperationId> = requests.map(|request| request.operation).collect();
        operations.sort_unstable();
        operations.dedup();
        operations
    }

    /// Weights by which the classes of a phase share its arrivals: weight divided by mean wait, the rate at which the
    /// users of a class would act. If any class has no wait, the weights of the mix alone.
    pub fn arrival_weights(&self, phase: &Phase) -> Vec<f64> {
        let waits = || self.classes_of(phase).map(|class| class.wait.mean());
        let all_wait = waits().all(|wait| wait > 0.0);
        let shares = phase.mix.iter().zip(waits());
        shares.map(|((_, weight), wait)| if all_wait { weight / wait } else { *weight }).collect()
    }

    /// All requests of its classes.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.classes.iter().flat_map(UserClass::requests)
    }

    /// Largest number of `${seq()}` holes in a task, an `on_start` or an `on_stop`.
    pub fn sequences_per_task(&self) -> u64 {
        let sequences = |requests: &Vec<Request>| requests.iter().map(Request::sequences).sum();
        let choices = self.classes.iter().flat_map(|class| &class.tasks).flat_map(|task| &task.choices);
        let others = self.classes.iter().flat_map(|class| [&class.on_start, &class.on_stop]);
        choices.chain(others).map(sequences).max().unwrap_or(0)
    }

    /// Whether any `on_start` or `on_stop` has a `${seq()}` hole.
    pub fn has_start_sequences(&self) -> bool {
        let requests = self.classes.iter().flat_map(|class| class.on_start.iter().chain(&class.on_stop));
        requests.map(Request::sequences).any(|sequences| sequences > 0)
    }
}

impl Request {
    /// Numbers its `${seq()}` holes, from `next` on.
    pub(super) fn number_sequences(&mut self, next: &mut u64) {
        let headers = self.headers.iter_mut().map(|(_, value)| value);
        for template in std::iter::once(&mut self.path).chain(headers).chain(self.body.as_mut()) {
            for hole in template.holes_mut() {
                if let Hole::Sequence(place) = hole {
                    *place = *next;
                    *next += 1;
                }
            }
        }
    }

    /// Path, header values and body.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let headers = self.headers.iter().map(|(_, value)| value);
        std::iter::once(&self.path).chain(headers).chain(self.body.as_ref())
    }

    /// Row sources of its columns.
    pub fn row_sources(&self) -> impl Iterator<Item = usize> {
        self.templates().flat_map(Template::row_sources)
    }

    /// Whether the body of its response is looked into.
    pub fn looks_into_response(&self) -> bool {
        self.expect.inspects_body() || self.captures.iter().any(|capture| capture.source.inspects_body())
    }

    /// Whether the body of its response is parsed as JSON.
    pub fn parses_response(&self) -> bool {
        let is_json = |capture: &Capture| matches!(capture.source, CaptureSource::Json(_));
        self.expect.needs_json() || self.captures.iter().any(is_json)
    }

    /// Number of its `${seq()}` holes.
    pub fn sequences(&self) -> u64 {
        self.templates().map(Template::sequences).sum()
    }
}
