//! Making requests: in order, with redirects, over the user's connection; each becomes a sample.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::user::life::User;
use crate::engine::user::prepared::{Hop, Outgoing, Prepared};
use crate::engine::user::stage::Exchange;
use crate::engine::wire::connection::{Answer, Connection, Keep, Reading};
use crate::engine::wire::fault::Fault;
use crate::engine::wire::socket::Opened;
use crate::measure::sample::{Outcome, Purpose, Sample};
use crate::plan::draw::{Draw, Occasion};
use crate::plan::expect::Finding;
use crate::plan::template::Facts;

/// When requests are wanted, and for what.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Turn {
    pub(in crate::engine) occasion: Occasion,
    pub(in crate::engine) intended: Duration,
    pub(in crate::engine) user_wait: Duration,
    pub(in crate::engine) purpose: Purpose,
}

/// What came of requests.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Made {
    pub(in crate::engine) finished: Duration,
    pub(in crate::engine) succeeded: bool,
    /// The send lag of all of them.
    pub(in crate::engine) lag: Duration,
}

/// The moments of an attempt, as far as it got.
#[derive(Default)]
struct Sent {
    opened: Option<Opened>,
    connect: Option<Duration>,
    first_byte: Option<Instant>,
    head: Option<Instant>,
    /// The headers with the user's cookies, where these are kept to be looked at.
    headers: Option<http::HeaderMap>,
}

/// What was found in an answer.
#[derive(Default)]
struct Found {
    answer: Option<Answer>,
    findings: Vec<Finding>,
    captured: Vec<(String, String)>,
    hop: Option<Hop>,
}

impl Turn {
    /// A task that no user was late for.
    pub(in crate::engine) fn task(occasion: Occasion, intended: Duration) -> Self {
        Self { occasion, intended, user_wait: Duration::ZERO, purpose: Purpose::Task }
    }
}

impl User {
    /// Makes requests in order, each intended at the end of the one before; a failed one is the last. The first one is
    /// already expected. What a stop of the run cuts short has not succeeded.
    pub(in crate::engine) async fn make(
        &mut self,
        steps: &[Prepared],
        mut turn: Turn,
        draw: &mut Draw,
    ) -> Made {
        let stage = Rc::clone(&self.stage);
        let mut made = Made { finished: turn.intended, succeeded: true, lag: Duration::ZERO };
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                // Whoever leaves because the run stops still says all of its goodbye.
                if stage.stop.is_set() && !matches!(turn.occasion, Occasion::Stop(..)) {
                    made.succeeded = false;
                    break;
                }
                turn = Turn { intended: made.finished, user_wait: Duration::ZERO, ..turn };
                stage.expect(turn.intended);
            }
            let lag = made.lag;
            made = self.request(step, turn, draw).await;
            made.lag += lag;
            if !made.succeeded {
                break;
            }
        }
        made
    }

    /// Makes one request, and those that it is redirected to.
    async fn request(&mut self, prepared: &Prepared, mut turn: Turn, draw: &mut Draw) -> Made {
        let stage = Rc::clone(&self.stage);
        self.be_far_away(turn).await;
        let facts = Facts {
            user: self.number,
            row: stage.numbering.row(turn.occasion),
            captured: &self.memory.captured,
            sequence: stage.numbering.of(stage.phase, turn.occasion),
            now: &jiff::Timestamp::now,
        };
        let mut outgoing = prepared.render(draw, &facts);
        let mut hops = stage.target.redirects;
        let mut lag = Duration::ZERO;
        loop {
            let (mut made, hop) = self.one(prepared, outgoing, hops, turn).await;
            made.lag += lag;
            lag = made.lag;
            let Some(hop) = hop else { return made };
            hops -= 1;
            turn = Turn { intended: made.finished, user_wait: Duration::ZERO, ..turn };
            stage.expect(turn.intended);
            self.be_far_away(turn).await;
            outgoing = Ok(hop.outgoing);
        }
    }

    /// Sleeps the network latency of a request.
    async fn be_far_away(&self, turn: Turn) {
        if !self.latency.is_zero() {
            self.stage.until(turn.intended + turn.user_wait + self.latency).await;
        }
    }

    /// Makes exactly one request and records it.
    async fn one(
        &mut self,
        prepared: &Prepared,
        outgoing: Result<Outgoing, Fault>,
        hops: u16,
        turn: Turn,
    ) -> (Made, Option<Hop>) {
        let stage = Rc::clone(&self.stage);
        let mut sent = Sent::default();
        let mut found = Found::default();
        let result = match &outgoing {
            Ok(outgoing) => self.exchange(prepared, outgoing, &mut sent).await,
            Err(fault) => Err(fault.clone()),
        };
        let finished = Instant::now();
        let result = match (result, &outgoing) {
            (Ok(answer), Ok(outgoing)) => self.look(prepared, outgoing, (answer, hops), &mut found),
            (result, _) => result.map(|answer| answer.bytes),
        };
        let sample = Sample {
            operation: prepared.operation,
            intended: turn.intended,
            sent: stage.clock.offset(sent.first_byte.unwrap_or(finished)),
            finished: stage.clock.offset(finished),
            user_wait: turn.user_wait,
            latency: self.latency,
            connect: sent.connect,
            outcome: result.as_ref().map_or_else(|fault| Outcome::Failed(fault.kind), |_| Outcome::Succeeded),
            bytes: *result.as_ref().unwrap_or(&0),
            purpose: turn.purpose,
        };
        stage.record(self.number, &sample, result.as_ref().err());
        let made = Made { finished: sample.finished, succeeded: result.is_ok(), lag: sample.send_lag() };
        let hop = found.hop.take();
        if let Some(witness) = &stage.witness {
            let mut request = outgoing.ok().map(Outgoing::shown);
            if let (Some((request, _)), Some(headers)) = (&mut request, sent.headers) {
                *request.headers_mut() = headers;
            }
            witness.borrow_mut().push(Exchange {
                request,
                opened: sent.opened,
                sample,
                head_at: sent.head.map(|at| stage.clock.offset(at)),
                answer: found.answer,
                findings: found.findings,
                captured: found.captured,
                failure: result.err().map(|fault| fault.text),
            });
        }
        (made, hop)
    }

    /// Sends a request over the user's connection, which is made where there is none, and reads the answer.
    async fn exchange(
        &mut self,
        prepared: &Prepared,
        outgoing: &Outgoing,
        sent: &mut Sent,
    ) -> Result<Answer, Fault> {
        let stage = Rc::clone(&self.stage);
        let began = Instant::now();
        if !self.reuse().await {
            let opened = Connection::open(&stage.dialer, stage.target.connect_timeout.duration()).await;
            sent.connect = Some(began.elapsed());
            let (connection, opened) = opened?;
            self.keep(Ok(connection));
            sent.opened = Some(opened);
        }
        let mut request = outgoing.request();
        if self.memory.has_cookies() {
            self.memory.send_cookies(&stage.target.url.url_of(outgoing.uri()), request.headers_mut());
        }
        if stage.witness.is_some() {
            sent.headers = Some(request.headers().clone());
        }
        let keep = match prepared.looks_inside() || stage.witness.is_some() {
            true => Keep::Whole,
            false => Keep::Nothing,
        };
        let reading = Reading { keep, most: prepared.expect.max_bytes };
        let connection = self.connection.as_mut().expect("it was just made");
        let handed = Instant::now();
        let (result, first_byte) =
            connection.exchange(request, reading, stage.target.timeout.duration()).await;
        sent.first_byte = Some(first_byte.unwrap_or(handed));
        match &result {
            Ok(answer) => sent.head = Some(answer.head_at),
            // After a failure nobody knows what is still on the wire.
            Err(_) => self.connection = None,
        }
        result
    }

    /// Looks at an answer: whether it leads elsewhere, is the expected one, and what of it is to be kept. Returns the
    /// size of its body.
    fn look(
        &mut self,
        prepared: &Prepared,
        outgoing: &Outgoing,
        (answer, hops): (Answer, u16),
        found: &mut Found,
    ) -> Result<u64, Fault> {
        let target = &self.stage.target;
        let bytes = answer.bytes;
        if self.memory.has_cookies() {
            self.memory.keep_cookies(&target.url.url_of(outgoing.uri()), &answer.headers);
        }
        let result = if target.redirects > 0 && Hop::is_one(answer.status) {
            let hop = outgoing.redirected(&answer, &target.url, target.http, hops);
            hop.map(|hop| found.hop = Some(hop))
        } else {
            let json = prepared.needs_json().then(|| serde_json::from_slice(&answer.body).ok()).flatten();
            if self.stage.witness.is_some() {
                found.findings = prepared.findings(&answer, json.as_ref());
            }
            let checked = prepared.check(&answer, json.as_ref());
            checked.and_then(|()| self.memory.capture(&prepared.captures, json.as_ref()))
        };
        if self.stage.witness.is_some() && result.is_ok() && found.hop.is_none() {
            let value = |slot: usize| self.memory.captured[slot].as_ref().map(ToString::to_string);
            let captures = prepared.captures.iter();
            found.captured =
                captures.filter_map(|capture| Some((capture.name.clone(), value(capture.slot)?))).collect();
        }
        if self.stage.witness.is_some() {
            found.answer = Some(answer);
        }
        result.map(|()| bytes)
    }

    /// Whether there is a connection that can still be used.
    async fn reuse(&mut self) -> bool {
        let usable = match &mut self.connection {
            Some(connection) => connection.is_usable().await,
            None => false,
        };
        if !usable && self.connection.take().is_some() {
            self.stage.tell(|| format!("user {}: the connection was closed", self.number));
        }
        usable
    }
}
