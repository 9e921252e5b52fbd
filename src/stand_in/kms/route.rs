//! The routing table of the service.

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use crate::stand_in::kms::answer::{ServiceResponse, detail};

/// The endpoint that a method and a path select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::stand_in) enum ServiceEndpoint {
    Search,
    SearchByUrl,
    Health,
    HealthDetailed,
    Stats,
    SyncStatus,
    SyncManual,
    SchedulerJobs,
    PerformanceReport,
    OpenApi,
    Login,
    Case,
}

/// Every endpoint. A name in braces stands for the rest of the path, which has no further slash.
pub(in crate::stand_in) const ROUTES: [(&str, &str, ServiceEndpoint); 12] = [
    ("POST", "/search", ServiceEndpoint::Search),
    ("GET", "/search", ServiceEndpoint::SearchByUrl),
    ("GET", "/health", ServiceEndpoint::Health),
    ("GET", "/health/detailed", ServiceEndpoint::HealthDetailed),
    ("GET", "/stats", ServiceEndpoint::Stats),
    ("GET", "/sync/status", ServiceEndpoint::SyncStatus),
    ("POST", "/sync/manual", ServiceEndpoint::SyncManual),
    ("GET", "/scheduler/jobs", ServiceEndpoint::SchedulerJobs),
    ("GET", "/performance/report", ServiceEndpoint::PerformanceReport),
    ("GET", "/openapi.json", ServiceEndpoint::OpenApi),
    ("POST", "/login", ServiceEndpoint::Login),
    ("GET", "/cases/{case_id}", ServiceEndpoint::Case),
];

/// The endpoint, or a 404 or 405 if there is none.
pub(in crate::stand_in) fn route(
    method: &Method,
    path: &str,
) -> Result<ServiceEndpoint, Box<ServiceResponse>> {
    let here = ROUTES.iter().filter(|(_, template, _)| fits(template, path));
    let allowed: Vec<_> = here.map(|(method, _, endpoint)| (*method, *endpoint)).collect();
    if allowed.is_empty() {
        return Err(Box::new(detail(StatusCode::NOT_FOUND, "Not Found")));
    }
    match allowed.iter().find(|(name, _)| *name == method.as_str()) {
        Some((_, endpoint)) => Ok(*endpoint),
        None => {
            let methods: Vec<_> = allowed.iter().map(|(method, _)| *method).collect();
            Err(Box::new(not_allowed(&methods.join(", "))))
        }
    }
}

fn fits(template: &str, path: &str) -> bool {
    match template.split_once('{') {
        None => template == path,
        Some((stem, _)) => {
            path.strip_prefix(stem).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        }
    }
}

fn not_allowed(methods: &str) -> ServiceResponse {
    let mut answer = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    let methods = HeaderValue::from_str(methods).expect("method names are valid header text");
    answer.headers_mut().insert(ALLOW, methods);
    answer
}
