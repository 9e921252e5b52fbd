//! Responses, compared with what a plan expects of them.

use serde_json::Value;

use crate::engine::wire::fault::Fault;
use crate::engine::wire::response::ReceivedResponse;
use crate::measure::sample::ErrorKind;
use crate::plan::expect::{CheckResult, Expectation};

/// Checks a response; the fault names the first condition that is not met.
pub(super) fn check(
    expect: &Expectation,
    response: &ReceivedResponse,
    json: Option<&Value>,
) -> Result<(), Fault> {
    let status = response.status;
    if !expect.accepts(status) {
        let kind = match status.as_u16() {
            500.. => ErrorKind::Status5xx,
            400..500 => ErrorKind::Status4xx,
            _ => ErrorKind::Unexpected,
        };
        return Err(Fault::new(kind, format!("HTTP status {status}")));
    }
    match expect.mismatch(response.headers(), response.body(), json) {
        Some(why) => Err(Fault::new(ErrorKind::Unexpected, why)),
        None => Ok(()),
    }
}

/// Every condition on a response, with its result.
pub(super) fn findings(
    expect: &Expectation,
    response: &ReceivedResponse,
    json: Option<&Value>,
) -> Vec<CheckResult> {
    let accepted = expect.accepts(response.status);
    let status = CheckResult {
        expected: format!("the status to be {}", expect.statuses()),
        actual: (!accepted).then(|| response.status.as_u16().to_string()),
    };
    std::iter::once(status).chain(expect.findings(response.headers(), response.body(), json)).collect()
}
