//! The `[monitor]` table of a plan: hosts and their sources.

use crate::document::{Map, PlainOrTable, Spanned, TableRule, document};
use crate::resources::source::QueryUnit;
use crate::units::TimeSpan;

document! {
    /// Hosts whose resource usage is measured while phases run.
    pub(in crate::plan) struct MonitorDocument ("a table") {
        /// Time between two snapshots of a host, from 1s to 60s.
        every: TimeSpan = default("10s"),
        /// 1 to 1000 hosts by name, each with its source: `"local"`, the URL of a node_exporter, or a table. Objectives
        /// that name no host use the host `target`.
        hosts: Map<PlainOrTable<String, SourceDocument>> = required("the hosts, such as `{ target = \"local\" }`"),
        rules [TableRule::NotEmpty(&["hosts"])]
    }
}

document! {
    /// Source of a host's measurements.
    pub(in crate::plan) struct SourceDocument ("a table such as `{ process = \"port 8008\" }`") {
        /// This machine, read from its kernel; equal to `"local"`.
        local: bool,
        /// A process of this machine and its children: `"pid 1234"`, `"file kms.pid"` or `"port 8008"`.
        process: String,
        /// Path of a control group (version 2) of this machine, such as `"/system.slice/kms.service"`.
        cgroup: String,
        /// URL of the metrics page of a node_exporter.
        node_exporter: String,
        /// URL of a Prometheus server; requires `query`.
        prometheus: String,
        /// A PromQL query for each metric, or a table with its unit. Each must return exactly one series.
        query: Map<PlainOrTable<String, QueryDocument>>,
        /// Headers of every request to an exporter or a Prometheus.
        headers: Map<String>,
        /// Disks to measure, for this machine or an exporter.
        disks: Vec<Spanned<String>> = otherwise("all whole physical disks"),
        /// Network devices to measure, for this machine or an exporter.
        devices: Vec<Spanned<String>> = otherwise("all that are not stacked on others, without loopback"),
        /// Mount points whose space is measured, for this machine or an exporter.
        mounts: Vec<Spanned<String>> = otherwise("all local file systems"),
        rules [
            TableRule::ExactlyOne(&[&["local"], &["process"], &["cgroup"], &["node_exporter"], &["prometheus", "query"]]),
            TableRule::Alone("process", &["headers", "disks", "devices", "mounts"]),
            TableRule::Alone("cgroup", &["headers", "disks", "devices", "mounts"]),
            TableRule::Alone("prometheus", &["disks", "devices", "mounts"]),
            TableRule::Alone("local", &["headers"]),
            TableRule::NotEmpty(&["query", "disks", "devices", "mounts"]),
        ]
    }
}

document! {
    /// Query of a metric, with its unit.
    pub(in crate::plan) struct QueryDocument ("a table such as `{ query = \"…\", unit = \"share\" }`") {
        /// The query in PromQL.
        query: String = required,
        /// Unit of its values, for metrics that are shares: `"percent"` from 0 to 100, `"share"` from 0 to 1.
        unit: QueryUnit = default("percent"),
    }
}
