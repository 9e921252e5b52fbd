//! The responses of the service, all of them JSON.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

/// A response to the client.
pub(in crate::stand_in) type ServiceResponse = Response<Full<Bytes>>;

/// A response with this value as its JSON body.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> ServiceResponse {
    let body = serde_json::to_vec(value).expect("a response value has text keys and finite numbers");
    text(status, body.into())
}

/// A response whose body is JSON already.
pub(super) fn text(status: StatusCode, body: Bytes) -> ServiceResponse {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A refusal, in the only form that the service has for it.
pub(in crate::stand_in) fn detail(status: StatusCode, detail: &str) -> ServiceResponse {
    json(status, &json!({ "detail": detail }))
}
