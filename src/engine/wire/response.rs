//! Reading a response to its end.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use crate::engine::wire::fault::Fault;
use crate::measure::sample::ErrorKind;

/// The largest body that is read.
const MAX_BODY_BYTES: u64 = 64 << 20;
/// The largest body that is kept for inspection.
const MAX_KEPT_BODY_BYTES: u64 = 16 << 20;

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
    /// The body if it is inspected; otherwise empty.
    pub body: Bytes,
    /// When the head had been read.
    pub head_at: Option<Instant>,
}

impl ReceivedResponse {
    /// The body; empty if it was not kept.
    pub fn body(&self) -> &[u8] {
        self.content.as_ref().map_or(&[], |content| &content.body)
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
pub(in crate::engine) struct ReadOptions {
    pub(in crate::engine) keep: Keep,
    /// The most bytes that the body may have, if the plan sets a limit.
    pub(in crate::engine) max_bytes: Option<u64>,
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
    options: ReadOptions,
    headers: &mut HeaderMap,
) -> Result<ReceivedResponse, Fault> {
    let response = sent.await.map_err(|error| Fault::of_exchange(&error))?;
    let (status, version) = (response.status(), response.version());
    let announced = (version == Version::HTTP_2).then(|| announced_length(response.headers()));
    let count = response.headers().len();
    if count > MAX_HEADERS {
        return Err(Fault::new(ErrorKind::TooLarge, format!("{count} headers: {HEAD_LIMITS}")));
    }
    let ReadOptions { keep, max_bytes } = options;
    let (mut content, mut incoming) = match keep {
        Keep::Nothing => {
            let (head, incoming) = response.into_parts();
            *headers = head.headers;
            // The next request reuses the memory of these headers.
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
    let mut has_ended = incoming.is_end_stream();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Fault::of_exchange(&error))?;
        has_ended |= incoming.is_end_stream();
        let Some(data) = frame.data_ref() else { continue };
        bytes += data.len() as u64;
        if bytes > largest {
            return Err(Fault::new(ErrorKind::TooLarge, format!("the body is larger than {largest} bytes")));
        }
        if keep == Keep::Whole {
            body.extend_from_slice(data);
        }
    }
    let is_whole = has_ended || incoming.is_end_stream();
    if let Some(length) = announced.filter(|_| !is_whole)
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
