//! One user's connection: a raw client connection that is polled by the user that owns it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::engine::wire::fault::Fault;
use crate::engine::wire::socket::{Dialer, FirstByte, Opened};
use crate::measure::sample::ErrorKind;
use crate::plan::model::HttpVersion;

/// A body larger than this is given up.
const LARGEST_BODY: u64 = 64 << 20;
/// A body that is looked into may have at most this.
const LARGEST_KEPT: u64 = 16 << 20;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// The version of HTTP that it was given in.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// How many bytes its body has.
    pub bytes: u64,
    /// The body, where it is to be looked into; empty elsewhere.
    pub body: Bytes,
    /// When its head had been read.
    pub head_at: Instant,
}

/// What is read of a body.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Reading {
    /// Whether it is kept.
    pub(in crate::engine) keep: Keep,
    /// The most bytes that it may have, if the plan says so.
    pub(in crate::engine) most: Option<u64>,
}

/// Whether a body is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Keep {
    Whole,
    Nothing,
}

/// What the requests of a connection are handed to.
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Runs what HTTP/2 does beside requests, on the thread of the user.
#[derive(Clone)]
struct Beside;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Beside {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A connection that requests can be sent over, one after another.
pub(in crate::engine) struct Connection {
    sender: Sender,
    driver: Pin<Box<dyn Future<Output = hyper::Result<()>>>>,
    first_byte: FirstByte,
    /// Reused for every request: making a timer costs more than moving one.
    deadline: Pin<Box<Sleep>>,
    ended: bool,
}

impl Connection {
    /// Makes a connection within a time.
    pub(in crate::engine) async fn open(dialer: &Dialer, within: Duration) -> Result<(Self, Opened), Fault> {
        let first_byte = FirstByte::default();
        let Ok(dialled) = timeout(within, dialer.dial(first_byte.clone())).await else {
            return Err(Fault::new(ErrorKind::ConnectTimeout, format!("no connection within {within:?}")));
        };
        let (socket, opened) = dialled?;
        let socket = TokioIo::new(socket);
        let (sender, driver): (_, Pin<Box<dyn Future<Output = _>>>) = match dialer.http {
            HttpVersion::One => {
                let made = http1::Builder::new().handshake(socket).await;
                let (sender, driver) = made.map_err(|error| Fault::of_exchange(&error))?;
                (Sender::One(sender), Box::pin(driver))
            }
            HttpVersion::Two => {
                let made = http2::Builder::new(Beside).handshake(socket).await;
                let (sender, driver) = made.map_err(|error| Fault::of_exchange(&error))?;
                (Sender::Two(sender), Box::pin(driver))
            }
        };
        let deadline = Box::pin(sleep(Duration::ZERO));
        Ok((Self { sender, driver, first_byte, deadline, ended: false }, opened))
    }

    /// Whether it can be used again: looks whether the server has closed it or said something unasked.
    pub(in crate::engine) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(!self.ended && !self.sender.is_closed())
        })
        .await
    }

    /// Sends a request and reads the answer to its end, within a time from the moment it is handed over.
    ///
    /// The second value is the moment at which its first byte went to the socket, if one did.
    pub(in crate::engine) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        reading: Reading,
        within: Duration,
    ) -> (Result<Answer, Fault>, Option<Instant>) {
        self.first_byte.clear();
        self.deadline.as_mut().reset(Instant::now() + within);
        let Self { sender, driver, deadline, ended, first_byte } = self;
        let mut end: Option<Fault> = None;
        let result = {
            let mut work = pin!(send_and_read(sender, request, reading));
            poll_fn(|cx| {
                if let Poll::Ready(result) = work.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                if !*ended && let Poll::Ready(result) = driver.as_mut().poll(cx) {
                    *ended = true;
                    end = result.err().map(|error| Fault::of_exchange(&error));
                }
                // What the connection just read may be all that the request waits for.
                if let Poll::Ready(result) = work.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                if deadline.as_mut().poll(cx).is_ready() {
                    let text = format!("no whole answer within {within:?}");
                    return Poll::Ready(Err(Fault::new(ErrorKind::Timeout, text)));
                }
                Poll::Pending
            })
            .await
        };
        let sent = first_byte.get();
        // A connection that ended knows better why than the request that was cancelled with it.
        let result = result.map_err(|fault| end.unwrap_or(fault));
        if result.is_ok() {
            // Lets hyper see the end of the answer, so that a connection to be closed is closed now.
            self.is_usable().await;
        } else {
            self.ended = true;
        }
        (result, sent)
    }

    fn drive(&mut self, cx: &mut std::task::Context<'_>) {
        if !self.ended && self.driver.as_mut().poll(cx).is_ready() {
            self.ended = true;
        }
    }
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Self::One(sender) => sender.is_closed(),
            Self::Two(sender) => sender.is_closed(),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

async fn send_and_read(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    reading: Reading,
) -> Result<Answer, Fault> {
    let response = sender.send(request).await.map_err(|error| Fault::of_exchange(&error))?;
    let head_at = Instant::now();
    let (head, mut incoming) = response.into_parts();
    let Reading { keep, most } = reading;
    let bound = if keep == Keep::Whole { LARGEST_KEPT } else { LARGEST_BODY };
    let largest = most.unwrap_or(bound).min(bound);
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
    let (status, version, headers) = (head.status, head.version, head.headers);
    Ok(Answer { status, version, headers, bytes, body: body.freeze(), head_at })
}
