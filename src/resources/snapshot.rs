//! The counters and gauges of a host at one moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::resources::metric::Metric;

/// The counters and gauges that a source reports at one moment. For each absent metric `missing` has the reason.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Time of the counters in seconds, by the clock in `clock`; only differences are meaningful.
    pub at: f64,
    pub clock: ClockSource,
    /// Time in seconds by the runner's clock, which is never set: halfway between request and response.
    pub observed_at: f64,
    /// How long the response took, in seconds.
    pub took_s: f64,
    /// The start of the counters: after a reboot or a restart they begin at 0.
    pub incarnation: Incarnation,
    pub identity: Identity,
    /// The processes that the source found, if it looked for them: `process 1234 (nginx)`.
    pub processes: Option<String>,
    pub cpu: Option<Cpu>,
    /// Seconds in which some task waited for a disk.
    pub pressure: Option<f64>,
    /// By name.
    pub disks: Option<BTreeMap<String, Disk>>,
    /// By name, without loopback.
    pub network: Option<BTreeMap<String, Traffic>>,
    /// Momentary values.
    pub gauges: BTreeMap<Metric, Gauge>,
    /// The reason for each metric that this kind of source provides and this host lacks.
    pub missing: BTreeMap<Metric, String>,
    /// Of these, the ones that the source could not give at this moment, because a part of it was unavailable.
    pub missing_for_now: BTreeSet<Metric>,
}

impl Snapshot {
    /// Records the memory of a process tree or a control group, in bytes, and its share of the limit.
    pub fn set_process_memory(&mut self, value: f64, limit: Option<f64>) {
        self.gauges.insert(Metric::ProcessMemory, Gauge { value, most: limit });
        match limit.filter(|limit| *limit > 0.0) {
            Some(limit) => {
                let share = Gauge { value: value / limit * 100.0, most: Some(100.0) };
                self.gauges.insert(Metric::Memory, share);
            }
            None => {
                let why = "the memory limit is unknown or 0";
                self.missing.insert(Metric::Memory, why.to_owned());
            }
        }
    }
}

/// The clock that provides the time of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockSource {
    /// The clock of the host.
    #[default]
    Host,
    /// The runner's clock, because the host reports no time.
    Runner,
}

/// The period of counters from one start to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incarnation {
    /// The event that started it: `the machine was booted`, `process 1234 was started`.
    pub start_event: String,
    /// Seconds since this event; `None` if unknown.
    pub age: Option<f64>,
    /// Whether every restart of what is measured is such an event.
    pub shows_restarts: bool,
    /// The measured processes, by number and start time in clock ticks; empty for a machine and a group.
    pub processes: Vec<(u32, u64)>,
}

/// The names of a host; an unknown one is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name that the machine gives itself.
    pub name: Option<String>,
    /// The label `instance`, set by a server that relays the counters.
    pub instance: Option<String>,
}

impl Identity {
    /// The names before and now, if they belong to two hosts. Only names of the same kind are compared.
    pub fn changed<'w>(&'w self, now: &'w Self) -> Option<(&'w str, &'w str)> {
        let names = self.name.as_deref().zip(now.name.as_deref());
        let names = names.or_else(|| self.instance.as_deref().zip(now.instance.as_deref()));
        names.filter(|(before, now)| before != now)
    }
}

/// Processor time since the start of the counters, in seconds summed over all cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cpu {
    /// Of a machine.
    Whole {
        /// All modes: user (including guests), nice, system, idle, iowait, irq, softirq and steal.
        total: f64,
        idle: f64,
        /// Idle while a task waits for a disk. The kernel sometimes decreases it.
        iowait: f64,
        /// Given to other machines by the hypervisor; `None` if it is not counted, and then not part of `total`.
        steal: Option<f64>,
        /// Number of cores; if it changes, the counters before and after are not comparable.
        cores: u32,
    },
    /// Of a process tree or a control group.
    Part {
        used: f64,
        /// Number of cores that it may use, by affinity and quota.
        cores: f64,
        /// Quota periods, and those in which the quota was used up; `None` without a quota.
        limited: Option<(f64, f64)>,
    },
}

/// The counters of a disk; a counter that it lacks is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Disk {
    /// Seconds with a request in flight.
    pub busy: Option<f64>,
    /// Sum of the times of all requests, queued or in flight, in seconds.
    pub queued: Option<f64>,
    /// Bytes read.
    pub read: Option<f64>,
    /// Bytes written.
    pub written: Option<f64>,
}

/// The counters of a network device; a counter that it lacks is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Bytes received.
    pub received: Option<f64>,
    /// Bytes sent.
    pub sent: Option<f64>,
}

/// A momentary value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// In the metric's unit.
    pub value: f64,
    /// The capacity, in the same unit.
    pub most: Option<f64>,
}
