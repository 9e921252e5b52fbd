//! What a plan can offer, computed before the first request: how many requests, how fast, enough for which objective.

mod check;

pub use check::check;

use std::collections::BTreeMap;

use crate::plan::model::{Load, OperationId, Phase, Plan};
use crate::schedule::{Arrivals, deal};
use crate::slo::objective::Objective;

/// What a phase can offer.
#[derive(Debug, Clone)]
pub struct PhaseOffer {
    /// The most requests per second that its users or its schedule can make; `None` where only the target's speed limits
    /// them: users without a wait.
    pub per_second: Option<f64>,
    /// The same for each operation.
    pub by_operation: BTreeMap<OperationId, f64>,
    /// How many users each entry of the mix gets.
    pub users: Vec<u32>,
    /// All requests of the phase, ramp included.
    pub requests: Option<f64>,
}

/// What each phase of a plan can offer.
pub fn offer(plan: &Plan) -> Vec<PhaseOffer> {
    plan.phases.iter().map(|phase| phase_offer(plan, phase)).collect()
}

fn phase_offer(plan: &Plan, phase: &Phase) -> PhaseOffer {
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    let dealt = deal(&weights, phase.users);
    let users: Vec<u32> =
        (0..weights.len()).map(|share| dealt.iter().filter(|d| **d == share).count() as u32).collect();
    let rates = class_rates(plan, phase, &users);
    let per_second = rates.iter().copied().sum::<Option<f64>>();
    let mut by_operation = BTreeMap::new();
    for ((class, _), rate) in phase.mix.iter().zip(&rates) {
        let Some(rate) = rate else { continue };
        let class = &plan.classes[class.index()];
        let total = class.cumulative_weights.last().copied().unwrap_or(1.0);
        for task in &class.tasks {
            for request in &task.any_of {
                *by_operation.entry(request.operation).or_insert(0.0) +=
                    rate * task.weight / total / task.any_of.len() as f64;
            }
        }
    }
    let requests = match phase.load {
        Load::Open(rate) => Some(Arrivals::constant(rate, phase.ramp, phase.duration).total() as f64),
        // Over the ramp half of the users are there on average, and each starts with a task at once.
        Load::Closed => per_second.map(|rate| {
            rate * (phase.duration.seconds() - phase.ramp.seconds() / 2.0).max(0.0) + f64::from(phase.users)
        }),
    };
    PhaseOffer { per_second, by_operation, users, requests }
}

/// The most requests per second of each entry of a phase's mix.
fn class_rates(plan: &Plan, phase: &Phase, users: &[u32]) -> Vec<Option<f64>> {
    match phase.load {
        Load::Closed => {
            let waits = phase.mix.iter().map(|(class, _)| plan.classes[class.index()].wait.mean());
            let rate = |(users, wait): (&u32, f64)| (wait > 0.0).then(|| f64::from(*users) / wait);
            users.iter().zip(waits).map(rate).collect()
        }
        Load::Open(rate) => {
            let weights = plan.arrival_weights(phase);
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| Some(rate.per_second() * weight / sum)).collect()
        }
    }
}

impl PhaseOffer {
    /// The samples that an objective can expect in the judged window; `None` where it depends on the target's speed.
    pub fn samples(&self, objective: &Objective, phase: &Phase) -> Option<f64> {
        self.per_second?;
        let rates = objective.operations.iter().filter_map(|operation| self.by_operation.get(operation));
        Some(rates.sum::<f64>() * phase.judged_seconds())
    }
}
