use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use crate::standin::kms::answer::{Answer, detail};

/// What a method and a path ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::standin) enum Endpoint {
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

/// Every endpoint; a hole stands for the rest of the path, up to the next slash.
pub(in crate::standin) const ROUTES: [(&str, &str, Endpoint); 12] = [
    ("POST", "/search", Endpoint::Search),
    ("GET", "/search", Endpoint::SearchByUrl),
    ("GET", "/health", Endpoint::Health),
    ("GET", "/health/detailed", Endpoint::HealthDetailed),
    ("GET", "/stats", Endpoint::Stats),
    ("GET", "/sync/status", Endpoint::SyncStatus),
    ("POST", "/sync/manual", Endpoint::SyncManual),
    ("GET", "/scheduler/jobs", Endpoint::SchedulerJobs),
    ("GET", "/performance/report", Endpoint::PerformanceReport),
    ("GET", "/openapi.json", Endpoint::OpenApi),
    ("POST", "/login", Endpoint::Login),
    ("GET", "/cases/{case_id}", Endpoint::Case),
];

/// The endpoint, or the 404 or 405 that says there is none.
pub(in crate::standin) fn route(method: &Method, path: &str) -> Result<Endpoint, Box<Answer>> {
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

fn not_allowed(methods: &str) -> Answer {
    let mut answer = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    let methods = HeaderValue::from_str(methods).expect("names of methods are plain text");
    answer.headers_mut().insert(ALLOW, methods);
    answer
}
