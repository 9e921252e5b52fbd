//! The resource metrics of a host, with one definition for all kinds of sources.

use crate::units::{Unit, text_enum};

text_enum! {
    /// A resource metric of a host; [`Metric::definition`] states how it is computed.
    pub enum Metric {
        /// Processor time in use, as a share: of a machine `1 − (idle + iowait) / total`, where steal counts as used; of a
        /// process or a control group, used time / time of the cores that it may use.
        Cpu = "cpu",
        /// Processor time that the hypervisor gave to other machines, as a share of the total.
        Steal = "steal",
        /// Share of the quota periods in which a control group used up its CPU quota.
        Throttled = "throttled",
        /// Memory in use, as a share: of a machine `1 − MemAvailable / MemTotal`; of a process its resident set / memory
        /// limit; of a control group its working set / memory limit.
        Memory = "memory",
        /// Used memory of a machine, in bytes: `MemTotal − MemAvailable`.
        MemoryUsed = "memory_used",
        /// The resident set of a process and its children, or the working set of a control group, in bytes.
        ProcessMemory = "process_memory",
        /// Used swap space, as a share of its size; 0 without swap.
        Swap = "swap",
        /// Share of the time in which the busiest disk had a request in flight.
        DiskIo = "disk_io",
        /// Share of the time in which some task waited for a disk (pressure stall information, `io`, `some`).
        DiskPressure = "disk_pressure",
        /// Average number of requests queued or in flight, of the disk with the most.
        DiskQueue = "disk_queue",
        /// Bytes read from all disks, per second.
        DiskRead = "disk_read",
        /// Bytes written to all disks, per second.
        DiskWrite = "disk_write",
        /// Used space of the fullest file system, as a share of the space that ordinary users can use.
        DiskUsed = "disk_used",
        /// Bytes received by all network devices except loopback, per second.
        NetworkIn = "network_in",
        /// Bytes sent by all network devices except loopback, per second.
        NetworkOut = "network_out",
        /// Open files: all allocated ones of a machine, the descriptors of a process and its children.
        OpenFiles = "open_files",
        Threads = "threads",
        /// Established TCP connections, including those that only the other end has closed.
        Connections = "connections",
    }
}

impl Metric {
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
