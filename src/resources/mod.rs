//! Resource usage of machines, processes and control groups, as pure computation.
//!
//! A [`Snapshot`](snapshot::Snapshot) holds the counters of a host at one moment. A reading ([`Values`](reading::Values)) is the
//! difference of two consecutive snapshots.

pub mod cgroup;
pub mod counter_reset;
pub mod cpu_time;
pub mod device_counters;
pub mod device_filter;
pub mod exporter;
pub mod exposition;
pub mod exposition_writer;
pub mod machine;
pub mod metric;
pub mod proc;
pub mod process;
pub mod rates;
pub mod reading;
pub mod sanitise;
pub mod snapshot;
pub mod source;
pub mod ticks;
