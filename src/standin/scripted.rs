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

use crate::standin::behaviour::Behaviour;
use crate::standin::halt::Halt;
use crate::standin::kms::{Answer, Endpoint, Kms, detail, route};

const LARGEST_BODY: usize = 1 << 20;
const MOST_PATHS: usize = 10_000;

/// The service with its scripted behaviour around it.
#[derive(Debug)]
pub(super) struct Scripted {
    behaviour: Behaviour,
    started: Instant,
    kms: Kms,
    received: Received,
    chance: Mutex<Xoshiro256PlusPlus>,
    halt: Arc<Halt>,
}

/// What chance says about one request.
struct Fate {
    jitter: Duration,
    fails: bool,
    closes: bool,
}

impl Scripted {
    pub(super) fn new(behaviour: Behaviour, halt: Arc<Halt>) -> Self {
        let kms = Kms::new(behaviour.seed, behaviour.index_absent, behaviour.sync_lasting);
        Self {
            started: kms.started(),
            kms,
            received: Received::default(),
            chance: Mutex::new(Xoshiro256PlusPlus::seed_from_u64(behaviour.seed)),
            behaviour,
            halt,
        }
    }

    /// When it started, which is what all of the script counts from.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn received(&self) -> &Received {
        &self.received
    }

    /// Answers one request; never fails, for whatever the request is there is an answer.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        self.received.count(&request);
        let fate = self.draw();
        let mut answer = self.play(request, &fate).await;
        if fate.closes {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }

    async fn play(&self, request: Request<Incoming>, fate: &Fate) -> Answer {
        let (head, body) = request.into_parts();
        // Read before anything is decided, so that a refusal leaves the connection usable.
        let body = match Limited::new(body, LARGEST_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return detail(StatusCode::BAD_REQUEST, "There was an error parsing the body"),
        };
        if self.behaviour.leak > 0 {
            self.kms.keep(self.behaviour.leak);
        }
        if self.started.elapsed() < self.behaviour.slow_start {
            self.pause(fate, 1).await;
            return detail(StatusCode::SERVICE_UNAVAILABLE, "Service is starting");
        }
        let endpoint = match route(&head.method, head.uri.path()) {
            Ok(endpoint) => endpoint,
            Err(refusal) => return *refusal,
        };
        self.perform(endpoint, &Request::from_parts(head, body), fate).await
    }

    async fn perform(&self, endpoint: Endpoint, request: &Request<Bytes>, fate: &Fate) -> Answer {
        self.pause(fate, self.kms.rounds(endpoint)).await;
        if fate.fails {
            return detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
        }
        if endpoint == Endpoint::HealthDetailed {
            // The serving thread itself is held: the real check samples the CPU without yielding.
            self.halt.hold(self.behaviour.blocking_health);
        }
        self.kms.answer(endpoint, request)
    }

    async fn pause(&self, fate: &Fate, rounds: u32) {
        let pause = (self.behaviour.delay + fate.jitter) * rounds;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Always draws all of it: a share that is turned up must not move the others' draws.
    fn draw(&self) -> Fate {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let [jitter, fails, closes]: [f64; 3] = chance.random();
        Fate {
            jitter: self.behaviour.jitter.mul_f64(jitter),
            fails: fails < self.behaviour.error_share,
            closes: closes < self.behaviour.close_share,
        }
    }
}

/// How many requests came, in all and of each method and path.
#[derive(Debug, Default)]
pub(super) struct Received {
    all: AtomicU64,
    each: Mutex<HashMap<String, u64>>,
}

impl Received {
    fn count(&self, request: &Request<Incoming>) {
        let key = format!("{} {}", request.method(), request.uri().path());
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded, so that a soak over ever new paths does not grow what a test of leaks looks at.
        if each.len() < MOST_PATHS || each.contains_key(&key) {
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
