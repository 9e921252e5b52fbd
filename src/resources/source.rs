//! Who is asked about a host.

use std::str::FromStr;

use http::HeaderMap;

use crate::resources::metric::Metric;

/// Who is asked about a host.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The kernel of this machine.
    Local(DeviceFilter),
    /// The kernel of this machine, about a process and its children.
    Process(ProcessSelector),
    /// The kernel of this machine, about a control group (version 2), by its path below the root of all.
    Cgroup(String),
    /// A node_exporter, or whoever speaks like one.
    NodeExporter(HttpEndpoint, DeviceFilter),
    /// A Prometheus, with a query for each metric.
    Prometheus(HttpEndpoint, Vec<(Metric, String)>),
}

/// Which disks and file systems of a machine count; all that are real where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Names of disks, such as `nvme0n1`.
    pub disks: Vec<String>,
    /// Where file systems are mounted, such as `/var`.
    pub mounts: Vec<String>,
}

/// How a process is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessSelector {
    /// By its number.
    Pid(u32),
    /// By the number in a file.
    File(String),
    /// By the TCP port on which it listens.
    Port(u16),
}

impl ProcessSelector {
    /// How a process is named.
    pub const HELP: &str =
        "write `\"pid 1234\"`, `\"file kms.pid\"` or `\"port 8008\"`, the port on which it listens";
}

impl FromStr for ProcessSelector {
    type Err = String;

    /// Reads `pid 1234`, `file kms.pid` or `port 8008`; an error says what to write.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text.trim().split_once(' ').map(|(kind, name)| (kind, name.trim())) {
            Some(("pid", pid)) => pid.parse().ok().filter(|pid| *pid > 0).map(Self::Pid),
            Some(("port", port)) => port.parse().ok().filter(|port| *port > 0).map(Self::Port),
            Some(("file", file)) => Some(Self::File(file.to_owned())),
            _ => None,
        };
        name.ok_or_else(|| format!("`{text}` names no process; {}", Self::HELP))
    }
}

/// Where something is asked over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpEndpoint {
    /// Where.
    pub url: String,
    /// The same, as it may be shown.
    pub redacted: String,
    /// Sent with every request.
    pub headers: HeaderMap,
}

impl Source {
    /// Whether this kind of source can give a metric.
    pub fn provides(&self, metric: Metric) -> bool {
        use Metric::{
            Connections, Cpu, DiskPressure, DiskRead, DiskWrite, Memory, OpenFiles, ProcessMemory, Threads,
            Throttled,
        };
        match self {
            Self::Local(_) | Self::NodeExporter(..) => !matches!(metric, Throttled | ProcessMemory),
            Self::Process(_) => matches!(
                metric,
                Cpu | Memory | ProcessMemory | DiskRead | DiskWrite | OpenFiles | Threads | Connections
            ),
            Self::Cgroup(_) => matches!(
                metric,
                Cpu | Throttled | Memory | ProcessMemory | DiskPressure | DiskRead | DiskWrite | Threads
            ),
            Self::Prometheus(_, queries) => queries.iter().any(|(known, _)| *known == metric),
        }
    }

    /// Whether it tells of the machine on which it is asked.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Local(_) | Self::Process(_) | Self::Cgroup(_))
    }

    /// What it is, in words.
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
