//! The end of the target's stream, and what follows it: evidence that the target has not read a request.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request with an unclear fate is sent again only if its connection had been idle for this long.
pub(in crate::engine) const MIN_IDLE_OF_UNCLEAR: Duration = Duration::from_secs(1);

/// How long to wait for what follows the end.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(10);

/// Bytes that a server ignores where a request may begin (RFC 9112, section 2.2).
const NO_REQUEST: &[u8] = b"\r\n";

/// The end of the peer's stream.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct StreamEnd {
    /// Whether it was reset. Otherwise the peer closed it in order.
    pub(in crate::engine) is_reset: bool,
    /// The written bytes that the peer's kernel had not acknowledged then; `None` if that is unknown.
    pub(in crate::engine) unacknowledged: Option<u64>,
    /// Whether what followed shows that the peer probably has not read the bytes that its kernel acknowledged.
    pub(in crate::engine) is_unread: bool,
}

/// Whether a peer that ended its stream in order probably has not read the bytes that its kernel acknowledged.
///
/// A kernel resets a socket that is closed with unread bytes in it. A server that closes an idle connection in two steps
/// (Apache's lingering close) ends its own stream first, and then reads and discards what arrives: its socket stays
/// open. The socket of a server that has read a request and closes is gone, so that further bytes reset it.
pub(super) async fn is_unread(stream: &TcpStream) -> bool {
    is_reset(stream).await || (stream.try_write(NO_REQUEST).is_ok() && !is_reset(stream).await)
}

/// Whether a socket is reset soon.
async fn is_reset(stream: &TcpStream) -> bool {
    let found = timeout(MAX_WAIT, stream.ready(Interest::ERROR)).await;
    let is_error = |error: io::Result<Option<io::Error>>| matches!(error, Ok(Some(_)));
    found.is_ok() && is_error(stream.take_error())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener};

    use super::*;

    /// Whether a request is probably unread after the server has done this with its socket.
    fn after(server: impl FnOnce(std::net::TcpStream)) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        runtime.block_on(async {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().unwrap();
            client.writable().await.unwrap();
            client.try_write(b"request").unwrap();
            server(accepted);
            let mut rest = [0; 8];
            let ended = tokio::io::AsyncReadExt::read(&mut client, &mut rest).await;
            assert_eq!(ended.unwrap(), 0);
            is_unread(&client).await
        })
    }

    #[test]
    fn a_server_that_ends_its_stream_before_it_reads_has_not_read() {
        // Kept open until the client has looked.
        let mut kept = None;
        assert!(after(|mut socket| {
            socket.shutdown(Shutdown::Write).unwrap();
            socket.read_exact(&mut [0; 7]).unwrap();
            kept = Some(socket);
        }));
    }

    #[test]
    fn a_server_that_closes_a_socket_with_unread_bytes_has_not_read() {
        assert!(after(|socket| socket.shutdown(Shutdown::Write).unwrap()));
    }

    #[test]
    fn a_server_that_reads_and_closes_has_read() {
        assert!(!after(|mut socket| {
            socket.read_exact(&mut [0; 7]).unwrap();
            socket.flush().unwrap();
        }));
    }
}
