//! Performing requests in order, with redirects, over the user's connection. Each request becomes a sample.

use std::rc::Rc;
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use serde_json::Value;
use tokio::time::Instant;

use crate::engine::expectations;
use crate::engine::timer::Precision;
use crate::engine::user::context::PhaseContext;
use crate::engine::user::exchange_log::ExchangeParts;
use crate::engine::user::intent::{Intent, Performed};
use crate::engine::user::json_body;
use crate::engine::user::prepared::{OutgoingRequest, Prepared, Redirect};
use crate::engine::user::virtual_user::User;
use crate::engine::wire::connection::{Connection, Pause, ReusedBuffers};
use crate::engine::wire::fault::{Fault, Unprocessed};
use crate::engine::wire::response::{Keep, ReadOptions, ReceivedResponse};
use crate::engine::wire::socket::Moments;
use crate::engine::wire::stream_end::MIN_IDLE_OF_UNCLEAR;
use crate::measure::recorder::CrossingFate;
use crate::measure::sample::{ArrivalClock, Outcome, Sample};
use crate::plan::model::{ConnectionUse, KeptFor};
use crate::plan::random::{RandomStream, StreamKey};
use crate::plan::template::RenderContext;

/// The measurements of an attempt, as far as it got.
#[derive(Default)]
struct Attempt {
    connect: Option<Duration>,
    moments: Moments,
    parts: ExchangeParts,
    /// How long the thread had been late before.
    late_before: Duration,
    /// Set if the request was sent again, with how long the connection had been idle.
    repeated: Option<(Unprocessed, Duration)>,
}

/// The end of an attempt: its moment, the status, and the bytes of the body or the fault.
#[derive(Clone, Copy)]
struct Answered<'a> {
    finished: Instant,
    status: Option<u16>,
    result: &'a Result<u64, Fault>,
}

/// What is needed to send a request again.
#[derive(Clone, Copy)]
struct Again<'a> {
    /// The request itself, if it is kept.
    kept: Option<&'a OutgoingRequest>,
    /// The random stream before the request was rendered.
    draw: &'a RandomStream,
    stream_key: StreamKey,
}

/// The inspection of a response: what it may do, and its result.
struct Inspection<'i> {
    /// The number of redirects that may still be followed.
    redirects_left: u16,
    redirect: Option<Redirect>,
    picks: Option<RandomStream>,
    parts: &'i mut ExchangeParts,
}

impl Again<'_> {
    /// The evidence by which a failed request may be sent again, and how long its connection had been idle. A new connection
    /// had not been idle.
    fn evidence(
        &self,
        prepared: &Prepared,
        sent: &Attempt,
        result: &Result<ReceivedResponse, Fault>,
    ) -> Option<(Unprocessed, Duration)> {
        let (unprocessed, idle) = match result {
            Ok(response) => (Unprocessed::Unclear, response.content.as_ref()?.ends_idle?),
            Err(fault) => (fault.unprocessed?, fault.idle),
        };
        let method = self.kept.map_or_else(|| prepared.method(), |kept| kept.request.method());
        let may = match unprocessed {
            Unprocessed::Certain => true,
            Unprocessed::Unclear => method.is_idempotent() && idle >= MIN_IDLE_OF_UNCLEAR,
        };
        (may && sent.connect.is_none()).then_some((unprocessed, idle))
    }
}

/// The values with which a request of a user is rendered.
fn facts<'f>(
    context: &PhaseContext,
    user: u32,
    (rows, captured): (&'f [u64], &'f [Option<Value>]),
    stream_key: StreamKey,
) -> RenderContext<'f> {
    let sequence = context.numbering.of(context.phase, stream_key);
    RenderContext { user, rows, captured, sequence, now: &jiff::Timestamp::now }
}

/// A request among those of a chain of redirects.
#[derive(Clone, Copy)]
struct Hop<'h> {
    redirects_left: u16,
    /// The random stream before the first request was rendered. Later ones are kept.
    draw: &'h RandomStream,
    /// For captures of random elements.
    picks: Option<&'h RandomStream>,
}

impl Attempt {
    /// What became of a request that crossed the end of its connection, and how long that had been idle.
    fn crossing(&self, fault: Option<&Fault>) -> Option<(CrossingFate, Duration)> {
        let unclear = fault.filter(|fault| fault.unprocessed == Some(Unprocessed::Unclear));
        match (self.repeated, unclear) {
            (Some((Unprocessed::Certain, idle)), _) => Some((CrossingFate::Repeated, idle)),
            (Some((Unprocessed::Unclear, idle)), _) => Some((CrossingFate::RepeatedUnclear, idle)),
            (None, Some(fault)) => Some((CrossingFate::Failed, fault.idle)),
            (None, None) => None,
        }
    }

    /// The generator's own part of the time from the send to the arrival of the response: what the socket noted and,
    /// where no stamp shows it, the time in which the thread was `late`.
    fn our_part(&self, late: impl FnOnce() -> Duration) -> Duration {
        let Moments { arrived, ours, writes, .. } = self.moments;
        let is_stamped = arrived.is_none_or(|(_, clock)| clock == ArrivalClock::Kernel);
        if is_stamped && writes <= 1 && self.connect.is_none() { ours } else { ours + late() }
    }
}

impl User {
    /// Makes requests in order. Each is intended at the end of the one before, and a failed one is the last. The
    /// caller has already announced the first to the recorder. A sequence that is cut short by a stop of the run has
    /// not succeeded.
    pub(in crate::engine) async fn perform(
        &mut self,
        steps: &[Prepared],
        mut intent: Intent,
        draw: &mut RandomStream,
    ) -> Performed {
        let context = Rc::clone(&self.context);
        let mut performed = Performed { finished: intent.intended, succeeded: true, ..Performed::default() };
        context.rows.take(&mut self.rows, &self.ranks, intent.stream_key);
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                // After a stop of the run, only the requests of `on_stop` are completed.
                if context.stop.is_set() && !matches!(intent.stream_key, StreamKey::Stop(..)) {
                    performed.succeeded = false;
                    break;
                }
                intent = intent.next(performed.finished);
                context.expect(intent.intended);
            }
            performed = self.request(step, intent, draw).await.after(performed);
            if !performed.succeeded {
                break;
            }
        }
        if self.connection_use().kept_for == KeptFor::Task {
            self.connection = None;
        }
        performed
    }

    /// Makes one request and follows its redirects.
    async fn request(
        &mut self,
        prepared: &Prepared,
        mut intent: Intent,
        draw: &mut RandomStream,
    ) -> Performed {
        let context = Rc::clone(&self.context);
        self.sleep_latency(intent).await;
        let draw_before = draw.clone();
        let facts = facts(&context, self.number, (&self.rows, &self.state.captured), intent.stream_key);
        let reused = match &mut self.connection {
            Some(connection) => &mut connection.reused,
            None => &mut ReusedBuffers::default(),
        };
        let mut outgoing = prepared.render(reused, draw, &facts);
        let picks = prepared.picks().then(|| draw.fork());
        let mut redirects_left = context.target.redirects;
        let mut before = Performed::default();
        loop {
            let hop = Hop { redirects_left, draw: &draw_before, picks: picks.as_ref() };
            let (performed, redirect) = self.attempt(prepared, &mut outgoing, hop, intent).await;
            let performed = performed.after(before);
            let Some(redirect) = redirect else { return performed };
            before = performed;
            redirects_left -= 1;
            intent = intent.next(performed.finished);
            context.expect(intent.intended);
            self.sleep_latency(intent).await;
            outgoing = Ok(*redirect.outgoing);
        }
    }

    /// Sleeps the simulated network latency before a request.
    async fn sleep_latency(&mut self, intent: Intent) {
        if !self.latency.is_zero() {
            self.rest(Pause::Short);
            self.context.until(intent.intended + intent.user_wait + self.latency, Precision::Coarse).await;
        }
    }

    /// Makes exactly one request and records it.
    async fn attempt(
        &mut self,
        prepared: &Prepared,
        outgoing: &mut Result<OutgoingRequest, Fault>,
        Hop { redirects_left, draw, picks }: Hop<'_>,
        intent: Intent,
    ) -> (Performed, Option<Redirect>) {
        let context = Rc::clone(&self.context);
        let mut sent = Attempt {
            parts: context.exchange_log.begin(),
            late_before: context.lateness.past(),
            ..Attempt::default()
        };
        let kept = outgoing.as_ref().ok().filter(|_| self.keeps_requests()).cloned().map(Box::new);
        let again = Again { kept: kept.as_deref(), draw, stream_key: intent.stream_key };
        let mut result = match outgoing {
            Ok(outgoing) => self.send(prepared, outgoing, &mut sent).await,
            Err(fault) => Err(fault.clone()),
        };
        sent.repeated = again.evidence(prepared, &sent, &result);
        if sent.repeated.is_some() {
            // Boxed, because it is rare.
            result = Box::pin(self.send_again(prepared, &mut sent, again)).await;
        }
        // The bytes of an answer arrived before they were read. A failure is seen when it is.
        let finished = match sent.moments.arrived {
            Some((at, _)) if result.is_ok() => at,
            _ => Instant::now(),
        };
        let status = result.as_ref().ok().map(|response| response.status.as_u16());
        let picks = picks.cloned();
        let mut inspection = Inspection { redirects_left, redirect: None, picks, parts: &mut sent.parts };
        let result =
            result.and_then(|response| self.inspect(prepared, kept.as_deref(), response, &mut inspection));
        let redirect = inspection.redirect.take();
        let (sample, lag) =
            self.measured(prepared, intent, &sent, Answered { finished, status, result: &result });
        context.record(&sample, result.as_ref().err());
        if let Some((fate, idle)) = sent.crossing(result.as_ref().err()) {
            context.recorder.borrow_mut().record_crossing(sample.intended, fate, idle);
        }
        let Sample { finished, ours, .. } = sample;
        let performed = Performed { finished, succeeded: result.is_ok(), lag, ours };
        context.exchange_log.end(sent.parts, kept, (sample, result.err()), |at| context.clock.offset(at));
        (performed, redirect)
    }

    /// The sample of an attempt, and its send lag.
    fn measured(
        &self,
        prepared: &Prepared,
        intent: Intent,
        sent: &Attempt,
        answered: Answered<'_>,
    ) -> (Sample, Duration) {
        let context = &self.context;
        let Answered { finished, status, result } = answered;
        let began = sent.moments.sent;
        let mut sample = Sample {
            operation: prepared.operation,
            user: self.number,
            intended: intent.intended,
            sent: context.clock.offset(began.unwrap_or(finished)),
            finished: context.clock.offset(finished),
            arrival_clock: sent.moments.arrived.map(|(_, clock)| clock),
            user_wait: intent.user_wait,
            ours: Duration::ZERO,
            is_in_wake: began.is_some_and(|began| context.lateness.is_in_wake(began)),
            latency: self.latency,
            connect: sent.connect,
            outcome: result.as_ref().map_or_else(|fault| Outcome::Failed(fault.kind), |_| Outcome::Succeeded),
            status,
            bytes: *result.as_ref().unwrap_or(&0),
            purpose: intent.purpose,
        };
        let late = || context.lateness.total().saturating_sub(sent.late_before);
        let lag = sample.send_lag();
        sample.ours = match sample.is_in_wake {
            true => sample.response_time(),
            false => lag + intent.our_wait + sent.our_part(late),
        };
        (sample, lag)
    }

    /// Sends a request once more, over a new connection, and reads the response.
    async fn send_again(
        &mut self,
        prepared: &Prepared,
        sent: &mut Attempt,
        again: Again<'_>,
    ) -> Result<ReceivedResponse, Fault> {
        let context = Rc::clone(&self.context);
        let first_sent = sent.moments.sent;
        let mut outgoing = match again.kept {
            Some(kept) => kept.clone(),
            None => {
                let parts = (&*self.rows, &*self.state.captured);
                let facts = facts(&context, self.number, parts, again.stream_key);
                prepared.render(&mut ReusedBuffers::default(), &mut again.draw.clone(), &facts)?
            }
        };
        let result = self.send(prepared, &mut outgoing, sent).await;
        // The time of the first attempt belongs to the wait for a connection.
        if let (Some(first), Some(second)) = (first_sent, sent.moments.sent) {
            sent.connect = Some(second.saturating_duration_since(first));
        }
        result
    }

    /// Sends a request over the user's connection, which is opened if there is none, and reads the response.
    async fn send(
        &mut self,
        prepared: &Prepared,
        outgoing: &mut OutgoingRequest,
        sent: &mut Attempt,
    ) -> Result<ReceivedResponse, Fault> {
        let context = Rc::clone(&self.context);
        if context.timer.is_cancelled() {
            return Err(Fault::cancelled());
        }
        if !self.has_usable_connection().await {
            let began = Instant::now();
            let within = context.target.connect_timeout.duration();
            let opening = context.timer.unless_cancelled(
                began + within,
                Connection::open(&context.dialer, within, self.number as usize),
            );
            // Boxed, because opening takes more memory than everything else that a user does, and is rare.
            let opened = Box::pin(opening).await.unwrap_or_else(|| Err(Fault::cancelled()));
            sent.connect = Some(began.elapsed());
            let (connection, opened) = opened?;
            self.keep(Ok((connection, opened.to)));
            sent.parts.opened(opened);
        }
        let request = &mut outgoing.request;
        self.state.send_cookies(&context.target.url, request);
        sent.parts.sends(request.headers());
        let keep = match self.keeps_requests() {
            _ if prepared.inspects_body() || context.exchange_log.is_on() => Keep::Whole,
            true => Keep::Head,
            false if prepared.inspects_head() => Keep::Head,
            false => Keep::Nothing,
        };
        let options = ReadOptions { keep, expect: &prepared.expect };
        let connection = self.connection.as_mut().expect("a usable connection was found or just opened");
        let within = context.target.timeout.duration();
        let result = connection.exchange(request, options, within, &context.timer).await;
        sent.moments = connection.moments();
        if result.is_err() || self.connection_use().kept_for == KeptFor::Request {
            // After a failure the connection may still carry parts of the old response.
            self.connection = None;
        }
        result
    }

    fn connection_use(&self) -> ConnectionUse {
        self.context.prepared_classes[self.class].connections
    }

    /// Whether a request is needed again after it was sent.
    fn keeps_requests(&self) -> bool {
        self.context.target.redirects > 0 || self.state.has_cookies() || self.context.exchange_log.is_on()
    }

    /// Inspects a response: derives the next request from a redirect, or checks the expectations and captures values.
    /// Returns the size of the body in bytes.
    fn inspect(
        &mut self,
        prepared: &Prepared,
        outgoing: Option<&OutgoingRequest>,
        response: ReceivedResponse,
        inspection: &mut Inspection<'_>,
    ) -> Result<u64, Fault> {
        let target = &self.context.target;
        let bytes = response.bytes;
        if let (Some(outgoing), Some(content)) = (outgoing, &response.content) {
            self.state.keep_cookies(&target.url, outgoing.request.uri(), &content.headers);
        }
        let is_redirect = target.redirects > 0 && Redirect::is_redirect_status(response.status);
        let result = if let Some(outgoing) = outgoing.filter(|_| is_redirect) {
            let redirect =
                outgoing.redirected(&response, &target.url, target.http, inspection.redirects_left);
            redirect.map(|redirect| inspection.redirect = Some(redirect))
        } else {
            let json = prepared.needs_json().then(|| json_body::parse(response.body())).flatten();
            inspection.parts.found(|| expectations::findings(&prepared.expect, &response, json.as_ref()));
            let checked = expectations::check(&prepared.expect, &response, json.as_ref());
            let picks = inspection.picks.take();
            let captured = checked.and_then(|()| {
                self.state.capture(&prepared.captures, &response, json.as_ref(), picks.as_ref())
            });
            captured.map_err(|mut fault| {
                fault.body = response.body_bytes();
                match response.header(&CONTENT_ENCODING).filter(|_| prepared.inspects_body()) {
                    Some(encoding) => fault.of_compressed(encoding),
                    None => fault,
                }
            })
        };
        if result.is_ok() && inspection.redirect.is_none() {
            inspection.parts.captured(|| {
                let value = |slot: usize| self.state.captured[slot].as_ref().map(ToString::to_string);
                let captures = prepared.captures.iter();
                captures.filter_map(|capture| Some((capture.name.clone(), value(capture.slot)?))).collect()
            });
        }
        inspection.parts.received(response);
        result.map(|()| bytes)
    }

    /// Whether there is a connection that can still be used; a closed one is removed.
    async fn has_usable_connection(&mut self) -> bool {
        if let Some(max_age) = self.connection_use().max_age
            && self.connection.as_ref().is_some_and(|it| it.age() >= max_age.duration())
        {
            self.connection = None;
        }
        let usable = match &mut self.connection {
            Some(connection) => connection.is_usable().await,
            None => false,
        };
        if !usable && self.connection.take().is_some() {
            let now = self.context.clock.now();
            self.context.recorder.borrow_mut().record_closed(now);
            self.context.verbose_log(|| format!("user {}: the connection was closed", self.number));
        }
        usable
    }
}
