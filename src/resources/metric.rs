//! What is measured of a host, defined once for every kind of source.

use serde::{Deserialize, Serialize};

/// Something that is measured of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Processor time in use, as a share of what there is: of a machine `1 − (idle + iowait) / total`, with what a
    /// hypervisor stole in the total and in use; of a process or a control group, of the cores that it may use.
    Cpu,
    /// Processor time that a hypervisor gave to others, as a share of the total.
    Steal,
    /// Of the periods with a limit of processor time, the share in which a control group reached it.
    Throttled,
    /// Memory in use, as a share of what there is: of a machine `1 − MemAvailable / MemTotal`; of a control group its
    /// working set, of a process its resident set, of the limit that holds for it.
    Memory,
    /// Memory of a machine in use, in bytes: `MemTotal − MemAvailable`.
    MemoryUsed,
    /// The resident set of a process and its children, or the working set of a control group, in bytes.
    ProcessMemory,
    /// Swap space in use, as a share of all; 0 where there is none.
    Swap,
    /// The time in which the busiest disk had a request under way, as a share of all time.
    DiskIo,
    /// The time in which some task waited for a disk (pressure stall information, `io`, `some`), as a share of all time.
    DiskPressure,
    /// Requests under way or waiting at the disk where most are, on average.
    DiskQueue,
    /// Read from all disks, in bytes per second.
    DiskRead,
    /// Written to all disks, in bytes per second.
    DiskWrite,
    /// Space in use on the fullest file system, as a share of what ordinary users can use of it.
    DiskUsed,
    /// Received by all network devices but loopback, in bytes per second.
    NetworkIn,
    /// Sent by all network devices but loopback, in bytes per second.
    NetworkOut,
    /// Open files: of a machine all that are allocated, of a process and its children their descriptors.
    OpenFiles,
    /// Threads.
    Threads,
    /// TCP connections that are established, or closed by the other end only.
    Connections,
}

/// What a metric is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Percent of a whole.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// A number of things.
    Count,
}

impl Unit {
    /// As it stands behind a value.
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
    /// Every metric with its name, in the order in which reports show them.
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

    /// Its name in plans and reports.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, metric)| *metric == self).map_or("", |(word, _)| *word)
    }

    /// What is measured, in a sentence: tools disagree.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Cpu => {
                "1 − (idle + iowait) / total, with steal in the total and in use, and guests, who are in user, not added again; \
                 of a process with its children, or a control group: of the cores that it may use"
            }
            Self::Steal => "steal / total, what a hypervisor gave to others",
            Self::Throttled => "periods in which the limit of processor time was reached / periods",
            Self::Memory => {
                "1 − MemAvailable / MemTotal; of a process its resident set, of a control group its working set \
                 (memory.current − inactive_file), of what it may have"
            }
            Self::MemoryUsed => "MemTotal − MemAvailable",
            Self::ProcessMemory => {
                "the resident set of a process and its children, or the working set of a control group"
            }
            Self::Swap => "swap in use / all swap; 0 where there is none",
            Self::DiskIo => "time in which the busiest disk had a request under way / time",
            Self::DiskPressure => {
                "time in which some task waited for a disk / time (pressure stall information)"
            }
            Self::DiskQueue => "requests waiting or under way, on average, at the disk with the most",
            Self::DiskRead => "bytes read from all disks / time",
            Self::DiskWrite => "bytes written to all disks / time",
            Self::DiskUsed => {
                "space in use / (in use + available to ordinary users), of the fullest file system; one on the network only \
                 where it is named"
            }
            Self::NetworkIn => "bytes received by all devices but loopback / time",
            Self::NetworkOut => "bytes sent by all devices but loopback / time",
            Self::OpenFiles => "files that are open; of a process and its children their descriptors",
            Self::Threads => "threads",
            Self::Connections => "TCP connections that are established, or closed by the other end only",
        }
    }

    /// Whether it tells of the time between two looks, and not of what is there at the second one.
    pub fn is_rate(self) -> bool {
        match self {
            Self::Cpu | Self::Steal | Self::Throttled | Self::DiskIo | Self::DiskPressure => true,
            Self::DiskQueue | Self::DiskRead | Self::DiskWrite | Self::NetworkIn | Self::NetworkOut => true,
            Self::Memory | Self::MemoryUsed | Self::ProcessMemory | Self::Swap | Self::DiskUsed => false,
            Self::OpenFiles | Self::Threads | Self::Connections => false,
        }
    }

    /// What it is measured in.
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
