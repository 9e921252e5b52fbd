//! Why a request failed.

use std::io;
use std::net::SocketAddr;

use crate::measure::sample::ErrorKind;

/// Why a request failed: the kind that is counted, and what is shown as an example of it.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What a failed attempt to connect means.
    pub(super) fn of_connect(address: SocketAddr, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
            _ if is_local(error) => ErrorKind::Local,
            io::ErrorKind::ConnectionReset => ErrorKind::Reset,
            _ => ErrorKind::ConnectRefused,
        };
        Self::new(kind, format!("{address}: {error}"))
    }

    /// What a failed exchange means.
    pub(super) fn of_exchange(error: &hyper::Error) -> Self {
        let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
        let kind = match cause {
            _ if error.is_incomplete_message() => ErrorKind::Eof,
            _ if error.is_parse_too_large() => ErrorKind::TooLarge,
            _ if error.is_parse() => ErrorKind::Protocol,
            Some(cause) if is_local(cause) => ErrorKind::Local,
            Some(cause) => match cause.kind() {
                io::ErrorKind::UnexpectedEof => ErrorKind::Eof,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                    ErrorKind::Protocol
                }
                _ => ErrorKind::Reset,
            },
            // The connection ended between two requests.
            None if error.is_canceled() || error.is_closed() => ErrorKind::Eof,
            None => ErrorKind::Protocol,
        };
        let text = match cause {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Self::new(kind, text)
    }
}

/// Whether the fault is this machine's: no descriptors, ports, buffers or memory.
fn is_local(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let ours = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| ours.iter().any(|errno| errno.raw_os_error() == code))
}
