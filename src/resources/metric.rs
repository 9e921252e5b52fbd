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
        /// 1 if the machine was booted, or the process was started again, since the previous snapshot; otherwise 0.
        Restarts = "restarts",
    }
}

/// What can be measured, and so which metrics there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// A machine, by its kernel or an exporter on it.
    Machine,
    /// A process and its children.
    Process,
    /// A control group.
    Group,
}

/// The time that a value of a metric stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covers {
    /// The time between two snapshots.
    Interval,
    /// The moment of the second snapshot.
    Moment,
}

/// Everything about a metric that does not depend on a host.
struct MetricRow {
    metric: Metric,
    unit: Unit,
    covers: Covers,
    /// What gives it.
    of: &'static [Measured],
    /// The formula, for reports and documentation: tools define these metrics differently.
    definition: &'static str,
}

use Covers::{Interval, Moment};
use Measured::{Group, Machine, Process};
use Unit::{Bytes, BytesPerSecond, Count, Percent};

const MACHINE: &[Measured] = &[Machine];
const ALL: &[Measured] = &[Machine, Process, Group];

const fn row(
    metric: Metric,
    unit: Unit,
    covers: Covers,
    of: &'static [Measured],
    definition: &'static str,
) -> MetricRow {
    MetricRow { metric, unit, covers, of, definition }
}

/// All metrics, in their order.
const TABLE: [MetricRow; Metric::ALL.len()] = [
    row(
        Metric::Cpu,
        Percent,
        Interval,
        ALL,
        "1 − (idle + iowait) / total, where steal counts as used and guest time is part of user time; \
         for a process with its children, or a control group: used time / time of the cores that it may use",
    ),
    row(
        Metric::Steal,
        Percent,
        Interval,
        MACHINE,
        "steal / total: processor time that the hypervisor gave to other machines",
    ),
    row(
        Metric::Throttled,
        Percent,
        Interval,
        &[Group],
        "periods in which the CPU quota was used up / periods",
    ),
    row(
        Metric::Memory,
        Percent,
        Moment,
        ALL,
        "1 − MemAvailable / MemTotal; for a process: resident set / memory limit; for a control group: \
         working set (memory.current − inactive_file) / memory limit",
    ),
    row(Metric::MemoryUsed, Bytes, Moment, MACHINE, "MemTotal − MemAvailable"),
    row(
        Metric::ProcessMemory,
        Bytes,
        Moment,
        &[Process, Group],
        "the resident set of a process and its children, or the working set of a control group",
    ),
    row(Metric::Swap, Percent, Moment, MACHINE, "used swap / swap size; 0 without swap"),
    row(
        Metric::DiskIo,
        Percent,
        Interval,
        MACHINE,
        "time in which the busiest disk had a request in flight / time",
    ),
    row(
        Metric::DiskPressure,
        Percent,
        Interval,
        &[Machine, Group],
        "time in which some task waited for a disk / time (pressure stall information)",
    ),
    row(
        Metric::DiskQueue,
        Count,
        Interval,
        MACHINE,
        "average number of requests queued or in flight, of the disk with the most",
    ),
    row(Metric::DiskRead, BytesPerSecond, Interval, ALL, "bytes read from all disks / time"),
    row(Metric::DiskWrite, BytesPerSecond, Interval, ALL, "bytes written to all disks / time"),
    row(
        Metric::DiskUsed,
        Percent,
        Moment,
        MACHINE,
        "used space / (used + available to ordinary users), of the fullest file system; network file systems \
         count only if they are named",
    ),
    row(
        Metric::NetworkIn,
        BytesPerSecond,
        Interval,
        MACHINE,
        "bytes received by all devices except loopback / time",
    ),
    row(
        Metric::NetworkOut,
        BytesPerSecond,
        Interval,
        MACHINE,
        "bytes sent by all devices except loopback / time",
    ),
    row(
        Metric::OpenFiles,
        Count,
        Moment,
        &[Machine, Process],
        "open files; for a process and its children: their descriptors",
    ),
    row(Metric::Threads, Count, Moment, ALL, "number of threads"),
    row(
        Metric::Connections,
        Count,
        Moment,
        &[Machine, Process],
        "established TCP connections, including those that only the other end has closed",
    ),
    row(
        Metric::Restarts,
        Count,
        Interval,
        &[Machine, Process],
        "1 if the machine was booted, or the process was started again, since the previous snapshot; otherwise 0",
    ),
];

/// A metric is the index of its row.
const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        assert!(TABLE[index].metric as usize == index, "the rows are in the order of the metrics");
        index += 1;
    }
};

impl Metric {
    fn row(self) -> &'static MetricRow {
        &TABLE[self as usize]
    }

    /// The formula, for reports and documentation: tools define these metrics differently.
    pub fn definition(self) -> &'static str {
        self.row().definition
    }

    /// Whether the metric covers the time between two snapshots, and not the moment of the second one.
    pub fn is_rate(self) -> bool {
        self.row().covers == Interval
    }

    pub fn unit(self) -> Unit {
        self.row().unit
    }

    /// Whether a machine, a process or a control group can have it.
    pub fn is_of(self, measured: Measured) -> bool {
        self.row().of.contains(&measured)
    }
}
