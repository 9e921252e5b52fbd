//! One user's connection: a raw HTTP/1.1 client connection that is polled by the user that owns it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::engine::fault::Fault;
use crate::engine::socket::{Dialer, FirstByte, Socket};
use crate::measure::sample::ErrorKind;

/// A body larger than this is given up.
const LARGEST_BODY: u64 = 64 << 20;

/// An answer, read to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) bytes: u64,
}

/// A connection that requests can be sent over, one after another.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<http1::Connection<Socket, Full<Bytes>>>>,
    first_byte: FirstByte,
    /// Reused for every request: making a timer costs more than moving one.
    deadline: Pin<Box<Sleep>>,
    ended: bool,
}

impl Connection {
    /// Makes a connection within a time.
    pub(super) async fn open(dialer: &Dialer, within: Duration) -> Result<Self, Fault> {
        let first_byte = FirstByte::default();
        let Ok(dialled) = timeout(within, dialer.dial(first_byte.clone())).await else {
            return Err(Fault::new(ErrorKind::ConnectTimeout, format!("no connection within {within:?}")));
        };
        let handshake = http1::Builder::new().handshake(dialled?).await;
        let (sender, driver) = handshake.map_err(|error| Fault::of_exchange(&error))?;
        let deadline = Box::pin(sleep(Duration::ZERO));
        Ok(Self { sender, driver: Box::pin(driver), first_byte, deadline, ended: false })
    }

    /// Whether it can be used again: looks whether the server has closed it or said something unasked.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(!self.ended && !self.sender.is_closed())
        })
        .await
    }

    /// Sends a request and reads the answer to its end, within a time from the moment it is handed over.
    ///
    /// The second value is the moment at which its first byte went to the socket, if one did.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        within: Duration,
    ) -> (Result<Answer, Fault>, Option<Instant>) {
        self.first_byte.clear();
        self.deadline.as_mut().reset(Instant::now() + within);
        let Self { sender, driver, deadline, ended, first_byte } = self;
        let mut end: Option<Fault> = None;
        let result = {
            let mut work = pin!(send_and_read(sender, request));
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

async fn send_and_read(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Fault> {
    sender.ready().await.map_err(|error| Fault::of_exchange(&error))?;
    let response = sender.send_request(request).await.map_err(|error| Fault::of_exchange(&error))?;
    let status = response.status();
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::of_exchange(&error))?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > LARGEST_BODY {
            return Err(Fault::new(ErrorKind::TooLarge, format!("a body of more than {LARGEST_BODY} bytes")));
        }
    }
    Ok(Answer { status, bytes })
}
