//! The hosts whose resource usage a plan measures.

use crate::diagnostic::Span;
use crate::plan::model::{JudgedPeriod, Phase};
use crate::resources::metric::Metric;
use crate::resources::source::Source;
use crate::resources::ticks::Ticks;
use crate::units::TimeSpan;

/// Index of a host in [`Monitor::hosts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct HostId(pub u16);

impl HostId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Hosts to measure while the plan runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Time between two snapshots of a host.
    pub every: TimeSpan,
    /// By [`HostId`].
    pub hosts: Vec<Host>,
}

/// A machine, process or control group whose resource usage is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub name: String,
    /// Origin of its measurements.
    pub source: Source,
    /// Place of the source in the plan; `None` where the run itself added the host.
    pub span: Option<Span>,
}

impl Host {
    /// Whether it is a part of the target: by its name, or because the run found its process by the target's port.
    pub fn is_of_target(&self) -> bool {
        self.name.starts_with(TARGET) || (self.span.is_none() && self.is_process_or_cgroup())
    }

    pub fn is_process_or_cgroup(&self) -> bool {
        matches!(self.source, Source::Process(_) | Source::Cgroup(_))
    }
}

/// Name of the host for objectives that name none.
pub const TARGET: &str = "target";

impl Monitor {
    /// Looks up a host by its name.
    pub fn host(&self, name: &str) -> Option<HostId> {
        let index = self.hosts.iter().position(|host| host.name == name)?;
        Some(HostId(u16::try_from(index).ok()?))
    }

    /// Times in a phase at which the hosts are read. One of them is the start of the first judged period.
    pub fn ticks(&self, phase: &Phase) -> Ticks {
        let from = phase.judged().first().map_or(0, |judged| judged.from);
        Ticks::through(from, self.every.seconds())
    }

    /// The number of readings at the start of each judged period that look back to before it, because the query of the
    /// metric covers more than the time between two snapshots.
    pub fn early_readings(&self, host: HostId, metric: Metric) -> u32 {
        let look_back = self.hosts.get(host.index()).map_or(0.0, |host| host.source.look_back_s(metric));
        ((look_back / self.every.seconds() - 1e-9).ceil() as u32).saturating_sub(1)
    }

    /// Readings of a phase that lie wholly in a judged period, one range for each period.
    pub fn expected(&self, phase: &Phase) -> Vec<std::ops::Range<u32>> {
        let ticks = self.ticks(phase);
        let within = |judged: JudgedPeriod| ticks.within(f64::from(judged.from), judged.to);
        phase.judged().into_iter().map(within).collect()
    }
}
