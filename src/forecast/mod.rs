//! The forecast of a plan before its first request: request rates and counts, and the feasibility of its objectives.

mod decidability;
mod feasibility;
mod needs;

pub use decidability::{Decidability, SampleSize, SampleUnit};
pub use feasibility::check;
pub use needs::{LookedInto, Needs, needs};

use std::collections::BTreeMap;

use crate::plan::model::{HostId, JudgedPeriod, Load, OpenLoad, OperationId, Phase, Plan, UserClass, Wait};
use crate::resources::metric::Metric;
use crate::schedule::{Arrivals, deal};
use crate::slo::objective::Objective;

/// The forecast of a phase.
#[derive(Debug, Clone)]
pub struct PhaseForecast {
    /// The maximum mean request rate over the judged period, per second; `None` if only the target's speed limits it,
    /// because users have no wait.
    pub per_second: Option<f64>,
    /// The peak of this rate.
    pub peak_per_second: Option<f64>,
    /// The mean rate of each operation, per second.
    pub by_operation: BTreeMap<OperationId, f64>,
    /// The requests in the judged period that users make when they start. In a closed phase also those of their first
    /// task, before which they do not wait.
    pub starts: BTreeMap<OperationId, f64>,
    /// The mean number of requests of a task.
    pub requests_per_task: f64,
    /// The number of users of each entry of the mix.
    pub users: Vec<u32>,
    /// The shortest judged period that decides throughput, in seconds. In a closed phase it is the minimum time between
    /// two tasks of the slowest user class. In an open phase it is ten times the network latency, so that the requests
    /// in flight at its ends are at most a tenth.
    pub cycle_seconds: f64,
    /// All requests of the phase, ramp included; `None` if only the target's speed limits them.
    pub requests: Option<f64>,
    /// The requests of each operation in a phase that ends with its tasks.
    pub counted: Option<BTreeMap<OperationId, f64>>,
    /// The shortest time of a phase that ends with its tasks, in seconds: that of its waits.
    pub least_seconds: Option<f64>,
    /// The number of readings of each host in each judged period.
    pub readings: Vec<f64>,
    /// The readings at the start of each judged period that look back to before it, by host and metric.
    pub early_readings: BTreeMap<(HostId, Metric), f64>,
    /// The seconds between two readings.
    pub reading_seconds: f64,
}

/// The minimum length of an open phase in network latencies, because of the requests in flight at its ends.
const MIN_PHASE_PER_LATENCY: f64 = 10.0;

/// The forecast of each phase of a plan.
pub fn forecast(plan: &Plan) -> Vec<PhaseForecast> {
    plan.phases.iter().map(|phase| phase_forecast(plan, phase)).collect()
}

fn phase_forecast(plan: &Plan, phase: &Phase) -> PhaseForecast {
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    let dealt = deal(&weights, phase.users);
    let users: Vec<u32> =
        (0..weights.len()).map(|share| dealt.iter().filter(|d| **d == share).count() as u32).collect();
    let rates = class_rates(plan, phase, &users);
    let mut by_operation = BTreeMap::new();
    let mut per_second = Some(0.0);
    let mut tasks = 0.0;
    for (class, rate) in plan.classes_of(phase).zip(&rates) {
        per_second = per_second.zip(*rate).map(|(sum, rate)| sum + rate * class.requests_per_task());
        let Some(rate) = rate else { continue };
        tasks += rate;
        for (operation, share) in shares(class) {
            *by_operation.entry(operation).or_insert(0.0) += rate * share;
        }
    }
    let requests_per_task = per_second.filter(|_| tasks > 0.0).map_or(1.0, |all| all / tasks);
    let of_tasks = phase.ends_with_its_tasks().then(|| requests_of_tasks(plan, phase, &dealt));
    PhaseForecast {
        requests: match &of_tasks {
            Some((requests, _)) => Some(*requests),
            None => requests(phase, per_second, requests_per_task),
        },
        counted: of_tasks.map(|(_, counted)| counted),
        least_seconds: phase.ends_with_its_tasks().then(|| least_seconds(plan, phase)),
        peak_per_second: per_second.map(|mean| mean * peak(phase)),
        per_second,
        by_operation,
        starts: starts(plan, phase, &users),
        requests_per_task,
        cycle_seconds: cycle_seconds(plan, phase),
        readings: plan
            .monitor
            .iter()
            .flat_map(|it| it.expected(phase))
            .map(|range| range.len() as f64)
            .collect(),
        early_readings: early_readings(plan),
        reading_seconds: plan.monitor.as_ref().map_or(0.0, |monitor| monitor.every.seconds()),
        users,
    }
}

/// The readings at the start of each judged period that do not count, by host and metric.
fn early_readings(plan: &Plan) -> BTreeMap<(HostId, Metric), f64> {
    let hosts = plan.monitor.iter().flat_map(|monitor| {
        let ids = (0..).map(HostId).take(monitor.hosts.len());
        ids.flat_map(move |id| {
            Metric::ALL
                .iter()
                .map(move |metric| ((id, *metric), f64::from(monitor.early_readings(id, *metric))))
        })
    });
    hosts.filter(|(_, early)| *early > 0.0).collect()
}

fn cycle_seconds(plan: &Plan, phase: &Phase) -> f64 {
    let of_class = |class: &UserClass| {
        let latency_s = class.mean_latency() * class.requests_per_task();
        match phase.load {
            Load::Open(_) => MIN_PHASE_PER_LATENCY * latency_s,
            Load::Closed => seconds_between(class),
        }
    };
    plan.classes_of(phase).map(of_class).fold(0.0, f64::max)
}

/// The mean count of each operation in a task of a class.
fn shares(class: &UserClass) -> impl Iterator<Item = (OperationId, f64)> {
    let total = class.cumulative_weights.last().copied().unwrap_or(1.0);
    class.tasks.iter().flat_map(move |task| {
        let share = task.weight / total / task.choices.len() as f64;
        task.requests().map(move |request| (request.operation, share))
    })
}

/// All requests of a phase that ends with its tasks, without `on_start` and `on_stop`, and those of each operation with
/// `on_start`. `dealt` is the entry of the mix of each user.
fn requests_of_tasks(plan: &Plan, phase: &Phase, dealt: &[usize]) -> (f64, BTreeMap<OperationId, f64>) {
    let mut all = 0.0;
    let mut counted = BTreeMap::new();
    for (entry, class) in plan.classes_of(phase).enumerate() {
        let users = || (0..).zip(dealt).filter(|(_, dealt)| **dealt == entry);
        let tasks = users().map(|(user, _)| phase.tasks_of(user) as f64).sum::<f64>();
        all += tasks * class.requests_per_task();
        for (operation, share) in shares(class) {
            *counted.entry(operation).or_insert(0.0) += tasks * share;
        }
        for request in &class.on_start {
            *counted.entry(request.operation).or_insert(0.0) += users().count() as f64;
        }
    }
    (all, counted)
}

/// The shortest time of a phase that ends with its tasks, in seconds: that of a user's waits at an infinitely fast target.
fn least_seconds(plan: &Plan, phase: &Phase) -> f64 {
    let tasks = phase.tasks_of(0) as f64;
    let of_class = |class: &UserClass| {
        let latency_s = class.mean_latency() * class.requests_per_task();
        latency_s + (tasks - 1.0) * seconds_between(class)
    };
    plan.classes_of(phase).map(of_class).fold(0.0, f64::max)
}

/// The shortest mean time between the starts of two tasks of a closed user: its wait plus the network latency of every
/// request.
fn seconds_between(class: &UserClass) -> f64 {
    let latency_s = class.mean_latency() * class.requests_per_task();
    match class.wait {
        Wait::Pace(pace) => pace.seconds().max(latency_s),
        wait => wait.mean() + latency_s,
    }
}

/// All requests of a phase, without `on_start` and `on_stop`.
fn requests(phase: &Phase, per_second: Option<f64>, requests_per_task: f64) -> Option<f64> {
    match phase.load {
        Load::Open(load) => {
            let arrivals = Arrivals::new((load.from, load.to), phase.ramp(), phase.duration);
            Some(arrivals.total() as f64 * requests_per_task)
        }
        // While the number of users changes, half of the difference is present on average. Each user starts with a task
        // at once.
        Load::Closed => per_second.map(|rate| {
            let mut before = 0.0;
            let user_seconds = phase.stages.iter().map(|stage| {
                let users = f64::from(stage.users);
                let over = f64::midpoint(before, users) * stage.over.seconds();
                before = users;
                over + users * stage.hold.seconds()
            });
            let per_user = rate / phase.mean_users().max(1.0);
            user_seconds.sum::<f64>() * per_user + f64::from(phase.users) * requests_per_task
        }),
    }
}

/// The ratio of the peak rate to the mean rate over the judged period.
fn peak(phase: &Phase) -> f64 {
    match phase.load {
        Load::Closed => f64::from(phase.users) / phase.mean_users().max(1.0),
        Load::Open(load) => {
            let highest = load.from.per_second().max(load.to.per_second());
            let mean = judged_rate(phase, load);
            if mean > 0.0 { highest / mean } else { 1.0 }
        }
    }
}

/// The mean arrival rate over the judged period, per second.
fn judged_rate(phase: &Phase, load: OpenLoad) -> f64 {
    let middle =
        |judged: &JudgedPeriod| f64::midpoint(f64::from(judged.from), judged.to) / phase.duration.seconds();
    let judged = phase.judged();
    let weighted = judged.iter().map(|part| part.seconds() * load.per_second_at(middle(part)));
    weighted.sum::<f64>() / phase.judged_seconds().max(f64::MIN_POSITIVE)
}

/// The requests of `on_start` and, in a closed phase, of each user's first task, if the judged period begins with the
/// phase.
fn starts(plan: &Plan, phase: &Phase, users: &[u32]) -> BTreeMap<OperationId, f64> {
    let mut starts = BTreeMap::new();
    let at_once = phase.judged().first().is_some_and(|judged| judged.from == 0);
    for (class, users) in plan.classes_of(phase).zip(users).filter(|_| at_once) {
        for request in &class.on_start {
            *starts.entry(request.operation).or_insert(0.0) += f64::from(*users);
        }
        for (operation, share) in shares(class).filter(|_| phase.load == Load::Closed) {
            *starts.entry(operation).or_insert(0.0) += f64::from(*users) * share;
        }
    }
    starts
}

/// The maximum mean task rate of each entry of a phase's mix over the judged period: users divided by the minimum time
/// between the starts of two tasks, which is the wait plus the network latency of every request.
fn class_rates(plan: &Plan, phase: &Phase, users: &[u32]) -> Vec<Option<f64>> {
    match phase.load {
        Load::Closed => {
            let there = phase.mean_users() / f64::from(phase.users.max(1));
            let rate = |(users, class): (&u32, &UserClass)| {
                let between = seconds_between(class);
                (between > 0.0).then(|| f64::from(*users) * there / between)
            };
            users.iter().zip(plan.classes_of(phase)).map(rate).collect()
        }
        Load::Open(load) => {
            let weights = plan.arrival_weights(phase);
            let sum: f64 = weights.iter().sum();
            let rate = judged_rate(phase, load);
            weights.iter().map(|weight| Some(rate * weight / sum)).collect()
        }
    }
}

impl PhaseForecast {
    /// The users of classes with an `on_start`.
    pub fn starting_users(&self, plan: &Plan, phase: &Phase) -> u32 {
        let classes = plan.classes_of(phase).zip(&self.users);
        classes.filter(|(class, _)| !class.on_start.is_empty()).map(|(_, users)| users).sum()
    }

    /// The expected samples of an objective in the judged period; `None` if they depend on the target's speed.
    pub fn samples(&self, objective: &Objective, phase: &Phase) -> Option<f64> {
        let of = |counts: &BTreeMap<OperationId, f64>| -> f64 {
            objective.family.operations().iter().filter_map(|operation| counts.get(operation)).sum()
        };
        if let Some(counted) = &self.counted {
            return Some(of(counted));
        }
        self.per_second?;
        Some(of(&self.by_operation) * phase.judged_seconds() + of(&self.starts))
    }
}
