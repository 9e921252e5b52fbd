//! All counters of a machine, from any source, and the snapshot of the selected devices.

use std::collections::BTreeMap;

use crate::resources::device_filter::{self, Mount};
use crate::resources::metric::Metric;
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{ClockSource, Cpu, Disk, Gauge, Identity, Incarnation, Snapshot, Traffic};
use crate::resources::source::DeviceFilter;

/// All counters of a machine at one moment, from its kernel or from an exporter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MachineCounters {
    /// Time of the counters in seconds, by the clock in `clock`.
    pub at: f64,
    pub clock: ClockSource,
    /// Uptime, in seconds.
    pub age: Option<f64>,
    pub identity: Identity,
    /// By core number.
    pub cores: BTreeMap<String, Modes>,
    pub memory: Option<MemoryInfo>,
    pub swap: Option<Swap>,
    /// Seconds in which some task waited for a disk.
    pub pressure: Option<f64>,
    /// By name, including partitions and virtual disks.
    pub disks: BTreeMap<String, Disk>,
    /// By name, without loopback.
    pub network: BTreeMap<String, Traffic>,
    pub mounts: Vec<Mount>,
    /// Open files.
    pub files: Option<Gauge>,
    /// Threads of all processes.
    pub threads: Option<Gauge>,
    /// Established TCP connections.
    pub connections: Option<f64>,
    /// The reason for each metric that the source cannot give.
    pub missing: BTreeMap<Metric, String>,
}

/// Seconds of a core in each mode since boot. Guest time is part of `user` and `nice`. A mode that is not counted is
/// `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Modes {
    pub user: Option<f64>,
    /// User programs with lowered priority.
    pub nice: Option<f64>,
    pub system: Option<f64>,
    pub idle: Option<f64>,
    /// Idle while a task waits for a disk.
    pub iowait: Option<f64>,
    pub irq: Option<f64>,
    /// Deferred work of interrupts.
    pub softirq: Option<f64>,
    /// Given to other machines by the hypervisor.
    pub steal: Option<f64>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MemoryInfo {
    pub total: f64,
    /// Available to programs without swapping.
    pub available: f64,
}

/// Swap space, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Swap {
    pub total: f64,
    pub free: f64,
}

impl Modes {
    /// All modes with the names that exporters use.
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

    /// The first mode that is missing, of those that the used time requires: all except steal.
    pub fn lacking(mut self) -> Option<&'static str> {
        let all = self.named();
        all.into_iter().find(|(name, time)| time.is_none() && *name != "steal").map(|(name, _)| name)
    }

    /// Time in all modes, with steal if it is counted; `None` if another mode is missing.
    pub fn total(mut self) -> Option<f64> {
        let total = self.named().into_iter().filter_map(|(_, time)| *time).sum();
        self.lacking().is_none().then_some(total)
    }
}

impl MachineCounters {
    /// The snapshot of the devices that `parts` selects.
    pub fn snapshot(self, parts: &DeviceFilter) -> Snapshot {
        let incarnation = Incarnation {
            start_event: "the machine was booted".to_owned(),
            age: self.age,
            shows_restarts: self.age.is_some(),
            processes: Vec::new(),
        };
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
        if !self.network.is_empty() {
            match device_filter::network_devices(&self.network, &parts.devices) {
                Ok(devices) => snapshot.network = Some(devices),
                Err(why) => mark_missing(&mut snapshot, &NETWORK_METRICS.map(|(metric, _)| metric), &why),
            }
        }
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

/// Marks a metric as missing if a selected device lacks its counter. If all of them have it, a reason that concerns
/// other devices is removed.
fn check_devices(snapshot: &mut Snapshot) {
    let lacking = lacking(snapshot.disks.as_ref(), "disk", &DISK_METRICS);
    let lacking = lacking.into_iter().chain(self::lacking(
        snapshot.network.as_ref(),
        "network device",
        &NETWORK_METRICS,
    ));
    for (metric, device) in lacking.collect::<Vec<_>>() {
        match device {
            Some(device) => mark_missing(snapshot, &[metric], &format!("{device} has no such counter")),
            None => drop(snapshot.missing.remove(&metric)),
        }
    }
}

/// For each metric, the first device that lacks its counter.
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

/// The reason why `part` bytes cannot be a part of `whole` bytes; `None` if they can.
fn impossible_part(part: f64, whole: f64, which: &str) -> Option<String> {
    let possible = (0.0..=whole).contains(&part);
    (!possible).then(|| format!("impossible value: {part} of {whole} bytes ({which})"))
}

fn gauge(snapshot: &mut Snapshot, metric: Metric, value: f64, most: Option<f64>) {
    snapshot.gauges.insert(metric, Gauge { value, most });
}

fn mark_missing(snapshot: &mut Snapshot, metrics: &[Metric], why: &str) {
    for metric in metrics {
        // A reason from the source is more precise.
        snapshot.missing.entry(*metric).or_insert_with(|| why.to_owned());
    }
}

/// The sum of all cores; `None` if one of them lacks a required mode.
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
