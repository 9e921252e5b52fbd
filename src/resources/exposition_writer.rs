//! What a machine counts, written as node_exporter writes it.

use std::collections::BTreeMap;

use crate::resources::device_filter::Mount;
use crate::resources::exporter::MAX_THREADS_FAMILY;
use crate::resources::exposition::line;
use crate::resources::machine::{MachineCounters, MemoryInfo, Modes, Swap};
use crate::resources::snapshot::{Disk, Traffic};

/// Writes what a machine counts as node_exporter does; what is not counted is left out. Others that read it take the
/// machine's `at` for the time of day, in seconds since 1970.
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
