//! Where a run takes place: the stand-in instead of the plan's target and hosts, and the hosts that a run adds.

use crate::event::StandInAddress;
use crate::plan::model::{Host, HttpVersion, Monitor, Plan, TARGET, Target, TargetUrl};
use crate::resources::source::{DeviceFilter, ProcessSelector, Source};
use crate::slo::Objectives;

/// Names of the hosts that the run adds. A plan cannot use them, because of the parentheses.
const TARGET_PROCESS: &str = "(target's process)";
const THIS_MACHINE: &str = "(this machine)";

/// Points the target at the stand-in, over HTTP/1.1 without TLS. Returns a notice if the plan has settings that the
/// stand-in cannot test.
pub(super) fn replace_target(target: &mut Target, stand_in: StandInAddress) -> Option<String> {
    let untried = target.http == HttpVersion::Two || target.tls.is_some();
    target.url = TargetUrl::loopback(stand_in.port);
    target.tls = None;
    target.http = HttpVersion::One;
    untried.then(|| {
        "the stand-in speaks HTTP/1.1 without TLS; the plan's `http` and `tls` are not tested".to_owned()
    })
}

/// Replaces the source of every host by the stand-in or this machine, because the sources in the plan describe another
/// target. An objective whose metric the new source does not provide is no longer gated.
///
/// Returns a notice for each replacement.
pub(super) fn replace_hosts(
    plan: &mut Plan,
    objectives: &mut Objectives,
    stand_in: StandInAddress,
) -> Vec<String> {
    let Some(monitor) = &mut plan.monitor else { return Vec::new() };
    let mut untried = Vec::new();
    for host in &mut monitor.hosts {
        let source = match host.source {
            Source::Process(_) | Source::Cgroup(_) => Source::Process(ProcessSelector::Pid(stand_in.pid)),
            Source::Local(_) | Source::NodeExporter(..) | Source::Prometheus(..) => {
                Source::Local(DeviceFilter::default())
            }
        };
        if host.source != source {
            host.source = source;
            untried.push(format!("`{}`", host.name));
        }
    }
    let mut notices = Vec::new();
    if !untried.is_empty() {
        let are = if untried.len() > 1 { "are" } else { "is" };
        let hosts = untried.join(", ");
        notices.push(format!(
            "with the stand-in, {hosts} {are} read on this machine, not from the source in the plan"
        ));
    }
    for objective in objectives.all.iter_mut().filter(|objective| objective.gated) {
        let given = objective.family.readings().is_none_or(|(host, metric)| {
            let source = &monitor.hosts[host.id.index()].source;
            source.provides(metric)
        });
        if !given {
            objective.gated = false;
            notices.push(format!(
                "`{}` is not judged, because the stand-in does not provide its metric",
                objective.name
            ));
        }
    }
    notices.dedup();
    notices
}

/// Adds this machine and the process of a local target, if the plan monitors hosts but not these. They separate the
/// resource usage of the target from that of the load generator.
pub(super) fn add_hosts(plan: &mut Plan, objectives: &mut Objectives, target_is_local: bool) {
    let Some(monitor) = plan.monitor.as_mut() else { return };
    if target_is_local {
        add_local_hosts(monitor, plan.target.url.port);
    }
    objectives.find_target_parts(monitor);
}

fn add_local_hosts(monitor: &mut Monitor, port: u16) {
    let local = |host: &Host| matches!(host.source, Source::Local(_));
    let is_target = |host: &Host| host.name == TARGET && host.is_process_or_cgroup();
    let host = |name: &str, source| Host { name: name.to_owned(), source, span: None };
    if !monitor.hosts.iter().any(local) {
        monitor.hosts.push(host(THIS_MACHINE, Source::Local(DeviceFilter::default())));
    }
    if !monitor.hosts.iter().any(is_target) {
        monitor.hosts.push(host(TARGET_PROCESS, Source::Process(ProcessSelector::Port(port))));
    }
}
