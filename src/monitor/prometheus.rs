//! Asks a Prometheus, with a query for each metric.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::monitor::http_client::{HttpClient, HttpResponse};
use crate::resources::metric::{Metric, Unit};
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{Gauge, Snapshot};

/// So many series are shown where there should be one.
const MAX_SHOWN_SERIES: usize = 3;
/// Sums of numbers may miss what they should be by so much.
const SUM_ROUNDING: f64 = 1e-6;
/// So begins what is among the warnings and only about the query.
const INFO_PREFIX: &str = "PromQL info";

/// A Prometheus, and what it is asked.
pub struct Prometheus {
    client: HttpClient,
    queries: Vec<MetricQuery>,
}

/// What makes a metric.
struct MetricQuery {
    metric: Metric,
    text: String,
    /// When its last answer was evaluated, in seconds by the clock of who answers.
    evaluated: Option<f64>,
}

impl Prometheus {
    /// Gets ready to ask; asks nothing yet.
    pub fn of(client: HttpClient, queries: &[(Metric, String)]) -> Self {
        let query = |(metric, text): &(Metric, String)| MetricQuery {
            metric: *metric,
            text: text.clone(),
            evaluated: None,
        };
        Self { client, queries: queries.iter().map(query).collect() }
    }

    /// Asks the queries one after another; the limit holds for all of them together. A query that fails is a metric less.
    /// When it was is left to whoever asks.
    ///
    /// # Errors
    /// When none is answered at all.
    pub async fn snapshot(&mut self, limit: Duration) -> Result<Snapshot, String> {
        let mut snapshot = Snapshot::default();
        let mut answered = self.queries.is_empty();
        let mut silent = None;
        let end = tokio::time::Instant::now() + limit;
        for query in &mut self.queries {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            // One that is silent would be so for each query anew.
            let answer = match &silent {
                Some(why) => Err(String::clone(why)),
                None => self.client.get(&query.path(), left).await,
            };
            let value = match answer {
                Ok(answer) => {
                    answered = true;
                    query.value(&answer)
                }
                Err(why) => {
                    let why = if left.is_zero() || why.starts_with("no answer") {
                        format!("no answer within {} s", limit.as_secs_f64())
                    } else {
                        why
                    };
                    silent = Some(why.clone());
                    Err(why)
                }
            };
            match value {
                Ok(value) => {
                    let most = (query.metric.unit() == Unit::Percent).then_some(100.0);
                    snapshot.gauges.insert(query.metric, Gauge { value, most });
                }
                Err(why) => {
                    snapshot.missing.insert(query.metric, why);
                }
            }
        }
        match silent {
            Some(why) if !answered => Err(why),
            _ => Ok(snapshot),
        }
    }
}

impl MetricQuery {
    fn path(&self) -> String {
        format!("/api/v1/query?query={}", utf8_percent_encode(&self.text, NON_ALPHANUMERIC))
    }

    /// What an answer gives of the metric. One that was evaluated when the one before was is that one, kept by somebody in
    /// between; its clock is compared with nothing but itself.
    fn value(&mut self, answer: &HttpResponse) -> Result<f64, String> {
        let (evaluated, text) = parse_answer(answer)?;
        let before = self.evaluated.replace(evaluated);
        if before.is_some_and(|before| evaluated <= before) {
            return Err("the answer is the one of before: its time has not passed".to_owned());
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let number =
            number.ok_or_else(|| format!("the query gives {}, which is no number", sanitise(&text)))?;
        checked_value(self.metric, number)
    }
}

/// When the query was evaluated, and the one number that it gave, as it is written.
///
/// # Errors
/// When the answer holds another number of series than one, or is none.
fn parse_answer(answer: &HttpResponse) -> Result<(f64, String), String> {
    let status = answer.status.as_u16();
    let text = match answer.text() {
        Err(why) if status == 200 => return Err(why),
        text => text.unwrap_or_default(),
    };
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return Err(match status {
            200 => "the answer is no JSON: is it a Prometheus?".to_owned(),
            404 => "HTTP status 404: the URL should end before /api/v1".to_owned(),
            _ => format!("HTTP status {status}"),
        });
    };
    if body["status"] != "success" {
        return Err(match body["error"].as_str() {
            Some(error) => format!("the query failed: {}", sanitise(error)),
            None => format!("HTTP status {status}: is it a Prometheus?"),
        });
    }
    if status != 200 {
        return Err(format!("HTTP status {status}"));
    }
    if let Some(warning) = warning(&body) {
        return Err(format!("the answer warns: {}", sanitise(warning)));
    }
    let (kind, result) = (body["data"]["resultType"].as_str(), &body["data"]["result"]);
    let pair = match (kind, result.as_array().map(Vec::as_slice)) {
        (Some("scalar"), Some(_)) => result,
        (Some("vector"), Some([one])) => &one["value"],
        (Some("vector"), Some([])) => return Err("the query gives no series".to_owned()),
        (Some("vector"), Some(many)) => return Err(too_many(many)),
        (Some(other), _) => return Err(format!("the query gives a {} and not one number", sanitise(other))),
        (None, _) => return Err("the answer is none of a Prometheus".to_owned()),
    };
    let parsed = pair[0].as_f64().zip(pair[1].as_str().map(str::to_owned));
    parsed.ok_or_else(|| "the answer is none of a Prometheus".to_owned())
}

/// The first warning of an answer, such as that a part of the data could not be asked. Hints on how the query is written
/// are none.
fn warning(body: &Value) -> Option<&str> {
    let texts = body["warnings"].as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).find(|text| !text.starts_with(INFO_PREFIX))
}

/// The number again, if a metric can have it.
fn checked_value(metric: Metric, value: f64) -> Result<f64, String> {
    if value < -SUM_ROUNDING {
        return Err(format!("the query gives {value}, and less than 0 cannot be"));
    }
    if metric.unit() != Unit::Percent {
        return Ok(value.max(0.0));
    }
    if value > 100.0 + SUM_ROUNDING {
        return Err(format!("the query gives {value}, and more than 100 % cannot be"));
    }
    Ok(value.clamp(0.0, 100.0))
}

fn too_many(series: &[Value]) -> String {
    let name = |series: &Value| {
        let labels = series["metric"].as_object().into_iter().flatten();
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{{{}}}", sanitise(&labels.join(",")))
    };
    let shown: Vec<String> = series.iter().take(MAX_SHOWN_SERIES).map(name).collect();
    let more = if series.len() > MAX_SHOWN_SERIES { ", …" } else { "" };
    format!("the query gives {} series and not one: {}{more}", series.len(), shown.join(", "))
}
