//! Takes snapshots of hosts. A [`Probe`] reads one host: the files of this machine's kernel, or an exporter or a
//! Prometheus over HTTP. Snapshots have raw counters; [`crate::resources`] computes the usage between two of them.

pub mod process_lookup;
mod process_names;
pub mod process_tree;
pub mod prometheus;
pub mod sockets;
mod watcher;

pub use watcher::{Watcher, first_snapshots};

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::http_client::HttpClient;
use crate::kernel::{ControlGroup, Kernel, now};
use crate::monitor::process_tree::ProcessTree;
use crate::monitor::prometheus::Prometheus;
use crate::resources::exporter;
use crate::resources::snapshot::{ClockSource, Snapshot};
use crate::resources::source::{DeviceFilter, Source};

/// Takes snapshots of one host.
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
    /// Prepares a probe. It reads nothing yet, but a control group must exist.
    ///
    /// # Errors
    /// If the source cannot be used; the message has the reason.
    pub fn open(source: &Source) -> Result<Self, String> {
        Self::with_kernel(source, Kernel::this_machine())
    }

    /// The same, with the files of another kernel.
    ///
    /// # Errors
    /// As for [`Self::open`].
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

    /// Takes a snapshot. A response over HTTP must arrive within the limit; files are read without one.
    ///
    /// # Errors
    /// If the host cannot be read; the message has the reason.
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
                // A server that returns HTML often has the metrics at another path.
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

/// The clock of this machine's kernel is also the runner's.
fn by_own_clock(snapshot: Snapshot) -> Snapshot {
    Snapshot { observed_at: snapshot.at, ..snapshot }
}
