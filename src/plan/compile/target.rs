//! Compiles the target: its URL, readiness probe, headers and TLS settings.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::diagnostic::{Code, Span};
use crate::document::{Map, PlainOrTable, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{
    ConnectionsDocument, HttpVersionDocument, ReadyDocument, TargetDocument, TlsDocument,
};
use crate::plan::encoding::Encoding;
use crate::plan::expect::StatusRange;
use crate::plan::model::{
    ConnectionUse, HttpVersion, KeptFor, ReadyProbe, Secrets, Target, TargetUrl, Tls, Trust,
};
use crate::units::TimeSpan;

/// A readiness probe in its short form or as a table.
type ReadyProbeDocument = PlainOrTable<String, ReadyDocument>;

const MAX_REDIRECTS: u16 = 20;
/// Maximum size of a file with certificates or a key.
const MAX_PEM_BYTES: usize = 4 << 20;

impl Compiler<'_, '_> {
    pub(super) fn target(&mut self, document: &TargetDocument, url_override: Option<&str>) -> Option<Target> {
        let url = match url_override {
            Some(url) => {
                let place = self.problems.add_option("--target", url);
                self.url(url, place)
            }
            None => {
                let url = document.url.as_ref()?;
                let text = self.constant(url, Encoding::Raw)?;
                self.url(&text, url.span)
            }
        };
        let headers = document.headers.as_ref().map(|headers| self.constant_headers(headers));
        let ready = document.ready.as_ref().map(|ready| self.ready(ready));
        let url = match &document.address {
            // The plan's address belongs to the plan's URL.
            Some(address) if url_override.is_none() => self.at_address(url?, address)?,
            _ => url?,
        };
        let tls = self.tls(document, &url);
        let redirects = document.follow_redirects.as_ref().and_then(|redirects| self.redirects(redirects));
        let TargetDocument { ready_within, timeout, connect_timeout, .. } = document;
        let [ready_within, timeout, connect_timeout] = [ready_within, timeout, connect_timeout]
            .map(|span| span.as_ref().map(|span| self.positive(span)));
        Some(Target {
            url,
            ready: match ready {
                Some(ready) => Some(ready?),
                None => None,
            },
            ready_within: ready_within?,
            timeout: timeout?,
            connect_timeout: connect_timeout?,
            headers: headers.unwrap_or_default(),
            http: match document.http.as_ref()?.value {
                HttpVersionDocument::One => HttpVersion::One,
                HttpVersionDocument::Two => HttpVersion::Two,
            },
            tls: tls?,
            redirects: redirects?,
        })
    }

    /// How long users keep a connection, by two keys of a table. What they do not say is `inherited`.
    pub(super) fn connection_use(
        &mut self,
        connections: Option<&Spanned<ConnectionsDocument>>,
        max_age: Option<&Spanned<TimeSpan>>,
        inherited: ConnectionUse,
    ) -> ConnectionUse {
        if let Some(age) = max_age.filter(|age| age.value.is_zero()) {
            let help = "write a duration such as `\"5m\"`, or `connections = \"per-request\"` for a new connection each";
            self.report(Code::OutOfRange, "`max_connection_age` must be above 0", age.span, help);
        }
        ConnectionUse {
            kept_for: connections.map_or(inherited.kept_for, |written| match written.value {
                ConnectionsDocument::Keep => KeptFor::User,
                ConnectionsDocument::PerTask => KeptFor::Task,
                ConnectionsDocument::PerRequest => KeptFor::Request,
            }),
            max_age: max_age.map(|age| age.value).or(inherited.max_age),
        }
    }

    /// The URL with the only address to connect to.
    fn at_address(&mut self, url: TargetUrl, address: &Spanned<String>) -> Option<TargetUrl> {
        let text = self.constant(address, Encoding::Raw)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let message = format!("`{}` is not an IP address", address.value.escape_debug());
            let help =
                "write an address such as `\"192.0.2.7\"` or `\"2001:db8::7\"`; the port is that of the URL";
            self.report(Code::BadUrl, message, address.span, help);
        }
        Some(TargetUrl { address: Some(parsed?), ..url })
    }

    fn redirects(&mut self, written: &Spanned<u16>) -> Option<u16> {
        let fits = written.value <= MAX_REDIRECTS;
        if !fits {
            let count = written.value;
            let message = format!("`follow_redirects` must be between 0 and {MAX_REDIRECTS}, not `{count}`");
            let help = "write a whole number such as `follow_redirects = 5`";
            self.report(Code::OutOfRange, message, written.span, help);
        }
        fits.then_some(written.value)
    }

    /// The outer option is `None` after a problem was reported, the inner one is `None` without TLS.
    #[expect(clippy::option_option, reason = "the outer option means valid, the inner one present")]
    fn tls(&mut self, document: &TargetDocument, url: &TargetUrl) -> Option<Option<Tls>> {
        let Some(Spanned { value: written, span }) = &document.tls else {
            return Some((url.scheme == "https").then(Tls::default));
        };
        let TlsDocument { ca_file, client_cert, client_key, server_name, insecure } = written;
        if let (Some(one), None) | (None, Some(one)) = (client_cert, client_key) {
            let help = "write both, or remove this one";
            self.report(
                Code::ExactlyOne,
                "`client_cert` and `client_key` require each other",
                one.span,
                help,
            );
            return None;
        }
        let mut read = |file: &Option<Spanned<String>>| match file {
            Some(file) => self.files.bytes(file, MAX_PEM_BYTES, self.problems).map(Some),
            None => Some(None),
        };
        let (roots, certificate, key) = (read(ca_file)?, read(client_cert)?, read(client_key)?);
        if url.scheme != "https" {
            let message = "`tls` has no effect: the URL starts with `http://`";
            let help = "write `https://` in the URL, or remove `tls`";
            self.report(Code::NoEffect, message, *span, help);
            return Some(None);
        }
        let trust = match insecure.as_ref()?.value {
            true => Trust::AnyCertificate,
            false => Trust::Verified,
        };
        if let (Trust::AnyCertificate, Some(unused)) = (trust, ca_file.as_ref().or(server_name.as_ref())) {
            let message = "this has no effect: `insecure` accepts any certificate";
            self.report(Code::NoEffect, message, unused.span, "remove `insecure`, or remove this");
        }
        Some(Some(Tls {
            roots,
            identity: certificate.zip(key),
            server_name: server_name.as_ref().map(|name| name.value.clone()),
            trust,
            span: Some(*span),
        }))
    }

    fn positive(&mut self, written: &Spanned<TimeSpan>) -> TimeSpan {
        let Spanned { value, span } = written;
        if value.is_zero() || value.seconds() > 3600.0 {
            let message = format!("this duration must be above 0 and at most 1h, not `{value}`");
            self.report(Code::OutOfRange, message, *span, "write a duration such as `\"30s\"`");
        }
        *value
    }

    fn url(&mut self, text: &str, span: Span) -> Option<TargetUrl> {
        let result = parse_url(text);
        if let Err((code, why)) = &result {
            // The text may contain a secret, so only the reason is shown.
            let help = "write a URL such as `http://localhost:8008` or `http://kms.example:8008/api`";
            self.report(*code, format!("the URL of the target is not valid: {why}"), span, help);
        }
        // Taken from the text as written, because the parsed form may encode a secret differently.
        let redacted = Secrets::new(self.secrets.clone()).redact(text.trim_end_matches('/'));
        result.ok().map(|url| TargetUrl { redacted, ..url })
    }

    fn ready(&mut self, ready: &Spanned<ReadyProbeDocument>) -> Option<ReadyProbe> {
        let (request, expect) = match &ready.value {
            PlainOrTable::Plain(request) => (&Spanned::new(request.clone(), ready.span), None),
            PlainOrTable::Table(ReadyDocument { request, expect }) => (request.as_ref()?, expect.as_ref()),
        };
        let expect = self.expect(expect, vec![StatusRange::class(2)]);
        let (method, path) = self.request_line(request)?;
        let path = self.constant(&Spanned::new(path.to_owned(), request.span), Encoding::Path)?;
        Some(ReadyProbe { method, path, expect: expect? })
    }

    pub(super) fn constant_headers(&mut self, headers: &Spanned<Map<String>>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (key, value) in &headers.value.0 {
            let name = self.header_name(&key.name, key.span);
            let Some(text) = self.constant(value, Encoding::Header) else { continue };
            let Some(name) = name else { continue };
            match HeaderValue::from_str(&text) {
                Ok(value) => {
                    map.insert(name, value);
                }
                Err(_) => self.bad_header_value(&key.name, value.span),
            }
        }
        map
    }

    pub(super) fn bad_header_value(&mut self, name: &str, span: Span) {
        let message = format!("the value of header `{name}` must be one line of printable text");
        self.report(Code::BadRequest, message, span, "remove line breaks and control characters");
    }

    pub(super) fn header_name(&mut self, text: &str, span: Span) -> Option<HeaderName> {
        let managed = ["host", "content-length", "transfer-encoding", "connection"];
        if managed.contains(&text.to_ascii_lowercase().as_str()) {
            let message = format!("header `{text}` is set by the load generator");
            self.report(Code::BadRequest, message, span, "remove it: the generator adds it where needed");
            return None;
        }
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        if name.is_none() {
            let message = format!("`{text}` is not a valid header name");
            self.report(Code::BadRequest, message, span, "use letters, digits and `-`");
        }
        name
    }
}

fn parse_url(text: &str) -> Result<TargetUrl, (Code, String)> {
    let bad = |why: &str| (Code::BadUrl, why.to_owned());
    let url = url::Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => bad("it must start with `http://` or `https://`"),
        other => bad(&other.to_string()),
    })?;
    let scheme = match url.scheme() {
        "http" => "http",
        "https" => "https",
        _ => return Err(bad("it must start with `http://` or `https://`")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it contains a user name or a password, which belong in an `authorization` header"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has a query or a fragment, which belong in a `request`"));
    }
    let written = url.host_str().ok_or_else(|| bad("it must have a host"))?;
    let host = written.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(80);
    let authority = url.port().map_or_else(|| written.to_owned(), |port| format!("{written}:{port}"));
    Ok(TargetUrl {
        scheme,
        address: host.parse().ok(),
        host: host.to_owned(),
        port,
        base_path: url.path().trim_end_matches('/').to_owned(),
        authority: HeaderValue::from_str(&authority)
            .map_err(|_| bad("its host cannot be a `Host` header"))?,
        redacted: String::new(),
    })
}
