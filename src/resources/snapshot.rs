//! What was counted at one moment.

use std::collections::BTreeMap;

use crate::resources::metric::Metric;

/// What a source has counted up to one moment. What it does not count is not there, and `missing` says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// When, in seconds, by the clock of whoever counted; only differences mean something.
    pub at: f64,
    /// Whose clock that is.
    pub clock: ClockSource,
    /// When, in seconds, by our own clock, which is never set: between the question and the answer.
    pub observed_at: f64,
    /// How long the answer took, in seconds.
    pub took_s: f64,
    /// Whose counters these are: after a reboot or a restart they belong to another life and begin at 0.
    pub incarnation: Incarnation,
    /// Who it is of, by its own word.
    pub identity: Identity,
    /// Processor time.
    pub cpu: Option<Cpu>,
    /// Seconds in which some task waited for a disk.
    pub pressure: Option<f64>,
    /// Each disk by its name.
    pub disks: Option<BTreeMap<String, Disk>>,
    /// Each network device by its name, without loopback.
    pub network: Option<BTreeMap<String, Traffic>>,
    /// What needs no second look.
    pub gauges: BTreeMap<Metric, Gauge>,
    /// Why a metric that this kind of source gives cannot be had from this one.
    pub missing: BTreeMap<Metric, String>,
}

impl Snapshot {
    /// Notes the memory that a part of a machine holds, in bytes, of as much as it may.
    pub fn set_process_memory(&mut self, value: f64, limit: Option<f64>) {
        self.gauges.insert(Metric::ProcessMemory, Gauge { value, most: limit });
        match limit.filter(|limit| *limit > 0.0) {
            Some(limit) => {
                let share = Gauge { value: value / limit * 100.0, most: Some(100.0) };
                self.gauges.insert(Metric::Memory, share);
            }
            None => {
                let why = "nobody says how much memory this machine has";
                self.missing.insert(Metric::Memory, why.to_owned());
            }
        }
    }
}

/// Whose clock says when something was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockSource {
    /// That of whoever counted.
    #[default]
    Host,
    /// Our own, for nobody else says.
    Runner,
}

/// Whose counters they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incarnation {
    /// What began it, in words: `the machine was booted`, `process 1234 was started`.
    pub start_event: String,
    /// How long ago, in seconds; `None` where nobody says.
    pub age: Option<f64>,
}

/// Who somebody says to be; what nobody says is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name that the machine gives itself.
    pub name: Option<String>,
    /// What whoever passes on its counters calls it.
    pub instance: Option<String>,
}

impl Identity {
    /// Who it was and who it is now, if these are two. Names of different kinds say nothing of each other.
    pub fn changed<'w>(&'w self, now: &'w Self) -> Option<(&'w str, &'w str)> {
        let names = self.name.as_deref().zip(now.name.as_deref());
        let names = names.or_else(|| self.instance.as_deref().zip(now.instance.as_deref()));
        names.filter(|(before, now)| before != now)
    }
}

/// Processor time so far, in seconds of all cores together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cpu {
    /// Of a machine, whose time is divided among what it does.
    Whole {
        /// All of it: user (guests are in it), nice, system, idle, iowait, irq, softirq and steal.
        total: f64,
        /// Nothing to do.
        idle: f64,
        /// Nothing to do but to wait for a disk. The kernel lets it go back.
        iowait: f64,
        /// Given to others by a hypervisor; `None` where nobody counts it, and then it is not in the total.
        steal: Option<f64>,
        /// How many cores there are; where that changes, what was counted before and after does not compare.
        cores: u32,
    },
    /// Of a part of a machine.
    Part {
        /// Used.
        used: f64,
        /// How many cores it may use at a time: by its affinity and its limit.
        cores: f64,
        /// Periods with a limit, and those in which it was reached; `None` where there is no limit.
        limited: Option<(f64, f64)>,
    },
}

/// What a disk did so far; what is not counted is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Disk {
    /// Seconds with a request under way.
    pub busy: Option<f64>,
    /// Seconds of all requests together, waiting or under way.
    pub queued: Option<f64>,
    /// Bytes read.
    pub read: Option<f64>,
    /// Bytes written.
    pub written: Option<f64>,
}

/// What a network device did so far; what is not counted is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Bytes received.
    pub received: Option<f64>,
    /// Bytes sent.
    pub sent: Option<f64>,
}

/// What is so at this moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// In the metric's unit.
    pub value: f64,
    /// The most that there can be, in the same unit.
    pub most: Option<f64>,
}
