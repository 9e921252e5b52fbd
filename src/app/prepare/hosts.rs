//! The monitored hosts of a plan: checks of their sources, before and at the start of a run.

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::monitor;
use crate::plan::model::{Host, HostId, Monitor, Plan, Secrets, TARGET, TargetUrl};
use crate::resources::source::{ProcessSelector, Source};
use crate::slo::objective::Objective;
use crate::units::format_number;

/// Whether the target is on this machine, that is, whether a socket can be bound to its address. `None` if its name
/// cannot be resolved.
pub(super) fn is_here(url: &TargetUrl) -> Option<bool> {
    let addresses: Vec<SocketAddr> = match url.address {
        Some(address) => vec![SocketAddr::new(address, 0)],
        None => (url.host.as_str(), 0).to_socket_addrs().ok()?.collect(),
    };
    Some(addresses.into_iter().any(|address| UdpSocket::bind(address).is_ok()))
}

/// An error if host `target` reads this machine but the target is on another one.
pub(super) fn check(plan: &Plan) -> Option<Diagnostic> {
    let mut hosts = plan.monitor.iter().flat_map(|monitor| &monitor.hosts);
    let target = hosts.find(|host| host.name == TARGET && host.source.is_here())?;
    let span = target.span?;
    if is_here(&plan.target.url) != Some(false) {
        return check_port(plan, target, span);
    }
    let message = format!("the target `{}` is not on this machine", plan.target.url);
    let diagnostic = Diagnostic::new(Code::BadSource, message).at(span, "this source reads this machine");
    let help = "read a node_exporter on that machine, `target = \"http://kms:9100/metrics\"` (`runner monitor --listen` \
                serves the same format), or a Prometheus server";
    Some(diagnostic.help(help))
}

/// A warning if host `target` selects a process by another port than the target's.
fn check_port(plan: &Plan, target: &Host, span: Span) -> Option<Diagnostic> {
    let url = &plan.target.url;
    let Source::Process(ProcessSelector::Port(port)) = &target.source else { return None };
    (*port != url.port).then(|| {
        let message =
            format!("`{TARGET}` is the process at port {port}, but the load goes to port {}", url.port);
        let help = "select the process that serves the load; ignore this if it is the one behind that port";
        let diagnostic = Diagnostic::new(Code::OtherProcess, message).at(span, "it may not serve the load");
        diagnostic.help(help)
    })
}

/// What the first snapshots of hosts showed, as messages with secrets redacted.
#[derive(Debug, Default)]
pub(in crate::app) struct FirstLook {
    /// A message for each host that cannot be read or lacks a judged metric.
    pub(in crate::app) unreadable: Vec<String>,
    /// What is worth knowing: the process that was found by its port, values that may be in another unit, and metrics
    /// that are missing for now.
    pub(in crate::app) notices: Vec<String>,
}

/// Takes one snapshot of every host with a judged objective, before any load.
pub(in crate::app) async fn look_at_hosts(
    monitor: &Monitor,
    judged: &[&Objective],
    secrets: &Secrets,
) -> FirstLook {
    let reads = |objective: &Objective, id: &HostId| {
        objective.family.readings().is_some_and(|(host, _)| host.id == *id)
    };
    let is_judged = |id: &HostId| judged.iter().any(|objective| reads(objective, id));
    let ids: Vec<HostId> = (0..).map(HostId).take(monitor.hosts.len()).filter(is_judged).collect();
    let host = |id: &HostId| &monitor.hosts[id.index()];
    let sources = ids.iter().map(|id| host(id).source.clone()).collect();
    let snapshots = monitor::first_snapshots(sources, monitor.every.seconds(), secrets).await;
    let mut look = FirstLook::default();
    for (id, snapshot) in ids.iter().zip(snapshots) {
        let Host { name, source, .. } = host(id);
        let at = format!("host `{name}` ({})", source.description());
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(why) => {
                look.unreadable.push(secrets.redact(&format!("{at}: {why}")));
                continue;
            }
        };
        if let (Source::Process(ProcessSelector::Port(_)), Some(found)) = (source, &snapshot.processes) {
            look.notices.push(secrets.redact(&format!("{at} is {found}")));
        }
        for (metric, gauge) in &snapshot.gauges {
            if source.may_give_shares(*metric) && 0.0 < gauge.value && gauge.value <= 1.0 {
                look.notices.push(format!(
                    "{} of `{name}` is {} % now: if its query gives a share from 0 to 1, write `unit = \"share\"`, and \
                     if not `unit = \"percent\"`",
                    metric.as_str(),
                    format_number(gauge.value)
                ));
            }
        }
        let lacking = judged.iter().filter(|objective| reads(objective, id)).filter_map(|objective| {
            let (_, metric) = objective.family.readings()?;
            let why = snapshot.missing.get(&metric)?;
            let (judges, word) = (&objective.name, metric.as_str());
            let lacks =
                secrets.redact(&format!("host `{name}` has no `{word}`, which `{judges}` needs: {why}"));
            Some((snapshot.missing_for_now.contains(&metric), lacks))
        });
        let (for_now, lasting): (Vec<_>, Vec<_>) = lacking.partition(|(for_now, _)| *for_now);
        look.notices.extend(for_now.into_iter().map(|(_, why)| why));
        look.unreadable.extend(lasting.into_iter().map(|(_, why)| why).next());
    }
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_a_documentation_address_is_not() {
        let url = |text: &str| TargetUrl {
            host: text.to_owned(),
            address: text.parse().ok(),
            ..TargetUrl::loopback(1)
        };
        assert_eq!(is_here(&url("localhost")), Some(true));
        assert_eq!(is_here(&url("192.0.2.1")), Some(false));
        assert_eq!(is_here(&url("no-such-host.invalid")), None);
    }
}
