//! Objectives as OpenSLO documents of version `openslo/v1`: each limit of an objective in a phase is an SLO of its own.
//!
//! OpenSLO states an objective as the share of events that must be good. So "p95 at most 200 ms" becomes "at least 0.95 of
//! the requests take at most 200 ms". Objectives that are no such share are named as left out. The queries read the
//! families of `metrics.txt`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::plan::model::{Phase, PhaseId, Plan};
use crate::report::response_time_bucket;
use crate::slo::objective::{Aggregation, Family, Objective, RequestObjective, RequestStatistic};
use crate::units::format_exact;

/// The most characters of a name in OpenSLO, which is a DNS label, and of a display name.
const MAX_NAME_CHARS: usize = 63;
/// The most characters of a description.
const MAX_DESCRIPTION_CHARS: usize = 1050;
/// OpenSLO requires a time window, which a load test does not have.
const TIME_WINDOW: &str = "28d";

/// The documents, and remarks on objectives that they do not hold or hold with a reserve.
pub(super) struct ExportedObjectives {
    pub(super) documents: Vec<Value>,
    pub(super) remarks: Vec<String>,
}

/// One limit of an objective in a phase.
struct ExportedLimit<'p> {
    plan: &'p Plan,
    phase: &'p Phase,
    objective: &'p Objective,
    tier: &'static str,
    /// In the unit of the objective.
    limit: f64,
}

/// A share of requests that must be good, and the queries that count it.
struct GoodShare {
    target: f64,
    description: String,
    ratio: Value,
    /// A condition under which the queries find requests.
    reserve: Option<String>,
}

/// The objectives of the selected phases.
pub(super) fn export(plan: &Plan, objectives: &[Objective], phases: &[PhaseId]) -> ExportedObjectives {
    let mut names = SloNames::default();
    let service = names.free(&[&plan.name]);
    let mut documents = vec![json!({
        "apiVersion": "openslo/v1",
        "kind": "Service",
        "metadata": { "name": service, "displayName": shortened(&plan.name, MAX_NAME_CHARS) },
        "spec": { "description": shortened(&plan.description, MAX_DESCRIPTION_CHARS) },
    })];
    let mut remarks: Vec<String> = Vec::new();
    for objective in objectives.iter().filter(|objective| phases.contains(&objective.phase)) {
        let phase = &plan.phases[objective.phase.index()];
        let known = format!("{} `{}`", objective.family.kind(), objective.name);
        for (tier, limit) in objective.tiers.all() {
            let tier = objective.family.limit_name(tier);
            let exported = ExportedLimit { plan, phase, objective, tier, limit };
            let remark = match exported.good_share() {
                Ok(share) => {
                    let name = names.free(&[&plan.name, &phase.name, &objective.name, tier]);
                    documents.push(exported.slo(&service, &name, &share));
                    share.reserve.map(|reserve| format!("{known}: {reserve}"))
                }
                Err(why) => Some(format!("left out: {known}: {why}")),
            };
            remarks.extend(remark.filter(|remark| !remarks.contains(remark)));
        }
    }
    ExportedObjectives { documents, remarks }
}

impl ExportedLimit<'_> {
    fn slo(&self, service: &str, name: &str, share: &GoodShare) -> Value {
        let objective = self.objective;
        json!({
            "apiVersion": "openslo/v1",
            "kind": "SLO",
            "metadata": {
                "name": name,
                "displayName": shortened(&objective.name, MAX_NAME_CHARS),
                "labels": {
                    "kind": objective.family.kind().as_str(),
                    "tier": self.tier,
                    "gated": if objective.gated { "true" } else { "false" },
                },
            },
            "spec": {
                "description": shortened(&share.description, MAX_DESCRIPTION_CHARS),
                "service": service,
                "indicator": { "metadata": { "name": name }, "spec": { "ratioMetric": share.ratio } },
                "timeWindow": [{ "duration": TIME_WINDOW, "isRolling": true }],
                "budgetingMethod": "Occurrences",
                "objectives": [{ "displayName": self.tier, "target": share.target }],
            },
        })
    }

    /// The share of good requests that the limit demands. The error is the reason why OpenSLO or `metrics.txt` cannot
    /// express it.
    fn good_share(&self) -> Result<GoodShare, &'static str> {
        let requests = match &self.objective.family {
            Family::Requests(requests) => requests,
            Family::Host(_) => return Err("`metrics.txt` has no readings of hosts"),
            Family::Drift(_) => return Err("a change over a phase is not a share of requests"),
            Family::Outage => return Err("the length of an outage is not a share of requests"),
        };
        if requests.interval.is_some() {
            return Err("it is judged in intervals, and `metrics.txt` holds whole phases");
        }
        match requests.statistic {
            RequestStatistic::ResponseTime(Aggregation::Quantile(part)) => {
                Ok(self.fast_share(requests, part))
            }
            RequestStatistic::ResponseTime(Aggregation::Max) => {
                Err("a limit of the maximum is a target of 1, and OpenSLO requires a target below 1")
            }
            RequestStatistic::ResponseTime(Aggregation::Mean) => Err("a mean is not a share of requests"),
            RequestStatistic::ErrorRate => Ok(self.successful_share(requests)),
            RequestStatistic::Throughput => Err("a rate is not a share of requests"),
        }
    }

    /// "p95 at most 200 ms": 0.95 of the requests take at most 200 ms.
    fn fast_share(&self, requests: &RequestObjective, part: f64) -> GoodShare {
        let limit = Duration::from_nanos((self.limit * 1e6).round() as u64);
        let bucket = response_time_bucket(limit);
        let spelling = bucket.map_or_else(|| format!("{:?}", limit.as_secs_f64()), str::to_owned);
        let selector = self.selector(requests);
        let family = "runner_response_time_seconds";
        let good = format!("sum({family}_bucket{{{selector},le={}}})", quoted(&spelling));
        let limit = format_exact(self.limit);
        GoodShare {
            target: share(part),
            description: format!(
                "{} of the response times of {} in phase {} at most {limit} ms",
                requests.statistic,
                self.operations(requests).join(", "),
                self.phase.name
            ),
            ratio: json!({
                "counter": false,
                "good": metric(&good),
                "total": metric(&format!("sum({family}_count{{{selector}}})")),
            }),
            reserve: bucket.is_none().then(|| {
                format!(
                    "no bucket of `metrics.txt` ends at {limit} ms, so the query for good requests finds none; point it \
                     at a histogram with this bucket"
                )
            }),
        }
    }

    /// "Error rate at most 1 %": 0.99 of the requests succeed.
    fn successful_share(&self, requests: &RequestObjective) -> GoodShare {
        let selector = self.selector(requests);
        GoodShare {
            target: share(1.0 - self.limit / 100.0),
            description: format!(
                "At most {} % failed requests of {} in phase {}",
                format_exact(self.limit),
                self.operations(requests).join(", "),
                self.phase.name
            ),
            ratio: json!({
                "counter": false,
                "bad": metric(&format!("sum(runner_failed_requests{{{selector}}})")),
                "total": metric(&format!("sum(runner_requests{{{selector}}})")),
            }),
            reserve: None,
        }
    }

    fn operations(&self, requests: &RequestObjective) -> Vec<&str> {
        requests.operations.iter().map(|id| self.plan.operations[id.index()].as_str()).collect()
    }

    /// The labels that select the requests, as PromQL has them.
    fn selector(&self, requests: &RequestObjective) -> String {
        let names = self.operations(requests);
        let operation = match names[..] {
            [one] => format!("operation={}", quoted(one)),
            _ => {
                let escaped: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
                format!("operation=~{}", quoted(&escaped.join("|")))
            }
        };
        let (plan, phase) = (quoted(&self.plan.name), quoted(&self.phase.name));
        format!("plan={plan},phase={phase},{operation}")
    }
}

/// A share without the last bits of its computation: 1 − 0.001 is 0.999.
fn share(share: f64) -> f64 {
    (share * 1e9).round() / 1e9
}

fn metric(query: &str) -> Value {
    json!({ "metricSource": { "type": "Prometheus", "spec": { "query": query } } })
}

/// A string of PromQL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

/// The names in use. Each is a DNS label and there only once.
#[derive(Default)]
struct SloNames(BTreeSet<String>);

impl SloNames {
    /// A free name from these parts. A name that is taken gets a number.
    fn free(&mut self, parts: &[&str]) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
        let words: String = parts.join(" ").chars().map(plain).collect();
        let name = words.split_whitespace().collect::<Vec<_>>().join("-");
        let name = if name.is_empty() { "plan".to_owned() } else { name };
        let numbers = std::iter::once(String::new()).chain((2..).map(|number: u32| format!("-{number}")));
        let mut names = numbers.map(|number| {
            let room = name.len().min(MAX_NAME_CHARS - number.len());
            format!("{}{number}", name[..room].trim_end_matches('-'))
        });
        let free = names.find(|name| self.0.insert(name.clone()));
        free.expect("some number is free")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_and_there_only_once() {
        let mut names = SloNames::default();
        assert_eq!(names.free(&["Größe / A", "p95!"]), "gr-e-a-p95");
        assert_eq!(names.free(&["--"]), "plan");
        let long = "x".repeat(80);
        assert_eq!(names.free(&[&long]), "x".repeat(63));
        assert_eq!(names.free(&[&long]), format!("{}-2", "x".repeat(61)));
    }

    #[test]
    fn names_in_queries_stay_strings() {
        assert_eq!(quoted("a\"} or vector(1)\\\n"), "\"a\\\"} or vector(1)\\\\\\n\"");
    }
}
