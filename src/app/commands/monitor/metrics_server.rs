//! `--listen`: serves this machine's counters over HTTP in node_exporter format. Each request reads the counters again.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};

use crate::app::failure;
use crate::gate::Ending;
use crate::kernel::Kernel;
use crate::resources::exporter::exposition_writer;
use crate::resources::machine::MachineCounters;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Listens on an address and serves until the runtime is dropped. Returns the address with the actual port.
pub(super) async fn serve(address: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.map_err(|error| refusal(address, &error))?;
    let listening = listener.local_addr().map_err(|error| refusal(address, &error))?;
    tokio::spawn(accept(listener));
    Ok(listening)
}

fn refusal(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is already in use; choose another port for `--listen`, or port 0 for a free one (see `ss -ltnp`)"
        ),
        _ => format!("could not listen on {address}: {error}; give `--listen` an address of this machine"),
    };
    failure(Ending::Refused, problem)
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream));
            }
            // Out of descriptors, or the client has left. An immediate retry would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn connection(stream: TcpStream) {
    // A failed connection affects only its client.
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let (status, kind, body) = match request.uri().path() {
        "/metrics" if reads => match page() {
            Ok(page) => (StatusCode::OK, EXPOSITION, page),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, PLAIN, why + "\n"),
        },
        "/" if reads => (StatusCode::OK, PLAIN, "the metrics of this machine are at /metrics\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, PLAIN, "not found; the metrics are at GET /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn page() -> Result<String, String> {
    let machine = Kernel::this_machine().machine(&[])?;
    // A remote client cannot read this machine's monotonic clock, so the timestamp is wall-clock time.
    let at = Timestamp::now().as_duration().as_secs_f64();
    Ok(exposition_writer::text(&MachineCounters { at, ..machine }))
}
