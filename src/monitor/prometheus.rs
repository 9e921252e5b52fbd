//! Queries a Prometheus server, with one query for each metric.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::http_client::{HttpClient, HttpResponse};
use crate::resources::metric::Metric;
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{Gauge, Snapshot};
use crate::resources::source::{MetricQuery, QueryUnit};
use crate::units::Unit;

/// Number of series in the message about a query that gives more than one.
const MAX_SHOWN_SERIES: usize = 3;
/// Tolerance for rounding errors of sums.
const SUM_ROUNDING: f64 = 1e-6;
/// Prefix of warnings that only concern the query.
const INFO_PREFIX: &str = "PromQL info";

/// A Prometheus server with its queries.
pub struct Prometheus {
    client: HttpClient,
    queries: Vec<RepeatedQuery>,
}

/// A query with its state between snapshots.
struct RepeatedQuery {
    query: MetricQuery,
    /// Evaluation time of the last response, in seconds by the server's clock.
    evaluated: Option<f64>,
}

impl Prometheus {
    /// Prepares the queries; sends none yet.
    pub fn of(client: HttpClient, queries: &[MetricQuery]) -> Self {
        let repeated = |query: &MetricQuery| RepeatedQuery { query: query.clone(), evaluated: None };
        Self { client, queries: queries.iter().map(repeated).collect() }
    }

    /// Sends the queries one after another, with one time limit for all. A query that fails makes its metric missing.
    /// The caller sets the time of the snapshot.
    ///
    /// # Errors
    /// If no query has a response.
    pub async fn snapshot(&mut self, limit: Duration) -> Result<Snapshot, String> {
        let mut snapshot = Snapshot::default();
        let mut answered = self.queries.is_empty();
        let mut silent = None;
        let end = tokio::time::Instant::now() + limit;
        for query in &mut self.queries {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            // After a failed connection or a timeout, the other queries would fail too.
            let answer = match &silent {
                Some(why) => Err(String::clone(why)),
                None => self.client.get(&query.path(), left).await,
            };
            let metric = query.query.metric;
            let value = match answer {
                Ok(answer) => {
                    answered = true;
                    query.value(&answer)
                }
                Err(why) => {
                    let why = if left.is_zero() || why.starts_with("no answer") {
                        format!("no response within {} s", limit.as_secs_f64())
                    } else {
                        why
                    };
                    silent = Some(why.clone());
                    Err(Unread::Lasting(why))
                }
            };
            match value {
                Ok(value) => {
                    let most = (metric.unit() == Unit::Percent).then_some(100.0);
                    snapshot.gauges.insert(metric, Gauge { value, most });
                }
                Err(why) => {
                    if matches!(why, Unread::ForNow(_)) {
                        snapshot.missing_for_now.insert(metric);
                    }
                    let (Unread::ForNow(why) | Unread::Lasting(why)) = why;
                    snapshot.missing.insert(metric, why);
                }
            }
        }
        match silent {
            Some(why) if !answered => Err(why),
            _ => Ok(snapshot),
        }
    }
}

impl RepeatedQuery {
    /// VictoriaMetrics answers with values that are 30 s old unless `nocache` is set. Others ignore the parameter.
    fn path(&self) -> String {
        format!("/api/v1/query?nocache=1&query={}", utf8_percent_encode(&self.query.text, NON_ALPHANUMERIC))
    }

    /// The value in a response. If its evaluation time did not advance, a proxy returned a copy of an earlier response.
    /// The server's clock is compared only with itself.
    fn value(&mut self, answer: &HttpResponse) -> Result<f64, Unread> {
        let (evaluated, text) = parse_answer(answer)?;
        let before = self.evaluated.replace(evaluated);
        if before.is_some_and(|before| evaluated <= before) {
            let why = "the response is a copy of an earlier one: its evaluation time did not advance";
            return Err(why.to_owned().into());
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let number =
            number.ok_or_else(|| format!("the query gives {}, which is not a number", sanitise(&text)))?;
        // 0.07 × 100 is 7 only after rounding, and a limit of 7 % must be kept.
        let number = match self.query.unit {
            Some(QueryUnit::Share) => (number * 100.0 * 1e9).round() / 1e9,
            _ => number,
        };
        Ok(checked_value(self.query.metric, number)?)
    }
}

/// Why a response gives no value.
#[derive(Debug)]
enum Unread {
    /// A part of the server was unavailable. It may be back at the next query.
    ForNow(String),
    /// Anything else.
    Lasting(String),
}

impl From<String> for Unread {
    fn from(why: String) -> Self {
        Self::Lasting(why)
    }
}

/// The evaluation time of a query, and the text of its one number.
///
/// # Errors
/// If the response is not from a Prometheus, reports an error or a warning, or does not have exactly one series.
fn parse_answer(answer: &HttpResponse) -> Result<(f64, String), Unread> {
    let status = answer.status.as_u16();
    let text = match answer.text() {
        Err(why) if status == 200 => return Err(why.into()),
        text => text.unwrap_or_default(),
    };
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return Err(match status {
            200 => "the response is not JSON: is it a Prometheus?".to_owned(),
            404 => "HTTP status 404: the URL must end before `/api/v1`".to_owned(),
            _ => format!("HTTP status {status}"),
        }
        .into());
    };
    if body["status"] != "success" {
        return Err(match body["error"].as_str() {
            Some(error) => format!("the query failed: {}", sanitise(error)),
            None => format!("HTTP status {status}: is it a Prometheus?"),
        }
        .into());
    }
    if status != 200 {
        return Err(format!("HTTP status {status}").into());
    }
    if let Some(warning) = warning(&body) {
        return Err(Unread::ForNow(format!("the response has a warning: {}", sanitise(warning))));
    }
    if body["isPartial"] == true {
        let why = "the response is marked as partial: some of the server's stores did not answer";
        return Err(Unread::ForNow(why.to_owned()));
    }
    let (kind, result) = (body["data"]["resultType"].as_str(), &body["data"]["result"]);
    let pair = match (kind, result.as_array().map(Vec::as_slice)) {
        (Some("scalar"), Some(_)) => result,
        (Some("vector"), Some([one])) => &one["value"],
        (Some("vector"), Some([])) => return Err("the query gives no series".to_owned().into()),
        (Some("vector"), Some(many)) => return Err(too_many(many).into()),
        (Some(other), _) => {
            return Err(format!("the query gives a {} instead of one number", sanitise(other)).into());
        }
        (None, _) => return Err("the response is not from a Prometheus".to_owned().into()),
    };
    let parsed = pair[0].as_f64().zip(pair[1].as_str().map(str::to_owned));
    parsed.ok_or_else(|| "the response is not from a Prometheus".to_owned().into())
}

/// The first warning of a response, such as an unavailable store. Hints on the query itself are not warnings.
fn warning(body: &Value) -> Option<&str> {
    let texts = body["warnings"].as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).find(|text| !text.starts_with(INFO_PREFIX))
}

/// The value, within the range of its metric.
fn checked_value(metric: Metric, value: f64) -> Result<f64, String> {
    if value < -SUM_ROUNDING {
        return Err(format!("the query gives {value}, but the minimum is 0"));
    }
    if metric.unit() != Unit::Percent {
        return Ok(value.max(0.0));
    }
    if value > 100.0 + SUM_ROUNDING {
        return Err(format!("the query gives {value}, but the maximum is 100 %"));
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
    format!("the query gives {} series instead of one: {}{more}", series.len(), shown.join(", "))
}
