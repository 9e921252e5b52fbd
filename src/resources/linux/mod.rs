//! The files of the Linux kernel, as snapshots: a machine, a process tree, a control group.

pub mod cgroup;
pub mod group_limits;
pub mod proc;
pub mod process;
