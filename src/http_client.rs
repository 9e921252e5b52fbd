//! The HTTP client for exporters and Prometheus servers; it keeps its connection.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use crate::resources::sanitise::sanitise;
use crate::resources::source::HttpEndpoint;

/// The message of tokio-rustls if the server closes the connection during the handshake.
const TLS_EOF_MESSAGE: &str = "tls handshake eof";
/// A longer response is an error.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// A client for one endpoint.
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: String,
    headers: HeaderMap,
}

/// A response with its complete body.
pub struct HttpResponse {
    pub status: StatusCode,
    /// The content encoding, if it is not `identity`.
    compressed: Option<String>,
    body: String,
}

impl HttpResponse {
    /// The body as text.
    ///
    /// # Errors
    /// If the body is compressed.
    pub fn text(&self) -> Result<&str, String> {
        match &self.compressed {
            Some(how) => Err(format!("the response is compressed ({}); turn compression off", sanitise(how))),
            None => Ok(&self.body),
        }
    }
}

impl HttpClient {
    /// Prepares a client, which connects at its first request.
    ///
    /// # Errors
    /// If the URL is invalid, or this machine has no trusted certificates for an `https` URL.
    pub fn of(endpoint: &HttpEndpoint) -> Result<Self, String> {
        let uri: Uri = endpoint.url.parse().map_err(|_| format!("{} is not a URL", endpoint.redacted))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("{} must start with `http://` or `https://`", endpoint.redacted)),
        };
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls(secure)?).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Ok(Self { client, url: endpoint.url.clone(), headers: endpoint.headers.clone() })
    }

    /// The page at the URL of the endpoint.
    ///
    /// # Errors
    /// If there is no response within the limit, its status is not 200, or it is compressed.
    pub async fn get_page(&self, limit: Duration) -> Result<String, String> {
        let answer = self.get("", limit).await?;
        match answer.status {
            StatusCode::OK => answer.text().map(str::to_owned),
            StatusCode::NOT_FOUND => Err("HTTP status 404: is the path /metrics?".to_owned()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
                "HTTP status {}: is an `authorization` header missing in `headers`?",
                answer.status.as_u16()
            )),
            other => Err(format!("HTTP status {}", other.as_u16())),
        }
    }

    /// The response at the URL of the endpoint followed by `behind`.
    ///
    /// # Errors
    /// If there is no response within the limit, or the connection fails.
    pub async fn get(&self, behind: &str, limit: Duration) -> Result<HttpResponse, String> {
        match tokio::time::timeout(limit, self.answer(behind)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no response within {} s", limit.as_secs_f64())),
        }
    }

    async fn answer(&self, behind: &str) -> Result<HttpResponse, String> {
        let url = if behind.is_empty() {
            self.url.clone()
        } else {
            self.url.trim_end_matches('/').to_owned() + behind
        };
        let mut request =
            Request::get(url).body(Empty::new()).map_err(|_| "the URL is invalid".to_owned())?;
        *request.headers_mut() = self.headers.clone();
        let response = self.client.request(request).await.map_err(|error| innermost_cause(&error))?;
        let status = response.status();
        let encoding =
            response.headers().get(CONTENT_ENCODING).map(|name| String::from_utf8_lossy(name.as_bytes()));
        let encoding = encoding.map(|name| name.trim().to_owned());
        let compressed = encoding.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await;
        let body = body.map_err(|error| innermost_cause(&*error))?.to_bytes();
        Ok(HttpResponse { status, compressed, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn tls(secure: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if secure {
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(
                "this machine has no trusted certificates; name a file of them in `SSL_CERT_FILE`".to_owned()
            );
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The reason for a failed request: the innermost cause, which is the most precise.
fn innermost_cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    let mut refused = false;
    loop {
        if innermost.is::<LengthLimitError>() {
            return format!("the response is longer than {} MiB; check the URL", MAX_PAGE_BYTES >> 20);
        }
        if let Some(error) = innermost.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidMessage(_) => {
                    "the server does not use TLS: should the URL start with `http://`?".to_owned()
                }
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    "this machine does not trust the issuer of its certificate; name a file with it in `SSL_CERT_FILE`"
                        .to_owned()
                }
                error => format!("TLS: {}", sanitise(&error.to_string())),
            };
        }
        if let Some(error) = innermost.downcast_ref::<io::Error>() {
            if error.to_string() == TLS_EOF_MESSAGE {
                return format!("{TLS_EOF_MESSAGE}: should the URL start with `http://`?");
            }
            refused |= error.kind() == io::ErrorKind::ConnectionRefused;
            // `source` does not return the error that an I/O error wraps.
            if let Some(within) = error.get_ref() {
                innermost = within;
                continue;
            }
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    if refused { "connection refused".to_owned() } else { sanitise(&innermost.to_string()) }
}
