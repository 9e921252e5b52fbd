use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Method};

use crate::diagnostic::Span;
use crate::units::TimeSpan;

/// Values that no output may show.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// These secrets, in every form in which they are sent.
    pub(in crate::plan) fn new(mut forms: Vec<String>) -> Self {
        // One may be a part of another, which must then be replaced first to go whole.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// The text with every secret in it replaced by `***`.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    /// The same for a text with quotes that were cut, maybe in the middle of a secret: what is left of it goes too, up to
    /// its first four characters.
    pub fn redact_truncated(&self, text: &str) -> String {
        let cut = |text: String, secret: &String| {
            let ends = secret.char_indices().map(|(end, _)| end).skip(4);
            let parts: Vec<&str> = ends.map(|end| &secret[..end]).collect();
            let parts = parts.into_iter().rev().flat_map(|part| ["`", "…"].map(|end| (part, end)));
            parts.fold(text, |text, (part, end)| text.replace(&format!("{part}{end}"), &format!("***{end}")))
        };
        self.0.iter().fold(self.redact(text), cut)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Who is tested and how to reach it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub url: TargetUrl,
    /// What is asked until it answers 2xx, before any load; a TCP connect where there is none.
    pub ready: Option<(Method, String)>,
    /// How long it may take to get ready.
    pub ready_within: TimeSpan,
    /// A request that takes longer, from sent, has failed.
    pub timeout: TimeSpan,
    /// A connection that takes longer has failed.
    pub connect_timeout: TimeSpan,
    /// Headers of every request, constant.
    pub headers: HeaderMap,
    /// The version of HTTP.
    pub http: HttpVersion,
    /// How it is reached over TLS; `None` where it is not.
    pub tls: Option<Tls>,
    /// How many redirects a request may follow.
    pub redirects: u16,
}

/// The version of HTTP that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    One,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without.
    Two,
}

/// How a target is reached over TLS. Files are in PEM and not yet looked into.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// What is trusted instead of the system's roots.
    pub roots: Option<Bytes>,
    /// The client's certificate chain and its key.
    pub identity: Option<(Bytes, Bytes)>,
    /// The name that the certificate must bear, where it is not the url's host.
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    pub trust: Trust,
    /// Where it was written.
    pub span: Option<Span>,
}

/// Which certificates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those that a trusted authority vouches for.
    #[default]
    Verified,
    /// Any.
    AnyCertificate,
}

/// The parts of the target's URL that are needed to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What every path is appended to; without a slash at its end.
    pub base_path: String,
    /// The value of the `Host` header.
    pub authority: HeaderValue,
    /// The URL as it may be shown, without secrets.
    pub redacted: String,
}

impl TargetUrl {
    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        let authority = self.authority.to_str().expect("a host is printable");
        format!("{}://{authority}", self.scheme)
    }

    /// A port of this machine.
    pub fn loopback(port: u16) -> Self {
        let authority = HeaderValue::from_str(&format!("127.0.0.1:{port}"));
        Self {
            scheme: "http",
            host: "127.0.0.1".to_owned(),
            port,
            base_path: String::new(),
            authority: authority.expect("an address is printable"),
            redacted: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl std::fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redacted)
    }
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn the_rest_of_a_truncated_secret_is_redacted_too() {
        let secrets = Secrets::new(vec!["s3cr3tTok".to_owned()]);
        assert_eq!(secrets.redact_truncated("denied: `x s3cr3tTok y`"), "denied: `x *** y`");
        assert_eq!(secrets.redact_truncated("denied: `x s3cr3tT`"), "denied: `x ***`");
        assert_eq!(secrets.redact_truncated("denied: `x s3cr…`"), "denied: `x ***…`");
        assert_eq!(secrets.redact_truncated("denied: `s3c`"), "denied: `s3c`");
    }
}
