//! What a plan means. Valid by construction: only `compile` makes one, and only from documents without a mistake.

mod monitor;
mod phase;
mod target;

pub use monitor::{Host, HostId, Monitor, TARGET};
pub use phase::{JudgedPeriod, Load, OpenLoad, Phase, Stage};
pub use target::{HttpVersion, Secrets, Target, TargetUrl, Tls, Trust};

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use http::header::HeaderName;

use crate::plan::document::{Decision, GateTier, Inconclusive};
use crate::plan::expect::Expectation;
use crate::plan::template::{Hole, Pointer, Template};
use crate::units::TimeSpan;

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
    /// The hosts that are looked at meanwhile, if any.
    pub monitor: Option<Monitor>,
    /// How the verdict is reached.
    pub gate: Gate,
    /// Values that no output may show.
    pub secrets: Secrets,
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
    /// Drawn once per user, slept before each of its requests.
    pub network_latency: Option<(TimeSpan, TimeSpan)>,
    /// What a user does before its first task, in order.
    pub on_start: Vec<Request>,
    /// What a user does when it leaves, in order.
    pub on_stop: Vec<Request>,
    /// Whether its users keep cookies.
    pub cookies: Cookies,
    /// How many values its users capture.
    pub captures: usize,
}

/// Whether users keep the cookies that they are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookies {
    /// Each its own.
    Kept,
    /// They are not looked at.
    Ignored,
}

impl UserClass {
    /// All requests that its users can make.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        let tasks = self.tasks.iter().flat_map(Task::requests);
        self.on_start.iter().chain(tasks).chain(&self.on_stop)
    }

    /// The mean latency of its users, in seconds.
    pub fn mean_latency(&self) -> f64 {
        self.network_latency.map_or(0.0, |(low, high)| f64::midpoint(low.seconds(), high.seconds()))
    }

    /// How many requests a task has on average.
    pub fn requests_per_task(&self) -> f64 {
        let total = self.cumulative_weights.last().copied().unwrap_or(1.0);
        self.tasks.iter().map(|task| task.weight / total * task.mean_requests()).sum()
    }
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
    /// What it may be: each time one of them is chosen, all with the same chance, and its requests are made in order.
    pub choices: Vec<Vec<Request>>,
}

impl Task {
    /// All requests that it can make.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.choices.iter().flatten()
    }

    /// How many requests it has on average.
    fn mean_requests(&self) -> f64 {
        self.requests().count() as f64 / self.choices.len().max(1) as f64
    }
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
    /// Its own headers and those of its class.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: Option<Template>,
    /// What the body is, where no header says otherwise.
    pub content_type: Option<&'static str>,
    /// Which answers are successes.
    pub expect: Expectation,
    /// What is kept of its answer.
    pub captures: Vec<Capture>,
}

/// A value to be kept of a JSON answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// What the plan calls it.
    pub name: String,
    /// Its place among the values that a user keeps.
    pub slot: usize,
    /// Where it stands.
    pub pointer: Pointer,
}

/// How the verdict is reached.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// The tier at which objectives are judged.
    pub tier: GateTier,
    /// What an inconclusive objective does to the exit code.
    pub inconclusive: Inconclusive,
    /// Whether a verdict must be proven.
    pub decision: Decision,
    /// The risk of a wrong verdict that each decision may take: 1 − confidence.
    pub alpha: f64,
    /// Whether the circuit breaker is in.
    pub breaker: bool,
}

impl Plan {
    /// The classes of a phase.
    pub fn classes_of<'p>(&'p self, phase: &'p Phase) -> impl Iterator<Item = &'p UserClass> {
        phase.mix.iter().map(|(class, _)| &self.classes[class.index()])
    }

    /// The operations that a phase can perform, in the plan's order.
    pub fn operations_of(&self, phase: &Phase) -> Vec<OperationId> {
        let requests = self.classes_of(phase).flat_map(UserClass::requests);
        let mut operations: Vec<OperationId> = requests.map(|request| request.operation).collect();
        operations.sort_unstable();
        operations.dedup();
        operations
    }

    /// How the arrivals of a phase are divided among its mix: by how often their users would act, which is weight by mean
    /// wait; by weight alone where a class does not wait.
    pub fn arrival_weights(&self, phase: &Phase) -> Vec<f64> {
        let waits = || self.classes_of(phase).map(|class| class.wait.mean());
        let all_wait = waits().all(|wait| wait > 0.0);
        let shares = phase.mix.iter().zip(waits());
        shares.map(|((_, weight), wait)| if all_wait { weight / wait } else { *weight }).collect()
    }

    /// How many bytes of memory its texts and lists take, each list once.
    pub fn held_bytes(&self) -> usize {
        let mut lists = HashMap::new();
        let mut bytes = 0;
        for request in self.classes.iter().flat_map(UserClass::requests) {
            for template in request.templates() {
                let (texts, of_template) = template.held_memory();
                bytes += texts;
                lists.extend(of_template.map(|list| (Arc::as_ptr(list), list.held_bytes())));
            }
        }
        bytes + lists.values().sum::<usize>()
    }

    /// The most `${seq()}` that a task, a start or a stop has.
    pub fn sequences_per_task(&self) -> u64 {
        let sequences = |requests: &Vec<Request>| requests.iter().map(Request::sequences).sum();
        let choices = self.classes.iter().flat_map(|class| &class.tasks).flat_map(|task| &task.choices);
        let others = self.classes.iter().flat_map(|class| [&class.on_start, &class.on_stop]);
        choices.chain(others).map(sequences).max().unwrap_or(0)
    }

    /// Whether starts or stops have a `${seq()}`.
    pub fn has_start_sequences(&self) -> bool {
        let requests = self.classes.iter().flat_map(|class| class.on_start.iter().chain(&class.on_stop));
        requests.map(Request::sequences).any(|sequences| sequences > 0)
    }
}

impl Request {
    /// Numbers its `${seq()}`, from `next` on.
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

    /// Everything of it that is rendered.
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let headers = self.headers.iter().map(|(_, value)| value);
        std::iter::once(&self.path).chain(headers).chain(self.body.as_ref())
    }

    /// How many `${seq()}` it has.
    pub fn sequences(&self) -> u64 {
        self.templates().map(Template::sequences).sum()
    }
}
