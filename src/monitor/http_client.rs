//! Asks over HTTP, on a connection that is kept.

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

/// What is said of a connection that was closed before both ends knew each other.
const TLS_EOF_MESSAGE: &str = "tls handshake eof";
/// No page is longer, in bytes.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// Someone who answers over HTTP.
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: String,
    headers: HeaderMap,
}

/// An answer.
pub struct HttpResponse {
    /// Its status.
    pub status: StatusCode,
    /// How its body was compressed, if it was.
    compressed: Option<String>,
    body: String,
}

impl HttpResponse {
    /// Its text.
    ///
    /// # Errors
    /// When it is compressed.
    pub fn text(&self) -> Result<&str, String> {
        match &self.compressed {
            Some(how) => {
                Err(format!("the answer is compressed ({}), which was not asked for", sanitise(how)))
            }
            None => Ok(&self.body),
        }
    }
}

impl HttpClient {
    /// Gets ready to ask; nothing is connected yet.
    ///
    /// # Errors
    /// When the URL cannot be asked, or no certificates are there for a secure one.
    pub fn of(endpoint: &HttpEndpoint) -> Result<Self, String> {
        let uri: Uri = endpoint.url.parse().map_err(|_| format!("{} is no URL", endpoint.redacted))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("{} begins neither with http:// nor with https://", endpoint.redacted)),
        };
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls(secure)?).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Ok(Self { client, url: endpoint.url.clone(), headers: endpoint.headers.clone() })
    }

    /// The page at the URL itself.
    ///
    /// # Errors
    /// When there is no answer within the limit, or another than 200; says in words why.
    pub async fn get_page(&self, limit: Duration) -> Result<String, String> {
        let answer = self.get("", limit).await?;
        match answer.status {
            StatusCode::OK => answer.text().map(str::to_owned),
            StatusCode::NOT_FOUND => Err("HTTP status 404: is the path /metrics?".to_owned()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
                "HTTP status {}: does it want an `authorization` header?",
                answer.status.as_u16()
            )),
            other => Err(format!("HTTP status {}", other.as_u16())),
        }
    }

    /// What is answered at the URL with something behind it.
    ///
    /// # Errors
    /// When there is no answer within the limit; says in words why.
    pub async fn get(&self, behind: &str, limit: Duration) -> Result<HttpResponse, String> {
        match tokio::time::timeout(limit, self.answer(behind)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        }
    }

    async fn answer(&self, behind: &str) -> Result<HttpResponse, String> {
        let url = if behind.is_empty() {
            self.url.clone()
        } else {
            self.url.trim_end_matches('/').to_owned() + behind
        };
        let mut request = Request::get(url).body(Empty::new()).map_err(|_| "it is no URL".to_owned())?;
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
            return Err("this machine has no trusted certificates".to_owned());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Why there is no answer, in the words of whoever knows best: the innermost cause.
fn innermost_cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    let mut refused = false;
    loop {
        if innermost.is::<LengthLimitError>() {
            return format!("the answer is longer than {} MiB", MAX_PAGE_BYTES >> 20);
        }
        if let Some(error) = innermost.downcast_ref::<rustls::Error>() {
            return match error {
                rustls::Error::InvalidMessage(_) => {
                    "it does not speak TLS: is it http:// and not https://?".to_owned()
                }
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    "this machine does not trust who issued its certificate: SSL_CERT_FILE may name a file of those it trusts"
                        .to_owned()
                }
                error => format!("TLS: {}", sanitise(&error.to_string())),
            };
        }
        if let Some(error) = innermost.downcast_ref::<io::Error>() {
            if error.to_string() == TLS_EOF_MESSAGE {
                return format!("{TLS_EOF_MESSAGE}: is it http:// and not https://?");
            }
            refused |= error.kind() == io::ErrorKind::ConnectionRefused;
            // An error within one of these is not told by `source`.
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
