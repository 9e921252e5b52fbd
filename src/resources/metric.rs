//! The resource metrics of a host, with one definition for all kinds of sources.

use serde::{Deserialize, Serialize};

/// A resource metric of a host; [`Metric::definition`] states how it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Processor time in use, as a share: of a machine `1 − (idle + iowait) / total`, where steal counts as used; of a
    /// process or a control group, used time / time of the cores that it may use.
    Cpu,
    /// Processor time that the hypervisor gave to other machines, as a share of the total.
    Steal,
    /// Share of the quota periods in which a control group used up its CPU quota.
    Throttled,
    /// Memory in use, as a share: of a machine `1 − MemAvailable / MemTotal`; of a process its resident set / memory
    /// limit; of a control group its working set / memory limit.
    Memory,
    /// Used memory of a machine, in bytes: `MemTotal − MemAvailable`.
    MemoryUsed,
    /// The resident set of a process and its children, or the working set of a control group, in bytes.
    ProcessMemory,
    /// Used swap space, as a share of its size; 0 without swap.
    Swap,
    /// Share of the time in which the busiest disk had a request in flight.
    DiskIo,
    /// Share of the time in which some task waited for a disk (pressure stall information, `io`, `some`).
    DiskPressure,
    /// Average number of requests queued or in flight, of the disk with the most.
    DiskQueue,
    /// Bytes read from all disks, per second.
    DiskRead,
    /// Bytes written to all disks, per second.
    DiskWrite,
    /// Used space of the fullest file system, as a share of the space that ordinary users can use.
    DiskUsed,
    /// Bytes received by all network devices except loopback, per second.
    NetworkIn,
    /// Bytes sent by all network devices except loopback, per second.
    NetworkOut,
    /// Open files: all allocated ones of a machine, the descriptors of a process and its children.
    OpenFiles,
    Threads,
    /// Established TCP connections, including those that only the other end has closed.
    Connections,
}

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Percent,
    Bytes,
    BytesPerSecond,
    Count,
}

impl Unit {
    /// The unit as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Bytes => "B",
            Self::BytesPerSecond => "B/s",
            Self::Count => "count",
        }
    }
}

impl Metric {
    /// All metrics with their names, in the order of the reports.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("cpu", Self::Cpu),
        ("steal", Self::Steal),
        ("throttled", Self::Throttled),
        ("memory", Self::Memory),
        ("memory_used", Self::MemoryUsed),
        ("process_memory", Self::ProcessMemory),
        ("swap", Self::Swap),
        ("disk_io", Self::DiskIo),
        ("disk_pressure", Self::DiskPressure),
        ("disk_queue", Self::DiskQueue),
        ("disk_read", Self::DiskRead),
        ("disk_write", Self::DiskWrite),
        ("disk_used", Self::DiskUsed),
        ("network_in", Self::NetworkIn),
        ("network_out", Self::NetworkOut),
        ("open_files", Self::OpenFiles),
        ("threads", Self::Threads),
        ("connections", Self::Connections),
    ];

    /// The name in plans and reports.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, metric)| *metric == self).map_or("", |(word, _)| *word)
    }

    /// The formula, for reports and documentation: tools define these metrics differently.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Cpu => {
                "1 − (idle + iowait) / total, where steal counts as used and guest time is part of user time; \
                 for a process with its children, or a control group: used time / time of the cores that it may use"
            }
            Self::Steal => "steal / total: processor time that the hypervisor gave to other machines",
            Self::Throttled => "periods in which the CPU quota was used up / periods",
            Self::Memory => {
                "1 − MemAvailable / MemTotal; for a process: resident set / memory limit; for a control group: \
                 working set (memory.current − inactive_file) / memory limit"
            }
            Self::MemoryUsed => "MemTotal − MemAvailable",
            Self::ProcessMemory => {
                "the resident set of a process and its children, or the working set of a control group"
            }
            Self::Swap => "used swap / swap size; 0 without swap",
            Self::DiskIo => "time in which the busiest disk had a request in flight / time",
            Self::DiskPressure => {
                "time in which some task waited for a disk / time (pressure stall information)"
            }
            Self::DiskQueue => "average number of requests queued or in flight, of the disk with the most",
            Self::DiskRead => "bytes read from all disks / time",
            Self::DiskWrite => "bytes written to all disks / time",
            Self::DiskUsed => {
                "used space / (used + available to ordinary users), of the fullest file system; network file systems \
                 count only if they are named"
            }
            Self::NetworkIn => "bytes received by all devices except loopback / time",
            Self::NetworkOut => "bytes sent by all devices except loopback / time",
            Self::OpenFiles => "open files; for a process and its children: their descriptors",
            Self::Threads => "number of threads",
            Self::Connections => {
                "established TCP connections, including those that only the other end has closed"
            }
        }
    }

    /// Whether the metric covers the time between two snapshots, and not the moment of the second one.
    pub fn is_rate(self) -> bool {
        match self {
            Self::Cpu | Self::Steal | Self::Throttled | Self::DiskIo | Self::DiskPressure => true,
            Self::DiskQueue | Self::DiskRead | Self::DiskWrite | Self::NetworkIn | Self::NetworkOut => true,
            Self::Memory | Self::MemoryUsed | Self::ProcessMemory | Self::Swap | Self::DiskUsed => false,
            Self::OpenFiles | Self::Threads | Self::Connections => false,
        }
    }

    pub fn unit(self) -> Unit {
        match self {
            Self::Cpu | Self::Steal | Self::Throttled | Self::Memory | Self::Swap => Unit::Percent,
            Self::DiskIo | Self::DiskPressure | Self::DiskUsed => Unit::Percent,
            Self::MemoryUsed | Self::ProcessMemory => Unit::Bytes,
            Self::DiskRead | Self::DiskWrite | Self::NetworkIn | Self::NetworkOut => Unit::BytesPerSecond,
            Self::DiskQueue | Self::OpenFiles | Self::Threads | Self::Connections => Unit::Count,
        }
    }
}
