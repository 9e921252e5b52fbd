//! The resource usage of monitored hosts in the report, and notices about it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::measure::hosts::{HostSummary, Minute, PhaseReadings, Series, Trouble, quantile};
use crate::measure::summary::{PhaseRun, Summary};
use crate::plan::model::{Host, Monitor, Plan, TARGET};
use crate::report::model::{
    AtLimit, GapReport, HostEventReport, HostReport, MetricReport, SharedMachineReport, TotalsReport,
};
use crate::resources::metric::Metric;
use crate::resources::source::Source;
use crate::units::format_number;

/// CPU usage, as a share of the cores that may be used, from which a target, generator or machine is at its limit.
const SATURATED_PERCENT: f64 = 90.0;

/// The usage of every host in every phase that ran.
pub(super) fn resources(plan: &Plan, summary: &Summary, runs: &[PhaseRun]) -> Vec<HostReport> {
    let Some(monitor) = &plan.monitor else { return Vec::new() };
    let of_run = |run: &PhaseRun| -> Vec<HostReport> {
        let readings = &summary.phases[run.phase.index()].readings;
        let hosts = monitor.hosts.iter().zip(&readings.hosts);
        hosts.map(|(host, found)| host_report(plan, run, host, found, readings)).collect()
    };
    runs.iter().flat_map(of_run).collect()
}

fn host_report(
    plan: &Plan,
    run: &PhaseRun,
    host: &Host,
    found: &HostSummary,
    readings: &PhaseReadings,
) -> HostReport {
    let coverage = found.read_ticks.coverage(&readings.expected);
    let every = readings.ticks.map_or(0.0, |ticks| ticks.every);
    let time = |tick: u32| readings.time_of(tick).map_or(String::new(), rfc3339);
    let hole = |hole: &std::ops::Range<u32>| GapReport {
        from: time(hole.start.saturating_sub(1)),
        to: time(hole.end - 1),
    };
    let event = |trouble: &Trouble| HostEventReport {
        from: time(trouble.ticks.start),
        to: time(trouble.ticks.end - 1),
        what: trouble.message.clone(),
    };
    HostReport {
        host: host.name.clone(),
        source: plan.secrets.redact(&host.source.description()),
        added: host.span.is_none(),
        phase: plan.phases[run.phase.index()].name.clone(),
        every_s: every,
        duration_s: found.seconds,
        expected: coverage.expected,
        readings: coverage.seen,
        holes: coverage.holes.iter().map(hole).collect(),
        events: found.troubles.iter().map(event).collect(),
        metrics: found.shown().iter().map(|(metric, it)| metric_report(*metric, it, readings)).collect(),
        missing: found.missing.iter().map(|(metric, why)| (*metric, why.clone())).collect(),
        totals: totals(found.shown()),
    }
}

fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn metric_report(metric: Metric, series: &Series, readings: &PhaseReadings) -> (Metric, MetricReport) {
    let whole = series.minutes.iter().filter(|minute| readings.whole(minute));
    let mut means: Vec<f64> = whole.map(Minute::mean).collect();
    let mut at = |part: f64| quantile(&mut means, part);
    let report = MetricReport {
        unit: metric.unit(),
        definition: metric.definition().to_owned(),
        mean: series.mean(),
        min: series.lowest,
        max: series.highest,
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        last: series.last,
        most: series.most,
    };
    (metric, report)
}

fn totals(series: &BTreeMap<Metric, Series>) -> TotalsReport {
    let total = |metric| series.get(&metric).map(|series: &Series| series.total.max(0.0).round() as u64);
    TotalsReport {
        disk_read_bytes: total(Metric::DiskRead),
        disk_written_bytes: total(Metric::DiskWrite),
        network_received_bytes: total(Metric::NetworkIn),
        network_sent_bytes: total(Metric::NetworkOut),
    }
}

/// Compares the CPU usage of target, generator and machine in a phase. `None` if one of them is not known. `cores` is the
/// number of cores that the generator may use.
pub(super) fn shared_machine(
    monitor: &Monitor,
    readings: &PhaseReadings,
    run: &PhaseRun,
    cores: f64,
) -> Option<SharedMachineReport> {
    let cpu = |wanted: fn(&Host) -> bool| {
        let hosts = monitor.hosts.iter().zip(&readings.hosts);
        let mut wanted = hosts.filter(|(host, _)| wanted(host));
        wanted.find_map(|(_, found)| found.shown().get(&Metric::Cpu)).map(Series::mean)
    };
    let machine = cpu(|host| matches!(host.source, Source::Local(_)))?;
    // Of several processes only one is the target's: the host named `target`, or the one that the run added.
    let target = cpu(|host| host.is_process_or_cgroup() && (host.name == TARGET || host.span.is_none()))?;
    let generator = run.usage.as_ref()?.cpu_percent()? / cores.max(1.0);
    let (limit, concluded) = match () {
        () if target >= SATURATED_PERCENT => (Some(AtLimit::Target), "the target is the limit"),
        () if generator >= SATURATED_PERCENT => {
            (Some(AtLimit::Generator), "the generator is the limit, not the target")
        }
        () if machine >= SATURATED_PERCENT && target + generator < machine / 2.0 => {
            (Some(AtLimit::Machine), "the machine is the limit, and other processes use most of it")
        }
        () if machine >= SATURATED_PERCENT => {
            (Some(AtLimit::Machine), "the machine that both share is the limit")
        }
        () if target * cores >= SATURATED_PERCENT => {
            (None, "none of them is at its limit, but a single thread of the target may be")
        }
        () => (None, "none of them is at its limit"),
    };
    Some(SharedMachineReport {
        target_cpu_percent: target,
        generator_cpu_percent: generator,
        machine_cpu_percent: machine,
        limit,
        told: format!(
            "target CPU {} %, generator {} %, this machine {} %: {concluded}",
            format_number(target),
            format_number(generator),
            format_number(machine)
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::generator_vitals::GeneratorUsage;
    use crate::measure::reading::Reading;
    use crate::plan::model::{HostId, PhaseId};
    use crate::resources::reading::Values;
    use crate::resources::source::{DeviceFilter, ProcessSelector};
    use crate::resources::ticks::Ticks;
    use crate::units::TimeSpan;

    /// The comparison for hosts with these names, sources and CPU percentages. The generator uses half a core of two.
    fn report_on(hosts: Vec<(&str, Source, f64)>) -> Option<SharedMachineReport> {
        let mut readings = PhaseReadings {
            ticks: Some(Ticks { first: 0.0, every: 1.0 }),
            expected: std::iter::once(1..2).collect(),
            hosts: vec![HostSummary::default(); hosts.len()],
            ..PhaseReadings::default()
        };
        for (host, (.., cpu)) in (0..).zip(&hosts) {
            let values = Values { measured: vec![(Metric::Cpu, *cpu)], ..Values::default() };
            readings.add(&Reading { phase: PhaseId(0), host: HostId(host), tick: 1, covered_s: 1.0, values });
        }
        let file = crate::diagnostic::Problems::default().add_source("x", "");
        let written = Some(crate::diagnostic::Span { file, start: 0, end: 0 });
        let host = |(name, source, _): (&str, Source, f64)| {
            let span = written.filter(|_| !name.starts_with('('));
            Host { name: name.to_owned(), source, span }
        };
        let every = TimeSpan::from(Duration::from_secs(1));
        let monitor = Monitor { every, hosts: hosts.into_iter().map(host).collect() };
        let run = PhaseRun {
            phase: PhaseId(0),
            started_at: Timestamp::UNIX_EPOCH,
            usage: Some(GeneratorUsage {
                cpu: Duration::from_secs(5),
                wall: Duration::from_secs(10),
                peak_memory_bytes: 0,
            }),
        };
        shared_machine(&monitor, &readings, &run, 2.0)
    }

    fn process() -> Source {
        Source::Process(ProcessSelector::Pid(1))
    }

    #[test]
    fn the_targets_process_is_named_target_or_added_by_the_run() {
        let machine = ("box", Source::Local(DeviceFilter::default()), 60.0);
        let added = report_on(vec![
            ("db", process(), 97.0),
            machine.clone(),
            ("(target's process)", process(), 12.0),
        ]);
        let added = added.unwrap();
        assert_eq!((added.target_cpu_percent, added.limit), (12.0, None));
        let named =
            report_on(vec![("db", process(), 1.0), (TARGET, process(), 97.0), machine.clone()]).unwrap();
        assert_eq!(named.limit, Some(AtLimit::Target));
        assert_eq!(named.told, "target CPU 97 %, generator 25 %, this machine 60 %: the target is the limit");
        assert!(report_on(vec![("db", process(), 97.0), machine]).is_none());
    }

    #[test]
    fn a_target_that_fills_one_core_may_have_a_thread_at_its_limit() {
        let sentence_at = |target| {
            let hosts =
                vec![("box", Source::Local(DeviceFilter::default()), 60.0), (TARGET, process(), target)];
            report_on(hosts).unwrap().told
        };
        let limit_of = |text: String| text.split_once(": ").unwrap().1.to_owned();
        assert_eq!(limit_of(sentence_at(44.0)), "none of them is at its limit");
        let thread = "none of them is at its limit, but a single thread of the target may be";
        assert_eq!(limit_of(sentence_at(46.0)), thread);
    }

    #[test]
    fn a_full_machine_is_shared_by_both_or_used_by_others() {
        let full = |target| {
            report_on(vec![
                ("box", Source::Local(DeviceFilter::default()), 99.0),
                (TARGET, process(), target),
            ])
            .unwrap()
            .told
        };
        assert!(full(70.0).ends_with("the machine that both share is the limit"));
        assert!(full(5.0).ends_with("the machine is the limit, and other processes use most of it"));
    }
}
