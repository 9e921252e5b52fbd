use crate::diagnostic::Span;
use crate::plan::model::{JudgedPeriod, Phase};
use crate::resources::source::Source;
use crate::resources::ticks::Ticks;
use crate::units::TimeSpan;

/// A host's place among the plan's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct HostId(pub u16);

impl HostId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What is looked at while the plan runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// How often.
    pub every: TimeSpan,
    /// The hosts, by [`HostId`].
    pub hosts: Vec<Host>,
}

/// A host whose resources are measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Who is asked about it.
    pub source: Source,
    /// Where the source was written; `None` where the run itself added the host.
    pub span: Option<Span>,
}

impl Host {
    /// Whether it is a part of this machine: a process or a control group.
    pub fn is_process_or_cgroup(&self) -> bool {
        matches!(self.source, Source::Process(_) | Source::Cgroup(_))
    }
}

/// The host that objectives mean where they name none.
pub const TARGET: &str = "target";

impl Monitor {
    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<HostId> {
        let index = self.hosts.iter().position(|host| host.name == name)?;
        Some(HostId(u16::try_from(index).ok()?))
    }

    /// When the hosts are looked at in a phase.
    pub fn ticks(&self, phase: &Phase) -> Ticks {
        let from = phase.judged().first().map_or(0, |judged| judged.from);
        Ticks::through(from, self.every.seconds())
    }

    /// The readings of a phase that count, a range for each judged stretch.
    pub fn expected(&self, phase: &Phase) -> Vec<std::ops::Range<u32>> {
        let ticks = self.ticks(phase);
        let within = |judged: JudgedPeriod| ticks.within(f64::from(judged.from), judged.to);
        phase.judged().into_iter().map(within).collect()
    }
}
