//! What machines, processes and control groups are found to use. Pure: a [`Look`](look::Look) is what was counted at one
//! moment, whoever counted it; a [`Reading`](reading::Reading) is what two looks, one after the other, come to.

pub mod cgroup;
pub mod choice;
pub mod devices;
pub mod difference;
pub mod exporter;
pub mod exposition;
pub mod look;
pub mod machine;
pub mod metric;
pub mod page;
pub mod passage;
pub mod proc;
pub mod process;
pub mod processor;
pub mod quote;
pub mod reading;
pub mod source;
pub mod ticks;
