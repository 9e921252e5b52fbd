//! A minimal HTTP/1.1 parser that finds the end of a request.

use memchr::memmem;

/// The largest size of a head, in bytes.
pub(crate) const LONGEST_HEAD: usize = 16 * 1024;

/// A request at the start of the bytes read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its bytes, including the empty line.
    pub(crate) length: usize,
    /// Bytes of the body that follows.
    pub(crate) body: usize,
    pub(crate) asks: Asks,
    /// Whether the connection closes after the response.
    pub(crate) last: bool,
}

/// The purpose of a request: load, or control by the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Answer,
    Count,
    Reset,
    Lag,
}

/// The reason why bytes are not a supported request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLong,
    Length,
    Chunked,
}

/// Parses the head at the start of `bytes`; `None` while it is incomplete.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, Refused> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err(Refused::TooLong) } else { Ok(None) };
    };
    let lines = &bytes[..end + 2];
    // Body headers of GET and HEAD are ignored: load generators send no such bodies, and this is the hot path.
    let bodiless = lines.starts_with(b"GET ") || lines.starts_with(b"HEAD ");
    let mut head = Head { length: end + 4, body: 0, asks: asks(lines), last: closes(lines) };
    if !bodiless {
        if value(lines, b"transfer-encoding").is_some() {
            return Err(Refused::Chunked);
        }
        head.body = match value(lines, b"content-length") {
            Some(digits) => number(digits).ok_or(Refused::Length)?,
            None => 0,
        };
    }
    Ok(Some(head))
}

fn asks(lines: &[u8]) -> Asks {
    match lines.get(..9) {
        Some(b"GET /coun") if lines.starts_with(b"GET /count ") => Asks::Count,
        Some(b"GET /rese") if lines.starts_with(b"GET /reset ") => Asks::Reset,
        Some(b"GET /lag ") => Asks::Lag,
        _ => Asks::Answer,
    }
}

/// Whether the head has `connection: close`.
fn closes(lines: &[u8]) -> bool {
    // A fast search excludes most requests, which do not contain the word at all.
    memmem::find(lines, b"lose\r\n").is_some()
        && value(lines, b"connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
}

/// The value of a header; `name` is in lower case.
fn value<'a>(lines: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = lines;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if line.len() > name.len()
            && line[name.len()] == b':'
            && line[..name.len()].eq_ignore_ascii_case(name)
        {
            return Some(line[name.len() + 1..].trim_ascii());
        }
    }
    None
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Asks, Head, LONGEST_HEAD, Refused, head};

    #[test]
    fn a_head_ends_with_its_empty_line() {
        let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(head(&text[..end]), Ok(None));
        }
        let whole = Head { length: text.len(), body: 0, asks: Asks::Answer, last: false };
        assert_eq!(head(text), Ok(Some(whole)));
    }

    #[test]
    fn the_body_length_is_read_from_any_spelling_of_its_header() {
        for header in ["Content-Length: 12", "content-length:12", "CONTENT-LENGTH:   12  "] {
            let text = format!("POST /x HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\nbody");
            let found = head(text.as_bytes()).expect("it is well-formed").expect("it is whole");
            assert_eq!((found.body, found.length), (12, text.len() - 4));
        }
    }

    #[test]
    fn requests_of_unknown_length_are_refused() {
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(head(chunked), Err(Refused::Chunked));
        assert_eq!(head(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), Err(Refused::Length));
        assert_eq!(head(&vec![b'a'; LONGEST_HEAD + 1]), Err(Refused::TooLong));
    }

    #[test]
    fn only_exact_paths_are_control_requests() {
        let asks = |text: &[u8]| head(text).expect("it is well-formed").expect("it is whole").asks;
        assert_eq!(asks(b"GET /count HTTP/1.1\r\n\r\n"), Asks::Count);
        assert_eq!(asks(b"GET /countdown HTTP/1.1\r\n\r\n"), Asks::Answer);
        assert_eq!(asks(b"POST /count HTTP/1.1\r\n\r\n"), Asks::Answer);
        assert_eq!(asks(b"GET /lag HTTP/1.1\r\n\r\n"), Asks::Lag);
    }

    #[test]
    fn only_the_connection_header_closes_a_connection() {
        let last = |text: &[u8]| head(text).expect("it is well-formed").expect("it is whole").last;
        assert!(last(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert!(!last(b"GET / HTTP/1.1\r\nX-Word: close\r\n\r\n"));
    }
}
