//! Asks a Prometheus, with a query for each metric.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::monitor::http::{Answer, Asker};
use crate::resources::look::{Level, Look};
use crate::resources::metric::{Metric, Unit};
use crate::resources::quote::quote;

/// So many series are shown where there should be one.
const SHOWN: usize = 3;
/// Sums of numbers may miss what they should be by so much.
const ROUNDING: f64 = 1e-6;
/// So begins what is among the warnings and only about the query.
const HINT: &str = "PromQL info";

/// A Prometheus, and what it is asked.
pub struct Prometheus {
    asker: Asker,
    queries: Vec<Query>,
}

/// What makes a metric.
struct Query {
    metric: Metric,
    text: String,
    /// When its last answer was evaluated, in seconds by the clock of who answers.
    evaluated: Option<f64>,
}

impl Prometheus {
    /// Gets ready to ask; asks nothing yet.
    pub fn of(asker: Asker, queries: &[(Metric, String)]) -> Self {
        let query = |(metric, text): &(Metric, String)| Query {
            metric: *metric,
            text: text.clone(),
            evaluated: None,
        };
        Self { asker, queries: queries.iter().map(query).collect() }
    }

    /// Asks the queries one after another; the limit holds for all of them together. A query that fails is a metric less.
    /// When it was is left to whoever asks.
    ///
    /// # Errors
    /// When none is answered at all.
    pub async fn look(&mut self, limit: Duration) -> Result<Look, String> {
        let mut look = Look::default();
        let mut answered = self.queries.is_empty();
        let mut silent = None;
        let end = tokio::time::Instant::now() + limit;
        for query in &mut self.queries {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            // One that is silent would be so for each query anew.
            let answer = match &silent {
                Some(why) => Err(String::clone(why)),
                None => self.asker.ask(&query.path(), left).await,
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
                    look.levels.insert(query.metric, Level { value, most });
                }
                Err(why) => {
                    look.missing.insert(query.metric, why);
                }
            }
        }
        match silent {
            Some(why) if !answered => Err(why),
            _ => Ok(look),
        }
    }
}

impl Query {
    fn path(&self) -> String {
        format!("/api/v1/query?query={}", utf8_percent_encode(&self.text, NON_ALPHANUMERIC))
    }

    /// What an answer gives of the metric. One that was evaluated when the one before was is that one, kept by somebody in
    /// between; its clock is compared with nothing but itself.
    fn value(&mut self, answer: &Answer) -> Result<f64, String> {
        let (evaluated, text) = told(answer)?;
        let before = self.evaluated.replace(evaluated);
        if before.is_some_and(|before| evaluated <= before) {
            return Err("the answer is the one of before: its time has not passed".to_owned());
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| format!("the query gives {}, which is no number", quote(&text)))?;
        possible(self.metric, number)
    }
}

/// When the query was evaluated, and the one number that it gave, as it is written.
///
/// # Errors
/// When the answer holds another number of series than one, or is none.
fn told(answer: &Answer) -> Result<(f64, String), String> {
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
            Some(error) => format!("the query failed: {}", quote(error)),
            None => format!("HTTP status {status}: is it a Prometheus?"),
        });
    }
    if status != 200 {
        return Err(format!("HTTP status {status}"));
    }
    if let Some(warning) = warning(&body) {
        return Err(format!("the answer warns: {}", quote(warning)));
    }
    let (kind, result) = (body["data"]["resultType"].as_str(), &body["data"]["result"]);
    let pair = match (kind, result.as_array().map(Vec::as_slice)) {
        (Some("scalar"), Some(_)) => result,
        (Some("vector"), Some([one])) => &one["value"],
        (Some("vector"), Some([])) => return Err("the query gives no series".to_owned()),
        (Some("vector"), Some(many)) => return Err(too_many(many)),
        (Some(other), _) => return Err(format!("the query gives a {} and not one number", quote(other))),
        (None, _) => return Err("the answer is none of a Prometheus".to_owned()),
    };
    let told = pair[0].as_f64().zip(pair[1].as_str().map(str::to_owned));
    told.ok_or_else(|| "the answer is none of a Prometheus".to_owned())
}

/// The first warning of an answer, such as that a part of the data could not be asked. Hints on how the query is written
/// are none.
fn warning(body: &Value) -> Option<&str> {
    let texts = body["warnings"].as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).find(|text| !text.starts_with(HINT))
}

/// The number again, if a metric can have it.
fn possible(metric: Metric, value: f64) -> Result<f64, String> {
    if value < -ROUNDING {
        return Err(format!("the query gives {value}, and less than 0 cannot be"));
    }
    if metric.unit() != Unit::Percent {
        return Ok(value.max(0.0));
    }
    if value > 100.0 + ROUNDING {
        return Err(format!("the query gives {value}, and more than 100 % cannot be"));
    }
    Ok(value.clamp(0.0, 100.0))
}

fn too_many(series: &[Value]) -> String {
    let name = |series: &Value| {
        let labels = series["metric"].as_object().into_iter().flatten();
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        format!("{{{}}}", quote(&labels.join(",")))
    };
    let shown: Vec<String> = series.iter().take(SHOWN).map(name).collect();
    let more = if series.len() > SHOWN { ", …" } else { "" };
    format!("the query gives {} series and not one: {}{more}", series.len(), shown.join(", "))
}
