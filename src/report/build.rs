//! Builds the report from the plan, the summary of the run and the judgements.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::gate::Ending;
use crate::generator::Check;
use crate::measure::generator_vitals::GeneratorUsage;
use crate::measure::histogram::DenseHistogram;
use crate::measure::summary::{OperationSummary, PhaseRun, PhaseSummary, Summary};
use crate::measure::window::ConnectionCounts;
use crate::plan::Tier;
use crate::plan::model::{Gate, Load, PhaseId, Plan};
use crate::report::causes::{PhaseCauses, PhaseStanding, causes};
use crate::report::model::{
    ArrivalsReport, CheckReport, ConnectionsReport, EndedBy, EndedEarlyReport, ErrorReport, FailureMessage,
    GeneratorReport, IterationsReport, LagReport, LimitName, MachineReport, ObjectiveReport, OperationReport,
    PhaseNotRun, PhaseReport, PlanReport, ProvenTier, Report, ReportSchema, TimesReport,
};
use crate::report::resources::{resources, shared_machine};
use crate::slo::judge::{Judgement, RunLength, Verdict};
use crate::slo::objective::{Family, Objective, ObjectiveKind};

/// Facts of a run besides its plan, summary and judgements.
#[derive(Debug)]
pub struct RunFacts<'f> {
    /// The version of the runner that ran.
    pub runner: &'f str,
    pub labels: &'f BTreeMap<String, String>,
    /// The random seed.
    pub seed: u64,
    /// The start of the run.
    pub started_at: Timestamp,
    /// The end of the run, drain included.
    pub ended_at: Timestamp,
    /// Whether the run was a rehearsal.
    pub length: RunLength,
    /// The ending, with its verdict and exit code.
    pub ending: Ending,
    /// The gate that the objectives were judged by.
    pub gate: &'f Gate,
    /// The phases that the run selected.
    pub selected: &'f [PhaseId],
    /// The phases that started.
    pub phases: &'f [PhaseRun],
    /// Why the run did not begin or did not reach its end.
    pub reason: Option<String>,
    /// The reason for an early stop.
    pub ended_early: Option<EndedEarlyReport>,
    /// The generator checks, by phase of the plan.
    pub checks: &'f [Vec<Check>],
    /// The number of cores that the generator may use.
    pub cores: f64,
    /// The host name and the kernel of the generator's machine, if they are known.
    pub machine: (&'f str, &'f str),
    /// Notices about the run.
    pub notices: Vec<String>,
}

/// Builds the report of a finished run. The plan's secrets are redacted.
pub fn build(
    plan: &Plan,
    objectives: &[Objective],
    judged: &[Option<Judgement>],
    summary: &Summary,
    facts: RunFacts<'_>,
) -> Report {
    let reports = facts.phases.iter().map(|run| {
        let counted = &summary.phases[run.phase.index()];
        let checks = facts.checks.get(run.phase.index()).map_or(&[][..], Vec::as_slice);
        let causes = causes(PhaseCauses {
            plan,
            phase: &plan.phases[run.phase.index()],
            counted,
            started_at: run.started_at,
            standing: standing(plan, objectives.iter().zip(judged), run.phase, &facts),
        });
        let shared_machine =
            plan.monitor.as_ref().and_then(|it| shared_machine(it, &counted.readings, run, facts.cores));
        PhaseReport { causes, shared_machine, ..phase_report(plan, run, counted, checks) }
    });
    let phases = reports.collect();
    let not_run = not_run(plan, objectives, &facts);
    let judgements = objectives.iter().zip(judged);
    let objectives = judgements.filter_map(|(objective, judged)| match judged {
        Some(judged) => Some(objective_report(plan, objective, judged)),
        None if facts.selected.contains(&objective.phase) => {
            let gated = objective.gated_limit(facts.gate.tier).is_some();
            Some(objective_report(plan, objective, &Judgement::of_phase_not_run(gated)))
        }
        None => None,
    });
    let objectives = objectives.collect();
    Report {
        schema: ReportSchema::V1,
        runner: facts.runner.to_owned(),
        plan: PlanReport { name: plan.name.clone(), path: plan.path.clone(), digest: plan.digest.clone() },
        labels: facts.labels.clone(),
        target: plan.secrets.redact(&plan.target.url.to_string()),
        seed: facts.seed,
        started_at: facts.started_at.to_string(),
        ended_at: facts.ended_at.to_string(),
        rehearsal: facts.length == RunLength::Rehearsed,
        verdict: facts.ending.verdict(),
        exit_code: facts.ending.code(),
        gate: facts.gate.tier,
        decision: facts.gate.decision,
        confidence_percent: 100.0 * (1.0 - facts.gate.alpha),
        reason: facts.reason.map(|reason| plan.secrets.redact(&reason)),
        objectives,
        phases,
        not_run,
        resources: resources(plan, summary, facts.phases),
        ended_early: facts.ended_early,
        notices: facts.notices,
        machine: machine_report(facts.machine, facts.cores),
    }
}

fn machine_report((host, kernel): (&str, &str), cores: f64) -> Option<MachineReport> {
    let is_known = !host.is_empty() || !kernel.is_empty();
    is_known.then(|| MachineReport { host: host.to_owned(), kernel: kernel.to_owned(), cores })
}

/// The standing of a phase by its objectives, as far as they were assessed, and by whether it collapsed.
fn standing<'j>(
    plan: &Plan,
    judged: impl Iterator<Item = (&'j Objective, &'j Option<Judgement>)>,
    phase: PhaseId,
    facts: &RunFacts<'_>,
) -> PhaseStanding {
    let breaker = facts.ended_early.as_ref().filter(|ended| ended.by == EndedBy::Breaker);
    if breaker.is_some_and(|ended| ended.phase == plan.phases[phase.index()].name) {
        return PhaseStanding::Slow;
    }
    let of_phase = judged.filter(|(objective, _)| objective.phase == phase);
    let standings = of_phase.filter_map(|(objective, judged)| {
        let is_time =
            matches!(objective.family.kind(), ObjectiveKind::ResponseTime | ObjectiveKind::Throughput);
        Some(match judged.as_ref()?.verdict {
            Verdict::Met | Verdict::NotAssessed => PhaseStanding::Met,
            Verdict::Missed if is_time => PhaseStanding::Slow,
            _ => PhaseStanding::Unmet,
        })
    });
    standings.max().unwrap_or(PhaseStanding::Met)
}

/// The selected phases that did not run.
fn not_run(plan: &Plan, objectives: &[Objective], facts: &RunFacts<'_>) -> Vec<PhaseNotRun> {
    let ran = |id: &PhaseId| facts.phases.iter().any(|run| run.phase == *id);
    let left_out = facts.selected.iter().filter(|id| !ran(id)).map(|id| PhaseNotRun {
        name: plan.phases[id.index()].name.clone(),
        gated_objectives: objectives
            .iter()
            .filter(|objective| objective.phase == *id && objective.gated_limit(facts.gate.tier).is_some())
            .count(),
    });
    left_out.collect()
}

/// The key of a tier in `limits`: the last tier of throughput is a minimum.
fn limit_name(family: &Family, tier: Tier) -> LimitName {
    match tier {
        Tier::Target => LimitName::Target,
        Tier::Acceptable => LimitName::Acceptable,
        Tier::Maximum if family.has_minimum() => LimitName::Minimum,
        Tier::Maximum => LimitName::Maximum,
    }
}

fn proven_tier(tier: Tier) -> ProvenTier {
    match tier {
        Tier::Target => ProvenTier::Target,
        Tier::Acceptable => ProvenTier::Acceptable,
        Tier::Maximum => ProvenTier::Maximum,
    }
}

/// A limit to 15 significant digits, without the noise of its conversion from the plan's unit.
fn without_noise(limit: f64) -> f64 {
    format!("{limit:.14e}").parse().unwrap_or(limit)
}

fn objective_report(plan: &Plan, objective: &Objective, judged: &Judgement) -> ObjectiveReport {
    let family = &objective.family;
    let readings = family.readings();
    ObjectiveReport {
        name: objective.name.clone(),
        kind: family.kind(),
        phase: plan.phases[objective.phase.index()].name.clone(),
        operations: family.operations().iter().map(|id| plan.operations[id.index()].clone()).collect(),
        scenario: match family {
            Family::Requests(requests) => requests.scenario.clone(),
            Family::Host(_) | Family::Drift(_) | Family::Outage => None,
        },
        host: readings.map(|(host, _)| host.name.clone()),
        metric: readings.map(|(_, metric)| metric),
        statistic: family.statistic(),
        unit: family.unit(),
        observed: judged.observed,
        interval: judged.interval,
        samples: judged.samples,
        effective_samples: judged.effective_samples,
        limits: objective
            .tiers
            .all()
            .map(|(tier, limit)| (limit_name(family, tier), without_noise(limit)))
            .collect(),
        tier: judged.tier.map(proven_tier).or(judged.beyond_all.then_some(ProvenTier::Missed)),
        verdict: judged.verdict,
        gated: judged.gated,
        why: judged.why.clone(),
        reason: judged.reason.clone(),
    }
}

fn phase_report(plan: &Plan, run: &PhaseRun, counted: &PhaseSummary, checks: &[Check]) -> PhaseReport {
    let phase = &plan.phases[run.phase.index()];
    let judged = counted.judged_seconds;
    let per_second = |completed: u64| (judged > 0.0).then(|| completed as f64 / judged);
    let all = counted.operations.values();
    let operations = counted.operations.iter().map(|(id, operation)| {
        operation_report(&plan.operations[id.index()], operation, per_second(operation.completed))
    });
    PhaseReport {
        network_latency: plan.classes_of(phase).any(|class| class.network_latency.is_some()),
        name: phase.name.clone(),
        scenario: phase.scenario.clone(),
        started_at: run.started_at.to_string(),
        planned_s: (!phase.ends_with_its_tasks()).then(|| phase.duration.seconds()),
        ran_s: counted.ran.unwrap_or_default().as_secs_f64(),
        judged_s: judged,
        users: phase.users,
        requests: all.clone().map(|operation| operation.requests).sum(),
        errors: all.clone().map(OperationSummary::failed).sum(),
        dropped: counted.dropped(),
        cancelled: all.clone().map(|operation| operation.cancelled).sum(),
        throughput_per_s: per_second(all.map(|operation| operation.completed).sum()),
        arrivals: matches!(phase.load, Load::Open(_)).then(|| ArrivalsReport {
            scheduled: counted.scheduled,
            started: counted.started,
            dropped: counted.dropped(),
        }),
        operations: operations.collect(),
        errors_by_kind: errors_by_kind(plan, counted),
        causes: Vec::new(),
        connections: connections_report(&counted.connections),
        generator: generator_report(run, counted, checks),
        shared_machine: None,
        iterations: phase.iterations.map(|planned| IterationsReport { planned, started: counted.iterations }),
    }
}

fn connections_report(counted: &ConnectionCounts) -> ConnectionsReport {
    let ConnectionCounts { opened, closed, reused, repeated, repeated_unclear, crossed_after: _, opened_to } =
        counted;
    ConnectionsReport {
        opened: *opened,
        reused: *reused,
        closed_by_target: *closed,
        reconnected: *repeated,
        reconnected_unclear: *repeated_unclear,
        addresses: opened_to.iter().map(|(address, count)| (address.to_string(), *count)).collect(),
    }
}

fn operation_report(
    name: &str,
    operation: &OperationSummary,
    throughput_per_s: Option<f64>,
) -> OperationReport {
    let response_ms = times_report(&operation.response);
    OperationReport {
        name: name.to_owned(),
        requests: operation.requests,
        judged: operation.judged,
        errors: operation.failed(),
        dropped: operation.dropped,
        cancelled: operation.cancelled,
        throughput_per_s,
        received_bytes: operation.bytes,
        response_ms,
        service_ms: times_report(&operation.service),
        // Without a network latency the user waits exactly the response time.
        user_ms: if operation.user.count() > 0 { times_report(&operation.user) } else { response_ms },
    }
}

fn errors_by_kind(plan: &Plan, counted: &PhaseSummary) -> Vec<ErrorReport> {
    let kinds = counted.operations.iter().flat_map(|(id, operation)| {
        operation.errors.iter().map(move |(kind, count)| {
            let texts = counted.failure_texts.get(&(*id, *kind));
            let mut messages: Vec<FailureMessage> = texts
                .into_iter()
                .flatten()
                .map(|(text, count)| FailureMessage { message: plan.secrets.redact(text), count: *count })
                .collect();
            messages.sort_by_key(|message| std::cmp::Reverse(message.count));
            ErrorReport {
                operation: plan.operations[id.index()].clone(),
                kind: *kind,
                count: *count,
                example: messages.first().map_or(String::new(), |first| first.message.clone()),
                messages,
                bodies: counted.failure_bodies.get(&(*id, *kind)).into_iter().flatten().cloned().collect(),
            }
        })
    });
    kinds.collect()
}

fn generator_report(run: &PhaseRun, counted: &PhaseSummary, checks: &[Check]) -> GeneratorReport {
    GeneratorReport {
        send_lag_ms: lag_report(&counted.send_lag),
        user_wait_ms: lag_report(&counted.user_wait),
        connect_ms: lag_report(&counted.connect),
        cpu_percent: run.usage.as_ref().and_then(GeneratorUsage::cpu_percent),
        peak_memory_bytes: run.usage.map(|usage| usage.peak_memory_bytes),
        checks: checks.iter().map(check_report).collect(),
    }
}

fn check_report(check: &Check) -> CheckReport {
    CheckReport {
        name: check.name.to_owned(),
        value: check.value.clone(),
        verdict: check.verdict,
        excuses: check.excuses,
        why: check.why.clone(),
    }
}

fn times_report(times: &DenseHistogram) -> TimesReport {
    let at = |part| times.quantile(part).map(ms);
    TimesReport {
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: times.max().map(ms),
        mean: times.mean_ms(),
    }
}

fn lag_report(times: &DenseHistogram) -> LagReport {
    LagReport {
        p50: times.quantile(0.5).map(ms),
        p99: times.quantile(0.99).map(ms),
        max: times.max().map(ms),
    }
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}
