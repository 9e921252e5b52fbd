//! Looks at hosts. A [`Probe`] asks one of them: the kernel of this machine by its files, an exporter or a Prometheus over
//! HTTP. What it finds is counters; what was used between two looks is worked out in `resources`.

pub mod family;
pub mod finding;
pub mod http;
pub mod kernel;
pub mod prometheus;
pub mod tcp;
mod watch;

pub use watch::{Watcher, first_looks};

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::monitor::family::Family;
use crate::monitor::http::Asker;
use crate::monitor::kernel::{Group, Kernel, now};
use crate::monitor::prometheus::Prometheus;
use crate::resources::exporter;
use crate::resources::look::{Clock, Look};
use crate::resources::source::{Parts, Source};

/// Asks one host, as often as it is told to.
pub struct Probe {
    kind: Kind,
}

enum Kind {
    Local(Kernel, Parts),
    Process(Kernel, Family),
    Cgroup(Kernel, Group),
    NodeExporter(Asker, Parts),
    Prometheus(Prometheus),
}

impl Probe {
    /// Gets ready to ask a host; asks nothing yet but whether a control group is there.
    ///
    /// # Errors
    /// Says in words what cannot be used.
    pub fn open(source: &Source) -> Result<Self, String> {
        Self::below(source, Kernel::of_this_machine())
    }

    /// The same, with other files instead of this machine's.
    ///
    /// # Errors
    /// Says in words what cannot be used.
    pub fn below(source: &Source, kernel: Kernel) -> Result<Self, String> {
        let kind = match source {
            Source::Local(parts) => Kind::Local(kernel, parts.clone()),
            Source::Process(name) => Kind::Process(kernel, Family::of(name)),
            Source::Cgroup(path) => {
                let group = kernel.group(path)?;
                Kind::Cgroup(kernel, group)
            }
            Source::NodeExporter(endpoint, parts) => Kind::NodeExporter(Asker::of(endpoint)?, parts.clone()),
            Source::Prometheus(endpoint, queries) => {
                Kind::Prometheus(Prometheus::of(Asker::of(endpoint)?, queries))
            }
        };
        Ok(Self { kind })
    }

    /// Looks once. Whoever is asked over HTTP must have answered within the limit; files are read at once.
    ///
    /// # Errors
    /// When nothing could be had; says in words why.
    pub async fn look(&mut self, limit: Duration) -> Result<Look, String> {
        let asked = now();
        let look = match &mut self.kind {
            Kind::Local(kernel, parts) => by_own_clock(kernel.machine(&parts.mounts)?.look(parts)),
            Kind::Process(kernel, family) => by_own_clock(family.look(kernel)?),
            Kind::Cgroup(kernel, group) => by_own_clock(group.look(kernel)?),
            Kind::NodeExporter(asker, parts) => {
                let text = asker.page(limit).await?;
                let took = now() - asked;
                let heard = asked + took / 2.0;
                // Whoever answers with a page for people has another for programs.
                let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
                let hint = if begin.starts_with('<') { "; is the path /metrics?" } else { "" };
                let machine = exporter::machine(&text, heard).map_err(|why| why + hint)?;
                Look { heard, took, ..machine.look(parts) }
            }
            Kind::Prometheus(prometheus) => {
                let look = prometheus.look(limit).await?;
                let took = now() - asked;
                let heard = asked + took / 2.0;
                Look { at: heard, clock: Clock::Ours, heard, took, ..look }
            }
        };
        Ok(look)
    }
}

/// The kernel's clock is ours.
fn by_own_clock(look: Look) -> Look {
    Look { heard: look.at, ..look }
}
