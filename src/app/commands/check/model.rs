//! The forecast that `runner check` prints, as data.

use std::time::Duration;

use jiff::ZonedDateTime;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::prepare::PreparedPlan;
use crate::diagnostic::to_json;
use crate::plan::model::{Load, Phase, PhaseId, Wait};
use crate::slo::objective::{Family, Objective, ObjectiveKind};
use crate::units::{Share, TimeSpan, Unit};

/// The forecast of a phase.
#[derive(Debug, Serialize)]
pub(super) struct CheckedPhase {
    pub(super) name: String,
    scenario: String,
    /// `None` if it ends with its last task.
    duration_s: Option<f64>,
    pub(super) judged_s: Option<f64>,
    /// The number of tasks, if the plan sets it.
    pub(super) iterations: Option<u64>,
    /// Of a phase that ends with its last task: the time of its waits.
    pub(super) least_duration_s: Option<f64>,
    pub(super) users: u32,
    arrivals: Option<String>,
    /// Maximum mean rate in requests per second; `None` if only the target's speed limits it.
    pub(super) bound_per_s: Option<f64>,
    peak_per_s: Option<f64>,
    requests: Option<u64>,
    /// Whether user classes have a `wait` that the schedule of arrivals ignores.
    pub(super) waits_unused: bool,
    /// In an open phase: the users that connect at its start, needed or not, because their classes have an `on_start`.
    pub(super) connected_users: u32,
    pub(super) objectives: Vec<CheckedObjective>,
    #[serde(skip)]
    pub(super) duration: TimeSpan,
}

/// The forecast of an objective in a phase.
#[derive(Debug, Serialize)]
pub(super) struct CheckedObjective {
    pub(super) name: String,
    kind: ObjectiveKind,
    pub(super) statistic: String,
    pub(super) unit: Unit,
    pub(super) gated: bool,
    /// The tier at which the objective is judged; `limit` is its limit.
    pub(super) tier: Option<&'static str>,
    pub(super) limit: Option<f64>,
    /// The expected number of requests; `None` if it depends on the target's speed.
    pub(super) samples: Option<u64>,
    /// The unit of `expected` and `needed`, such as `samples` or `readings`.
    pub(super) counted: &'static str,
    pub(super) expected: Option<u64>,
    pub(super) needed: Option<u64>,
    pub(super) can_decide: &'static str,
    /// Whether the objective counts requests; `false` for host metrics and drift.
    #[serde(skip)]
    pub(super) requests: bool,
}

/// Totals over the phases of a run.
pub(super) struct RunTotals {
    /// The least if a phase ends with its last task.
    pub(super) seconds: f64,
    pub(super) is_least: bool,
    pub(super) requests: Option<f64>,
    pub(super) peak_per_s: Option<f64>,
}

pub(super) fn totals(prepared: &PreparedPlan) -> RunTotals {
    let phases = || prepared.run.phases.iter().map(|id| &prepared.run.plan.phases[id.index()]);
    let forecasts = || prepared.run.phases.iter().map(|id| &prepared.run.forecasts[id.index()]);
    let peaks: Option<Vec<f64>> = forecasts().map(|forecast| forecast.peak_per_second).collect();
    RunTotals {
        seconds: phases()
            .zip(forecasts())
            .map(|(phase, forecast)| forecast.least_seconds.unwrap_or(phase.duration.seconds()))
            .sum(),
        is_least: phases().any(Phase::ends_with_its_tasks),
        requests: forecasts().map(|forecast| forecast.requests).sum(),
        peak_per_s: peaks.map(|peaks| peaks.into_iter().fold(0.0, f64::max)),
    }
}

/// The end time of a run that starts now, without the drain of its phases; `None` if it depends on the target's speed.
pub(super) fn end(prepared: &PreparedPlan) -> Option<ZonedDateTime> {
    let RunTotals { seconds, is_least, .. } = totals(prepared);
    ZonedDateTime::now().checked_add(Duration::from_secs_f64(seconds)).ok().filter(|_| !is_least)
}

pub(super) fn check(prepared: &PreparedPlan) -> Vec<CheckedPhase> {
    prepared.run.phases.iter().map(|id| checked_phase(prepared, *id)).collect()
}

fn checked_phase(prepared: &PreparedPlan, id: PhaseId) -> CheckedPhase {
    let phase = &prepared.run.plan.phases[id.index()];
    let forecast = &prepared.run.forecasts[id.index()];
    let objectives = prepared.run.objectives.all.iter().filter(|objective| objective.phase == id);
    CheckedPhase {
        name: phase.name.clone(),
        scenario: phase.scenario.clone(),
        duration_s: (!phase.ends_with_its_tasks()).then(|| phase.duration.seconds()),
        judged_s: (!phase.ends_with_its_tasks()).then(|| phase.judged_seconds()),
        iterations: phase.iterations,
        least_duration_s: forecast.least_seconds,
        users: phase.users,
        arrivals: match phase.load {
            Load::Open(load) => Some(load.to_string()),
            Load::Closed => None,
        },
        bound_per_s: forecast.per_second,
        peak_per_s: forecast.peak_per_second,
        requests: forecast.requests.map(|requests| requests.round() as u64),
        waits_unused: phase.load != Load::Closed && waits(prepared, phase),
        connected_users: match phase.load {
            Load::Open(_) => forecast.starting_users(&prepared.run.plan, phase),
            Load::Closed => 0,
        },
        objectives: objectives.map(|objective| checked_objective(prepared, objective)).collect(),
        duration: phase.duration,
    }
}

fn waits(prepared: &PreparedPlan, phase: &Phase) -> bool {
    phase.mix.iter().any(|(class, _)| prepared.run.plan.classes[class.index()].wait != Wait::Nothing)
}

fn checked_objective(prepared: &PreparedPlan, objective: &Objective) -> CheckedObjective {
    let phase = &prepared.run.plan.phases[objective.phase.index()];
    let forecast = &prepared.run.forecasts[objective.phase.index()];
    let sample_size = forecast.sample_size(objective, phase, &prepared.run.plan.gate);
    let at_gate = objective.gated_limit(prepared.run.plan.gate.tier);
    let count = |number: f64| number.round() as u64;
    CheckedObjective {
        name: objective.name.clone(),
        kind: objective.family.kind(),
        statistic: objective.family.statistic(),
        unit: objective.family.unit(),
        gated: objective.gated,
        tier: at_gate.map(|(tier, _)| objective.family.limit_name(tier)),
        limit: at_gate.map(|(_, limit)| limit),
        samples: forecast
            .samples(objective, phase)
            .map(count)
            .filter(|_| objective.family.readings().is_none()),
        counted: sample_size.of.as_str(),
        expected: sample_size.expected.map(count),
        needed: sample_size.needed,
        can_decide: at_gate.map_or("not judged", |_| sample_size.decidability().as_str()),
        requests: matches!(objective.family, Family::Requests(_)),
    }
}

/// The JSON document of `check --format json`.
pub(super) fn json(prepared: &PreparedPlan, phases: &[CheckedPhase]) -> Value {
    let RunTotals { seconds, is_least, requests, peak_per_s } = totals(prepared);
    json!({
        "diagnostics": to_json(&prepared.problems)["diagnostics"],
        "plan": prepared.run.plan.name,
        "duration_s": (!is_least).then_some(seconds),
        "least_duration_s": is_least.then_some(seconds),
        "ends_at": end(prepared).map(|end| end.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()),
        "requests": requests.map(|requests| requests.round() as u64),
        "peak_per_s": peak_per_s,
        "confidence_percent": Share::of_fraction(1.0 - prepared.run.plan.gate.alpha).percent(),
        "disk": prepared.headroom.disk_json(),
        "memory": prepared.headroom.memory_json(),
        "phases": phases,
    })
}
