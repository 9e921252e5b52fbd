//! The end of the target's stream, and what follows it: evidence that the target has not read a request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::engine::wire::send_queue;

/// A request with an unclear fate is sent again only if its connection had been idle for this long.
pub(in crate::engine) const MIN_IDLE_OF_UNCLEAR: Duration = Duration::from_secs(1);

/// How long to wait for what follows the end.
pub(super) const MAX_WAIT: Duration = Duration::from_millis(10);

/// How long the ends of connections that began to rest together may differ.
const MAX_WAIT_FOR_OTHERS: Duration = Duration::from_millis(100);

/// The longest time for an acknowledgement: a kernel may delay it by 40 ms, and it takes a round trip.
const MAX_WAIT_FOR_ACKNOWLEDGEMENT: Duration = Duration::from_millis(300);

/// Bytes that a server ignores where a request may begin (RFC 9112, section 2.2).
const NO_REQUEST: &[u8] = b"\r\n";

/// The shortest time for which a connection had been idle when the target ended it. All workers share it.
#[derive(Debug, Clone)]
pub(super) struct IdleTimeout(Arc<AtomicU64>);

impl Default for IdleTimeout {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl IdleTimeout {
    /// Notes that the target ended a connection that had been idle for this long or less.
    pub(super) fn note(&self, idle: Duration) {
        self.0.fetch_min(u64::try_from(idle.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether the target is known to end connections that have been idle for this long.
    fn explains(&self, idle: Duration) -> bool {
        let shortest = Duration::from_micros(self.0.load(Ordering::Relaxed));
        shortest <= idle.mul_f64(1.05)
    }

    /// The same, or whether it becomes known soon: connections that began to rest together end together.
    pub(super) async fn soon_explains(&self, idle: Duration) -> bool {
        if !self.explains(idle) {
            sleep(MAX_WAIT_FOR_OTHERS).await;
        }
        self.explains(idle)
    }
}

/// The end of the peer's stream.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct StreamEnd {
    /// Whether it was reset. Otherwise the peer closed it in order.
    pub(in crate::engine) is_reset: bool,
    /// The written bytes that the peer's kernel had not acknowledged then; `None` if that is unknown.
    pub(in crate::engine) unacknowledged: Option<u64>,
    /// Whether the peer probably has not read the bytes that its kernel acknowledged: it ends connections that have been
    /// idle for as long, and what followed shows that it was about to.
    pub(in crate::engine) is_unread: bool,
}

/// Whether a peer that ended its stream in order probably has not read the bytes that its kernel acknowledged.
///
/// A kernel resets a socket that is closed with unread bytes in it. A server that closes an idle connection in two steps
/// (Apache's lingering close) ends its own stream first, and then reads and discards what arrives: its socket stays
/// open. The socket of a server that has read a request and closes is gone, so that further bytes reset it.
pub(super) async fn is_unread(stream: &TcpStream) -> bool {
    is_reset(stream).await || (stream.try_write(NO_REQUEST).is_ok() && accepts(stream).await)
}

/// Whether the peer's socket is still there: it acknowledges what was written, and does not reset the connection.
async fn accepts(stream: &TcpStream) -> bool {
    let acknowledged = async {
        loop {
            if !matches!(stream.take_error(), Ok(None)) {
                return false;
            }
            if send_queue::unacknowledged(stream) == Some(0) {
                return true;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(MAX_WAIT_FOR_ACKNOWLEDGEMENT, acknowledged).await.unwrap_or(false)
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
