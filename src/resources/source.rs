//! The sources of a host's metrics.

use std::str::FromStr;

use http::HeaderMap;

use crate::resources::metric::{Measured, Metric};
use crate::resources::query_range::look_back_s;
use crate::units::{Unit, text_enum};

/// Where the metrics of a host come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The kernel of this machine.
    Local(DeviceFilter),
    /// The kernel of this machine, for a process and its children.
    Process(ProcessSelector),
    /// The kernel of this machine, for a control group (version 2), by its path from the root.
    Cgroup(String),
    /// A node_exporter or a compatible exporter.
    NodeExporter(HttpEndpoint, DeviceFilter),
    /// A Prometheus server, with a query for each metric.
    Prometheus(HttpEndpoint, Vec<MetricQuery>),
}

/// The query of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricQuery {
    pub metric: Metric,
    /// In PromQL.
    pub text: String,
    /// The unit of its values, if the plan names one; otherwise that of the metric.
    pub unit: Option<QueryUnit>,
}

text_enum! {
    /// The unit in which a query gives a metric that is a share.
    pub enum QueryUnit {
        /// From 0 to 100.
        Percent = "percent",
        /// From 0 to 1.
        Share = "share",
    }
}

/// The disks and file systems to measure; an empty list selects all physical ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Names of disks, such as `nvme0n1`.
    pub disks: Vec<String>,
    /// Names of network devices, such as `eth0`.
    pub devices: Vec<String>,
    /// Mount points, such as `/var`.
    pub mounts: Vec<String>,
}

/// How a process is selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessSelector {
    /// By its process ID.
    Pid(u32),
    /// By the process ID in a file.
    File(String),
    /// By the TCP port on which it listens.
    Port(u16),
}

impl ProcessSelector {
    /// The accepted forms, as the next step of a message.
    pub const HELP: &str =
        "write `\"pid 1234\"`, `\"file kms.pid\"` or `\"port 8008\"`, the port on which it listens";
}

impl FromStr for ProcessSelector {
    type Err = String;

    /// Parses `pid 1234`, `file kms.pid` or `port 8008`; an error lists these forms.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text.trim().split_once(' ').map(|(kind, name)| (kind, name.trim())) {
            Some(("pid", pid)) => pid.parse().ok().filter(|pid| *pid > 0).map(Self::Pid),
            Some(("port", port)) => port.parse().ok().filter(|port| *port > 0).map(Self::Port),
            Some(("file", file)) => Some(Self::File(file.to_owned())),
            _ => None,
        };
        name.ok_or_else(|| format!("`{text}` does not select a process; {}", Self::HELP))
    }
}

/// An HTTP endpoint with the headers to send.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpEndpoint {
    pub url: String,
    /// The URL without secrets, for messages.
    pub redacted: String,
    /// Sent with every request.
    pub headers: HeaderMap,
}

impl Source {
    /// Whether this kind of source can provide a metric.
    pub fn provides(&self, metric: Metric) -> bool {
        match self {
            Self::Local(_) | Self::NodeExporter(..) => metric.is_of(Measured::Machine),
            Self::Process(_) => metric.is_of(Measured::Process),
            Self::Cgroup(_) => metric.is_of(Measured::Group),
            Self::Prometheus(_, queries) => queries.iter().any(|query| query.metric == metric),
        }
    }

    /// The time in seconds that a value of a metric looks back, beyond the time between two snapshots.
    pub fn look_back_s(&self, metric: Metric) -> f64 {
        self.query(metric).map_or(0.0, |query| look_back_s(&query.text))
    }

    /// The query of a metric.
    fn query(&self, metric: Metric) -> Option<&MetricQuery> {
        let Self::Prometheus(_, queries) = self else { return None };
        queries.iter().find(|query| query.metric == metric)
    }

    /// Whether values of a metric up to 1 may be shares instead of percentages: they are from a query whose unit the plan
    /// does not name.
    pub fn may_give_shares(&self, metric: Metric) -> bool {
        metric.unit() == Unit::Percent && self.query(metric).is_some_and(|query| query.unit.is_none())
    }

    /// Whether the source measures the machine that the runner is on.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Local(_) | Self::Process(_) | Self::Cgroup(_))
    }

    /// A short description for reports and messages, without secrets in URLs.
    pub fn description(&self) -> String {
        match self {
            Self::Local(_) => "this machine".to_owned(),
            Self::Process(ProcessSelector::Pid(pid)) => format!("process {pid}"),
            Self::Process(ProcessSelector::File(file)) => format!("the process of `{file}`"),
            Self::Process(ProcessSelector::Port(port)) => format!("the process at port {port}"),
            Self::Cgroup(path) => format!("control group {path}"),
            Self::NodeExporter(endpoint, _) => format!("node_exporter at {}", endpoint.redacted),
            Self::Prometheus(endpoint, _) => format!("Prometheus at {}", endpoint.redacted),
        }
    }
}
