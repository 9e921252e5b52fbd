//! Notices: facts about the load and the measurement that readers need to interpret the numbers.

use std::time::Duration;

use crate::generator::tightest_limit;
use crate::measure::histogram::DenseHistogram;
use crate::measure::hosts::Series;
use crate::measure::sample::ErrorKind;
use crate::measure::summary::{OperationSummary, PhaseSummary, Summary};
use crate::plan::model::{Host, Load, OperationId, Phase, PhaseId, Plan, TARGET, Trust};
use crate::resources::metric::Metric;
use crate::resources::source::Source;
use crate::slo::judge::MIN_READINGS;
use crate::slo::objective::Objective;
use crate::units::TimeSpan;

/// A notice reports the requests that a closed phase omitted if they exceed this share of the samples.
const MIN_OMITTED_SHARE: f64 = 0.01;

/// Notices about TLS without verification and about each phase that ran.
pub(super) fn notices(plan: &Plan, objectives: &[Objective], summary: &Summary) -> Vec<String> {
    let phases = (0..).map(PhaseId).zip(&plan.phases);
    let ran = phases.zip(&summary.phases).filter(|(_, counted)| counted.ran.is_some());
    let of_phases = ran.flat_map(|((id, phase), counted)| {
        let limit_ms = tightest_limit(plan, objectives, id);
        of_phase(plan, phase, counted, limit_ms)
    });
    insecure(plan).into_iter().chain(of_phases).collect()
}

/// The length of slow spells up to which proofs about shares hold, for each phase: 1 % of the judged period. Longer
/// spells are too few in the phase to represent the tail of the distribution.
pub(super) fn slow_spell_notice(plan: &Plan, summary: &Summary) -> Option<String> {
    let longest_spell = |(phase, counted): (&Phase, &PhaseSummary)| {
        let longest = Duration::from_millis((counted.judged_seconds * 10.0) as u64);
        (counted.judged_seconds > 0.0).then(|| format!("`{}` {}", phase.name, TimeSpan::from(longest)))
    };
    let phases: Vec<String> = plan.phases.iter().zip(&summary.phases).filter_map(longest_spell).collect();
    (!phases.is_empty()).then(|| {
        format!(
            "proofs of percentiles and error rates hold for slow spells of up to 1 % of the judged period: {}",
            phases.join(", ")
        )
    })
}

/// A warning if the plan accepts any certificate.
pub fn insecure(plan: &Plan) -> Option<String> {
    let any = plan.target.tls.as_ref().is_some_and(|tls| tls.trust == Trust::AnyCertificate);
    any.then(|| {
        "insecure: any certificate is accepted (`insecure = true`), so the target's identity is not verified"
            .to_owned()
    })
}

/// Notices about the interpretation of host readings.
pub(super) fn host_notices(plan: &Plan, objectives: &[Objective], ran: &[PhaseId]) -> Vec<String> {
    let Some(monitor) = &plan.monitor else { return Vec::new() };
    let mut notices = Vec::new();
    let local =
        monitor.hosts.iter().find(|host| host.name == TARGET && matches!(host.source, Source::Local(_)));
    if local.is_some() {
        notices.push(format!("`{TARGET}` is this machine, so its readings include the load generator"));
    }
    let of_disks = |objective: &&Objective| {
        objective.family.readings().is_some_and(|(_, metric)| metric == Metric::DiskIo)
    };
    if objectives.iter().filter(|objective| ran.contains(&objective.phase)).any(|o| of_disks(&o)) {
        notices.push(
            "`disk_io` is the time in which a disk was busy; a solid-state disk serves many requests at once and may be \
             far from its limit at 100 %: `disk_pressure` and `disk_queue` show whether requests wait"
                .to_owned(),
        );
    }
    notices
}

/// The notices of a phase with this tightest time limit, in ms.
fn of_phase(plan: &Plan, phase: &Phase, counted: &PhaseSummary, limit_ms: Option<f64>) -> Vec<String> {
    let mut notices = Vec::new();
    let mut times = DenseHistogram::default();
    counted.operations.values().for_each(|operation| times.merge(&operation.response));
    if phase.load == Load::Closed && times.count() > 0 {
        notices.push(format!(
            "`{}` is a closed phase: a user waits for each response, so response and service times are nearly equal",
            phase.name
        ));
        let mean_wait = mean_wait(plan, phase);
        let omitted = omitted(&times, mean_wait, limit_ms.map(|ms| Duration::from_secs_f64(ms / 1000.0)));
        if mean_wait > 0.0 && omitted > MIN_OMITTED_SHARE * times.count() as f64 {
            notices.push(format!(
                "`{}` under-represents slow spells: users that waited for slow responses omitted about {omitted:.0} \
                 requests, and {} have a response time; an open phase (`arrivals`) measures the omitted ones too",
                phase.name,
                times.count()
            ));
        }
    }
    notices.extend(
        counted.operations.iter().filter_map(|(id, operation)| never_succeeded(plan, phase, *id, operation)),
    );
    notices.extend(perhaps_shares(plan, phase, counted));
    let withdrawn: u64 = counted.operations.values().map(|operation| operation.withdrawn).sum();
    if withdrawn > 0 {
        notices.push(format!(
            "{withdrawn} arrivals of `{}` were still waiting for a user when the run ended: they count as dropped, not \
             as errors, and as slow only if they had waited longer than a limit",
            phase.name
        ));
    }
    let cancelled: u64 = counted.operations.values().map(|operation| operation.cancelled).sum();
    if cancelled > 0 {
        notices.push(format!(
            "{cancelled} requests of `{}` were cancelled, because they were still in flight when the drain ended: they \
             are no errors, and count as slow only for limits that they had already exceeded; `--drain` allows more \
             time",
            phase.name
        ));
    }
    let unclear = counted.connections.repeated_unclear;
    if unclear > 0 {
        notices.push(format!(
            "{unclear} requests of `{}` were sent again after the end of a connection that had been idle for a second or more: \
             the target closed it before it read them, or it read them and closed it",
            phase.name
        ));
    }
    if times.clamped() > 0 {
        let count = times.clamped();
        notices
            .push(format!("{count} response times of `{}` are longer than 1h and count as 1h", phase.name));
    }
    notices
}

/// An operation of which every request failed: a share of all failures hides it.
fn never_succeeded(
    plan: &Plan,
    phase: &Phase,
    id: OperationId,
    operation: &OperationSummary,
) -> Option<String> {
    let unserved = operation.dropped - operation.withdrawn;
    let failed = operation.failed() + unserved;
    (operation.succeeded == 0 && failed > 0).then(|| {
        let kinds = operation.errors.iter().map(|(kind, count)| format!("{count} × {kind}"));
        let dropped = (unserved > 0).then(|| format!("{unserved} × {}", ErrorKind::Dropped));
        let kinds: Vec<String> = kinds.chain(dropped).collect();
        format!(
            "`{}` never succeeded in `{}`: all its {failed} requests failed ({})",
            plan.operations[id.index()],
            phase.name,
            kinds.join(", ")
        )
    })
}

/// Metrics in percent whose readings by a query are all at most 1 %: the query may give a share from 0 to 1.
fn perhaps_shares(plan: &Plan, phase: &Phase, counted: &PhaseSummary) -> Vec<String> {
    let hosts = plan.monitor.iter().flat_map(|monitor| &monitor.hosts).zip(&counted.readings.hosts);
    let series = hosts.flat_map(|(host, read)| read.series.iter().map(move |found| (host, found)));
    let small = series.filter(|(host, (metric, series))| {
        let is_small = 0.0 < series.highest && series.highest <= 1.0;
        host.source.may_give_shares(**metric) && is_small && series.count() >= MIN_READINGS
    });
    let notice = |(host, (metric, series)): (&Host, (&Metric, &Series))| {
        format!(
            "all {} readings of {} of `{}` in `{}` are at most 1 %: if its query gives a share from 0 to 1, write \
             `unit = \"share\"`, and if not `unit = \"percent\"`",
            series.count(),
            metric.as_str(),
            host.name,
            phase.name
        )
    };
    small.map(notice).collect()
}

/// The mean wait of a phase's users, in seconds.
fn mean_wait(plan: &Plan, phase: &Phase) -> f64 {
    let weights: f64 = phase.mix.iter().map(|(_, weight)| weight).sum();
    let waits = phase.mix.iter().map(|(class, weight)| weight * plan.classes[class.index()].wait.mean());
    waits.sum::<f64>() / weights
}

/// The estimated number of requests that users omitted because they waited for slow responses (coordinated omission):
/// `Σ max(0, (Z̄ + Rᵢ) / (Z̄ + R) − 1)` over response times Rᵢ with mean wait Z̄. R is their median, or the limit if that is
/// shorter: by the response-time law `X = N / (Z + R)`, this is what the users would have sent to a target that keeps it,
/// minus what they sent.
fn omitted(times: &DenseHistogram, mean_wait: f64, limit: Option<Duration>) -> f64 {
    let Some(median) = times.quantile(0.5) else { return 0.0 };
    let usual = median.min(limit.unwrap_or(median)).as_secs_f64();
    let left_out = |(time, count): (Duration, u64)| {
        count as f64 * (time.as_secs_f64() - usual).max(0.0) / (mean_wait + usual).max(1e-6)
    };
    times.buckets().map(left_out).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::diagnostic::Problems;
    use crate::measure::histogram::SparseHistogram;
    use crate::measure::hosts::PhaseReadings;
    use crate::measure::reading::Reading;
    use crate::plan::model::HostId;
    use crate::plan::{Environment, Settings};
    use crate::resources::reading::Values;

    const PLAN: &str = r#"
        name = "n"
        target.url = "http://127.0.0.1:1"
        [monitor]
        hosts = { target = { prometheus = "http://127.0.0.1:1", query = { cpu = "a", threads = "b" } } }
        [[phases]]
        name = "p"
        duration = "100s"
        users = 1
        mix = { u = 1 }
        [[users.u.tasks]]
        request = "GET /"
    "#;

    /// The notices of a phase whose ten readings of these metrics have these values.
    fn of_readings(measured: &[(Metric, f64)]) -> Vec<String> {
        let environment = Environment { read: &|_: &Path| Ok(PLAN.as_bytes().to_vec()), variable: &|_| None };
        let mut problems = Problems::default();
        let plan =
            crate::plan::load(Path::new("n.toml"), &Settings::default(), &environment, &mut problems).plan;
        let plan = plan.unwrap_or_else(|| panic!("{}", crate::diagnostic::render(&problems, false)));
        let mut readings = PhaseReadings::of(plan.monitor.as_ref().unwrap(), &plan.phases[0]);
        for tick in readings.expected[0].clone() {
            let values = Values { measured: measured.to_vec(), ..Values::default() };
            readings.add(&Reading { phase: PhaseId(0), host: HostId(0), tick, covered_s: 10.0, values });
        }
        perhaps_shares(&plan, &plan.phases[0], &PhaseSummary { readings, ..PhaseSummary::default() })
    }

    #[test]
    fn a_query_in_percent_that_never_gives_more_than_1_may_give_a_share() {
        let told = "all 10 readings of cpu of `target` in `p` are at most 1 %: if its query gives a share from 0 to 1, \
                    write `unit = \"share\"`, and if not `unit = \"percent\"`";
        assert_eq!(of_readings(&[(Metric::Cpu, 0.97), (Metric::Threads, 1.0)]), [told]);
        assert_eq!(of_readings(&[(Metric::Cpu, 1.01)]), [""; 0]);
        assert_eq!(of_readings(&[(Metric::Cpu, 0.0)]), [""; 0]);
    }

    #[test]
    fn a_stall_of_20_s_omits_20_requests_of_one_per_second() {
        let mut counts = SparseHistogram::default();
        (0..99).for_each(|_| counts.record(Duration::from_millis(10)));
        counts.record(Duration::from_secs(20));
        let mut times = DenseHistogram::default();
        times.add(&counts);
        let of = |limit| omitted(&times, 0.99, limit);
        assert!((of(None) - 20.0).abs() < 0.05, "{}", of(None));
    }

    #[test]
    fn a_target_that_is_always_slow_omits_what_its_limit_would_have_allowed() {
        let mut counts = SparseHistogram::default();
        (0..100).for_each(|_| counts.record(Duration::from_secs(17)));
        let mut times = DenseHistogram::default();
        times.add(&counts);
        let of = |limit| omitted(&times, 1.0, limit);
        // Instead of 100 in 18 s each, users would have sent one every 1.2 s.
        let limited = of(Some(Duration::from_millis(200)));
        assert!(of(None) < 1.0 && (limited - 1400.0).abs() < 5.0, "{limited}");
    }
}
