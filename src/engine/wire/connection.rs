//! One user's connection: a raw client connection that is polled by the user that owns it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::engine::timer::{PreciseTimer, Precision};
use crate::engine::wire::fault::Fault;
use crate::engine::wire::socket::{ConnectionSetup, Dialer, FirstByte, TargetSocket};
use crate::measure::sample::ErrorKind;
use crate::plan::model::HttpVersion;

/// A body larger than this is given up.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// A body that is looked into may have at most this.
const MAX_KEPT_BODY_BYTES: u64 = 16 << 20;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct ReceivedResponse {
    /// Its status.
    pub status: StatusCode,
    /// The version of HTTP that it was given in.
    pub version: Version,
    /// How many bytes its body has.
    pub bytes: u64,
    /// What is in it, where that is to be looked at.
    pub content: Option<Box<ResponseContent>>,
}

/// What is in an answer.
#[derive(Debug, Clone, Default)]
pub struct ResponseContent {
    /// Its headers.
    pub headers: HeaderMap,
    /// The body, where it is to be looked into; empty elsewhere.
    pub body: Bytes,
    /// When its head had been read.
    pub head_at: Option<Instant>,
}

impl ReceivedResponse {
    /// Its body; empty where it was not kept.
    pub fn body(&self) -> &[u8] {
        self.content.as_ref().map_or(&[], |content| &content.body)
    }

    /// A header, where they were kept.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.content.as_ref()?.headers.get(name)
    }
}

/// What is read of an answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct ReadOptions {
    pub(in crate::engine) keep: Keep,
    /// The most bytes that its body may have, if the plan says so.
    pub(in crate::engine) max_bytes: Option<u64>,
}

/// What is kept of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Keep {
    /// Head and body.
    Whole,
    /// Only the head.
    Head,
    /// The status and how long it is.
    Nothing,
}

/// Runs what HTTP/2 does beside requests, on the thread of the user.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A connection that requests can be sent over, one after another.
pub(in crate::engine) struct Connection {
    state: ConnectionState,
    /// Whether nothing has looked at it for some time.
    needs_check: bool,
    first_byte: FirstByte,
    pub(in crate::engine) reused: ReusedBuffers,
    /// When an alarm will look after an answer that does not come: it is set anew only when it has rung.
    scheduled_wake: Option<Instant>,
}

/// Memory of a request and its answer, for the next request.
#[derive(Default)]
pub(in crate::engine) struct ReusedBuffers {
    /// What headers were kept in. hyper puts an answer's headers to where the request's were.
    pub(in crate::engine) headers: HeaderMap,
    /// What is rendered is split off from it.
    pub(in crate::engine) text: BytesMut,
}

/// How long a connection is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Pause {
    Short,
    /// Long enough for its memory to matter more than the work of setting it up again.
    Long,
}

/// What a connection consists of at the moment.
enum ConnectionState {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    /// Only the socket, between two requests that are some time apart: all else takes three times its memory.
    Parked(TargetSocket),
    Ended,
}

struct Http1 {
    /// Whether it has carried nothing yet.
    is_unused: bool,
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TargetSocket>, Full<Bytes>>,
}

struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    /// `None` when it has ended: what it has not handed on is then given back as an error.
    driver: Option<http2::Connection<TokioIo<TargetSocket>, Full<Bytes>, LocalExecutor>>,
}

/// How long an answer is waited for, and who wakes the one that waits.
struct ResponseDeadline<'a> {
    within: Duration,
    deadline: Instant,
    timer: &'a PreciseTimer,
    scheduled_wake: &'a mut Option<Instant>,
}

impl Connection {
    /// Makes a connection within a time.
    pub(in crate::engine) async fn open(
        dialer: &Dialer,
        within: Duration,
    ) -> Result<(Self, ConnectionSetup), Fault> {
        let first_byte = FirstByte::default();
        let Ok(dialled) = timeout(within, dialer.dial(first_byte.clone())).await else {
            return Err(Fault::new(ErrorKind::ConnectTimeout, format!("no connection within {within:?}")));
        };
        let (socket, opened) = dialled?;
        let state = match dialer.http {
            HttpVersion::One => ConnectionState::Http1(Http1::over(socket).await?),
            HttpVersion::Two => ConnectionState::Http2(Http2::over(socket).await?),
        };
        Ok((
            Self {
                state,
                needs_check: true,
                first_byte,
                reused: ReusedBuffers::default(),
                scheduled_wake: None,
            },
            opened,
        ))
    }

    /// Nothing will be sent for some time, or for so long that no more than the socket is kept.
    pub(in crate::engine) fn rest(&mut self, pause: Pause) {
        self.needs_check = true;
        if pause == Pause::Short || !matches!(&self.state, ConnectionState::Http1(one) if one.is_idle()) {
            return;
        }
        let ConnectionState::Http1(one) = std::mem::replace(&mut self.state, ConnectionState::Ended) else {
            return;
        };
        self.reused = ReusedBuffers::default();
        let parts = one.driver.into_parts();
        // Whatever the server said unasked makes the connection unusable.
        if parts.read_buf.is_empty() {
            self.state = ConnectionState::Parked(parts.io.into_inner());
        }
    }

    /// Whether it can be used again: looks whether the server has closed it or said something unasked while it rested.
    pub(in crate::engine) async fn is_usable(&mut self) -> bool {
        // Over HTTP/2 the server may have said goodbye at any time: that is read beside the requests.
        if std::mem::take(&mut self.needs_check) || matches!(self.state, ConnectionState::Http2(_)) {
            if let ConnectionState::Parked(socket) = &mut self.state {
                let quiet = poll_fn(|cx| Poll::Ready(is_quiet(socket, cx))).await;
                let parked = std::mem::replace(&mut self.state, ConnectionState::Ended);
                // A handshake sends nothing.
                if let ConnectionState::Parked(socket) = parked
                    && quiet
                    && let Ok(one) = Http1::over(socket).await
                {
                    self.state = ConnectionState::Http1(one);
                }
            } else {
                let driven = poll_fn(|cx| {
                    self.state.drive(cx);
                    Poll::Ready(())
                });
                driven.await;
            }
        }
        self.state.is_open()
    }

    /// Sends a request, which is taken, and reads the answer to its end, within a time from the moment it is handed over.
    ///
    /// The second value is the moment at which its first byte went to the socket, or at which it was handed over if none
    /// did.
    pub(in crate::engine) async fn exchange(
        &mut self,
        request: &mut Request<Full<Bytes>>,
        options: ReadOptions,
        within: Duration,
        timer: &PreciseTimer,
    ) -> (Result<ReceivedResponse, Fault>, Instant) {
        let Self { state, first_byte, reused, scheduled_wake, .. } = self;
        first_byte.clear();
        let handed_over = Instant::now();
        let response_deadline =
            ResponseDeadline { within, deadline: handed_over + within, timer, scheduled_wake };
        let (result, ended) = match state {
            ConnectionState::Http1(one) => {
                one.is_unused = false;
                let work =
                    read(one.sender.send_request(std::mem::take(request)), options, &mut reused.headers);
                poll_together(work, |cx| one.driver.poll_without_shutdown(cx), response_deadline).await
            }
            ConnectionState::Http2(two) => {
                let work =
                    read(two.sender.send_request(std::mem::take(request)), options, &mut reused.headers);
                let driver = &mut two.driver;
                poll_together(work, |cx| Http2::drive(driver, cx), response_deadline).await
            }
            ConnectionState::Parked(_) | ConnectionState::Ended => {
                (Err(Fault::new(ErrorKind::Eof, "the connection had ended")), true)
            }
        };
        // After a failure nobody knows what is still on the wire.
        if ended || result.is_err() {
            *state = ConnectionState::Ended;
        }
        (result, first_byte.get().unwrap_or(handed_over))
    }
}

impl ConnectionState {
    fn drive(&mut self, cx: &mut Context<'_>) {
        let ended = match self {
            Self::Http1(one) => one.driver.poll_without_shutdown(cx).is_ready(),
            Self::Http2(two) => Http2::drive(&mut two.driver, cx).is_ready(),
            Self::Parked(_) | Self::Ended => false,
        };
        if ended {
            *self = Self::Ended;
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Http1(one) => !one.sender.is_closed() && one.is_idle(),
            Self::Http2(two) => !two.sender.is_closed(),
            Self::Parked(_) => true,
            Self::Ended => false,
        }
    }
}

impl Http1 {
    /// Whether a request can be sent: not so where the server answered before it had the whole one before.
    fn is_idle(&self) -> bool {
        self.is_unused || self.sender.is_ready()
    }

    async fn over(socket: TargetSocket) -> Result<Box<Self>, Fault> {
        let made = http1::Builder::new().writev(false).handshake(TokioIo::new(socket)).await;
        let (sender, driver) = made.map_err(|error| Fault::of_exchange(&error))?;
        Ok(Box::new(Self { is_unused: true, sender, driver }))
    }
}

impl Http2 {
    async fn over(socket: TargetSocket) -> Result<Box<Self>, Fault> {
        let made = http2::Builder::new(LocalExecutor).handshake(TokioIo::new(socket)).await;
        let (sender, driver) = made.map_err(|error| Fault::of_exchange(&error))?;
        Ok(Box::new(Self { sender, driver: Some(driver) }))
    }

    fn drive(
        driver: &mut Option<http2::Connection<TokioIo<TargetSocket>, Full<Bytes>, LocalExecutor>>,
        cx: &mut Context<'_>,
    ) -> Poll<hyper::Result<()>> {
        let Some(running) = driver else { return Poll::Ready(Ok(())) };
        let polled = Pin::new(running).poll(cx);
        if polled.is_ready() {
            *driver = None;
        }
        polled
    }
}

/// Polls the request and what carries it in turn, so that an answer is seen in the turn in which it came. The second
/// value says whether the connection has ended.
async fn poll_together(
    work: impl Future<Output = Result<ReceivedResponse, Fault>>,
    mut drive: impl FnMut(&mut Context<'_>) -> Poll<hyper::Result<()>>,
    mut response_deadline: ResponseDeadline<'_>,
) -> (Result<ReceivedResponse, Fault>, bool) {
    let mut ended = false;
    let mut why: Option<Fault> = None;
    let mut work = pin!(work);
    let result = poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if !ended && let Poll::Ready(result) = drive(cx) {
            ended = true;
            why = result.err().map(|error| Fault::of_exchange(&error));
        }
        // What the connection just read may be all that the request waits for.
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if response_deadline.is_over(cx) {
            let text = format!("no whole answer within {:?}", response_deadline.within);
            return Poll::Ready(Err(Fault::new(ErrorKind::Timeout, text)));
        }
        Poll::Pending
    })
    .await;
    // A connection that ended knows better why than the request that was cancelled with it.
    (result.map_err(|fault| why.unwrap_or(fault)), ended)
}

impl ResponseDeadline<'_> {
    /// Whether the deadline has passed; where it has not, the task is woken then. The alarm knows the time well enough.
    fn is_over(&mut self, cx: &Context<'_>) -> bool {
        let last_fired = self.timer.last_fired();
        if last_fired >= self.deadline {
            return true;
        }
        if self.scheduled_wake.is_none_or(|at| at <= last_fired) {
            // Most answers come in time: the first alarm is one of many at a moment, and the second one is exact.
            let first = self.timer.shared_tick_before(self.deadline);
            let at = if first > last_fired { first } else { self.deadline };
            self.timer.wake_at(at, Precision::Coarse, cx);
            *self.scheduled_wake = Some(at);
        }
        false
    }
}

/// Whether a socket has nothing to say: neither its end, nor something unasked.
fn is_quiet(socket: &mut TargetSocket, cx: &mut Context<'_>) -> bool {
    Pin::new(socket).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending()
}

async fn read(
    sent: impl Future<Output = hyper::Result<Response<Incoming>>>,
    options: ReadOptions,
    headers: &mut HeaderMap,
) -> Result<ReceivedResponse, Fault> {
    let response = sent.await.map_err(|error| Fault::of_exchange(&error))?;
    let (status, version) = (response.status(), response.version());
    let ReadOptions { keep, max_bytes } = options;
    let (mut content, mut incoming) = match keep {
        Keep::Nothing => {
            let (head, incoming) = response.into_parts();
            *headers = head.headers;
            // The connection can use the memory of what was read again.
            headers.clear();
            (None, incoming)
        }
        Keep::Head | Keep::Whole => {
            let (head, incoming) = response.into_parts();
            let head_at = Some(Instant::now());
            (Some(Box::new(ResponseContent { headers: head.headers, body: Bytes::new(), head_at })), incoming)
        }
    };
    let bound = if keep == Keep::Whole { MAX_KEPT_BODY_BYTES } else { MAX_BODY_BYTES };
    let largest = max_bytes.unwrap_or(bound).min(bound);
    let (mut bytes, mut body) = (0, BytesMut::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Fault::of_exchange(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len() as u64;
        if bytes > largest {
            return Err(Fault::new(ErrorKind::TooLarge, format!("a body of more than {largest} bytes")));
        }
        if keep == Keep::Whole {
            body.extend_from_slice(data);
        }
    }
    if let Some(content) = &mut content {
        content.body = body.freeze();
    }
    Ok(ReceivedResponse { status, version, bytes, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_close_during_a_long_pause_is_noticed() {
        let (to_server, mut connections) = tokio::sync::mpsc::unbounded_channel();
        let dialer = Dialer::memory(to_server);
        let (mut connection, _) = Connection::open(&dialer, Duration::from_secs(1)).await.ok().unwrap();
        connection.rest(Pause::Short);
        assert!(matches!(connection.state, ConnectionState::Http1(_)) && connection.is_usable().await);
        connection.rest(Pause::Long);
        assert!(matches!(connection.state, ConnectionState::Parked(_)));
        assert!(connection.is_usable().await && matches!(connection.state, ConnectionState::Http1(_)));
        connection.rest(Pause::Long);
        drop(connections.recv().await);
        assert!(!connection.is_usable().await);
    }
}
