//! Resource usage of machines, processes and control groups, as pure computation.
//!
//! A [`Snapshot`](snapshot::Snapshot) holds the counters of a host at one moment. A reading ([`Values`](reading::Values)) is the
//! difference of two consecutive snapshots.

pub mod device_filter;
pub mod exporter;
pub mod linux;
pub mod machine;
pub mod metric;
pub mod query_range;
pub mod rates;
pub mod reading;
pub mod sanitise;
pub mod snapshot;
pub mod source;
pub mod ticks;
