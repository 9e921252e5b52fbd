//! Reads the counters of a machine from the page of a node_exporter.

pub mod exposition;
pub mod exposition_writer;

use std::collections::{BTreeMap, BTreeSet};

use crate::resources::device_filter::Mount;
use crate::resources::exporter::exposition::{ExpositionSample, samples, written};
use crate::resources::linux::proc::finite_limit;
use crate::resources::machine::{MachineCounters, MemoryInfo, Modes, Swap};
use crate::resources::metric::Metric;
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{ClockSource, Disk, Gauge, Identity, Traffic};

/// Metric families with the collector that provides each, and the metrics that require it.
const FAMILIES: &[(&str, &str, &[Metric])] = &[
    ("node_cpu_seconds_total", "cpu", &[Metric::Cpu, Metric::Steal]),
    ("node_memory_MemTotal_bytes", "meminfo", &[Metric::Memory, Metric::MemoryUsed]),
    ("node_memory_MemAvailable_bytes", "meminfo", &[Metric::Memory, Metric::MemoryUsed]),
    ("node_memory_SwapTotal_bytes", "meminfo", &[Metric::Swap]),
    ("node_memory_SwapFree_bytes", "meminfo", &[Metric::Swap]),
    ("node_disk_io_time_seconds_total", "diskstats", &[Metric::DiskIo]),
    ("node_disk_io_time_weighted_seconds_total", "diskstats", &[Metric::DiskQueue]),
    ("node_disk_read_bytes_total", "diskstats", &[Metric::DiskRead]),
    ("node_disk_written_bytes_total", "diskstats", &[Metric::DiskWrite]),
    ("node_pressure_io_waiting_seconds_total", "pressure", &[Metric::DiskPressure]),
    ("node_filesystem_size_bytes", "filesystem", &[Metric::DiskUsed]),
    ("node_filesystem_free_bytes", "filesystem", &[Metric::DiskUsed]),
    ("node_filesystem_avail_bytes", "filesystem", &[Metric::DiskUsed]),
    ("node_network_receive_bytes_total", "netdev", &[Metric::NetworkIn]),
    ("node_network_transmit_bytes_total", "netdev", &[Metric::NetworkOut]),
    ("node_filefd_allocated", "filefd", &[Metric::OpenFiles]),
    ("node_processes_threads", "processes", &[Metric::Threads]),
    ("node_netstat_Tcp_CurrEstab", "netstat", &[Metric::Connections]),
];

/// Reads the page of a node_exporter. `fallback` is the time of the counters, in seconds, if the page has no
/// `node_time_seconds`.
///
/// # Errors
/// If the page is not in Prometheus text format, has no node_exporter metric, or describes more than one machine.
pub fn machine(text: &str, fallback: f64) -> Result<MachineCounters, String> {
    let mut found = ParsedPage::default();
    for sample in samples(text) {
        found.take(&sample?)?;
    }
    found.machine(fallback)
}

/// The parsed samples of a page.
#[derive(Default)]
struct ParsedPage {
    machine: MachineCounters,
    mounts: BTreeMap<(String, String), Mount>,
    /// Families without labels, by name.
    single: BTreeMap<&'static str, Option<f64>>,
    /// The families of `FAMILIES` that the page has.
    families: BTreeSet<&'static str>,
    /// A message for each family with an impossible value.
    impossible: BTreeMap<&'static str, String>,
    /// The label `instance` of the samples; empty if they have none.
    instance: Option<String>,
    /// `nodename` of `node_uname_info`.
    name: Option<String>,
}

/// The families without labels that are read.
const SINGLE_FAMILIES: [&str; 11] = [
    "node_time_seconds",
    "node_boot_time_seconds",
    "node_memory_MemTotal_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_SwapFree_bytes",
    "node_pressure_io_waiting_seconds_total",
    "node_filefd_allocated",
    "node_filefd_maximum",
    "node_processes_threads",
    "node_netstat_Tcp_CurrEstab",
];
/// Not every exporter has this family, and no metric requires it.
pub(super) const MAX_THREADS_FAMILY: &str = "node_processes_max_threads";

impl ParsedPage {
    /// Stores a sample if it is needed. Fails if the page describes two machines.
    fn take(&mut self, sample: &ExpositionSample<'_>) -> Result<(), String> {
        if sample.name == "node_uname_info" {
            let name = sample.label("nodename");
            if *self.name.get_or_insert_with(|| name.to_owned()) != name {
                return Err(format!(
                    "two machines in one page: {} is from the second; use a page of one machine",
                    series(sample)
                ));
            }
        }
        let Some(slot) = self.slot(sample) else { return Ok(()) };
        if slot.is_some() {
            return Err(format!("{} appears twice in the page; use a page of one machine", series(sample)));
        }
        // An impossible value is stored too, so that a duplicate of it is found.
        *slot = Some(sample.value);
        let instance = sample.label("instance");
        if *self.instance.get_or_insert_with(|| instance.to_owned()) != instance {
            return Err(format!(
                "two machines in one page: {} is from the second; use a page of one machine",
                series(sample)
            ));
        }
        if let Some((family, _, _)) = FAMILIES.iter().find(|(family, _, _)| *family == sample.name) {
            self.families.insert(family);
            if !possible(sample.value) {
                let why = || format!("{} is {}", series(sample), written(sample.value));
                self.impossible.entry(family).or_insert_with(why);
            }
        }
        Ok(())
    }

    /// The place of a sample's value; `None` if the sample is not needed.
    fn slot(&mut self, sample: &ExpositionSample<'_>) -> Option<&mut Option<f64>> {
        if !sample.name.starts_with("node_") {
            return None;
        }
        let mut wanted = SINGLE_FAMILIES.into_iter().chain([MAX_THREADS_FAMILY]);
        if let Some(name) = wanted.find(|name| *name == sample.name) {
            return Some(self.single.entry(name).or_default());
        }
        let device = sample.label("device");
        match sample.name {
            "node_disk_io_time_seconds_total" => Some(&mut self.disk(device).busy),
            "node_disk_io_time_weighted_seconds_total" => Some(&mut self.disk(device).queued),
            "node_disk_read_bytes_total" => Some(&mut self.disk(device).read),
            "node_disk_written_bytes_total" => Some(&mut self.disk(device).written),
            "node_network_receive_bytes_total" => Some(&mut self.traffic(device)?.received),
            "node_network_transmit_bytes_total" => Some(&mut self.traffic(device)?.sent),
            "node_filesystem_size_bytes" => Some(&mut self.mount(sample).size),
            "node_filesystem_free_bytes" => Some(&mut self.mount(sample).free),
            "node_filesystem_avail_bytes" => Some(&mut self.mount(sample).available),
            "node_cpu_seconds_total" => {
                let core = self.machine.cores.entry(sample.label("cpu").to_owned()).or_default();
                let mode = sample.label("mode");
                core.named().into_iter().find(|(name, _)| *name == mode).map(|(_, seconds)| seconds)
            }
            _ => None,
        }
    }

    fn disk(&mut self, device: &str) -> &mut Disk {
        self.machine.disks.entry(device.to_owned()).or_default()
    }

    fn traffic(&mut self, device: &str) -> Option<&mut Traffic> {
        (device != "lo").then(|| self.machine.network.entry(device.to_owned()).or_default())
    }

    fn mount(&mut self, sample: &ExpositionSample<'_>) -> &mut Mount {
        let [point, device, kind] =
            ["mountpoint", "device", "fstype"].map(|name| sample.label(name).to_owned());
        let mount = self.mounts.entry((point.clone(), device.clone())).or_default();
        (mount.point, mount.device, mount.kind) = (point, device, kind);
        mount
    }

    fn drop_impossible(&mut self) {
        let cores = self.machine.cores.values_mut().flat_map(Modes::named).map(|(_, seconds)| seconds);
        let disks = self.machine.disks.values_mut();
        let disks =
            disks.flat_map(|disk| [&mut disk.busy, &mut disk.queued, &mut disk.read, &mut disk.written]);
        let network = self.machine.network.values_mut();
        let network = network.flat_map(|traffic| [&mut traffic.received, &mut traffic.sent]);
        let mounts = self.mounts.values_mut();
        let mounts = mounts.flat_map(|mount| [&mut mount.size, &mut mount.free, &mut mount.available]);
        for value in cores.chain(disks).chain(network).chain(mounts).chain(self.single.values_mut()) {
            *value = value.filter(|value| possible(*value));
        }
    }

    fn machine(mut self, fallback: f64) -> Result<MachineCounters, String> {
        if self.families.is_empty() {
            return Err("the page has no node_exporter metric; check the URL".to_owned());
        }
        self.drop_impossible();
        let single = |name: &str| self.single.get(name).copied().flatten();
        let now = single("node_time_seconds");
        let (at, clock) = now.map_or((fallback, ClockSource::Runner), |now| (now, ClockSource::Host));
        let mut machine = MachineCounters { at, clock, ..self.machine };
        let named = |name: Option<String>| name.filter(|name| !name.is_empty());
        machine.identity = Identity { name: named(self.name), instance: named(self.instance) };
        machine.age = now.zip(single("node_boot_time_seconds")).map(|(now, booted)| now - booted);
        let memory = single("node_memory_MemTotal_bytes").zip(single("node_memory_MemAvailable_bytes"));
        machine.memory = memory.map(|(total, available)| MemoryInfo { total, available });
        let swap = single("node_memory_SwapTotal_bytes").zip(single("node_memory_SwapFree_bytes"));
        machine.swap = swap.map(|(total, free)| Swap { total, free });
        machine.pressure = single("node_pressure_io_waiting_seconds_total");
        machine.files = single("node_filefd_allocated")
            .map(|value| Gauge { value, most: single("node_filefd_maximum").and_then(finite_limit) });
        machine.threads =
            single("node_processes_threads").map(|value| Gauge { value, most: single(MAX_THREADS_FAMILY) });
        machine.connections = single("node_netstat_Tcp_CurrEstab");
        machine.mounts = self.mounts.into_values().collect();
        for (family, collector, metrics) in FAMILIES {
            if let Some(why) = self.impossible.get(family) {
                lacks(&mut machine, metrics, why);
            } else if !self.families.contains(family) {
                let why = format!("there is no {family}; enable `--collector.{collector}`");
                lacks(&mut machine, metrics, &why);
            }
        }
        lacking_modes(&mut machine);
        Ok(machine)
    }
}

/// Whether a counter or gauge can have this value.
fn possible(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// Name and labels of a sample, safe to show.
fn series(sample: &ExpositionSample<'_>) -> String {
    if sample.labels.is_empty() {
        return sanitise(sample.name);
    }
    let labels: Vec<String> = sample.labels.iter().map(|(name, text)| format!("{name}=\"{text}\"")).collect();
    sanitise(&format!("{}{{{}}}", sample.name, labels.join(",")))
}

/// Marks metrics as missing; an earlier reason stays.
fn lacks(machine: &mut MachineCounters, metrics: &[Metric], why: &str) {
    for metric in metrics {
        machine.missing.entry(*metric).or_insert_with(|| why.to_owned());
    }
}

/// If a mode is missing, the used processor time is unknown. Without steal, only that metric is missing.
fn lacking_modes(machine: &mut MachineCounters) {
    let cores: Vec<Modes> = machine.cores.values().copied().collect();
    let why = |mode| format!("there is no node_cpu_seconds_total{{mode=\"{mode}\"}} (`--collector.cpu`)");
    if let Some(mode) = cores.iter().copied().find_map(Modes::lacking) {
        lacks(machine, &[Metric::Cpu, Metric::Steal], &why(mode));
    } else if cores.iter().any(|core| core.steal.is_none()) {
        lacks(machine, &[Metric::Steal], &why("steal"));
    }
}

#[cfg(test)]
mod tests;
