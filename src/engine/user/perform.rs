//! Making requests: in order, with redirects, over the user's connection; each becomes a sample.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::alarm::Meeting;
use crate::engine::user::life::User;
use crate::engine::user::prepared::{Hop, Outgoing, Prepared};
use crate::engine::user::stage::Exchange;
use crate::engine::user::turn::{Made, Turn};
use crate::engine::wire::connection::{Answer, Connection, Keep, Pause, Reading, Reused};
use crate::engine::wire::fault::Fault;
use crate::engine::wire::socket::Opened;
use crate::measure::sample::{Outcome, Sample};
use crate::plan::draw::{Draw, Occasion};
use crate::plan::expect::Finding;
use crate::plan::template::Facts;

/// The moments of an attempt, as far as it got.
#[derive(Default)]
struct Sent {
    connect: Option<Duration>,
    first_byte: Option<Instant>,
    /// What is only kept to be looked at.
    shown: Option<Box<Shown>>,
}

/// How a request was really sent.
#[derive(Default)]
struct Shown {
    opened: Option<Opened>,
    /// With the user's cookies; `None` where it was not sent.
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
        let reused = match &mut self.connection {
            Some(connection) => &mut connection.reused,
            None => &mut Reused::default(),
        };
        let mut outgoing = prepared.render(reused, draw, &facts);
        let mut hops = stage.target.redirects;
        let mut lag = Duration::ZERO;
        loop {
            let (mut made, hop) = self.one(prepared, &mut outgoing, hops, turn).await;
            made.lag += lag;
            lag = made.lag;
            let Some(hop) = hop else { return made };
            hops -= 1;
            turn = Turn { intended: made.finished, user_wait: Duration::ZERO, ..turn };
            stage.expect(turn.intended);
            self.be_far_away(turn).await;
            outgoing = Ok(*hop.outgoing);
        }
    }

    /// Sleeps the network latency of a request.
    async fn be_far_away(&mut self, turn: Turn) {
        if !self.latency.is_zero() {
            self.rest(Pause::Short);
            self.stage.until(turn.intended + turn.user_wait + self.latency, Meeting::Closely).await;
        }
    }

    /// Makes exactly one request and records it.
    async fn one(
        &mut self,
        prepared: &Prepared,
        outgoing: &mut Result<Outgoing, Fault>,
        hops: u16,
        turn: Turn,
    ) -> (Made, Option<Hop>) {
        let stage = Rc::clone(&self.stage);
        let mut sent = Sent::default();
        let kept = outgoing.as_ref().ok().filter(|_| self.keeps_requests()).cloned().map(Box::new);
        let result = match outgoing {
            Ok(outgoing) => self.exchange(prepared, outgoing, &mut sent).await,
            Err(fault) => Err(fault.clone()),
        };
        let finished = Instant::now();
        let mut found = Found::default();
        let result =
            result.and_then(|answer| self.look(prepared, kept.as_deref(), (answer, hops), &mut found));
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
            let mut request = kept.map(|outgoing| outgoing.shown());
            let Shown { opened, headers } = sent.shown.map(|shown| *shown).unwrap_or_default();
            if let (Some((request, _)), Some(headers)) = (&mut request, headers) {
                *request.headers_mut() = headers;
            }
            let head_at = found.answer.as_ref().and_then(|answer| answer.content.as_ref()?.head_at);
            witness.borrow_mut().push(Exchange {
                request,
                opened,
                sample,
                head_at: head_at.map(|at| stage.clock.offset(at)),
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
        outgoing: &mut Outgoing,
        sent: &mut Sent,
    ) -> Result<Answer, Fault> {
        let stage = Rc::clone(&self.stage);
        sent.shown = stage.witness.is_some().then(Box::default);
        if !self.reuse().await {
            let began = Instant::now();
            let opening = Connection::open(&stage.dialer, stage.target.connect_timeout.duration());
            // It takes more memory than all else that a user does, and is rare.
            let opened = Box::pin(opening).await;
            sent.connect = Some(began.elapsed());
            let (connection, opened) = opened?;
            self.keep(Ok(connection));
            if let Some(shown) = &mut sent.shown {
                shown.opened = Some(opened);
            }
        }
        let request = &mut outgoing.request;
        self.memory.send_cookies(&stage.target.url, request);
        if let Some(shown) = &mut sent.shown {
            shown.headers = Some(request.headers().clone());
        }
        let keep = match self.keeps_requests() {
            _ if prepared.looks_inside() || stage.witness.is_some() => Keep::Whole,
            true => Keep::Head,
            false => Keep::Nothing,
        };
        let reading = Reading { keep, most: prepared.expect.max_bytes };
        let connection = self.connection.as_mut().expect("it was just made");
        let (result, first_byte) =
            connection.exchange(request, reading, stage.target.timeout.duration(), &stage.alarm).await;
        sent.first_byte = Some(first_byte);
        if result.is_err() {
            // After a failure nobody knows what is still on the wire.
            self.connection = None;
        }
        result
    }

    /// Whether requests are needed again when they have been sent.
    fn keeps_requests(&self) -> bool {
        self.stage.target.redirects > 0 || self.memory.has_cookies() || self.stage.witness.is_some()
    }

    /// Looks at an answer: whether it leads elsewhere, is the expected one, and what of it is to be kept. Returns the
    /// size of its body.
    fn look(
        &mut self,
        prepared: &Prepared,
        outgoing: Option<&Outgoing>,
        (answer, hops): (Answer, u16),
        found: &mut Found,
    ) -> Result<u64, Fault> {
        let target = &self.stage.target;
        let bytes = answer.bytes;
        if let (Some(outgoing), Some(content)) = (outgoing, &answer.content) {
            self.memory.keep_cookies(&target.url, outgoing.request.uri(), &content.headers);
        }
        let leads_on = target.redirects > 0 && Hop::is_one(answer.status);
        let result = if let Some(outgoing) = outgoing.filter(|_| leads_on) {
            let hop = outgoing.redirected(&answer, &target.url, target.http, hops);
            hop.map(|hop| found.hop = Some(hop))
        } else {
            let json = prepared.needs_json().then(|| serde_json::from_slice(answer.body()).ok()).flatten();
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
