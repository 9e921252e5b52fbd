//! What a machine counts, all of it, before it is chosen what matters.

use std::collections::BTreeMap;

use crate::resources::choice::{self, Mount};
use crate::resources::look::{Clock, Cpu, Disk, Level, Life, Look, Traffic, Who};
use crate::resources::metric::Metric;
use crate::resources::quote::quote;
use crate::resources::source::Parts;

/// What a machine has counted up to one moment, by its own kernel or by an exporter on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// When, in seconds, by the clock of whoever counted.
    pub at: f64,
    /// Whether that clock is not ours.
    pub clock: Clock,
    /// How long ago it was booted, in seconds.
    pub age: Option<f64>,
    /// Who it says to be.
    pub who: Who,
    /// Each core by its number.
    pub cores: BTreeMap<String, Modes>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Swap space.
    pub swap: Option<Swap>,
    /// Seconds in which some task waited for a disk.
    pub pressure: Option<f64>,
    /// Each disk by its name, with partitions and what is no disk of its own.
    pub disks: BTreeMap<String, Disk>,
    /// Each network device by its name, without loopback.
    pub network: BTreeMap<String, Traffic>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Files that are open.
    pub files: Option<Level>,
    /// Threads of all processes.
    pub threads: Option<Level>,
    /// TCP connections that are established.
    pub connections: Option<f64>,
    /// Why a metric cannot be had.
    pub missing: BTreeMap<Metric, String>,
}

/// What a core did so far, in seconds. Guests are in `user` and `nice`. What is not
/// counted is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Modes {
    /// Programs.
    pub user: Option<f64>,
    /// Programs that let others go first.
    pub nice: Option<f64>,
    /// The kernel.
    pub system: Option<f64>,
    /// Nothing.
    pub idle: Option<f64>,
    /// Nothing but to wait for a disk.
    pub iowait: Option<f64>,
    /// Interrupts.
    pub irq: Option<f64>,
    /// What interrupts left to do.
    pub softirq: Option<f64>,
    /// What a hypervisor gave to others.
    pub steal: Option<f64>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// All of it.
    pub total: f64,
    /// What programs can still get, without swapping.
    pub available: f64,
}

/// Swap space, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Swap {
    /// All of it.
    pub total: f64,
    /// What is unused.
    pub free: f64,
}

impl Modes {
    /// Each with its name, as exporters call it.
    pub fn named(&mut self) -> [(&'static str, &mut Option<f64>); 8] {
        let Self { user, nice, system, idle, iowait, irq, softirq, steal } = self;
        [
            ("user", user),
            ("nice", nice),
            ("system", system),
            ("idle", idle),
            ("iowait", iowait),
            ("irq", irq),
            ("softirq", softirq),
            ("steal", steal),
        ]
    }

    /// The first mode that is not counted, of those without which nobody knows how much time was used.
    pub fn lacking(mut self) -> Option<&'static str> {
        let all = self.named();
        all.into_iter().find(|(name, time)| time.is_none() && *name != "steal").map(|(name, _)| name)
    }

    /// All time, with that which was stolen as far as it is counted.
    fn total(mut self) -> Option<f64> {
        let total = self.named().into_iter().filter_map(|(_, time)| *time).sum();
        self.lacking().is_none().then_some(total)
    }
}

impl Machine {
    /// What of it counts.
    pub fn look(self, parts: &Parts) -> Look {
        let life = Life { began: "the machine was booted".to_owned(), age: self.age };
        let mut look =
            Look { at: self.at, clock: self.clock, life, cpu: cpu(&self.cores), ..Look::default() };
        look.who = self.who;
        look.pressure = self.pressure;
        look.missing = self.missing;
        if !self.disks.is_empty() {
            match choice::disks(&self.disks, &parts.disks) {
                Ok(disks) => look.disks = Some(disks),
                Err(why) => say(&mut look, &DISK_METRICS.map(|(metric, _)| metric), &why),
            }
        }
        look.network = Some(self.network).filter(|devices| !devices.is_empty());
        if !self.mounts.is_empty() {
            match choice::fullest(&self.mounts, &parts.mounts) {
                Ok(share) => level(&mut look, Metric::DiskUsed, share, Some(100.0)),
                Err(why) => say(&mut look, &[Metric::DiskUsed], &why),
            }
        }
        if let Some(memory) = self.memory {
            memory.tell(&mut look);
        }
        if let Some(swap) = self.swap {
            swap.tell(&mut look);
        }
        look.levels.extend(self.files.map(|files| (Metric::OpenFiles, files)));
        look.levels.extend(self.threads.map(|threads| (Metric::Threads, threads)));
        if let Some(connections) = self.connections {
            level(&mut look, Metric::Connections, connections, None);
        }
        check_devices(&mut look);
        look
    }
}

type Counter<T> = fn(&T) -> Option<f64>;

const DISK_METRICS: [(Metric, Counter<Disk>); 4] = [
    (Metric::DiskIo, |disk| disk.busy),
    (Metric::DiskQueue, |disk| disk.queued),
    (Metric::DiskRead, |disk| disk.read),
    (Metric::DiskWrite, |disk| disk.written),
];
const NETWORK_METRICS: [(Metric, Counter<Traffic>); 2] =
    [(Metric::NetworkIn, |device| device.received), (Metric::NetworkOut, |device| device.sent)];

/// A counter that one of the devices lacks is missing, and one that only others lack is not.
fn check_devices(look: &mut Look) {
    let lacking = lacking(look.disks.as_ref(), "disk", &DISK_METRICS);
    let lacking =
        lacking.into_iter().chain(self::lacking(look.network.as_ref(), "network device", &NETWORK_METRICS));
    for (metric, device) in lacking.collect::<Vec<_>>() {
        match device {
            Some(device) => say(look, &[metric], &format!("{device} does not count it")),
            None => drop(look.missing.remove(&metric)),
        }
    }
}

/// Of each metric, the first device that does not count what it takes.
fn lacking<T>(
    devices: Option<&BTreeMap<String, T>>,
    what: &str,
    metrics: &[(Metric, Counter<T>)],
) -> Vec<(Metric, Option<String>)> {
    let Some(devices) = devices else { return Vec::new() };
    let first = |counter: &Counter<T>| {
        let name = devices.iter().find(|(_, device)| counter(device).is_none()).map(|(name, _)| name);
        name.map(|name| format!("{what} `{}`", quote(name)))
    };
    metrics.iter().map(|(metric, counter)| (*metric, first(counter))).collect()
}

impl Memory {
    fn tell(self, look: &mut Look) {
        let Self { total, available } = self;
        if let Some(why) = cannot_be(available, total, "MemAvailable of MemTotal") {
            return say(look, &[Metric::Memory, Metric::MemoryUsed], &why);
        }
        if total <= 0.0 {
            return say(look, &[Metric::Memory, Metric::MemoryUsed], "MemTotal is 0");
        }
        level(look, Metric::Memory, (total - available) / total * 100.0, Some(100.0));
        level(look, Metric::MemoryUsed, total - available, Some(total));
    }
}

impl Swap {
    fn tell(self, look: &mut Look) {
        let Self { total, free } = self;
        if let Some(why) = cannot_be(free, total, "SwapFree of SwapTotal") {
            return say(look, &[Metric::Swap], &why);
        }
        let share = if total > 0.0 { (total - free) / total * 100.0 } else { 0.0 };
        level(look, Metric::Swap, share, Some(100.0));
    }
}

/// Why a part cannot be one of a whole, in bytes.
fn cannot_be(part: f64, whole: f64, which: &str) -> Option<String> {
    let possible = (0.0..=whole).contains(&part);
    (!possible).then(|| format!("{part} bytes of {whole} cannot be: {which}"))
}

fn level(look: &mut Look, metric: Metric, value: f64, most: Option<f64>) {
    look.levels.insert(metric, Level { value, most });
}

fn say(look: &mut Look, metrics: &[Metric], why: &str) {
    for metric in metrics {
        // Whoever counted knows better why.
        look.missing.entry(*metric).or_insert_with(|| why.to_owned());
    }
}

/// All cores together; `None` where one of them lacks what it takes.
fn cpu(cores: &BTreeMap<String, Modes>) -> Option<Cpu> {
    let count = u32::try_from(cores.len()).ok().filter(|count| *count > 0)?;
    let sum = |mode: fn(&Modes) -> Option<f64>| cores.values().map(mode).sum::<Option<f64>>();
    Some(Cpu::Machine {
        total: sum(|core| core.total())?,
        idle: sum(|core| core.idle)?,
        iowait: sum(|core| core.iowait)?,
        steal: sum(|core| core.steal),
        cores: count,
    })
}
