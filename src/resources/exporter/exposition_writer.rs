//! Writes the counters of a machine as the page of a node_exporter.

use std::collections::BTreeMap;

use crate::resources::device_filter::Mount;
use crate::resources::exporter::MAX_THREADS_FAMILY;
use crate::resources::exporter::exposition::line;
use crate::resources::machine::{MachineCounters, MemoryInfo, Modes, Swap};
use crate::resources::snapshot::{Disk, Traffic};

/// The page of a node_exporter with these counters; missing ones are left out. Readers of the page take `at` for the
/// time of day, in seconds since 1970.
pub fn text(machine: &MachineCounters) -> String {
    let mut writer = ExpositionWriter::default();
    for (core, modes) in &machine.cores {
        let mut modes: Modes = *modes;
        for (mode, seconds) in modes.named() {
            writer.add_known("node_cpu_seconds_total", &[("cpu", core), ("mode", mode)], *seconds);
        }
    }
    if let Some(MemoryInfo { total, available }) = machine.memory {
        writer.add("node_memory_MemTotal_bytes", &[], total);
        writer.add("node_memory_MemAvailable_bytes", &[], available);
    }
    if let Some(Swap { total, free }) = machine.swap {
        writer.add("node_memory_SwapTotal_bytes", &[], total);
        writer.add("node_memory_SwapFree_bytes", &[], free);
    }
    for (name, disk) in &machine.disks {
        writer.disk(name, *disk);
    }
    for (name, Traffic { received, sent }) in &machine.network {
        writer.add_known("node_network_receive_bytes_total", &[("device", name)], *received);
        writer.add_known("node_network_transmit_bytes_total", &[("device", name)], *sent);
    }
    for Mount { point, kind, device, size, free, available } in &machine.mounts {
        let labels = [("device", &**device), ("fstype", kind), ("mountpoint", point)];
        writer.add_known("node_filesystem_size_bytes", &labels, *size);
        writer.add_known("node_filesystem_free_bytes", &labels, *free);
        writer.add_known("node_filesystem_avail_bytes", &labels, *available);
    }
    writer.add_known("node_pressure_io_waiting_seconds_total", &[], machine.pressure);
    writer.add_known("node_filefd_allocated", &[], machine.files.map(|files| files.value));
    writer.add_known("node_filefd_maximum", &[], machine.files.and_then(|files| files.most));
    writer.add_known("node_processes_threads", &[], machine.threads.map(|threads| threads.value));
    writer.add_known(MAX_THREADS_FAMILY, &[], machine.threads.and_then(|threads| threads.most));
    writer.add_known("node_netstat_Tcp_CurrEstab", &[], machine.connections);
    writer.add("node_time_seconds", &[], machine.at);
    writer.add_known("node_boot_time_seconds", &[], machine.age.map(|age| machine.at - age));
    writer.text()
}

/// The help text of each family that is written.
const HELP: &[(&str, &str)] = &[
    ("node_boot_time_seconds", "Boot time of the machine, in seconds since 1970."),
    ("node_cpu_seconds_total", "Seconds of each core in each mode; user and nice include guests."),
    ("node_disk_io_time_seconds_total", "Seconds in which the disk had a request in flight."),
    ("node_disk_io_time_weighted_seconds_total", "Sum of the times of all requests, queued or in flight."),
    ("node_disk_read_bytes_total", "Bytes read from the disk."),
    ("node_disk_written_bytes_total", "Bytes written to the disk."),
    ("node_filefd_allocated", "Open files."),
    ("node_filefd_maximum", "Maximum number of open files."),
    ("node_filesystem_avail_bytes", "Space available to ordinary users, in bytes."),
    ("node_filesystem_free_bytes", "Free space, in bytes."),
    ("node_filesystem_size_bytes", "Size of the file system, in bytes."),
    ("node_memory_MemAvailable_bytes", "Memory available without swapping, in bytes."),
    ("node_memory_MemTotal_bytes", "Total memory, in bytes."),
    ("node_memory_SwapFree_bytes", "Free swap space, in bytes."),
    ("node_memory_SwapTotal_bytes", "Total swap space, in bytes."),
    ("node_netstat_Tcp_CurrEstab", "Established TCP connections."),
    ("node_network_receive_bytes_total", "Bytes received by the device."),
    ("node_network_transmit_bytes_total", "Bytes sent by the device."),
    ("node_pressure_io_waiting_seconds_total", "Seconds in which some task waited for a disk."),
    ("node_processes_max_threads", "Maximum number of threads."),
    ("node_processes_threads", "Threads of all processes."),
    ("node_time_seconds", "Time of these counters, in seconds since 1970."),
];

/// Lines by family: the format requires that all lines of a family are adjacent.
#[derive(Default)]
struct ExpositionWriter(BTreeMap<&'static str, String>);

impl ExpositionWriter {
    fn add(&mut self, name: &'static str, labels: &[(&str, &str)], value: f64) {
        self.0.entry(name).or_default().push_str(&line(name, labels, value));
    }

    fn add_known(&mut self, name: &'static str, labels: &[(&str, &str)], value: Option<f64>) {
        if let Some(value) = value {
            self.add(name, labels, value);
        }
    }

    fn disk(&mut self, name: &str, Disk { busy, queued, read, written }: Disk) {
        let device = [("device", name)];
        self.add_known("node_disk_io_time_seconds_total", &device, busy);
        self.add_known("node_disk_io_time_weighted_seconds_total", &device, queued);
        self.add_known("node_disk_read_bytes_total", &device, read);
        self.add_known("node_disk_written_bytes_total", &device, written);
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
