//! What a machine counts, all of it, before it is chosen what matters.

use std::collections::BTreeMap;

use crate::resources::device_filter::{self, Mount};
use crate::resources::metric::Metric;
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{ClockSource, Cpu, Disk, Gauge, Identity, Incarnation, Snapshot, Traffic};
use crate::resources::source::DeviceFilter;

/// What a machine has counted up to one moment, by its own kernel or by an exporter on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MachineCounters {
    /// When, in seconds, by the clock of whoever counted.
    pub at: f64,
    /// Whether that clock is not ours.
    pub clock: ClockSource,
    /// How long ago it was booted, in seconds.
    pub age: Option<f64>,
    /// Who it says to be.
    pub identity: Identity,
    /// Each core by its number.
    pub cores: BTreeMap<String, Modes>,
    /// Memory.
    pub memory: Option<MemoryInfo>,
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
    pub files: Option<Gauge>,
    /// Threads of all processes.
    pub threads: Option<Gauge>,
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
pub struct MemoryInfo {
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

impl MachineCounters {
    /// What of it counts.
    pub fn snapshot(self, parts: &DeviceFilter) -> Snapshot {
        let incarnation = Incarnation { start_event: "the machine was booted".to_owned(), age: self.age };
        let mut snapshot = Snapshot {
            at: self.at,
            clock: self.clock,
            incarnation,
            cpu: cpu(&self.cores),
            ..Snapshot::default()
        };
        snapshot.identity = self.identity;
        snapshot.pressure = self.pressure;
        snapshot.missing = self.missing;
        if !self.disks.is_empty() {
            match device_filter::disks(&self.disks, &parts.disks) {
                Ok(disks) => snapshot.disks = Some(disks),
                Err(why) => mark_missing(&mut snapshot, &DISK_METRICS.map(|(metric, _)| metric), &why),
            }
        }
        snapshot.network = Some(self.network).filter(|devices| !devices.is_empty());
        if !self.mounts.is_empty() {
            match device_filter::fullest(&self.mounts, &parts.mounts) {
                Ok(share) => gauge(&mut snapshot, Metric::DiskUsed, share, Some(100.0)),
                Err(why) => mark_missing(&mut snapshot, &[Metric::DiskUsed], &why),
            }
        }
        if let Some(memory) = self.memory {
            memory.record(&mut snapshot);
        }
        if let Some(swap) = self.swap {
            swap.record(&mut snapshot);
        }
        snapshot.gauges.extend(self.files.map(|files| (Metric::OpenFiles, files)));
        snapshot.gauges.extend(self.threads.map(|threads| (Metric::Threads, threads)));
        if let Some(connections) = self.connections {
            gauge(&mut snapshot, Metric::Connections, connections, None);
        }
        check_devices(&mut snapshot);
        snapshot
    }
}

type CounterField<T> = fn(&T) -> Option<f64>;

const DISK_METRICS: [(Metric, CounterField<Disk>); 4] = [
    (Metric::DiskIo, |disk| disk.busy),
    (Metric::DiskQueue, |disk| disk.queued),
    (Metric::DiskRead, |disk| disk.read),
    (Metric::DiskWrite, |disk| disk.written),
];
const NETWORK_METRICS: [(Metric, CounterField<Traffic>); 2] =
    [(Metric::NetworkIn, |device| device.received), (Metric::NetworkOut, |device| device.sent)];

/// A counter that one of the devices lacks is missing, and one that only others lack is not.
fn check_devices(snapshot: &mut Snapshot) {
    let lacking = lacking(snapshot.disks.as_ref(), "disk", &DISK_METRICS);
    let lacking = lacking.into_iter().chain(self::lacking(
        snapshot.network.as_ref(),
        "network device",
        &NETWORK_METRICS,
    ));
    for (metric, device) in lacking.collect::<Vec<_>>() {
        match device {
            Some(device) => mark_missing(snapshot, &[metric], &format!("{device} does not count it")),
            None => drop(snapshot.missing.remove(&metric)),
        }
    }
}

/// Of each metric, the first device that does not count what it takes.
fn lacking<T>(
    devices: Option<&BTreeMap<String, T>>,
    kind: &str,
    metrics: &[(Metric, CounterField<T>)],
) -> Vec<(Metric, Option<String>)> {
    let Some(devices) = devices else { return Vec::new() };
    let first = |counter: &CounterField<T>| {
        let name = devices.iter().find(|(_, device)| counter(device).is_none()).map(|(name, _)| name);
        name.map(|name| format!("{kind} `{}`", sanitise(name)))
    };
    metrics.iter().map(|(metric, counter)| (*metric, first(counter))).collect()
}

impl MemoryInfo {
    fn record(self, snapshot: &mut Snapshot) {
        let Self { total, available } = self;
        if let Some(why) = impossible_part(available, total, "MemAvailable of MemTotal") {
            return mark_missing(snapshot, &[Metric::Memory, Metric::MemoryUsed], &why);
        }
        if total <= 0.0 {
            return mark_missing(snapshot, &[Metric::Memory, Metric::MemoryUsed], "MemTotal is 0");
        }
        gauge(snapshot, Metric::Memory, (total - available) / total * 100.0, Some(100.0));
        gauge(snapshot, Metric::MemoryUsed, total - available, Some(total));
    }
}

impl Swap {
    fn record(self, snapshot: &mut Snapshot) {
        let Self { total, free } = self;
        if let Some(why) = impossible_part(free, total, "SwapFree of SwapTotal") {
            return mark_missing(snapshot, &[Metric::Swap], &why);
        }
        let share = if total > 0.0 { (total - free) / total * 100.0 } else { 0.0 };
        gauge(snapshot, Metric::Swap, share, Some(100.0));
    }
}

/// Why a part cannot be one of a whole, in bytes.
fn impossible_part(part: f64, whole: f64, which: &str) -> Option<String> {
    let possible = (0.0..=whole).contains(&part);
    (!possible).then(|| format!("{part} bytes of {whole} cannot be: {which}"))
}

fn gauge(snapshot: &mut Snapshot, metric: Metric, value: f64, most: Option<f64>) {
    snapshot.gauges.insert(metric, Gauge { value, most });
}

fn mark_missing(snapshot: &mut Snapshot, metrics: &[Metric], why: &str) {
    for metric in metrics {
        // Whoever counted knows better why.
        snapshot.missing.entry(*metric).or_insert_with(|| why.to_owned());
    }
}

/// All cores together; `None` where one of them lacks what it takes.
fn cpu(cores: &BTreeMap<String, Modes>) -> Option<Cpu> {
    let count = u32::try_from(cores.len()).ok().filter(|count| *count > 0)?;
    let sum = |mode: fn(&Modes) -> Option<f64>| cores.values().map(mode).sum::<Option<f64>>();
    Some(Cpu::Whole {
        total: sum(|core| core.total())?,
        idle: sum(|core| core.idle)?,
        iowait: sum(|core| core.iowait)?,
        steal: sum(|core| core.steal),
        cores: count,
    })
}
