//! The fault of a failed request: errors of connecting, TLS and HTTP, mapped to the kinds that are counted.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::engine::wire::response::HEAD_LIMITS;
use crate::engine::wire::socket::Moments;
use crate::engine::wire::stream_end::StreamEnd;
use crate::engine::wire::tls::in_words;
use crate::measure::sample::ErrorKind;

/// Ranges of idle times in words, each with its upper end in seconds.
const IDLE_RANGES: [(f64, &str); 6] = [
    (0.5, "less than 0.5 s"),
    (2.0, "0.5 to 2 s"),
    (5.0, "2 to 5 s"),
    (10.0, "5 to 10 s"),
    (30.0, "10 to 30 s"),
    (60.0, "30 to 60 s"),
];

/// Why a request failed: the error kind that is counted, and a text that is shown as its example.
///
/// It is boxed, because every result of a request moves the room of one.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Fault(Box<FaultContent>);

/// The parts of a fault.
#[derive(Debug, Clone)]
pub(in crate::engine) struct FaultContent {
    pub(in crate::engine) kind: ErrorKind,
    pub(in crate::engine) text: String,
    /// How long its connection had been idle before.
    pub(in crate::engine) idle: Duration,
    /// Whether a part of a response had arrived.
    pub(in crate::engine) is_answered: bool,
    /// Whether the target cannot have processed the request, as far as there is evidence.
    pub(in crate::engine) unprocessed: Option<Unprocessed>,
    /// The body of an unexpected response, or its begin.
    pub(in crate::engine) body: Bytes,
}

/// The evidence that the target has not processed a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Unprocessed {
    /// The target's kernel acknowledged none of it, or the target says so (HTTP/2).
    Certain,
    /// It probably lies unread in a socket that was closed, or was discarded by a target that was closing. It may also have
    /// been read by a target that resets.
    Unclear,
}

impl Deref for Fault {
    type Target = FaultContent;

    fn deref(&self) -> &FaultContent {
        &self.0
    }
}

impl DerefMut for Fault {
    fn deref_mut(&mut self) -> &mut FaultContent {
        &mut self.0
    }
}

impl Fault {
    pub(in crate::engine) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        let (text, idle, body) = (text.into(), Duration::ZERO, Bytes::new());
        Self(Box::new(FaultContent { kind, text, idle, is_answered: false, unprocessed: None, body }))
    }

    /// The same fault of a body that is compressed, and so cannot be looked into.
    pub(in crate::engine) fn of_compressed(mut self, encoding: &HeaderValue) -> Self {
        let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
        let is_plain = self.kind != ErrorKind::Unexpected || encoding.eq_ignore_ascii_case("identity");
        if is_plain {
            return self;
        }
        let text = format!(
            "{}; the body is compressed (`content-encoding: {encoding}`) and is not decompressed: do not ask for it with \
             `accept-encoding`",
            self.text
        );
        self.text = text;
        self
    }

    /// The same fault of a connection that had been idle for this long. The text names one of a
    /// few ranges, so that equal failures have equal texts.
    pub(in crate::engine) fn after_idle(mut self, idle: Duration, was_used: bool) -> Self {
        if !matches!(self.kind, ErrorKind::Eof | ErrorKind::Reset) {
            return self;
        }
        let range = IDLE_RANGES.iter().find(|(below_s, _)| idle.as_secs_f64() < *below_s);
        let range = range.map_or("over a minute", |(_, range)| range);
        let before = match was_used {
            false if range == IDLE_RANGES[0].1 => "was new".to_owned(),
            _ => format!("had been idle for {range}"),
        };
        self.text = format!("{}; the connection {before}", self.text);
        self.idle = idle;
        self
    }

    /// The same fault after a part of a response had arrived.
    pub(in crate::engine) fn answered(mut self) -> Self {
        self.is_answered = true;
        self
    }

    /// Whether the connection ended before a part of a response had arrived.
    pub(in crate::engine) fn is_unanswered_end(&self) -> bool {
        matches!(self.kind, ErrorKind::Eof | ErrorKind::Reset) && !self.is_answered
    }

    /// The same fault with what the socket shows of the request.
    pub(in crate::engine) fn with_evidence(mut self, moments: Moments) -> Self {
        let Moments { written, end, .. } = moments;
        let by_socket = || match end {
            _ if written == 0 => Some(Unprocessed::Certain),
            Some(StreamEnd { is_reset, unacknowledged: Some(left), .. }) if left >= written => {
                Some(if is_reset { Unprocessed::Unclear } else { Unprocessed::Certain })
            }
            Some(StreamEnd { is_unread, .. }) => is_unread.then_some(Unprocessed::Unclear),
            None => None,
        };
        let is_end = self.is_unanswered_end();
        self.unprocessed = self.unprocessed.or_else(|| by_socket().filter(|_| is_end));
        self
    }

    /// The fault of a request that was in flight when the drain ended.
    pub(in crate::engine) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the run ended while the request was in flight")
    }

    /// The fault of a failed attempt to connect.
    pub(in crate::engine) fn of_connect(address: SocketAddr, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
            _ if is_local(error) => ErrorKind::Local,
            io::ErrorKind::ConnectionReset => ErrorKind::Reset,
            _ => ErrorKind::ConnectRefused,
        };
        Self::new(kind, format!("could not connect to `{address}`: {error}"))
    }

    /// The fault of a failed TLS handshake.
    pub(in crate::engine) fn of_tls(error: &io::Error) -> Self {
        match of_rustls(error) {
            Some(error) => Self::new(ErrorKind::Tls, in_words(error)),
            None if error.kind() == io::ErrorKind::ConnectionReset => {
                Self::new(ErrorKind::Reset, format!("during the TLS handshake: {error}"))
            }
            None => Self::new(ErrorKind::Tls, format!("the TLS handshake failed: {error}")),
        }
    }

    /// The fault of a failed exchange of request and response.
    pub(in crate::engine) fn of_exchange(error: &hyper::Error) -> Self {
        let source = std::error::Error::source(error);
        let of_http2 = source.and_then(|source| source.downcast_ref::<h2::Error>());
        let direct = source.and_then(|source| source.downcast_ref::<io::Error>());
        let cause = direct.or_else(|| of_http2.and_then(h2::Error::get_io));
        let kind = match cause {
            _ if error.is_incomplete_message() => ErrorKind::Eof,
            _ if error.is_parse_too_large() => {
                return Self::new(ErrorKind::TooLarge, format!("{error}: {HEAD_LIMITS}"));
            }
            _ if error.is_parse() => ErrorKind::Protocol,
            Some(cause) if is_local(cause) => ErrorKind::Local,
            Some(cause) if of_rustls(cause).is_some() => ErrorKind::Tls,
            Some(cause) => match cause.kind() {
                io::ErrorKind::UnexpectedEof => ErrorKind::Eof,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                    ErrorKind::Protocol
                }
                _ => ErrorKind::Reset,
            },
            // The connection ended between two requests.
            None if error.is_canceled() || error.is_closed() => ErrorKind::Eof,
            // An HTTP/2 error detected on this side means that the response was not HTTP/2.
            None if of_http2.is_some_and(h2::Error::is_remote) => ErrorKind::Reset,
            None => ErrorKind::Protocol,
        };
        let text = match (cause, of_http2) {
            (Some(cause), _) => format!("{error}: {cause}"),
            (None, Some(cause)) if is_unspecific(cause) => format!("{error}: {cause}; {HEAD_LIMITS}"),
            (None, Some(cause)) if cause.is_library() || cause.is_io() => {
                format!("{error}: {cause}; if the target speaks only HTTP/1.1, set `http = \"1.1\"`")
            }
            (None, Some(cause)) => format!("{error}: {cause}"),
            (None, None) if error.is_parse() && error.to_string().contains("version") => {
                format!("{error}; if the target speaks only HTTP/2, set `http = \"2\"`")
            }
            (None, None) => error.to_string(),
        };
        // Streams above the last one of a GOAWAY, and refused ones, were not processed (RFC 9113, section 8.7).
        let is_refused = of_http2.is_some_and(|error| {
            error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
        });
        let mut fault = Self::new(kind, text);
        fault.unprocessed = is_refused.then_some(Unprocessed::Certain);
        fault
    }
}

/// Whether an HTTP/2 error was found on this side and does not say more. A head that is too large is one of them.
fn is_unspecific(error: &h2::Error) -> bool {
    error.is_library() && error.reason() == Some(h2::Reason::PROTOCOL_ERROR)
}

/// The TLS error inside an I/O error, if there is one.
fn of_rustls(error: &io::Error) -> Option<&tokio_rustls::rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Whether this machine caused the error: it has no descriptors, ports, buffers or memory left.
fn is_local(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let ours = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| ours.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The evidence of a failed request of 100 bytes, of which this many were not acknowledged when the stream ended.
    fn evidence(kind: ErrorKind, is_reset: bool, unacknowledged: Option<u64>) -> Option<Unprocessed> {
        let end = Some(StreamEnd { is_reset, unacknowledged, is_unread: false });
        Fault::new(kind, "x").with_evidence(Moments { written: 100, end, ..Moments::default() }).unprocessed
    }

    #[test]
    fn a_request_of_which_nothing_was_acknowledged_was_not_processed() {
        use ErrorKind::{Eof, Reset, Timeout};
        assert_eq!(evidence(Eof, false, Some(100)), Some(Unprocessed::Certain));
        assert_eq!(evidence(Reset, true, Some(100)), Some(Unprocessed::Unclear));
        // What was acknowledged may have been read.
        assert_eq!(evidence(Reset, true, Some(0)), None);
        assert_eq!((evidence(Eof, false, Some(0)), evidence(Eof, false, Some(99))), (None, None));
        assert_eq!((evidence(Eof, false, None), evidence(Timeout, false, Some(100))), (None, None));
        let unwritten = Fault::new(Eof, "x").with_evidence(Moments::default());
        assert_eq!(unwritten.unprocessed, Some(Unprocessed::Certain));
    }

    #[test]
    fn equal_idle_times_give_equal_texts() {
        let text =
            |ms| Fault::new(ErrorKind::Eof, "x").after_idle(Duration::from_millis(ms), true).text.clone();
        assert_eq!(text(4998), text(2003));
        assert_eq!(
            (text(5001), text(1)),
            (
                "x; the connection had been idle for 5 to 10 s".to_owned(),
                "x; the connection had been idle for less than 0.5 s".to_owned(),
            )
        );
        assert!(text(61_000).ends_with("over a minute"));
    }
}
