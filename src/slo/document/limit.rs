//! Values of threshold files: resource limits with their units, and the names of metrics.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::document::{Choice, Definitions, FromNode, Node, Quantity, Value, read_choice, words_schema};
use crate::resources::metric::Metric;
use crate::units::{Share, Size, Unit, has_comma};

/// The limit of a resource objective as written; the metric determines the expected unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::slo) struct ResourceLimit {
    /// In percent, bytes, bytes per second or as a plain number, depending on `unit`.
    pub(in crate::slo) value: f64,
    pub(in crate::slo) unit: Unit,
}

impl FromNode for ResourceLimit {
    fn expected() -> String {
        "a limit such as `\"85%\"`, `\"2GiB\"`, `\"50MiB/s\"` or `10000`".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let read = match &node.value {
            Value::Integer(number) => Some(Self { value: *number as f64, unit: Unit::Count }),
            Value::Float(number) if number.is_finite() => Some(Self { value: *number, unit: Unit::Count }),
            Value::Text(text) => limit(text.trim()),
            _ => None,
        };
        if read.is_none() {
            let shown = match &node.value {
                Value::Text(text) => format!("`\"{text}\"`"),
                other => other.kind().to_owned(),
            };
            let comma = match &node.value {
                Value::Text(text) if has_comma(text.trim()) => {
                    ", which has a comma; write a point before decimals, and no separator between thousands"
                }
                _ => "",
            };
            let message = format!("expected {}, found {shown}{comma}", Self::expected());
            let diagnostic = Diagnostic::new(Code::BadQuantity, message).at(node.span, "not a limit");
            problems.report(diagnostic.help(format!("write {}", Self::expected())));
        }
        read
    }

    fn schema(_: &mut Definitions) -> Json {
        // A byte rate is a size followed by `/s`.
        let per_second = format!(r"{}\s*/\s*s\s*$", Size::PATTERN.trim_end_matches(r"\s*$"));
        let pattern = format!("(?:{})|(?:{})|(?:{per_second})", Share::PATTERN, Size::PATTERN);
        json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": pattern }] })
    }
}

fn limit(text: &str) -> Option<ResourceLimit> {
    let size = |text: &str| text.trim().parse::<Size>().ok().map(|size| size.bytes() as f64);
    if let Ok(share) = text.parse::<Share>() {
        return Some(ResourceLimit { value: share.percent(), unit: Unit::Percent });
    }
    if let Some(bytes) =
        text.strip_suffix('s').and_then(|text| text.trim_end().strip_suffix('/')).and_then(size)
    {
        return Some(ResourceLimit { value: bytes, unit: Unit::BytesPerSecond });
    }
    size(text).map(|value| ResourceLimit { value, unit: Unit::Bytes })
}

impl Choice for Metric {
    const VALUES: &'static [Self] = Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl FromNode for Metric {
    fn expected() -> String {
        "a metric such as `\"cpu\"`, `\"memory\"` or `\"disk_io\"`".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        read_choice(node, problems)
    }

    fn schema(_: &mut Definitions) -> Json {
        words_schema::<Self>()
    }
}

/// A value whose drift can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::slo) enum DriftMetric {
    /// A metric of a host.
    Metric(Metric),
    ResponseTime,
}

impl Choice for DriftMetric {
    const VALUES: &'static [Self] = &[
        Self::Metric(Metric::ProcessMemory),
        Self::Metric(Metric::MemoryUsed),
        Self::Metric(Metric::OpenFiles),
        Self::Metric(Metric::Threads),
        Self::Metric(Metric::Connections),
        Self::Metric(Metric::DiskUsed),
        Self::ResponseTime,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.as_str(),
            Self::ResponseTime => "response_time",
        }
    }
}

impl FromNode for DriftMetric {
    fn expected() -> String {
        "a drift metric such as `\"process_memory\"` or `\"response_time\"`".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        read_choice(node, problems)
    }

    fn schema(_: &mut Definitions) -> Json {
        words_schema::<Self>()
    }
}
