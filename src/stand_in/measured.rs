//! The times of the real service: how long each endpoint holds the whole service, as measured with 2000 cases.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::stand_in::kms::ServiceEndpoint;

/// The service logs in again, for its sync status, after this time.
const LOGIN_LASTS: Duration = Duration::from_mins(5);
/// The performance report computes statistics over at most this many searches.
const REPORTED_SEARCHES: u64 = 1100;

/// What a request does to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// The time for which it holds the service without computing.
    pub(super) waits: Duration,
    /// The processor time that it takes, while it holds the service too.
    pub(super) computes: Duration,
}

/// The times of each endpoint, which depend on earlier calls.
#[derive(Debug, Default)]
pub(super) struct MeasuredTimes(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// By endpoint.
    counts: BTreeMap<ServiceEndpoint, u64>,
    logged_in: Option<Instant>,
}

impl MeasuredTimes {
    /// The work of the next call of an endpoint.
    pub(super) fn next(&self, endpoint: ServiceEndpoint) -> Work {
        use ServiceEndpoint::{
            Case, Health, HealthDetailed, Login, OpenApi, PerformanceReport, SchedulerJobs, Search,
            SearchByUrl, Stats, SyncManual, SyncStatus,
        };
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.counts.entry(endpoint).or_default();
        *count += 1;
        let count = *count;
        let searches =
            [Search, SearchByUrl].iter().filter_map(|search| calls.counts.get(search)).sum::<u64>();
        // Spreads calls evenly over a range, without a random draw.
        let between = |low: u64, high: u64| low + (count * 7) % (high - low + 1);
        let (waits, computes) = match endpoint {
            Search | SearchByUrl => (0, 20),
            Health if count == 1 => (6, 0),
            Health => (3, 0),
            SchedulerJobs if count == 1 => (2, 0),
            SchedulerJobs => (4, 0),
            HealthDetailed => (between(1066, 1112), 0),
            SyncStatus if calls.logged_in.is_none_or(|at| at.elapsed() >= LOGIN_LASTS) => {
                calls.logged_in = Some(Instant::now());
                (473, 0)
            }
            SyncStatus => (4, 0),
            SyncManual => (between(5, 19), 0),
            PerformanceReport => (0, 2 + 14 * searches.min(REPORTED_SEARCHES) / REPORTED_SEARCHES),
            Stats | OpenApi | Login | Case => (2, 0),
        };
        Work { waits: Duration::from_millis(waits), computes: Duration::from_millis(computes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sync_status_logs_in_and_reports_grow_with_the_searches() {
        let times = MeasuredTimes::default();
        let waits = |endpoint| times.next(endpoint).waits.as_millis();
        assert_eq!((waits(ServiceEndpoint::SyncStatus), waits(ServiceEndpoint::SyncStatus)), (473, 4));
        let report = || times.next(ServiceEndpoint::PerformanceReport).computes.as_millis();
        assert_eq!(report(), 2);
        for _ in 0..1100 {
            assert_eq!(times.next(ServiceEndpoint::Search).computes.as_millis(), 20);
        }
        assert_eq!(report(), 16);
        for _ in 0..100 {
            assert!((1066..=1112).contains(&waits(ServiceEndpoint::HealthDetailed)));
        }
    }
}
