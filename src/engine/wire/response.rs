//! Reading a response to its end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use crate::engine::wire::fault::Fault;
use crate::measure::sample::ErrorKind;
use crate::plan::expect::Expectation;

/// The largest body that is read.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// The largest body that is kept for inspection.
const MAX_KEPT_BODY_BYTES: u64 = 16 << 20;

/// How much of the body of an unexpected response is shown.
pub(in crate::engine) const MAX_SHOWN_BODY_BYTES: usize = 2 << 10;

/// The largest head of a response, in bytes.
pub(super) const MAX_HEAD_BYTES: u32 = 400 << 10;
/// The most headers of a response.
const MAX_HEADERS: usize = 100;
/// These limits in words.
pub(super) const HEAD_LIMITS: &str = "the head of a response may have at most 400 KiB and 100 headers";

/// A response, read to its end.
#[derive(Debug, Clone)]
pub struct ReceivedResponse {
    pub status: StatusCode,
    /// The HTTP version of the response.
    pub version: Version,
    /// The size of the body in bytes.
    pub bytes: u64,
    /// Headers and body; `None` if they are not needed.
    pub content: Option<Box<ResponseContent>>,
}

/// The kept parts of a response.
#[derive(Debug, Clone, Default)]
pub struct ResponseContent {
    pub headers: HeaderMap,
    /// The body if it is inspected; otherwise empty, or the begin of an unexpected one.
    pub body: Bytes,
    /// When the head had been read.
    pub head_at: Option<Instant>,
    /// Set if the server says that it ends the connection because it has been idle, with how long.
    pub ends_idle: Option<Duration>,
}

impl ReceivedResponse {
    /// The body; empty if it was not kept.
    pub fn body(&self) -> &[u8] {
        self.content.as_ref().map_or(&[], |content| &content.body)
    }

    /// The body without a copy.
    pub fn body_bytes(&self) -> Bytes {
        self.content.as_ref().map_or_else(Bytes::new, |content| content.body.clone())
    }

    /// Notes that a response with status 408 ends a connection that had been idle for this long. A server sends it for a
    /// connection over which it has received no request in time (RFC 9110, section 15.5.9).
    pub(super) fn says_idle(&mut self, idle: Duration) {
        let Some(content) = &mut self.content else { return };
        let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
        content.ends_idle = content.headers.get(CONNECTION).is_some_and(closes).then_some(idle);
    }

    /// The headers; `None` if they were not kept.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.content.as_ref().map(|content| &content.headers)
    }

    /// A header; `None` if the headers were not kept.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.content.as_ref()?.headers.get(name)
    }
}

/// How a response is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct ReadOptions<'o> {
    pub(in crate::engine) keep: Keep,
    pub(in crate::engine) expect: &'o Expectation,
}

/// Which parts of a response are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Keep {
    /// Head and body.
    Whole,
    /// Only the head.
    Head,
    /// Only the status and the size.
    Nothing,
}

/// Reads a response to its end.
pub(super) async fn read(
    sent: impl Future<Output = hyper::Result<Response<Incoming>>>,
    ReadOptions { keep, expect }: ReadOptions<'_>,
    headers: &mut HeaderMap,
) -> Result<ReceivedResponse, Fault> {
    let response = match sent.await {
        Ok(response) => response,
        Err(error) => return Err(Fault::of_exchange(&error)),
    };
    let (status, version) = (response.status(), response.version());
    let announced = (version == Version::HTTP_2).then(|| announced_length(response.headers()));
    let count = response.headers().len();
    if count > MAX_HEADERS {
        return Err(Fault::new(ErrorKind::TooLarge, format!("{count} headers: {HEAD_LIMITS}")));
    }
    // The begin of an unexpected body is shown.
    let shown = if expect.accepts(status) { 0 } else { MAX_SHOWN_BODY_BYTES + 1 };
    let (head, mut incoming) = response.into_parts();
    let mut content = None;
    if keep == Keep::Nothing && shown == 0 {
        *headers = head.headers;
        // The next request reuses the memory of these headers.
        headers.clear();
    } else {
        let head_at = Some(Instant::now());
        let parts = ResponseContent { headers: head.headers, head_at, ..ResponseContent::default() };
        content = Some(Box::new(parts));
    }
    let bound = if keep == Keep::Whole { MAX_KEPT_BODY_BYTES } else { MAX_BODY_BYTES };
    let largest = expect.max_bytes.unwrap_or(bound).min(bound);
    let kept = if keep == Keep::Whole { usize::MAX } else { shown };
    let (mut bytes, mut body) = (0, BytesMut::new());
    let mut has_ended = incoming.is_end_stream();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Fault::of_exchange(&error).answered())?;
        has_ended |= incoming.is_end_stream();
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len() as u64;
        if bytes > largest {
            return Err(Fault::new(ErrorKind::TooLarge, format!("the body is larger than {largest} bytes")));
        }
        if body.len() < kept {
            body.extend_from_slice(&data[..data.len().min(kept - body.len())]);
        }
    }
    has_ended |= incoming.is_end_stream();
    if let Some(length) = announced.filter(|_| !has_ended)
        && length != Some(bytes)
    {
        // The client takes a stream that the server resets without an error for one that has ended.
        return Err(Fault::new(
            ErrorKind::Eof,
            format!("the stream was reset after {bytes} bytes of the body"),
        ));
    }
    if let Some(content) = &mut content {
        content.body = body.freeze();
    }
    Ok(ReceivedResponse { status, version, bytes, content })
}

/// The length of the body that the headers announce.
fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
