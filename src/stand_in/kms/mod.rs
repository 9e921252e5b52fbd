//! The case-search service itself: its endpoints and their responses.

mod answer;
mod form;
mod login;
mod reports;
mod route;
mod sync;

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::json;

use crate::stand_in::behaviour::Behaviour;
use crate::stand_in::search::{CaseIndex, Hit, SearchQuery};
use form::Form;
use login::Logins;
use sync::Syncs;

pub(super) use answer::{ServiceResponse, detail};
#[cfg(test)]
pub(super) use route::ROUTES;
pub(super) use route::{ServiceEndpoint, route};

const OPEN_API: &str = include_str!("openapi.json");

/// The service and its state since the start.
#[derive(Debug)]
pub(super) struct Kms {
    index: CaseIndex,
    started: Instant,
    built: Timestamp,
    index_absent: Duration,
    syncs: Mutex<Syncs>,
    logins: Logins,
    searches: Mutex<Searches>,
    kept: Mutex<Vec<Box<[u8]>>>,
}

/// Totals of the searches so far.
#[derive(Debug, Default, Clone, Copy)]
struct Searches {
    count: u64,
    spent: Duration,
}

#[derive(Serialize)]
struct SearchResponse<'k> {
    query: &'k str,
    results: &'k [Hit<'k>],
    total_results: usize,
    search_time_ms: f64,
}

impl Kms {
    pub(super) fn new(behaviour: &Behaviour) -> Self {
        let Behaviour { seed, index_absent, sync_lasting, failing_syncs, .. } = *behaviour;
        Self {
            index: CaseIndex::invent(seed),
            started: Instant::now(),
            built: Timestamp::now(),
            index_absent,
            syncs: Mutex::new(Syncs::new(sync_lasting, failing_syncs)),
            logins: Logins::new(seed),
            searches: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The number of manual syncs so far.
    pub(super) fn syncs_begun(&self) -> u64 {
        locked(&self.syncs).begun
    }

    /// Keeps this many bytes until the stand-in stops, with their pages touched.
    pub(super) fn keep(&self, bytes: usize) {
        locked(&self.kept).push(vec![1; bytes].into_boxed_slice());
    }

    /// How many times an endpoint does its work: searches do theirs twice while a sync runs.
    pub(super) fn rounds(&self, endpoint: ServiceEndpoint) -> u32 {
        let searches = matches!(endpoint, ServiceEndpoint::Search | ServiceEndpoint::SearchByUrl);
        if searches && locked(&self.syncs).running() { 2 } else { 1 }
    }

    pub(super) fn answer(&self, endpoint: ServiceEndpoint, request: &Request<Bytes>) -> ServiceResponse {
        let answer = match endpoint {
            ServiceEndpoint::Search => self.search(Form::of_body(request), "query", "similarity_threshold"),
            ServiceEndpoint::SearchByUrl => self.search(Form::of_url(request), "q", "threshold"),
            ServiceEndpoint::SyncManual => self.sync(request),
            ServiceEndpoint::Login => self.login(request),
            ServiceEndpoint::Case => Ok(self.case(request)),
            ServiceEndpoint::OpenApi => {
                Ok(answer::text(StatusCode::OK, Bytes::from_static(OPEN_API.as_bytes())))
            }
            ServiceEndpoint::Health => Ok(ok(&self.health())),
            ServiceEndpoint::HealthDetailed => Ok(ok(&self.health_detailed())),
            ServiceEndpoint::Stats => Ok(ok(&self.stats())),
            ServiceEndpoint::SyncStatus => Ok(ok(&self.sync_status())),
            ServiceEndpoint::SchedulerJobs => Ok(ok(&self.scheduler_jobs())),
            ServiceEndpoint::PerformanceReport => Ok(ok(&self.performance_report())),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }

    fn index_ready(&self) -> bool {
        self.started.elapsed() >= self.index_absent
    }

    fn search(
        &self,
        mut form: Form,
        text: &str,
        threshold: &str,
    ) -> Result<ServiceResponse, Box<ServiceResponse>> {
        let query = SearchQuery {
            text: form.text(text, 1..=1000),
            top_k: form.whole("top_k", 10, 1..=100) as usize,
            threshold: form.share(threshold, 0.0),
        };
        let query = form.accept(query)?;
        if !self.index_ready() {
            return Ok(detail(StatusCode::SERVICE_UNAVAILABLE, "Vector database not ready"));
        }
        let begin = Instant::now();
        let mut results = self.index.search(&query);
        for _ in 1..self.rounds(ServiceEndpoint::Search) {
            results = black_box(self.index.search(black_box(&query)));
        }
        let spent = begin.elapsed();
        {
            let mut searches = locked(&self.searches);
            searches.count += 1;
            searches.spent += spent;
        }
        let found = SearchResponse {
            query: &query.text,
            total_results: results.len(),
            results: &results,
            search_time_ms: spent.as_secs_f64() * 1e3,
        };
        Ok(ok(&found))
    }

    fn sync(&self, request: &Request<Bytes>) -> Result<ServiceResponse, Box<ServiceResponse>> {
        if !request.body().is_empty() {
            let mut form = Form::of_body(request);
            let dates = [form.optional_text("start_date"), form.optional_text("end_date")];
            let [start, end] = form.accept(dates)?.map(|date| date.map(|date| date.parse::<Date>()));
            let (Ok(start), Ok(end)) = (start.transpose(), end.transpose()) else {
                return Ok(detail(StatusCode::BAD_REQUEST, "Invalid date format, use YYYY-MM-DD"));
            };
            if start.zip(end).is_some_and(|(start, end)| start > end) {
                return Ok(detail(StatusCode::BAD_REQUEST, "start_date is after end_date"));
            }
        }
        locked(&self.syncs).begin();
        Ok(ok(&json!({ "status": "triggered", "message": "Manual sync started in background" })))
    }

    fn login(&self, request: &Request<Bytes>) -> Result<ServiceResponse, Box<ServiceResponse>> {
        let mut form = Form::of_body(request);
        let user = form.text("user", 1..=1000);
        form.accept(user)?;
        Ok(ok(&json!({ "access_token": self.logins.issue(), "token_type": "bearer" })))
    }

    fn case(&self, request: &Request<Bytes>) -> ServiceResponse {
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if !authorization.is_some_and(|value| self.logins.admit(value)) {
            let mut answer = detail(StatusCode::UNAUTHORIZED, "Not authenticated");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return answer;
        }
        let id = request.uri().path().rsplit('/').next().unwrap_or_default();
        match self.index.case(id) {
            Some(case) => ok(case),
            None => detail(StatusCode::NOT_FOUND, "Case not found"),
        }
    }
}

fn ok(value: &impl Serialize) -> ServiceResponse {
    answer::json(StatusCode::OK, value)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
