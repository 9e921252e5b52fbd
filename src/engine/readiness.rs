//! The readiness probe of a target, and the check of its TLS settings before a run.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http_body_util::Full;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::engine::expectations;
use crate::engine::timer::PreciseTimer;
use crate::engine::user::json_body;
use crate::engine::wire::connection::Connection;
use crate::engine::wire::declare_empty_body;
use crate::engine::wire::fault::Fault;
use crate::engine::wire::response::{Keep, ReadOptions};
use crate::engine::wire::socket::Dialer;
use crate::measure::sample::ErrorKind;
use crate::plan::model::{HttpVersion, ReadyProbe, Target};

/// Checks that the TLS settings of a plan can be used.
///
/// # Errors
/// Names the setting that cannot be used and the reason.
pub fn check_tls(target: &Target) -> Result<(), String> {
    Dialer::new(target).map(drop)
}

/// The time between two probes.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Probes the target until it is ready: until the response to the request of the plan's `ready` is as expected or,
/// without `ready`, until a connection is established.
///
/// # Errors
/// When the target is not ready within its `ready_within`; names the last probe and its result.
pub async fn wait_until_ready(target: &Target, dialer: &Dialer) -> Result<(), String> {
    // HTTP/2 also runs tasks of its own, on this thread.
    let timer = PreciseTimer::new();
    LocalSet::new().run_until(timer.drive_while(until_ready(target, dialer, &timer))).await
}

async fn until_ready(target: &Target, dialer: &Dialer, timer: &PreciseTimer) -> Result<(), String> {
    let deadline = Instant::now() + target.ready_within.duration();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Err(fault) = probe_once(target, dialer, timer, left).await else {
            return Ok(());
        };
        if Instant::now() + RETRY_INTERVAL >= deadline {
            let tried = match &target.ready {
                Some(ReadyProbe { method, path, .. }) => format!("`{method} {}{path}`", target.url),
                None => format!("a connection to `{}`", target.url),
            };
            return Err(format!("{tried}: {} ({})", fault.text, fault.kind.as_str()));
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

async fn probe_once(
    target: &Target,
    dialer: &Dialer,
    timer: &PreciseTimer,
    within: Duration,
) -> Result<(), Fault> {
    let connect_within = within.min(target.connect_timeout.duration());
    let (mut connection, _) = Connection::open(dialer, connect_within, 0).await?;
    let Some(ReadyProbe { method, path, expect }) = &target.ready else { return Ok(()) };
    let unsendable = |_| Fault::new(ErrorKind::Protocol, "the path of `ready` is not a valid URI path");
    let mut request = http::Request::new(Full::new(Bytes::new()));
    *request.headers_mut() = target.headers.clone();
    let origin = match target.http {
        HttpVersion::One => {
            request.headers_mut().insert(HOST, target.url.authority.clone());
            String::new()
        }
        HttpVersion::Two => {
            *request.version_mut() = http::Version::HTTP_2;
            target.url.origin()
        }
    };
    *request.method_mut() = method.clone();
    *request.uri_mut() = format!("{origin}{}{path}", target.url.base_path).parse().map_err(unsendable)?;
    declare_empty_body(&mut request);
    let keep = if expect.inspects_body() { Keep::Whole } else { Keep::Head };
    let options = ReadOptions { keep, expect };
    let response = connection.exchange(&mut request, options, within, timer).await?;
    let json = expect.needs_json().then(|| json_body::parse(response.body())).flatten();
    expectations::check(expect, &response, json.as_ref())
}
