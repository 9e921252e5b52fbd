//! Compiles `[monitor]`: the hosts and the source of each.

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::{Key, Map, PlainOrTable, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{MonitorDocument, QueryDocument, SourceDocument};
use crate::plan::encoding::Encoding;
use crate::plan::model::{Host, Monitor, Secrets};
use crate::resources::metric::Metric;
use crate::resources::source::{DeviceFilter, HttpEndpoint, MetricQuery, ProcessSelector, Source};
use crate::units::Unit;

const MAX_HOSTS: usize = 1000;
/// Allowed time between two snapshots, in seconds.
const INTERVAL_RANGE_S: std::ops::RangeInclusive<f64> = 1.0..=60.0;
const SOURCES_HELP: &str = "write one of `\"local\"`, `{ process = \"port 8008\" }`, `{ cgroup = \"/system.slice/kms.service\" }`, \
                       `{ node_exporter = \"http://kms:9100/metrics\" }` and \
                       `{ prometheus = \"http://prom:9090\", query = { cpu = \"…\" } }`";

/// A query as written.
type WrittenQuery = PlainOrTable<String, QueryDocument>;

/// The source that the table of a host names.
#[derive(Clone, Copy)]
enum SourceKind<'d> {
    Local(&'d Spanned<bool>),
    Process(&'d Spanned<String>),
    Cgroup(&'d Spanned<String>),
    NodeExporter(&'d Spanned<String>),
    /// URL and queries.
    Prometheus(Option<&'d Spanned<String>>, Option<&'d Spanned<Map<WrittenQuery>>>),
}

impl<'d> SourceKind<'d> {
    fn prometheus(
        url: Option<&'d Spanned<String>>,
        query: Option<&'d Spanned<Map<WrittenQuery>>>,
    ) -> Option<Self> {
        (url.is_some() || query.is_some()).then_some(Self::Prometheus(url, query))
    }

    fn takes_headers(self) -> bool {
        matches!(self, Self::NodeExporter(_) | Self::Prometheus(..))
    }

    fn is_a_machine(self) -> bool {
        matches!(self, Self::NodeExporter(_) | Self::Local(_))
    }
}

impl Compiler<'_, '_> {
    pub(super) fn monitor(&mut self, document: &MonitorDocument) -> Option<Monitor> {
        let MonitorDocument { every, hosts } = document;
        let every = every.as_ref()?;
        if !INTERVAL_RANGE_S.contains(&every.value.seconds()) {
            let message = format!("`every` must be between 1s and 60s, not `{}`", every.value);
            self.report(Code::OutOfRange, message, every.span, "write a duration such as `every = \"10s\"`");
        }
        let hosts = hosts.as_ref()?;
        if hosts.value.0.is_empty() || hosts.value.0.len() > MAX_HOSTS {
            let message = format!("`hosts` must name 1 to {MAX_HOSTS} hosts, not {}", hosts.value.0.len());
            let help = "write a name and a source for each host, such as `hosts = { target = \"local\" }`";
            self.report(Code::OutOfRange, message, hosts.span, help);
        }
        let hosts: Vec<_> = hosts.value.0.iter().map(|(key, source)| self.host(key, source)).collect();
        Some(Monitor { every: every.value, hosts: hosts.into_iter().collect::<Option<_>>()? })
    }

    fn host(&mut self, key: &Key, written: &Spanned<PlainOrTable<String, SourceDocument>>) -> Option<Host> {
        let fits = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
        if key.name.trim().is_empty() || key.name.len() > 100 || !key.name.chars().all(fits) {
            let message = format!("`{}` is not a valid name of a host", key.name.escape_debug());
            let help = "use 1 to 100 letters, digits, `-`, `_`, `.` and spaces";
            self.report(Code::OutOfRange, message, key.span, help);
        }
        let source = match &written.value {
            PlainOrTable::Plain(text) => self.source_by_text(&Spanned::new(text.clone(), written.span)),
            PlainOrTable::Table(table) => self.source(table, written.span),
        };
        Some(Host { name: key.name.clone(), source: source?, span: Some(written.span) })
    }

    /// Compiles a source that is a string: `local`, or the URL of a node_exporter.
    fn source_by_text(&mut self, text: &Spanned<String>) -> Option<Source> {
        let read = self.constant(text, Encoding::Raw)?;
        if read == "local" {
            return Some(Source::Local(DeviceFilter::default()));
        }
        if read.starts_with("http://") || read.starts_with("https://") {
            return Some(Source::NodeExporter(self.endpoint(text, None)?, DeviceFilter::default()));
        }
        let diagnostic = Diagnostic::new(Code::BadSource, "this string is not a source of readings");
        self.problems.report(diagnostic.at(text.span, "here").suggest(&read, ["local"]).help(SOURCES_HELP));
        None
    }

    fn source(&mut self, document: &SourceDocument, span: Span) -> Option<Source> {
        let SourceDocument {
            local,
            process,
            cgroup,
            node_exporter,
            prometheus,
            query,
            headers,
            disks,
            devices,
            mounts,
        } = document;
        let given: Vec<SourceKind<'_>> = [
            local.as_ref().map(SourceKind::Local),
            process.as_ref().map(SourceKind::Process),
            cgroup.as_ref().map(SourceKind::Cgroup),
            node_exporter.as_ref().map(SourceKind::NodeExporter),
            SourceKind::prometheus(prometheus.as_ref(), query.as_ref()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let &[kind] = given.as_slice() else {
            self.report(Code::ExactlyOne, "a host must have exactly one source", span, SOURCES_HELP);
            return None;
        };
        self.used("headers", headers.as_ref(), kind.takes_headers());
        self.used("disks", disks.as_ref(), kind.is_a_machine());
        self.used("devices", devices.as_ref(), kind.is_a_machine());
        self.used("mounts", mounts.as_ref(), kind.is_a_machine());
        let parts = DeviceFilter {
            disks: self.parts("disks", disks.as_ref()),
            devices: self.parts("devices", devices.as_ref()),
            mounts: self.parts("mounts", mounts.as_ref()),
        };
        match kind {
            SourceKind::Local(local) => {
                if !local.value {
                    let message = "`local` must be `true`, not `false`";
                    self.report(Code::BadSource, message, local.span, SOURCES_HELP);
                }
                Some(Source::Local(parts))
            }
            SourceKind::Process(name) => self.process(name).map(Source::Process),
            SourceKind::Cgroup(path) => self.cgroup(path),
            SourceKind::NodeExporter(url) => {
                Some(Source::NodeExporter(self.endpoint(url, headers.as_ref())?, parts))
            }
            SourceKind::Prometheus(Some(url), Some(query)) => self.prometheus(url, query, headers.as_ref()),
            SourceKind::Prometheus(..) => {
                let message = "`prometheus` and `query` require each other";
                let help = "write both: `{ prometheus = \"http://prom:9090\", query = { cpu = \"…\" } }`";
                self.report(Code::ExactlyOne, message, span, help);
                None
            }
        }
    }

    /// Warns of a key that has no effect on its source.
    fn used<T>(&mut self, key: &str, value: Option<&Spanned<T>>, used: bool) {
        if let Some(value) = value.filter(|_| !used) {
            let message = format!("`{key}` has no effect on this source");
            self.report(Code::NoEffect, message, value.span, "remove it");
        }
    }

    /// Names of disks, network devices or mount points; empty for the default.
    fn parts(&mut self, key: &str, names: Option<&Spanned<Vec<Spanned<String>>>>) -> Vec<String> {
        if let Some(names) = names.filter(|names| names.value.is_empty()) {
            let help = "write at least one name, or remove the key to measure the default ones";
            self.report(Code::OutOfRange, format!("`{key}` is empty"), names.span, help);
        }
        names.iter().flat_map(|names| &names.value).map(|name| name.value.clone()).collect()
    }

    fn prometheus(
        &mut self,
        url: &Spanned<String>,
        query: &Spanned<Map<WrittenQuery>>,
        headers: Option<&Spanned<Map<String>>>,
    ) -> Option<Source> {
        let endpoint = self.endpoint(url, headers);
        if endpoint.as_ref().is_some_and(|it| it.url.contains(['?', '#'])) {
            let help = "write only its address, such as `http://prom:9090`, and the queries under `query`";
            let message = "the address of a Prometheus must not have a query or a fragment";
            self.report(Code::BadUrl, message, url.span, help);
        }
        let queries = self.queries(query);
        Some(Source::Prometheus(endpoint?, queries?))
    }

    fn endpoint(
        &mut self,
        url: &Spanned<String>,
        headers: Option<&Spanned<Map<String>>>,
    ) -> Option<HttpEndpoint> {
        let headers = headers.map(|headers| self.constant_headers(headers)).unwrap_or_default();
        let text = self.constant(url, Encoding::Raw)?;
        let wrong = match url::Url::parse(&text) {
            Ok(url) if !["http", "https"].contains(&url.scheme()) => {
                "it must start with `http://` or `https://`".to_owned()
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "it contains a user name or a password, which belong in an `authorization` header".to_owned()
            }
            Ok(url) if url.host_str().is_none() => "it must have a host".to_owned(),
            Ok(parsed) => {
                self.add_parts_of_secrets();
                let redacted = Secrets::new(self.secrets.clone()).redact(&text);
                return Some(HttpEndpoint { url: parsed.to_string(), redacted, headers });
            }
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                "it must start with `http://` or `https://`".to_owned()
            }
            Err(error) => error.to_string(),
        };
        let help =
            "write an address such as `http://kms:9100/metrics`, or `http://prom:9090` for a Prometheus";
        self.report(Code::BadUrl, format!("this address is not valid: {wrong}"), url.span, help);
        None
    }

    /// Adds the parts of secrets that a URL carries, because an exporter may repeat them in its response: a `?` or a `#` ends
    /// its path or query.
    fn add_parts_of_secrets(&mut self) {
        let parts = |secret: &String| {
            let in_query = url::Url::parse(&format!("http://a/?{secret}")).ok();
            let in_query = in_query.as_ref().and_then(|url| url.query()).map(str::to_owned);
            let in_path = url::Url::parse(&format!("http://a/{secret}")).ok();
            let in_path = in_path.map(|url| url.path()[1..].to_owned());
            [in_query, in_path].into_iter().flatten().filter(|part| !part.is_empty())
        };
        let parts: Vec<String> = self.secrets.iter().flat_map(parts).collect();
        for part in parts {
            if !self.secrets.contains(&part) {
                self.secrets.push(part);
            }
        }
    }

    fn queries(&mut self, written: &Spanned<Map<WrittenQuery>>) -> Option<Vec<MetricQuery>> {
        let queries: Vec<_> = written.value.0.iter().map(|(key, query)| self.query(key, query)).collect();
        if queries.is_empty() {
            let help = "write a query for each metric, such as `query = { cpu = \"…\" }`";
            self.report(Code::BadSource, "`query` is empty", written.span, help);
        }
        queries.into_iter().collect()
    }

    fn query(&mut self, key: &Key, query: &Spanned<WrittenQuery>) -> Option<MetricQuery> {
        let words = || Metric::ALL.iter().map(|metric| metric.as_str());
        let metric = Metric::ALL.iter().copied().find(|metric| metric.as_str() == key.name);
        if metric.is_none() {
            let diagnostic = Diagnostic::new(Code::OutOfRange, format!("unknown metric `{}`", key.name));
            let listed = words().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            let diagnostic = diagnostic.at(key.span, "not a metric").suggest(&key.name, words());
            self.problems.report(diagnostic.help(format!("write one of {listed}")));
        }
        let (text, unit) = match &query.value {
            PlainOrTable::Plain(text) => (Spanned::new(text.clone(), query.span), None),
            PlainOrTable::Table(QueryDocument { query, unit }) => {
                (query.clone()?, unit.as_ref().filter(|unit| unit.is_written()))
            }
        };
        if let (Some(metric), Some(unit)) = (metric.filter(|metric| metric.unit() != Unit::Percent), unit) {
            let message = format!("`{}` is no share, so `unit` has no effect", metric.as_str());
            let help = "remove `unit`; the query must give the metric in its own unit";
            self.report(Code::OutOfRange, message, unit.span, help);
        }
        let text = self.constant(&text, Encoding::Raw)?;
        Some(MetricQuery { metric: metric?, text, unit: unit.map(|unit| unit.value) })
    }

    fn process(&mut self, written: &Spanned<String>) -> Option<ProcessSelector> {
        let text = self.constant(written, Encoding::Raw)?;
        match text.parse::<ProcessSelector>() {
            Ok(ProcessSelector::File(file)) => {
                let file = Spanned::new(file, written.span);
                let path = self.files.path(&file, self.problems)?;
                Some(ProcessSelector::File(path.display().to_string()))
            }
            Ok(name) => Some(name),
            Err(_) => {
                // The text may hold a secret, so it is not repeated.
                let message = "this is not a process";
                self.report(Code::BadSource, message, written.span, ProcessSelector::HELP);
                None
            }
        }
    }

    fn cgroup(&mut self, written: &Spanned<String>) -> Option<Source> {
        let path = self.constant(written, Encoding::Raw)?;
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            let message = "a control group must be a path that starts with `/` and has no `..`";
            let help = "write its path from the root of all groups, such as `/system.slice/kms.service`; \
                        `cat /proc/PID/cgroup` shows the path of a process after `0::`";
            self.report(Code::BadSource, message, written.span, help);
            return None;
        }
        Some(Source::Cgroup(path))
    }
}
