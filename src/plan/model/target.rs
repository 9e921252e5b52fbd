//! The target of a plan and how to connect to it.

use core::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Method};

use crate::diagnostic::Span;
use crate::plan::expect::Expectation;
use crate::units::TimeSpan;

/// A request that is repeated before the first phase until the response is as expected.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadyProbe {
    pub method: Method,
    /// Path with its query, below the base path.
    pub path: String,
    pub expect: Expectation,
}

/// How long a user keeps a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionUse {
    pub kept_for: KeptFor,
    /// Age from which it is not used for another request.
    pub max_age: Option<TimeSpan>,
}

/// What a connection is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptFor {
    /// All requests of the user.
    User,
    /// The requests of one task.
    Task,
    /// One request.
    Request,
}

/// The service under test and how to connect to it.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: TargetUrl,
    /// Without one, a TCP connection is enough.
    pub ready: Option<ReadyProbe>,
    /// Time limit for readiness.
    pub ready_within: TimeSpan,
    /// Time limit for a response, from the first byte sent to the last byte received.
    pub timeout: TimeSpan,
    /// Time limit for a connection, TLS handshake included.
    pub connect_timeout: TimeSpan,
    /// Constant headers of every request.
    pub headers: HeaderMap,
    pub http: HttpVersion,
    /// TLS settings; `None` for an `http` URL.
    pub tls: Option<Tls>,
    /// Maximum number of redirects that a request follows.
    pub redirects: u16,
}

/// HTTP version of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    One,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without TLS.
    Two,
}

/// TLS settings. The files are in PEM format and not parsed yet.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Trusted certificates; they replace those of the system.
    pub roots: Option<Bytes>,
    /// Certificate chain of the client and its private key.
    pub identity: Option<(Bytes, Bytes)>,
    /// Name that the certificate must carry, where it differs from the URL's host.
    pub server_name: Option<String>,
    pub trust: Trust,
    /// Place of the settings in the plan; `None` where the defaults apply.
    pub span: Option<Span>,
}

/// Which certificates of the target are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those with a trusted issuer.
    #[default]
    Verified,
    /// All.
    AnyCertificate,
}

/// The URL of the target, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// The only address to connect to: that of the plan, or the host itself.
    pub address: Option<IpAddr>,
    /// Prefix of every request path, without a slash at its end.
    pub base_path: String,
    /// Value of the `Host` header.
    pub authority: HeaderValue,
    /// The URL as written, without secrets.
    pub redacted: String,
}

impl TargetUrl {
    /// Scheme, host and port, such as `http://localhost:8008`.
    pub fn origin(&self) -> String {
        let authority = self.authority.to_str().expect("the authority of a URL is ASCII");
        format!("{}://{authority}", self.scheme)
    }

    /// The URL of a port of this machine.
    pub fn loopback(port: u16) -> Self {
        let authority = HeaderValue::from_str(&format!("127.0.0.1:{port}"));
        Self {
            scheme: "http",
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            address: Some(Ipv4Addr::LOCALHOST.into()),
            base_path: String::new(),
            authority: authority.expect("an IP address and a port are ASCII"),
            redacted: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl std::fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redacted)
    }
}
