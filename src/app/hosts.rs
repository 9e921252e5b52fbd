//! The hosts that a run looks at: whether they can be those that are meant, and those that the run itself adds.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

use crate::app::load::Ready;
use crate::app::target::StandInProcess;
use crate::diagnostic::{Code, Diagnostic};
use crate::monitor;
use crate::plan::model::{Host, Monitor, TARGET, TargetUrl};
use crate::resources::source::{Parts, ProcessName, Source};
use crate::slo::objective::Objective;

/// What the run calls the hosts that it adds.
const PROCESS: &str = "target's process";
const MACHINE: &str = "this machine";

/// Whether a target is on this very machine: a socket can be bound to its address. `None` where its name is not known.
pub(super) fn is_here(url: &TargetUrl) -> Option<bool> {
    let addresses: Vec<SocketAddr> = match url.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, 0)],
        Err(_) => (url.host.as_str(), 0).to_socket_addrs().ok()?.collect(),
    };
    Some(addresses.into_iter().any(|address| UdpSocket::bind(address).is_ok()))
}

/// Refuses a plan that would take this machine for that of a target elsewhere.
pub(super) fn check(ready: &mut Ready) {
    let Some(monitor) = &ready.plan.monitor else { return };
    let target = monitor.hosts.iter().find(|host| host.name == TARGET && host.source.is_here());
    let Some(span) = target.and_then(|host| host.span) else { return };
    if is_here(&ready.plan.target.url) != Some(false) {
        return;
    }
    let message = format!("the target, {}, is not on this machine", ready.plan.target.url);
    let diagnostic = Diagnostic::new(Code::BadSource, message).at(span, "this would be read on this machine");
    let help = "ask a node_exporter there, `target = \"http://kms:9100/metrics\"` (`runner monitor --listen` is one too), \
                or a Prometheus";
    ready.problems.report(diagnostic.help(help));
}

/// With the stand-in every host is where that is: what the plan says of them would be read of something else.
///
/// Returns what of the plan is not tried.
pub(super) fn become_stand_in(monitor: &mut Monitor, stand_in: &StandInProcess) -> Option<String> {
    let mut untried = Vec::new();
    for host in &mut monitor.hosts {
        let source = match host.source {
            Source::Local(_) => continue,
            Source::NodeExporter(..) => Source::Local(Parts::default()),
            Source::Process(_) | Source::Cgroup(_) => Source::Process(ProcessName::Pid(stand_in.pid())),
            // Its queries may ask for anything.
            Source::Prometheus(..) => continue,
        };
        host.source = source;
        untried.push(format!("`{}`", host.name));
    }
    (!untried.is_empty()).then(|| {
        format!(
            "with the stand-in {} is looked at on this machine, not where the plan says",
            untried.join(", ")
        )
    })
}

/// Adds what tells target and generator apart where both are on this machine.
pub(super) fn add(monitor: &mut Monitor, url: &TargetUrl) {
    let has = |monitor: &Monitor, wanted: fn(&Source) -> bool| {
        monitor.hosts.iter().any(|host| wanted(&host.source))
    };
    let host = |name: &str, source| Host { name: name.to_owned(), source, span: None };
    if !has(monitor, |source| matches!(source, Source::Local(_))) {
        monitor.hosts.push(host(MACHINE, Source::Local(Parts::default())));
    }
    if !has(monitor, |source| matches!(source, Source::Process(_) | Source::Cgroup(_))) {
        monitor.hosts.push(host(PROCESS, Source::Process(ProcessName::Port(url.port))));
    }
}

/// Looks at every host once before any load: why the run could never be judged, if it could not.
pub(super) async fn cannot_be_read(monitor: &Monitor, objectives: &[&Objective]) -> Vec<String> {
    let looks = monitor::first_looks(monitor).await;
    let of_host = |(host, look): (&Host, Result<_, String>)| {
        let judged =
            objectives.iter().filter(|o| o.host.as_ref().is_some_and(|(_, name)| *name == host.name));
        let mut judged = judged.peekable();
        judged.peek()?;
        let look: crate::resources::look::Look = match look {
            Ok(look) => look,
            Err(why) => return Some(format!("host `{}` ({}): {why}", host.name, host.source.told())),
        };
        judged.find_map(|objective| {
            let metric = objective.statistic.metric()?;
            let why = look.missing.get(&metric)?;
            let name = &objective.name;
            Some(format!("host `{}` gives no `{}`, which `{name}` judges: {why}", host.name, metric.word()))
        })
    };
    monitor.hosts.iter().zip(looks).filter_map(of_host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_an_address_for_documentation_is_not() {
        let url = |text: &str| TargetUrl { host: text.to_owned(), ..TargetUrl::loopback(1) };
        assert_eq!(is_here(&url("localhost")), Some(true));
        assert_eq!(is_here(&url("192.0.2.1")), Some(false));
        assert_eq!(is_here(&url("no-such-host.invalid")), None);
    }
}
