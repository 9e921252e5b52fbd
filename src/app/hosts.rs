//! The monitored hosts of a run: checks of their sources, replacement for the stand-in, and hosts that the run adds.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

use crate::app::load::ReadyPlan;
use crate::app::stand_in_process::StandInProcess;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::monitor;
use crate::plan::model::{Host, HostId, Monitor, Secrets, TARGET, TargetUrl};
use crate::resources::snapshot::Snapshot;
use crate::resources::source::{DeviceFilter, ProcessSelector, Source};
use crate::slo::objective::Objective;

/// Names of the hosts that the run adds. A plan cannot use them, because of the parentheses.
const TARGET_PROCESS: &str = "(target's process)";
const THIS_MACHINE: &str = "(this machine)";

/// Whether the target is on this machine, that is, whether a socket can be bound to its address. `None` if its name
/// cannot be resolved.
pub(super) fn is_here(url: &TargetUrl) -> Option<bool> {
    let addresses: Vec<SocketAddr> = match url.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, 0)],
        Err(_) => (url.host.as_str(), 0).to_socket_addrs().ok()?.collect(),
    };
    Some(addresses.into_iter().any(|address| UdpSocket::bind(address).is_ok()))
}

/// Reports an error if host `target` reads this machine but the target is on another one.
pub(super) fn check(ready: &mut ReadyPlan) {
    let Some(monitor) = &ready.plan.monitor else { return };
    let target = monitor.hosts.iter().find(|host| host.name == TARGET && host.source.is_here());
    let Some(span) = target.and_then(|host| host.span) else { return };
    if is_here(&ready.plan.target.url) != Some(false) {
        return check_port(ready, span);
    }
    let message = format!("the target `{}` is not on this machine", ready.plan.target.url);
    let diagnostic = Diagnostic::new(Code::BadSource, message).at(span, "this source reads this machine");
    let help = "read a node_exporter on that machine, `target = \"http://kms:9100/metrics\"` (`runner monitor --listen` \
                serves the same format), or a Prometheus server";
    ready.problems.report(diagnostic.help(help));
}

/// Warns if host `target` selects a process by another port than the target's.
fn check_port(ready: &mut ReadyPlan, span: Span) {
    let monitor = ready.plan.monitor.as_ref();
    let target = monitor.and_then(|monitor| monitor.hosts.iter().find(|host| host.name == TARGET));
    let (url, Some(Source::Process(ProcessSelector::Port(port)))) =
        (&ready.plan.target.url, target.map(|it| &it.source))
    else {
        return;
    };
    if *port != url.port {
        let message =
            format!("`{TARGET}` is the process at port {port}, but the load goes to port {}", url.port);
        let help = "select the process that serves the load; ignore this if it is the one behind that port";
        let diagnostic = Diagnostic::new(Code::OtherProcess, message).at(span, "it may not serve the load");
        ready.problems.report(diagnostic.help(help));
    }
}

/// Replaces the source of every host by the stand-in or this machine, because the sources in the plan describe another
/// target. An objective whose metric the new source does not provide is no longer gated.
///
/// Returns a notice for each replacement.
pub(super) fn replace_hosts(ready: &mut ReadyPlan, stand_in: &StandInProcess) -> Vec<String> {
    let Some(monitor) = &mut ready.plan.monitor else { return Vec::new() };
    let mut untried = Vec::new();
    for host in &mut monitor.hosts {
        let source = match host.source {
            Source::Process(_) | Source::Cgroup(_) => Source::Process(ProcessSelector::Pid(stand_in.pid())),
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
    for objective in ready.objectives.all.iter_mut().filter(|objective| objective.gated) {
        let host = objective.host.as_ref().map(|(host, _)| &monitor.hosts[host.index()]);
        let given =
            host.zip(objective.statistic.metric()).is_none_or(|(host, metric)| host.source.provides(metric));
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

/// Adds this machine and the process of the target, if the plan does not monitor them. They separate the resource usage
/// of a target on this machine from that of the load generator.
pub(super) fn add(monitor: &mut Monitor, url: &TargetUrl) {
    let local = |host: &Host| matches!(host.source, Source::Local(_));
    let is_target = |host: &Host| host.name == TARGET && host.is_process_or_cgroup();
    let host = |name: &str, source| Host { name: name.to_owned(), source, span: None };
    if !monitor.hosts.iter().any(local) {
        monitor.hosts.push(host(THIS_MACHINE, Source::Local(DeviceFilter::default())));
    }
    if !monitor.hosts.iter().any(is_target) {
        monitor.hosts.push(host(TARGET_PROCESS, Source::Process(ProcessSelector::Port(url.port))));
    }
}

/// Takes one snapshot of every host with a judged objective, before any load. Returns a message for each host that cannot
/// be read or lacks a judged metric, with secrets redacted.
pub(super) async fn unreadable_hosts(
    monitor: &Monitor,
    judged: &[&Objective],
    secrets: &Secrets,
) -> Vec<String> {
    let is_judged = |id: &HostId| judged.iter().any(|o| o.host.as_ref().is_some_and(|(host, _)| host == id));
    let ids: Vec<HostId> = (0..).map(HostId).take(monitor.hosts.len()).filter(is_judged).collect();
    let host = |id: &HostId| &monitor.hosts[id.index()];
    let sources = ids.iter().map(|id| host(id).source.clone()).collect();
    let snapshots = monitor::first_snapshots(sources, monitor.every.seconds(), secrets).await;
    let of_host = |(id, snapshot): (&HostId, Result<Snapshot, String>)| {
        let (name, source) = (&host(id).name, host(id).source.description());
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(why) => return Some(secrets.redact(&format!("host `{name}` ({source}): {why}"))),
        };
        let of_this = judged.iter().filter(|o| o.host.as_ref().is_some_and(|(host, _)| host == id));
        of_this.into_iter().find_map(|objective| {
            let metric = objective.statistic.metric()?;
            let why = snapshot.missing.get(&metric)?;
            let (judges, metric) = (&objective.name, metric.as_str());
            Some(secrets.redact(&format!("host `{name}` has no `{metric}`, which `{judges}` needs: {why}")))
        })
    };
    ids.iter().zip(snapshots).filter_map(of_host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_a_documentation_address_is_not() {
        let url = |text: &str| TargetUrl { host: text.to_owned(), ..TargetUrl::loopback(1) };
        assert_eq!(is_here(&url("localhost")), Some(true));
        assert_eq!(is_here(&url("192.0.2.1")), Some(false));
        assert_eq!(is_here(&url("no-such-host.invalid")), None);
    }
}
