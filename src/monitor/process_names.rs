//! The names of measured processes.

use crate::kernel::Kernel;
use crate::resources::linux::process::ProcessStat;
use crate::resources::sanitise::sanitise;

/// Programs that listen at a port for a service that runs elsewhere, such as in a container. The kernel cuts names after 15
/// bytes.
const PROXIES: [&str; 9] = [
    "docker-proxy",
    "rootlessport",
    "rootlessport-ch",
    "slirp4netns",
    "pasta",
    "ssh",
    "sshd",
    "socat",
    "kubectl",
];

/// The roots with their names, and a warning of those that only pass connections on.
pub(super) fn named(kernel: &Kernel, roots: &[ProcessStat]) -> String {
    let named = roots.iter().map(|root| {
        let name = kernel.text(&format!("proc/{}/comm", root.pid)).unwrap_or_default();
        let name = sanitise(name.trim_end());
        let warning = match PROXIES.contains(&name.as_str()) {
            true => ", which passes connections on: select the process behind it to measure the service",
            false => "",
        };
        let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
        format!("process {}{name}{warning}", root.pid)
    });
    named.collect::<Vec<_>>().join(", ")
}
