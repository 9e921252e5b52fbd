//! The socket to the target, with or without TLS. It stamps the moment at which the first byte was handed over.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::engine::wire::fault::Fault;
use crate::engine::wire::tls::TlsClient;
use crate::measure::sample::ErrorKind;
use crate::plan::model::{HttpVersion, Target, TargetUrl};

/// Opens connections to the target.
#[derive(Clone)]
pub struct Dialer {
    transport: Transport,
    tls: Option<TlsClient>,
    pub(super) http: HttpVersion,
}

/// How bytes reach the target.
#[derive(Clone)]
enum Transport {
    /// Over TCP; the host name is resolved again for each connection.
    Tcp(TargetUrl),
    /// To a server in the same process, so that a test can pause the clock.
    #[cfg(test)]
    Memory(tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>),
}

/// An open byte stream to the target.
pub(super) enum TargetSocket {
    Plain(StampedStream<TcpStream>),
    Secured(Box<TlsStream<StampedStream<TcpStream>>>),
    #[cfg(test)]
    Memory(StampedStream<tokio::io::DuplexStream>),
}

/// How a connection was established.
#[derive(Debug, Clone)]
pub struct ConnectionSetup {
    /// The time until the transport was connected, including name resolution.
    pub connect: Duration,
    /// The duration of the TLS handshake, and the negotiated versions for display.
    pub tls: Option<(Duration, String)>,
}

/// When the first byte since the last [`clear`](Self::clear) was handed to the socket.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct FirstByte(Rc<Cell<Option<Instant>>>);

impl FirstByte {
    pub(super) fn clear(&self) {
        self.0.set(None);
    }

    pub(super) fn get(&self) -> Option<Instant> {
        self.0.get()
    }

    fn stamp(&self) {
        if self.0.get().is_none() {
            self.0.set(Some(Instant::now()));
        }
    }
}

/// A stream that stamps the first byte that is handed over.
pub(super) struct StampedStream<S> {
    stream: S,
    first_byte: FirstByte,
}

impl Dialer {
    /// A dialer to a target over TCP.
    ///
    /// # Errors
    /// When the TLS settings of the target cannot be used.
    pub fn new(target: &Target) -> Result<Self, String> {
        let transport = Transport::Tcp(target.url.clone());
        Ok(Self { transport, tls: TlsClient::of(target)?, http: target.http })
    }

    /// A dialer to a server in the same process.
    #[cfg(test)]
    pub(crate) fn memory(server: tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>) -> Self {
        Self { transport: Transport::Memory(server), tls: None, http: HttpVersion::One }
    }

    /// Opens a connection, with TLS if the target uses it.
    pub(super) async fn dial(&self, first_byte: FirstByte) -> Result<(TargetSocket, ConnectionSetup), Fault> {
        let began = Instant::now();
        let stream = match &self.transport {
            Transport::Tcp(url) => connect(url).await?,
            #[cfg(test)]
            Transport::Memory(server) => {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                let refused = |_| Fault::new(ErrorKind::ConnectRefused, "the server has stopped");
                server.send(theirs).map_err(refused)?;
                return Ok((
                    TargetSocket::Memory(StampedStream { stream: ours, first_byte }),
                    ConnectionSetup::now(began),
                ));
            }
        };
        let mut opened = ConnectionSetup::now(began);
        let stamped = StampedStream { stream, first_byte };
        let Some(tls) = &self.tls else { return Ok((TargetSocket::Plain(stamped), opened)) };
        let began = Instant::now();
        let secured = tls.connector.connect(tls.name.clone(), stamped).await;
        let secured = secured.map_err(|error| Fault::of_tls(&error))?;
        let (_, session) = secured.get_ref();
        let agreed = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        if self.http == HttpVersion::Two && agreed.as_deref() != Some("h2") {
            return Err(Fault::new(ErrorKind::Tls, "the target does not offer HTTP/2 (`h2` in ALPN)"));
        }
        let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let description =
            format!("{}, {}", version.replace("TLSv1_", "TLS 1."), agreed.as_deref().unwrap_or("no ALPN"));
        opened.tls = Some((began.elapsed(), description));
        Ok((TargetSocket::Secured(Box::new(secured)), opened))
    }
}

impl ConnectionSetup {
    fn now(began: Instant) -> Self {
        Self { connect: began.elapsed(), tls: None }
    }
}

async fn connect(url: &TargetUrl) -> Result<TcpStream, Fault> {
    let addresses: Vec<SocketAddr> = match url.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, url.port)],
        Err(_) => match lookup_host((url.host.as_str(), url.port)).await {
            Ok(found) => found.collect(),
            Err(error) => {
                return Err(Fault::new(
                    ErrorKind::Dns,
                    format!("could not resolve the host of `{url}`: {error}"),
                ));
            }
        },
    };
    let mut last = Fault::new(ErrorKind::Dns, format!("the host of `{url}` has no address"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Otherwise Nagle's algorithm may hold a small request back until the peer acknowledges earlier
                // bytes.
                stream.set_nodelay(true).map_err(|error| Fault::of_connect(address, &error))?;
                return Ok(stream);
            }
            Err(error) => last = Fault::of_connect(address, &error),
        }
    }
    Err(last)
}

impl AsyncRead for TargetSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for TargetSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(test)]
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(test)]
            Self::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StampedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StampedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.first_byte.stamp();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
