//! The service behind its scripted delays and faults.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, StatusCode};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::stand_in::behaviour::Behaviour;
use crate::stand_in::kms::{Kms, ServiceEndpoint, ServiceResponse, detail, route};
use crate::stand_in::measured::{MeasuredTimes, Work};
use crate::stand_in::shutdown::Shutdown;

const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_COUNTED_PATHS: usize = 10_000;

/// The service, wrapped in its scripted behaviour.
#[derive(Debug)]
pub(super) struct Scripted {
    behaviour: Behaviour,
    started: Instant,
    kms: Kms,
    times: MeasuredTimes,
    received: ReceivedCounts,
    rng: Mutex<Xoshiro256PlusPlus>,
    shutdown: Arc<Shutdown>,
}

/// The random faults of one request.
struct DrawnFaults {
    jitter: Duration,
    fails: bool,
    closes: bool,
}

impl Scripted {
    pub(super) fn new(behaviour: Behaviour, shutdown: Arc<Shutdown>) -> Self {
        let kms = Kms::new(&behaviour);
        Self {
            started: kms.started(),
            kms,
            times: MeasuredTimes::default(),
            received: ReceivedCounts::default(),
            rng: Mutex::new(Xoshiro256PlusPlus::seed_from_u64(behaviour.seed)),
            behaviour,
            shutdown,
        }
    }

    /// When the service started; the times of the script count from here.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn has_real_times(&self) -> bool {
        self.behaviour.real_times
    }

    /// After which time an idle connection is closed.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.behaviour.idle_timeout
    }

    pub(super) fn received(&self) -> &ReceivedCounts {
        &self.received
    }

    /// Responds to one request. Never fails, because every request gets a response.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<ServiceResponse, Infallible> {
        self.received.count(&request);
        let faults = self.draw();
        let mut answer = self.play(request, &faults).await;
        if faults.closes {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }

    async fn play(&self, request: Request<Incoming>, faults: &DrawnFaults) -> ServiceResponse {
        let (head, body) = request.into_parts();
        // The body is read before anything is decided, so that a refusal leaves the connection usable.
        let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return detail(StatusCode::BAD_REQUEST, "There was an error parsing the body"),
        };
        if self.behaviour.leak > 0 {
            self.kms.keep(self.behaviour.leak);
        }
        if self.started.elapsed() < self.behaviour.slow_start {
            self.pause(faults, 1).await;
            return detail(StatusCode::SERVICE_UNAVAILABLE, "Service is starting");
        }
        let endpoint = match route(&head.method, head.uri.path()) {
            Ok(endpoint) => endpoint,
            Err(refusal) => return *refusal,
        };
        self.perform(endpoint, &Request::from_parts(head, body), faults).await
    }

    async fn perform(
        &self,
        endpoint: ServiceEndpoint,
        request: &Request<Bytes>,
        faults: &DrawnFaults,
    ) -> ServiceResponse {
        self.pause(faults, self.kms.rounds(endpoint)).await;
        if faults.fails {
            return detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
        }
        if self.behaviour.real_times {
            // The handlers of the real service never yield, so each holds the serving thread.
            let Work { waits, computes } = self.times.next(endpoint);
            let begin = Instant::now();
            while begin.elapsed() < computes {
                std::hint::spin_loop();
            }
            self.shutdown.hold(waits);
        }
        if endpoint == ServiceEndpoint::HealthDetailed {
            // Blocks the serving thread itself, because the real check samples the CPU without yielding.
            self.shutdown.hold(self.behaviour.blocking_health);
        }
        let answer = self.kms.answer(endpoint, request);
        if self.behaviour.exit_after_syncs.is_some_and(|most| self.kms.syncs_begun() >= most) {
            self.shutdown.request_exit();
        }
        answer
    }

    async fn pause(&self, faults: &DrawnFaults, rounds: u32) {
        let pause = (self.behaviour.delay + faults.jitter) * rounds;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Always draws all values, because a change of one share must not move the draws of the others.
    fn draw(&self) -> DrawnFaults {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let [jitter, fails, closes]: [f64; 3] = rng.random();
        DrawnFaults {
            jitter: self.behaviour.jitter.mul_f64(jitter),
            fails: fails < self.behaviour.error_share,
            closes: closes < self.behaviour.close_share,
        }
    }
}

/// How many requests were received, in total and by method and path.
#[derive(Debug, Default)]
pub(super) struct ReceivedCounts {
    all: AtomicU64,
    each: Mutex<HashMap<String, u64>>,
}

impl ReceivedCounts {
    fn count(&self, request: &Request<Incoming>) {
        let key = format!("{} {}", request.method(), request.uri().path());
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded, so that a soak test over ever new paths does not grow the memory that a leak test measures.
        if each.len() < MAX_COUNTED_PATHS || each.contains_key(&key) {
            *each.entry(key).or_default() += 1;
        }
        self.all.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    pub(super) fn of(&self, method_and_path: &str) -> u64 {
        let each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        each.get(method_and_path).copied().unwrap_or_default()
    }
}
