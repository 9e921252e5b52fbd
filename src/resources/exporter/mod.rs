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
mod tests {
    use super::*;
    use crate::resources::exporter::exposition_writer::text;
    use crate::resources::source::DeviceFilter;

    fn full() -> MachineCounters {
        let core = Modes {
            user: Some(1.25),
            nice: Some(0.0),
            system: Some(3.5),
            idle: Some(100.5),
            iowait: Some(0.1),
            irq: Some(0.0),
            softirq: Some(0.75),
            steal: Some(0.2),
        };
        let disk = Disk {
            busy: Some(182.38),
            queued: Some(3278.657),
            read: Some(5.4481052672e10),
            written: Some(0.0),
        };
        let mount = Mount {
            point: "/a \"b\"\\".to_owned(),
            kind: "ext4".to_owned(),
            device: "/dev/vda".to_owned(),
            size: Some(100.0),
            free: Some(50.0),
            available: Some(40.0),
        };
        MachineCounters {
            at: 1000.5,
            clock: ClockSource::Host,
            age: Some(200.25),
            identity: Identity::default(),
            cores: [("0".to_owned(), core), ("1".to_owned(), core)].into(),
            memory: Some(MemoryInfo { total: 2.5e10, available: 2e10 }),
            swap: Some(Swap { total: 0.0, free: 0.0 }),
            pressure: Some(77.996451),
            disks: [("vda".to_owned(), disk)].into(),
            network: [("eth0".to_owned(), Traffic { received: Some(5.0), sent: Some(6.0) })].into(),
            mounts: vec![mount],
            files: Some(Gauge { value: 525.0, most: Some(2_466_177.0) }),
            threads: Some(Gauge { value: 99.0, most: None }),
            connections: Some(4.0),
            missing: BTreeMap::new(),
        }
    }

    #[test]
    fn a_written_page_is_read_to_the_same_counters() {
        assert_eq!(machine(&text(&full()), 0.0), Ok(full()));
    }

    #[test]
    fn every_written_family_has_its_help_and_type() {
        let text = text(&full());
        let about = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
        let help_lines: Vec<(&str, &str)> = about.filter_map(|line| line.split_once(' ')).collect();
        let kinds = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert!(kinds > 20 && help_lines.len() == kinds, "{text}");
        assert!(help_lines.iter().all(|(_, help)| !help.is_empty()), "{text}");
    }

    #[test]
    fn a_family_that_is_not_there_is_named_with_its_collector() {
        let found =
            machine(&text(&MachineCounters { threads: None, pressure: None, ..full() }), 0.0).unwrap();
        assert_eq!(
            found.missing[&Metric::Threads],
            "there is no node_processes_threads; enable `--collector.processes`"
        );
        assert_eq!(found.missing.len(), 2);
    }

    /// The missing metrics of a page without the lines that contain `part`.
    fn without(part: &str) -> BTreeMap<Metric, String> {
        let page = text(&full());
        let kept: Vec<&str> = page.lines().filter(|line| !line.contains(part)).collect();
        machine(&kept.join("\n"), 0.0).unwrap().snapshot(&DeviceFilter::default()).missing
    }

    #[test]
    fn an_absent_family_is_missing_by_name_and_never_zero() {
        for (part, metric) in [
            ("node_memory_SwapTotal_bytes", Metric::Swap),
            ("node_memory_SwapFree_bytes", Metric::Swap),
            ("node_disk_io_time_seconds_total", Metric::DiskIo),
            ("node_disk_io_time_weighted_seconds_total", Metric::DiskQueue),
            ("node_disk_read_bytes_total", Metric::DiskRead),
            ("node_disk_written_bytes_total", Metric::DiskWrite),
            ("node_network_receive_bytes_total", Metric::NetworkIn),
            ("node_network_transmit_bytes_total", Metric::NetworkOut),
            ("node_filesystem_size_bytes", Metric::DiskUsed),
            ("node_filesystem_free_bytes", Metric::DiskUsed),
            ("node_filesystem_avail_bytes", Metric::DiskUsed),
        ] {
            let missing = without(part);
            let names_family =
                missing.get(&metric).is_some_and(|why| why.starts_with(&format!("there is no {part};")));
            assert!(names_family && missing.len() == 1, "{part}: {missing:?}");
        }
    }

    #[test]
    fn a_missing_mode_makes_cpu_missing_unless_it_is_steal() {
        for mode in ["user", "idle", "iowait"] {
            let missing = without(&format!("mode=\"{mode}\""));
            let why = format!("there is no node_cpu_seconds_total{{mode=\"{mode}\"}} (`--collector.cpu`)");
            assert_eq!((&missing[&Metric::Cpu], &missing[&Metric::Steal]), (&why, &why));
        }
        let missing = without("mode=\"steal\"");
        assert!(missing[&Metric::Steal].contains("steal") && missing.len() == 1, "{missing:?}");
    }

    /// The reason why a metric is missing if `series` has this value.
    fn with(series: &str, value: &str, metric: Metric) -> String {
        let page = text(&full());
        let lines = page.lines().map(|line| match line.rsplit_once(' ') {
            Some((known, _)) if known == series => format!("{known} {value}"),
            _ => line.to_owned(),
        });
        let page: Vec<String> = lines.collect();
        let found = machine(&page.join("\n"), 0.0).unwrap().snapshot(&DeviceFilter::default());
        assert!(!found.gauges.contains_key(&metric), "{found:?}");
        found.missing[&metric].clone()
    }

    #[test]
    fn an_impossible_value_is_dropped_and_shown() {
        let available = "node_memory_MemAvailable_bytes";
        assert_eq!(with(available, "NaN", Metric::Memory), "node_memory_MemAvailable_bytes is NaN");
        assert_eq!(with(available, "-5", Metric::MemoryUsed), "node_memory_MemAvailable_bytes is -5");
        let more = with(available, "3e10", Metric::Memory);
        assert_eq!(more, "impossible value: 30000000000 of 25000000000 bytes (MemAvailable of MemTotal)");
        let more = with("node_memory_SwapFree_bytes", "1", Metric::Swap);
        assert_eq!(more, "impossible value: 1 of 0 bytes (SwapFree of SwapTotal)");
        let busy = with("node_disk_io_time_seconds_total{device=\"vda\"}", "+Inf", Metric::DiskIo);
        assert_eq!(busy, "node_disk_io_time_seconds_total{device=\"vda\"} is +Inf");
        let sent = with("node_network_transmit_bytes_total{device=\"eth0\"}", "-1", Metric::NetworkOut);
        assert_eq!(sent, "node_network_transmit_bytes_total{device=\"eth0\"} is -1");
        let idle = with("node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"}", "NaN", Metric::Cpu);
        assert_eq!(idle, "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"} is NaN");
    }

    #[test]
    fn an_impossible_value_of_an_ignored_disk_is_harmless() {
        let page = text(&full()) + "node_disk_io_time_seconds_total{device=\"loop0\"} NaN\n";
        let found = machine(&page, 0.0).unwrap().snapshot(&DeviceFilter::default());
        assert!(found.missing.is_empty(), "{found:?}");
    }

    #[test]
    fn two_machines_in_one_page_are_an_error() {
        let twice = text(&full()) + "node_memory_MemTotal_bytes 2.5e10\n";
        let why = machine(&twice, 0.0).unwrap_err();
        assert_eq!(why, "node_memory_MemTotal_bytes appears twice in the page; use a page of one machine");
        let hosts = "node_memory_MemTotal_bytes{host=\"a\"} 1\nnode_memory_MemTotal_bytes{host=\"b\"} 2\n";
        assert!(machine(hosts, 0.0).unwrap_err().contains("{host=\"b\"} appears twice in the page"));
        let instances = "node_filefd_allocated{instance=\"a\"} 1\nnode_load1{instance=\"b\"} 2\n\
            node_disk_io_time_seconds_total{instance=\"b\",device=\"sdb\"} 2\n";
        assert!(
            machine(instances, 0.0).unwrap_err().starts_with("two machines in one page: node_disk_io_time")
        );
    }

    #[test]
    fn a_duplicate_of_an_impossible_series_is_an_error() {
        for series in [
            "node_memory_MemAvailable_bytes",
            "node_filefd_maximum",
            "node_cpu_seconds_total{cpu=\"1\",mode=\"idle\"}",
            "node_disk_io_time_seconds_total{device=\"vda\"}",
            "node_network_receive_bytes_total{device=\"eth0\"}",
        ] {
            for value in ["NaN", "-1", "+Inf"] {
                let first = format!("{series} {value}\n{}", text(&full()));
                let why = format!("{series} appears twice in the page; use a page of one machine");
                assert_eq!(machine(&first, 0.0), Err(why), "{value}");
            }
        }
    }

    #[test]
    fn a_page_belongs_to_the_host_it_names() {
        let identity = |page: &str| machine(page, 0.0).unwrap().snapshot(&DeviceFilter::default()).identity;
        let of = |name: &str| Some(name.to_owned());
        assert_eq!(identity("node_filefd_allocated 5\n"), Identity::default());
        let labelled = "node_filefd_allocated{instance=\"web1:9100\"} 5\n";
        assert_eq!(identity(labelled), Identity { name: None, instance: of("web1:9100") });
        let uname = "node_uname_info{nodename=\"web1\",sysname=\"Linux\"} 1\n";
        let both = Identity { name: of("web1"), instance: of("web1:9100") };
        assert_eq!(identity(&format!("{uname}{labelled}")), both);
        let two = format!("{uname}{labelled}node_uname_info{{nodename=\"web2\"}} 1\n");
        assert!(machine(&two, 0.0).unwrap_err().starts_with("two machines in one page: node_uname_info"));
    }

    #[test]
    fn a_page_without_a_time_gets_the_runners() {
        let found = machine("node_filefd_allocated 5\n", 17.0).unwrap();
        assert_eq!((found.at, found.age, found.clock), (17.0, None, ClockSource::Runner));
        assert!(machine("go_threads 5\n", 0.0).is_err());
        assert!(machine("<html>", 0.0).is_err());
    }
}
