use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http_body_util::Full;
use tokio::time::Instant;

use crate::engine::connection::Connection;
use crate::engine::fault::Fault;
use crate::engine::socket::Dialer;
use crate::measure::sample::ErrorKind;
use crate::plan::model::Target;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks the target until it is ready, as the plan's `ready` says: an answer of 2xx, or a TCP connect.
///
/// # Errors
/// What was tried last and what came of it, when the target is not ready within its time.
pub async fn wait_until_ready(target: &Target) -> Result<(), String> {
    let deadline = Instant::now() + target.ready_within.duration();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Err(fault) = attempt(target, left.min(target.connect_timeout.duration()), left).await else {
            return Ok(());
        };
        if Instant::now() + PAUSE >= deadline {
            let tried = match &target.ready {
                Some((method, path)) => format!("{method} {}{path}", target.url),
                None => format!("a connection to {}", target.url),
            };
            return Err(format!("{tried}: {} ({})", fault.text, fault.kind.word()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(target: &Target, connect_within: Duration, within: Duration) -> Result<(), Fault> {
    let dialer = Dialer::Tcp(target.url.clone());
    let mut connection = Connection::open(&dialer, connect_within).await?;
    let Some((method, path)) = &target.ready else { return Ok(()) };
    let unfit = |_| Fault::new(ErrorKind::Protocol, "the path cannot be sent");
    let uri = format!("{}{path}", target.url.base_path).parse().map_err(unfit)?;
    let mut request = http::Request::new(Full::new(Bytes::new()));
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = target.headers.clone();
    request.headers_mut().insert(HOST, target.url.authority.clone());
    let (result, _) = connection.exchange(request, within).await;
    let status = result?.status;
    match status.is_success() {
        true => Ok(()),
        false => Err(Fault::new(ErrorKind::Unexpected, format!("HTTP status {status}"))),
    }
}
