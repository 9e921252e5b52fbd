//! What a plan says of the hosts that are looked at.

use crate::document::{Map, PlainOrTable, Spanned, TableRule, document};
use crate::units::TimeSpan;

document! {
    /// The hosts whose resources are measured while the plan runs.
    pub(in crate::plan) struct MonitorDocument ("a table") {
        /// How often each host is looked at: from "1s" to "60s".
        every: TimeSpan = default("10s"),
        /// The hosts that objectives name, and who is asked about each: `"local"`, the address of a node_exporter, or a table.
        hosts: Map<PlainOrTable<String, SourceDocument>> = required("the hosts, such as `{ target = \"local\" }`"),
        rules [TableRule::NotEmpty(&["hosts"])]
    }
}

document! {
    /// Who is asked about a host.
    pub(in crate::plan) struct SourceDocument ("a table such as `{ process = \"port 8008\" }`") {
        /// The kernel of this machine.
        local: bool,
        /// A process of this machine and its children: "pid 1234", "file kms.pid" or "port 8008".
        process: String,
        /// A control group (version 2) of this machine, such as "/system.slice/kms.service".
        cgroup: String,
        /// The address of a node_exporter's metrics.
        node_exporter: String,
        /// The address of a Prometheus.
        prometheus: String,
        /// A query for each metric, which must find exactly one series.
        query: Map<String>,
        /// Sent with every request to an exporter or a Prometheus.
        headers: Map<String>,
        /// The machine's disks that count.
        disks: Vec<Spanned<String>> = otherwise("all that are real"),
        /// Where the file systems are mounted that count.
        mounts: Vec<Spanned<String>> = otherwise("all that are real"),
        rules [
            TableRule::ExactlyOne(&[&["local"], &["process"], &["cgroup"], &["node_exporter"], &["prometheus", "query"]]),
            TableRule::Alone("process", &["headers", "disks", "mounts"]),
            TableRule::Alone("cgroup", &["headers", "disks", "mounts"]),
            TableRule::Alone("prometheus", &["disks", "mounts"]),
            TableRule::Alone("local", &["headers"]),
            TableRule::NotEmpty(&["query", "disks", "mounts"]),
        ]
    }
}
