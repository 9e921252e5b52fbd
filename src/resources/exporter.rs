//! What a machine counts, as node_exporter tells it: read from its text, and written as such.

use std::collections::BTreeMap;

use crate::resources::choice::Mount;
use crate::resources::exposition::{Sample, line, samples};
use crate::resources::look::{Disk, Level, Traffic};
use crate::resources::machine::{Machine, Memory, Modes};
use crate::resources::metric::Metric;
use crate::resources::proc::some_limit;

/// The families that make a metric, and the collector that gives them: without one of these there is no metric.
const FAMILIES: &[(&str, &str, &[Metric])] = &[
    ("node_cpu_seconds_total", "cpu", &[Metric::Cpu, Metric::Steal]),
    ("node_memory_MemTotal_bytes", "meminfo", &[Metric::Memory, Metric::MemoryUsed, Metric::Swap]),
    ("node_memory_MemAvailable_bytes", "meminfo", &[Metric::Memory, Metric::MemoryUsed, Metric::Swap]),
    (
        "node_disk_io_time_seconds_total",
        "diskstats",
        &[Metric::DiskIo, Metric::DiskQueue, Metric::DiskRead, Metric::DiskWrite],
    ),
    ("node_pressure_io_waiting_seconds_total", "pressure", &[Metric::DiskPressure]),
    ("node_filesystem_avail_bytes", "filesystem", &[Metric::DiskUsed]),
    ("node_network_receive_bytes_total", "netdev", &[Metric::NetworkIn, Metric::NetworkOut]),
    ("node_filefd_allocated", "filefd", &[Metric::OpenFiles]),
    ("node_processes_threads", "processes", &[Metric::Threads]),
    ("node_netstat_Tcp_CurrEstab", "netstat", &[Metric::Connections]),
];

/// Reads what a node_exporter tells; `otherwise` is when, in seconds, where it does not say so itself.
///
/// # Errors
/// When the text is no exposition, or nothing in it is of a node_exporter.
pub fn machine(text: &str, otherwise: f64) -> Result<Machine, String> {
    let mut found = Found::default();
    for sample in samples(text) {
        found.take(&sample?);
    }
    found.machine(otherwise)
}

/// What has been read of a text.
#[derive(Default)]
struct Found {
    machine: Machine,
    mounts: BTreeMap<(String, String), Mount>,
    /// What stands alone, by its name.
    alone: BTreeMap<&'static str, f64>,
    families: Vec<&'static str>,
}

/// What stands alone and is wanted.
const ALONE: [&str; 11] = [
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
/// Not in every exporter, and no metric hangs on it alone.
const MOST_THREADS: &str = "node_processes_max_threads";

impl Found {
    fn take(&mut self, sample: &Sample<'_>) {
        if !sample.name.starts_with("node_") || !sample.value.is_finite() {
            return;
        }
        if let Some((family, _, _)) = FAMILIES.iter().find(|(family, _, _)| *family == sample.name)
            && !self.families.contains(family)
        {
            self.families.push(family);
        }
        let wanted = ALONE.into_iter().chain([MOST_THREADS]);
        if let Some(name) = wanted.into_iter().find(|name| *name == sample.name) {
            self.alone.insert(name, sample.value);
            return;
        }
        let disk = |field: fn(&mut Disk) -> &mut f64| (sample.label("device").to_owned(), field);
        let disk = match sample.name {
            "node_disk_io_time_seconds_total" => disk(|disk| disk.busy.get_or_insert(0.0)),
            "node_disk_io_time_weighted_seconds_total" => disk(|disk| disk.queued.get_or_insert(0.0)),
            "node_disk_read_bytes_total" => disk(|disk| &mut disk.read),
            "node_disk_written_bytes_total" => disk(|disk| &mut disk.written),
            _ => return self.take_other(sample),
        };
        *disk.1(self.machine.disks.entry(disk.0).or_default()) = sample.value;
    }

    fn take_other(&mut self, sample: &Sample<'_>) {
        let network = &mut self.machine.network;
        let device = sample.label("device");
        match sample.name {
            "node_cpu_seconds_total" => {
                let core = self.machine.cores.entry(sample.label("cpu").to_owned()).or_default();
                let mode = sample.label("mode");
                if let Some((_, seconds)) = core.named().into_iter().find(|(name, _)| *name == mode) {
                    *seconds = sample.value;
                }
            }
            "node_network_receive_bytes_total" if device != "lo" => {
                network.entry(device.to_owned()).or_default().received = sample.value;
            }
            "node_network_transmit_bytes_total" if device != "lo" => {
                network.entry(device.to_owned()).or_default().sent = sample.value;
            }
            "node_filesystem_size_bytes" => self.mount(sample).size = sample.value,
            "node_filesystem_free_bytes" => self.mount(sample).free = sample.value,
            "node_filesystem_avail_bytes" => self.mount(sample).available = sample.value,
            _ => {}
        }
    }

    fn mount(&mut self, sample: &Sample<'_>) -> &mut Mount {
        let [point, device, kind] =
            ["mountpoint", "device", "fstype"].map(|name| sample.label(name).to_owned());
        let mount = self.mounts.entry((point.clone(), device.clone())).or_default();
        (mount.point, mount.device, mount.kind) = (point, device, kind);
        mount
    }

    fn machine(self, otherwise: f64) -> Result<Machine, String> {
        if self.families.is_empty() {
            return Err("it speaks Prometheus' text format, but tells nothing of what a node_exporter tells"
                .to_owned());
        }
        let alone = |name: &str| self.alone.get(name).copied();
        let now = alone("node_time_seconds");
        let mut machine = Machine { at: now.unwrap_or(otherwise), ..self.machine };
        machine.age = now.zip(alone("node_boot_time_seconds")).map(|(now, booted)| now - booted);
        let memory = alone("node_memory_MemTotal_bytes").zip(alone("node_memory_MemAvailable_bytes"));
        machine.memory = memory.map(|(total, available)| Memory {
            total,
            available,
            swap_total: alone("node_memory_SwapTotal_bytes").unwrap_or(0.0),
            swap_free: alone("node_memory_SwapFree_bytes").unwrap_or(0.0),
        });
        machine.pressure = alone("node_pressure_io_waiting_seconds_total");
        machine.files = alone("node_filefd_allocated")
            .map(|value| Level { value, most: alone("node_filefd_maximum").and_then(some_limit) });
        machine.threads =
            alone("node_processes_threads").map(|value| Level { value, most: alone(MOST_THREADS) });
        machine.connections = alone("node_netstat_Tcp_CurrEstab");
        machine.mounts = self.mounts.into_values().collect();
        for (family, collector, metrics) in FAMILIES {
            if !self.families.contains(family) {
                let why = format!("there is no {family} (`--collector.{collector}`)");
                machine.missing.extend(metrics.iter().map(|metric| (*metric, why.clone())));
            }
        }
        Ok(machine)
    }
}

/// Writes what a machine counts as node_exporter does; what is not counted is left out. Others that read it take the
/// machine's `at` for the time of day, in seconds since 1970.
pub fn text(machine: &Machine) -> String {
    let mut pages = Pages::default();
    for (core, modes) in &machine.cores {
        let mut modes: Modes = *modes;
        for (mode, seconds) in modes.named() {
            pages.add("node_cpu_seconds_total", &[("cpu", core), ("mode", mode)], *seconds);
        }
    }
    if let Some(Memory { total, available, swap_total, swap_free }) = machine.memory {
        pages.add("node_memory_MemTotal_bytes", &[], total);
        pages.add("node_memory_MemAvailable_bytes", &[], available);
        pages.add("node_memory_SwapTotal_bytes", &[], swap_total);
        pages.add("node_memory_SwapFree_bytes", &[], swap_free);
    }
    for (name, disk) in &machine.disks {
        pages.disk(name, *disk);
    }
    for (name, Traffic { received, sent }) in &machine.network {
        pages.add("node_network_receive_bytes_total", &[("device", name)], *received);
        pages.add("node_network_transmit_bytes_total", &[("device", name)], *sent);
    }
    for Mount { point, kind, device, size, free, available } in &machine.mounts {
        let labels = [("device", &**device), ("fstype", kind), ("mountpoint", point)];
        pages.add("node_filesystem_size_bytes", &labels, *size);
        pages.add("node_filesystem_free_bytes", &labels, *free);
        pages.add("node_filesystem_avail_bytes", &labels, *available);
    }
    pages.maybe("node_pressure_io_waiting_seconds_total", machine.pressure);
    pages.maybe("node_filefd_allocated", machine.files.map(|files| files.value));
    pages.maybe("node_filefd_maximum", machine.files.and_then(|files| files.most));
    pages.maybe("node_processes_threads", machine.threads.map(|threads| threads.value));
    pages.maybe(MOST_THREADS, machine.threads.and_then(|threads| threads.most));
    pages.maybe("node_netstat_Tcp_CurrEstab", machine.connections);
    pages.add("node_time_seconds", &[], machine.at);
    pages.maybe("node_boot_time_seconds", machine.age.map(|age| machine.at - age));
    pages.text()
}

/// What the families are that are written, in the words of whoever reads them with other tools.
const HELP: &[(&str, &str)] = &[
    ("node_boot_time_seconds", "When the machine was booted, in seconds since 1970."),
    ("node_cpu_seconds_total", "What each core did so far, in seconds; guests are in user and nice."),
    ("node_disk_io_time_seconds_total", "Seconds in which the disk had a request under way."),
    ("node_disk_io_time_weighted_seconds_total", "Seconds of all requests together, waiting or under way."),
    ("node_disk_read_bytes_total", "Bytes read from the disk."),
    ("node_disk_written_bytes_total", "Bytes written to the disk."),
    ("node_filefd_allocated", "Open files."),
    ("node_filefd_maximum", "The most files that can be open."),
    ("node_filesystem_avail_bytes", "Space that ordinary users can still use, in bytes."),
    ("node_filesystem_free_bytes", "Space that is not in use, in bytes."),
    ("node_filesystem_size_bytes", "All space, in bytes."),
    ("node_memory_MemAvailable_bytes", "Memory that can be had without swapping, in bytes."),
    ("node_memory_MemTotal_bytes", "All memory, in bytes."),
    ("node_memory_SwapFree_bytes", "Swap space that is not in use, in bytes."),
    ("node_memory_SwapTotal_bytes", "All swap space, in bytes."),
    ("node_netstat_Tcp_CurrEstab", "TCP connections that are established."),
    ("node_network_receive_bytes_total", "Bytes received by the device."),
    ("node_network_transmit_bytes_total", "Bytes sent by the device."),
    ("node_pressure_io_waiting_seconds_total", "Seconds in which some task waited for a disk."),
    ("node_processes_max_threads", "The most threads that there can be."),
    ("node_processes_threads", "Threads of all processes."),
    ("node_time_seconds", "When all this was counted, in seconds since 1970."),
];

/// Lines by family, for all of a family must stand together.
#[derive(Default)]
struct Pages(BTreeMap<&'static str, String>);

impl Pages {
    fn add(&mut self, name: &'static str, labels: &[(&str, &str)], value: f64) {
        self.0.entry(name).or_default().push_str(&line(name, labels, value));
    }

    fn maybe(&mut self, name: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.add(name, &[], value);
        }
    }

    fn disk(&mut self, name: &str, Disk { busy, queued, read, written }: Disk) {
        let device = [("device", name)];
        if let Some(busy) = busy {
            self.add("node_disk_io_time_seconds_total", &device, busy);
        }
        if let Some(queued) = queued {
            self.add("node_disk_io_time_weighted_seconds_total", &device, queued);
        }
        self.add("node_disk_read_bytes_total", &device, read);
        self.add("node_disk_written_bytes_total", &device, written);
    }

    fn text(self) -> String {
        let kind = |name: &str| if name.ends_with("_total") { "counter" } else { "gauge" };
        let help = |name: &str| HELP.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| *help);
        let page = |(name, lines): (&str, String)| {
            format!("# HELP {name} {}\n# TYPE {name} {}\n{lines}", help(name), kind(name))
        };
        self.0.into_iter().map(page).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Machine {
        let core = Modes { user: 1.25, idle: 100.5, iowait: 0.1, steal: 0.2, ..Modes::default() };
        let disk = Disk { busy: Some(182.38), queued: Some(3278.657), read: 5.4481052672e10, written: 0.0 };
        let mount = Mount {
            point: "/a \"b\"\\".to_owned(),
            kind: "ext4".to_owned(),
            device: "/dev/vda".to_owned(),
            size: 100.0,
            free: 50.0,
            available: 40.0,
        };
        Machine {
            at: 1000.5,
            age: Some(200.25),
            cores: [("0".to_owned(), core), ("1".to_owned(), Modes::default())].into(),
            memory: Some(Memory { total: 2.5e10, available: 2e10, swap_total: 0.0, swap_free: 0.0 }),
            pressure: Some(77.996451),
            disks: [("vda".to_owned(), disk)].into(),
            network: [("eth0".to_owned(), Traffic { received: 5.0, sent: 6.0 })].into(),
            mounts: vec![mount],
            files: Some(Level { value: 525.0, most: Some(2_466_177.0) }),
            threads: Some(Level { value: 99.0, most: None }),
            connections: Some(4.0),
            missing: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(machine(&text(&full()), 0.0), Ok(full()));
    }

    #[test]
    fn every_family_that_is_written_says_what_it_is() {
        let text = text(&full());
        let about = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
        let told: Vec<(&str, &str)> = about.filter_map(|line| line.split_once(' ')).collect();
        let kinds = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert!(kinds > 20 && told.len() == kinds, "{text}");
        assert!(told.iter().all(|(_, help)| !help.is_empty()), "{text}");
    }

    #[test]
    fn a_family_that_is_not_there_is_named_with_its_collector() {
        let found = machine(&text(&Machine { threads: None, pressure: None, ..full() }), 0.0).unwrap();
        assert_eq!(
            found.missing[&Metric::Threads],
            "there is no node_processes_threads (`--collector.processes`)"
        );
        assert_eq!(found.missing.len(), 2);
    }

    #[test]
    fn without_a_clock_of_its_own_ours_holds() {
        let found = machine("node_filefd_allocated 5\n", 17.0).unwrap();
        assert_eq!((found.at, found.age), (17.0, None));
        assert!(machine("go_threads 5\n", 0.0).is_err());
        assert!(machine("<html>", 0.0).is_err());
    }
}
