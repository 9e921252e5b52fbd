//! Looks at hosts. A [`Probe`] asks one of them: the kernel of this machine by its files, an exporter or a Prometheus over
//! HTTP. What it finds is counters; what was used between two looks is worked out in `resources`.

pub mod http_client;
pub mod kernel;
pub mod process_lookup;
pub mod process_tree;
pub mod prometheus;
pub mod sockets;
mod watcher;

pub use watcher::{Watcher, first_snapshots};

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::monitor::http_client::HttpClient;
use crate::monitor::kernel::{ControlGroup, Kernel, now};
use crate::monitor::process_tree::ProcessTree;
use crate::monitor::prometheus::Prometheus;
use crate::resources::exporter;
use crate::resources::snapshot::{ClockSource, Snapshot};
use crate::resources::source::{DeviceFilter, Source};

/// Asks one host, as often as it is told to.
pub struct Probe {
    kind: Kind,
}

enum Kind {
    Local(Kernel, DeviceFilter),
    Process(Kernel, ProcessTree),
    Cgroup(Kernel, ControlGroup),
    NodeExporter(HttpClient, DeviceFilter),
    Prometheus(Prometheus),
}

impl Probe {
    /// Gets ready to ask a host; asks nothing yet but whether a control group is there.
    ///
    /// # Errors
    /// Says in words what cannot be used.
    pub fn open(source: &Source) -> Result<Self, String> {
        Self::with_kernel(source, Kernel::this_machine())
    }

    /// The same, with other files instead of this machine's.
    ///
    /// # Errors
    /// Says in words what cannot be used.
    pub fn with_kernel(source: &Source, kernel: Kernel) -> Result<Self, String> {
        let kind = match source {
            Source::Local(parts) => Kind::Local(kernel, parts.clone()),
            Source::Process(name) => Kind::Process(kernel, ProcessTree::of(name)),
            Source::Cgroup(path) => {
                let group = kernel.group(path)?;
                Kind::Cgroup(kernel, group)
            }
            Source::NodeExporter(endpoint, parts) => {
                Kind::NodeExporter(HttpClient::of(endpoint)?, parts.clone())
            }
            Source::Prometheus(endpoint, queries) => {
                Kind::Prometheus(Prometheus::of(HttpClient::of(endpoint)?, queries))
            }
        };
        Ok(Self { kind })
    }

    /// Looks once. Whoever is asked over HTTP must have answered within the limit; files are read at once.
    ///
    /// # Errors
    /// When nothing could be had; says in words why.
    pub async fn snapshot(&mut self, limit: Duration) -> Result<Snapshot, String> {
        let asked = now();
        let snapshot = match &mut self.kind {
            Kind::Local(kernel, parts) => by_own_clock(kernel.machine(&parts.mounts)?.snapshot(parts)),
            Kind::Process(kernel, process_tree) => by_own_clock(process_tree.snapshot(kernel)?),
            Kind::Cgroup(kernel, group) => by_own_clock(group.snapshot(kernel)?),
            Kind::NodeExporter(client, parts) => {
                let text = client.get_page(limit).await?;
                let took_s = now() - asked;
                let observed_at = asked + took_s / 2.0;
                // Whoever answers with a page for people has another for programs.
                let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
                let hint = if begin.starts_with('<') { "; is the path /metrics?" } else { "" };
                let machine = exporter::machine(&text, observed_at).map_err(|why| why + hint)?;
                Snapshot { observed_at, took_s, ..machine.snapshot(parts) }
            }
            Kind::Prometheus(prometheus) => {
                let snapshot = prometheus.snapshot(limit).await?;
                let took_s = now() - asked;
                let observed_at = asked + took_s / 2.0;
                Snapshot { at: observed_at, clock: ClockSource::Runner, observed_at, took_s, ..snapshot }
            }
        };
        Ok(snapshot)
    }
}

/// The kernel's clock is ours.
fn by_own_clock(snapshot: Snapshot) -> Snapshot {
    Snapshot { observed_at: snapshot.at, ..snapshot }
}
