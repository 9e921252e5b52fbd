//! What machines, processes and control groups are found to use. Pure: a [`Look`](look::Look) is what was counted at one
//! moment, whoever counted it; a [`Reading`](reading::Reading) is what two looks, one after the other, come to.

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
