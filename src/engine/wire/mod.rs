//! The wire to the target: sockets, TLS, HTTP connections, and their faults.

mod addresses;
pub(super) mod connection;
pub(super) mod fault;
pub(super) mod receive;
pub(super) mod response;
mod send_queue;
pub(super) mod socket;
pub(super) mod stream_end;
pub(super) mod tls;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Body;

/// Declares the length of an empty body where the method expects one (RFC 9110, section 8.6). Otherwise servers that must
/// know whether a body follows answer with 411. The client declares every other length itself.
pub(super) fn declare_empty_body(request: &mut Request<Full<Bytes>>) {
    let expects_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if expects_body && request.body().is_end_stream() {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}
