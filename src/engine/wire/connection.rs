//! The connection of one user: a raw HTTP client connection that the user itself polls.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::engine::timer::{PreciseTimer, Precision};
use crate::engine::wire::fault::{Fault, Unprocessed};
use crate::engine::wire::response::{MAX_HEAD_BYTES, ReadOptions, ReceivedResponse, read};
use crate::engine::wire::socket::{ConnectionSetup, Dialer, Moments, SharedMoments, TargetSocket};
use crate::engine::wire::stream_end::{IdleTimeout, MIN_IDLE_OF_UNCLEAR};
use crate::measure::sample::ErrorKind;
use crate::plan::model::HttpVersion;

/// Runs the background tasks of HTTP/2 on the thread of the user.
#[derive(Clone)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A connection that carries one request after another.
pub(in crate::engine) struct Connection {
    state: ConnectionState,
    /// Whether it rested and must be checked before the next request.
    needs_check: bool,
    writes_in_place: bool,
    moments: SharedMoments,
    opened: Instant,
    idle_timeout: IdleTimeout,
    pub(in crate::engine) reused: ReusedBuffers,
    /// When the timer will wake the task to check the deadline. It is set again only after it has fired.
    scheduled_wake: Option<Instant>,
}

/// The memory of a request and its response, reused for the next request.
#[derive(Default)]
pub(in crate::engine) struct ReusedBuffers {
    /// A used header map. hyper puts the headers of the response into the map of the request.
    pub(in crate::engine) headers: HeaderMap,
    /// A buffer from which each rendered text is split off.
    pub(in crate::engine) text: BytesMut,
}

/// How long a connection rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Pause {
    Short,
    /// Long enough that its memory matters more than the work of setting it up again.
    Long,
}

/// The current parts of a connection.
enum ConnectionState {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    /// Only the socket, during a long pause: the other parts take three times its memory.
    Parked(TargetSocket),
    Ended,
}

struct Http1 {
    /// Whether it has carried no request yet.
    is_unused: bool,
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TargetSocket>, Full<Bytes>>,
}

struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    /// `None` after it has ended: a request that it still holds then fails.
    driver: Option<http2::Connection<TokioIo<TargetSocket>, Full<Bytes>, LocalExecutor>>,
}

/// The deadline of a response, and the timer that wakes the waiting task.
struct ResponseDeadline<'a> {
    within: Duration,
    deadline: Instant,
    timer: &'a PreciseTimer,
    scheduled_wake: &'a mut Option<Instant>,
}

impl Connection {
    /// Opens a connection; fails after the time `within`. `first` is the number of the address that is tried first.
    pub(in crate::engine) async fn open(
        dialer: &Dialer,
        within: Duration,
        first: usize,
    ) -> Result<(Self, ConnectionSetup), Fault> {
        let moments = SharedMoments::default();
        let Ok(dialled) = timeout(within, dialer.dial(moments.clone(), first)).await else {
            return Err(Fault::new(ErrorKind::ConnectTimeout, format!("no connection within {within:?}")));
        };
        let (socket, opened) = dialled?;
        let state = match dialer.http {
            HttpVersion::One => ConnectionState::Http1(Http1::over(socket, dialer.writes_in_place).await?),
            HttpVersion::Two => ConnectionState::Http2(Http2::over(socket).await?),
        };
        Ok((
            Self {
                state,
                needs_check: true,
                writes_in_place: dialer.writes_in_place,
                moments,
                opened: Instant::now(),
                idle_timeout: dialer.idle_timeout.clone(),
                reused: ReusedBuffers::default(),
                scheduled_wake: None,
            },
            opened,
        ))
    }

    /// Prepares for a pause; during a long one only the socket is kept.
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
        // Unsolicited bytes from the server make the connection unusable.
        if parts.read_buf.is_empty() {
            self.state = ConnectionState::Parked(parts.io.into_inner());
        }
    }

    /// The time since it was opened.
    pub(in crate::engine) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Whether it can be used again. Checks whether the server closed it or sent unsolicited bytes while it rested.
    pub(in crate::engine) async fn is_usable(&mut self) -> bool {
        // Over HTTP/2 the server may send GOAWAY at any time; only driving the connection reads it.
        if std::mem::take(&mut self.needs_check) || matches!(self.state, ConnectionState::Http2(_)) {
            let was_open = self.state.is_open();
            if let ConnectionState::Parked(socket) = &mut self.state {
                let quiet = poll_fn(|cx| Poll::Ready(is_quiet(socket, cx))).await;
                let parked = std::mem::replace(&mut self.state, ConnectionState::Ended);
                // The handshake of HTTP/1.1 sends nothing, so it can be repeated.
                if let ConnectionState::Parked(socket) = parked
                    && quiet
                    && let Ok(one) = Http1::over(socket, self.writes_in_place).await
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
            if was_open && !self.state.is_open() {
                let last_used = self.moments.get().arrived.map_or(self.opened, |(at, _)| at);
                self.idle_timeout.note(last_used.elapsed());
            }
        }
        self.state.is_open()
    }

    /// Takes and sends a request, and reads the response to its end. The time `within` starts with the hand-over.
    pub(in crate::engine) async fn exchange(
        &mut self,
        request: &mut Request<Full<Bytes>>,
        options: ReadOptions<'_>,
        within: Duration,
        timer: &PreciseTimer,
    ) -> Result<ReceivedResponse, Fault> {
        let Self { state, moments, reused, scheduled_wake, opened, idle_timeout, .. } = self;
        let handed_over = Instant::now();
        let last_used = moments.begin(handed_over);
        let response_deadline =
            ResponseDeadline { within, deadline: handed_over + within, timer, scheduled_wake };
        let (mut result, ended) = match state {
            ConnectionState::Http1(one) => {
                one.is_unused = false;
                let sent = pin!(one.sender.send_request(std::mem::take(request)));
                let work = pin!(read(sent, options, &mut reused.headers));
                poll_together(work, |cx| one.driver.poll_without_shutdown(cx), response_deadline).await
            }
            ConnectionState::Http2(two) => {
                let sent = pin!(two.sender.send_request(std::mem::take(request)));
                let work = pin!(read(sent, options, &mut reused.headers));
                let driver = &mut two.driver;
                poll_together(work, |cx| Http2::drive(driver, cx), response_deadline).await
            }
            ConnectionState::Parked(_) | ConnectionState::Ended => (
                Err(Fault::new(ErrorKind::Eof, "the connection was closed before the request was sent")),
                true,
            ),
        };
        let idle = || handed_over - last_used.unwrap_or(*opened);
        // After a failure the connection may still carry parts of the old response.
        if ended || result.is_err() {
            let failed = std::mem::replace(state, ConnectionState::Ended);
            if let (ConnectionState::Http1(one), Err(fault)) = (failed, &mut result)
                && fault.is_unanswered_end()
            {
                let parts = one.driver.into_parts();
                fault.is_answered = !parts.read_buf.is_empty();
                if !fault.is_answered {
                    // Boxed, because it is rare.
                    let mut socket = parts.io.into_inner();
                    Box::pin(socket.follow_end(idle(), idle_timeout)).await;
                }
            }
        }
        if let Ok(response) = &mut result
            && response.status == StatusCode::REQUEST_TIMEOUT
        {
            response.says_idle(idle());
        }
        result.map_err(|fault| {
            let fault = fault.after_idle(idle(), last_used.is_some()).with_evidence(moments.get());
            // Most resets without an acknowledgement are those of idle connections too.
            let has_evidence = match fault.unprocessed {
                Some(Unprocessed::Certain) => true,
                Some(Unprocessed::Unclear) => fault.idle >= MIN_IDLE_OF_UNCLEAR,
                None => false,
            };
            if has_evidence {
                idle_timeout.note(idle());
            }
            fault
        })
    }

    /// The moments of the last exchange at its socket.
    pub(in crate::engine) fn moments(&self) -> Moments {
        self.moments.get()
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
    /// Whether a request can be sent. It cannot if the server responded before it had read the whole previous
    /// request.
    fn is_idle(&self) -> bool {
        self.is_unused || self.sender.is_ready()
    }

    async fn over(socket: TargetSocket, writes_in_place: bool) -> Result<Box<Self>, Fault> {
        let made = http1::Builder::new()
            .writev(writes_in_place)
            .max_buf_size(MAX_HEAD_BYTES as usize)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(socket))
            .await;
        let (sender, driver) = made.map_err(|error| Fault::of_exchange(&error))?;
        Ok(Box::new(Self { is_unused: true, sender, driver }))
    }
}

impl Http2 {
    async fn over(socket: TargetSocket) -> Result<Box<Self>, Fault> {
        let made = http2::Builder::new(LocalExecutor)
            .max_header_list_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(socket))
            .await;
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

/// Polls the request and its connection in turn, so that a response is seen in the same poll in which it arrives. The
/// second value is whether the connection has ended.
async fn poll_together(
    mut work: Pin<&mut impl Future<Output = Result<ReceivedResponse, Fault>>>,
    mut drive: impl FnMut(&mut Context<'_>) -> Poll<hyper::Result<()>>,
    mut response_deadline: ResponseDeadline<'_>,
) -> (Result<ReceivedResponse, Fault>, bool) {
    let mut ended = false;
    let mut why: Option<Fault> = None;
    let mut looked_again = false;
    let result = loop {
        let polled = poll_fn(|cx| {
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if !ended && let Poll::Ready(result) = drive(cx) {
                ended = true;
                why = result.err().map(|error| Fault::of_exchange(&error));
            }
            // The bytes that the connection just read may complete the response.
            if let Poll::Ready(result) = work.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if response_deadline.timer.is_cancelled() {
                return Poll::Ready(Err(Fault::cancelled()));
            }
            if response_deadline.is_over(cx) {
                let text = format!("no complete response within {:?}", response_deadline.within);
                return Poll::Ready(Err(Fault::new(ErrorKind::Timeout, text)));
            }
            Poll::Pending
        })
        .await;
        let is_timeout = matches!(&polled, Err(fault) if fault.kind == ErrorKind::Timeout);
        if !is_timeout || looked_again {
            break polled;
        }
        // If this thread was late, the response may have come in time. The scheduler looks for events first.
        looked_again = true;
        tokio::task::yield_now().await;
    };
    // The error of the connection is more precise than that of the request that was cancelled with it.
    (result.map_err(|fault| why.unwrap_or(fault)), ended)
}

impl ResponseDeadline<'_> {
    /// Whether the deadline has passed. If not, the task will be woken at the deadline. The last firing of the timer
    /// is precise enough as the current time.
    fn is_over(&mut self, cx: &Context<'_>) -> bool {
        let last_fired = self.timer.last_fired();
        if last_fired >= self.deadline {
            return true;
        }
        if self.scheduled_wake.is_none_or(|at| at <= last_fired) {
            // Most responses come in time, so the first wake-up is at a tick that many tasks share; the second is at
            // the deadline itself.
            let first = self.timer.shared_tick_before(self.deadline);
            let at = if first > last_fired { first } else { self.deadline };
            self.timer.wake_at(at, Precision::Coarse, cx);
            *self.scheduled_wake = Some(at);
        }
        false
    }
}

/// Whether a socket is quiet: neither closed by the peer nor holding unsolicited bytes.
fn is_quiet(socket: &mut TargetSocket, cx: &mut Context<'_>) -> bool {
    Pin::new(socket).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_close_during_a_long_pause_is_noticed() {
        let (to_server, mut connections) = tokio::sync::mpsc::unbounded_channel();
        let dialer = Dialer::memory(to_server);
        let (mut connection, _) = Connection::open(&dialer, Duration::from_secs(1), 0).await.ok().unwrap();
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
