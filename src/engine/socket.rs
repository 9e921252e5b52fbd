//! Where bytes go: a TCP socket that remembers when its first byte was handed over.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;

use crate::engine::fault::Fault;
use crate::measure::sample::ErrorKind;
use crate::plan::model::TargetUrl;

/// Makes connections to the target.
#[derive(Debug, Clone)]
pub(super) enum Dialer {
    /// Over TCP, resolving the name anew each time.
    Tcp(TargetUrl),
    /// To a server in the same process, so that time can be paused.
    #[cfg(test)]
    Memory(tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>),
}

#[derive(Debug)]
enum Wire {
    Tcp(TokioIo<TcpStream>),
    #[cfg(test)]
    Memory(TokioIo<tokio::io::DuplexStream>),
}

/// When the first byte since the last [`clear`](Self::clear) was handed to the socket.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstByte(Rc<Cell<Option<Instant>>>);

impl FirstByte {
    pub(super) fn clear(&self) {
        self.0.set(None);
    }

    pub(super) fn get(&self) -> Option<Instant> {
        self.0.get()
    }

    fn note(&self) {
        if self.0.get().is_none() {
            self.0.set(Some(Instant::now()));
        }
    }
}

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Socket {
    wire: Wire,
    first_byte: FirstByte,
}

impl Dialer {
    /// Makes a connection.
    pub(super) async fn dial(&self, first_byte: FirstByte) -> Result<Socket, Fault> {
        let wire = match self {
            Self::Tcp(url) => Wire::Tcp(TokioIo::new(connect(url).await?)),
            #[cfg(test)]
            Self::Memory(server) => {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                let refused = |_| Fault::new(ErrorKind::ConnectRefused, "the server is gone");
                server.send(theirs).map_err(refused)?;
                Wire::Memory(TokioIo::new(ours))
            }
        };
        Ok(Socket { wire, first_byte })
    }
}

async fn connect(url: &TargetUrl) -> Result<TcpStream, Fault> {
    let addresses: Vec<SocketAddr> = match url.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, url.port)],
        Err(_) => match lookup_host((url.host.as_str(), url.port)).await {
            Ok(found) => found.collect(),
            Err(error) => return Err(Fault::new(ErrorKind::Dns, format!("{url}: {error}"))),
        },
    };
    let mut last = Fault::new(ErrorKind::Dns, format!("{url}: the host has no address"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it a small request may wait for the answer to the one before.
                stream.set_nodelay(true).map_err(|error| Fault::of_connect(address, &error))?;
                return Ok(stream);
            }
            Err(error) => last = Fault::of_connect(address, &error),
        }
    }
    Err(last)
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Wire::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.wire {
            Wire::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(test)]
            Wire::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        })?;
        self.first_byte.note();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(test)]
            Wire::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Wire::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
