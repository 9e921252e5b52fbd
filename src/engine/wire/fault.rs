//! Why a request failed.

use std::io;
use std::net::SocketAddr;

use crate::measure::sample::ErrorKind;

/// Why a request failed: the kind that is counted, and what is shown as an example of it.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Fault {
    pub(in crate::engine) kind: ErrorKind,
    pub(in crate::engine) text: String,
}

impl Fault {
    pub(in crate::engine) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What a failed attempt to connect means.
    pub(in crate::engine) fn of_connect(address: SocketAddr, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
            _ if is_local(error) => ErrorKind::Local,
            io::ErrorKind::ConnectionReset => ErrorKind::Reset,
            _ => ErrorKind::ConnectRefused,
        };
        Self::new(kind, format!("{address}: {error}"))
    }

    /// What a failed TLS handshake means.
    pub(in crate::engine) fn of_tls(error: &io::Error) -> Self {
        match of_rustls(error) {
            Some(error) => Self::new(ErrorKind::Tls, error.to_string()),
            None if error.kind() == io::ErrorKind::ConnectionReset => {
                Self::new(ErrorKind::Reset, format!("in the TLS handshake: {error}"))
            }
            None => Self::new(ErrorKind::Tls, format!("the TLS handshake ended: {error}")),
        }
    }

    /// What a failed exchange means.
    pub(in crate::engine) fn of_exchange(error: &hyper::Error) -> Self {
        let source = std::error::Error::source(error);
        let of_http2 = source.and_then(|source| source.downcast_ref::<h2::Error>());
        let direct = source.and_then(|source| source.downcast_ref::<io::Error>());
        let cause = direct.or_else(|| of_http2.and_then(h2::Error::get_io));
        let kind = match cause {
            _ if error.is_incomplete_message() => ErrorKind::Eof,
            _ if error.is_parse_too_large() => ErrorKind::TooLarge,
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
            // What is detected on this side is an answer that is not HTTP/2.
            None if of_http2.is_some_and(h2::Error::is_remote) => ErrorKind::Reset,
            None => ErrorKind::Protocol,
        };
        let text = match (cause, of_http2) {
            (Some(cause), _) => format!("{error}: {cause}"),
            (None, Some(cause)) => format!("{error}: {cause}"),
            (None, None) => error.to_string(),
        };
        Self::new(kind, text)
    }
}

/// The part of a fault that is TLS's.
fn of_rustls(error: &io::Error) -> Option<&tokio_rustls::rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Whether the fault is this machine's: no descriptors, ports, buffers or memory.
fn is_local(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let ours = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| ours.iter().any(|errno| errno.raw_os_error() == code))
}
