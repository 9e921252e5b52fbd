use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http_body_util::Full;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::engine::timer::PreciseTimer;
use crate::engine::wire::connection::{Connection, Keep, ReadOptions};
use crate::engine::wire::fault::Fault;
use crate::engine::wire::socket::Dialer;
use crate::measure::sample::ErrorKind;
use crate::plan::model::{HttpVersion, Target};

/// Looks whether what a plan says about TLS can be used.
///
/// # Errors
/// What cannot, and why.
pub fn check_tls(target: &Target) -> Result<(), String> {
    Dialer::new(target).map(drop)
}

/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Asks the target until it is ready, as the plan's `ready` says: an answer of 2xx, or a TCP connect.
///
/// # Errors
/// What was tried last and what came of it, when the target is not ready within its time.
pub async fn wait_until_ready(target: &Target, dialer: &Dialer) -> Result<(), String> {
    // HTTP/2 has work to do beside requests, on this thread.
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
                Some((method, path)) => format!("{method} {}{path}", target.url),
                None => format!("a connection to {}", target.url),
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
    let (mut connection, _) = Connection::open(dialer, connect_within).await?;
    let Some((method, path)) = &target.ready else { return Ok(()) };
    let unsendable = |_| Fault::new(ErrorKind::Protocol, "the path cannot be sent");
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
    let options = ReadOptions { keep: Keep::Nothing, max_bytes: None };
    let (result, _) = connection.exchange(&mut request, options, within, timer).await;
    let status = result?.status;
    match status.is_success() {
        true => Ok(()),
        false => Err(Fault::new(ErrorKind::Unexpected, format!("HTTP status {status}"))),
    }
}
