//! The socket to the target, with or without TLS. It notes when an exchange was sent and when its bytes arrived.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::engine::wire::addresses::{self, AddressMemory};
use crate::engine::wire::fault::Fault;
use crate::engine::wire::receive::{self, ArrivalBounds, Receipt, Receive, empty_since};
use crate::engine::wire::stream_end::{self, IdleTimeout, MAX_WAIT, MIN_IDLE_OF_UNCLEAR, StreamEnd};
use crate::engine::wire::tls::TlsClient;
use crate::measure::limits::Limits;
use crate::measure::sample::{ArrivalClock, ErrorKind};
use crate::plan::model::{HttpVersion, Request, Target, TargetUrl};

/// Opens connections to the target.
#[derive(Clone)]
pub struct Dialer {
    transport: Transport,
    tls: Option<TlsClient>,
    pub(super) idle_timeout: IdleTimeout,
    pub(super) http: HttpVersion,
    /// How exactly the arrival of responses must be known.
    precision: Duration,
    /// Whether heads and bodies are written from where they are. Otherwise they are copied into one buffer.
    pub(super) writes_in_place: bool,
}

/// From this size on, the body of a request is not copied: the users of a plan share it.
const MIN_SHARED_BODY_BYTES: usize = 64 << 10;

/// How exactly the arrival of responses is known at least.
const MIN_PRECISION: Duration = Duration::from_millis(1);
/// How exactly it is known in relation to the shortest response time limit.
const PRECISION_OF_LIMIT: u32 = 10;

/// How bytes reach the target.
#[derive(Clone)]
enum Transport {
    /// Over TCP; the host name is resolved again for each connection.
    Tcp(TargetUrl, AddressMemory),
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
    /// The address of the target; `None` in the same process.
    pub to: Option<SocketAddr>,
    /// The duration of the TLS handshake, and the negotiated versions for display.
    pub tls: Option<(Duration, String)>,
}

/// The moments of one exchange at its socket.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Moments {
    /// When it was handed over. Its first byte is then handed to the socket at once.
    pub(in crate::engine) sent: Option<Instant>,
    /// When the last bytes so far had arrived, and by which clock.
    pub(in crate::engine) arrived: Option<(Instant, ArrivalClock)>,
    /// The generator's own part of the time between: how long the writes took, and how much later than their arrival
    /// bytes may have been noted, or were read before the last ones.
    pub(in crate::engine) ours: Duration,
    /// How long after their arrival the last bytes so far were read.
    pub(in crate::engine) last_lag: Duration,
    pub(in crate::engine) writes: u32,
    /// The bytes that were written.
    pub(in crate::engine) written: u64,
    /// How the stream of the peer ended, if it did.
    pub(in crate::engine) end: Option<StreamEnd>,
}

/// The moments of the current exchange, shared by a connection and its socket.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedMoments(Rc<RefCell<Moments>>);

impl SharedMoments {
    /// Begins a new exchange. Returns when the last bytes of the one before had arrived.
    pub(super) fn begin(&self, handed_over: Instant) -> Option<Instant> {
        let before = self.0.replace(Moments { sent: Some(handed_over), ..Moments::default() });
        before.arrived.map(|(at, _)| at)
    }

    pub(super) fn get(&self) -> Moments {
        *self.0.borrow()
    }

    /// When the next write begins: at the hand-over if it is the first.
    fn begin_write(&self) -> Instant {
        let moments = self.0.borrow();
        moments.sent.filter(|_| moments.writes == 0).unwrap_or_else(Instant::now)
    }

    fn wrote(&self, before: Instant, written: usize) {
        let mut moments = self.0.borrow_mut();
        moments.written += written as u64;
        moments.ours += before.elapsed();
        moments.writes += 1;
    }

    fn ended(&self, end: StreamEnd) {
        self.0.borrow_mut().end.get_or_insert(end);
    }

    fn sent(&self) -> Option<Instant> {
        self.0.borrow().sent
    }

    fn read(&self, Receipt { at, doubt, lag, clock }: Receipt) {
        let mut moments = self.0.borrow_mut();
        // Bytes are in order: none could be read before the ones in front of them, even if they were stamped earlier.
        let read_at = at + lag;
        let at = moments.arrived.map_or(at, |(before, _)| before.max(at)).min(read_at);
        let earlier_lag = std::mem::replace(&mut moments.last_lag, read_at - at);
        moments.ours += earlier_lag + doubt;
        moments.arrived = Some((at, clock));
    }
}

/// A stream that notes the moments of its reads and writes.
pub(super) struct StampedStream<S> {
    stream: S,
    moments: SharedMoments,
    /// How exactly the arrival of bytes must be known.
    precision: Duration,
    /// Whether the last read emptied it.
    is_empty: bool,
}

impl<S> StampedStream<S> {
    fn new(stream: S, moments: SharedMoments, precision: Duration) -> Self {
        Self { stream, moments, precision, is_empty: true }
    }
}

impl Dialer {
    /// A dialer to a target over TCP.
    ///
    /// # Errors
    /// When the TLS settings of the target cannot be used.
    pub fn new(target: &Target) -> Result<Self, String> {
        let transport = Transport::Tcp(target.url.clone(), AddressMemory::default());
        let (tls, http) = (TlsClient::of(target)?, target.http);
        let (idle_timeout, precision) = (IdleTimeout::default(), MIN_PRECISION);
        Ok(Self { transport, tls, idle_timeout, http, precision, writes_in_place: false })
    }

    /// A dialer to a server in the same process.
    #[cfg(test)]
    pub(crate) fn memory(server: tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>) -> Self {
        Self {
            transport: Transport::Memory(server),
            tls: None,
            idle_timeout: IdleTimeout::default(),
            http: HttpVersion::One,
            precision: MIN_PRECISION,
            writes_in_place: false,
        }
    }

    /// A dialer whose connections copy no large body of these requests.
    #[must_use]
    pub fn for_requests<'r>(self, mut requests: impl Iterator<Item = &'r Request>) -> Self {
        let is_large = |request: &Request| {
            request.body.as_ref().is_some_and(|body| body.expected_length() >= MIN_SHARED_BODY_BYTES)
        };
        Self { writes_in_place: requests.any(is_large), ..self }
    }

    /// A dialer whose connections know the arrival of responses exactly enough for these limits.
    #[must_use]
    pub fn for_limits(self, limits: &Limits) -> Self {
        let precision = limits.shortest().map_or(MIN_PRECISION, |limit| limit / PRECISION_OF_LIMIT);
        Self { precision: precision.min(MIN_PRECISION), ..self }
    }

    /// Opens a connection, with TLS if the target uses it. `first` is the number of the address that is tried first.
    pub(super) async fn dial(
        &self,
        moments: SharedMoments,
        first: usize,
    ) -> Result<(TargetSocket, ConnectionSetup), Fault> {
        let began = Instant::now();
        let (stream, to) = match &self.transport {
            Transport::Tcp(url, memory) => connect(url, first, memory).await?,
            #[cfg(test)]
            Transport::Memory(server) => {
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                let refused = |_| Fault::new(ErrorKind::ConnectRefused, "the server has stopped");
                server.send(theirs).map_err(refused)?;
                return Ok((
                    TargetSocket::Memory(StampedStream::new(ours, moments, self.precision)),
                    ConnectionSetup { connect: began.elapsed(), to: None, tls: None },
                ));
            }
        };
        let mut opened = ConnectionSetup { connect: began.elapsed(), to: Some(to), tls: None };
        let stamped = StampedStream::new(stream, moments, self.precision);
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

/// Connects to the target. `first` is the number of the address that is tried first.
async fn connect(
    url: &TargetUrl,
    first: usize,
    memory: &AddressMemory,
) -> Result<(TcpStream, SocketAddr), Fault> {
    let (stream, address) = addresses::connect(url, first, memory).await?;
    // Otherwise Nagle's algorithm may hold a small request back until the peer acknowledges earlier bytes.
    stream.set_nodelay(true).map_err(|error| Fault::of_connect(address, &error))?;
    receive::ask_for_stamps(&stream);
    Ok((stream, address))
}

impl TargetSocket {
    /// Looks for what follows the end of the target's stream, and notes it. The connection had been idle for `idle`.
    pub(super) async fn follow_end(&mut self, idle: Duration, known: &IdleTimeout) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Secured(stream) => stream.get_mut().0,
            #[cfg(test)]
            Self::Memory(_) => return,
        };
        let is_announced = stream.moments.get().end.is_none();
        if is_announced {
            // The end of the socket comes after that of TLS, which is sent with it.
            let mut rest = [0; 256];
            let to_end = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
            let _ = tokio::time::timeout(MAX_WAIT, to_end).await;
        }
        let Moments { written, end, .. } = stream.moments.get();
        let is_acknowledged = |end: &StreamEnd| end.unacknowledged < Some(written);
        let Some(end) = end.filter(is_acknowledged).filter(|_| idle >= MIN_IDLE_OF_UNCLEAR) else { return };
        // The announcement of TLS acknowledges a request that lies unread in a socket that is closed.
        let is_unread = match end.is_reset && is_announced {
            true => true,
            false if known.soon_explains(idle).await => {
                end.is_reset || stream_end::is_unread(&stream.stream).await
            }
            false => false,
        };
        stream.moments.0.borrow_mut().end = Some(StreamEnd { is_unread, ..end });
    }
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

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Secured(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            #[cfg(test)]
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
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

impl<S: Receive + Unpin> AsyncRead for StampedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, moments, precision, is_empty } = self.get_mut();
        let bounds = || {
            let empty = empty_since().filter(|_| *is_empty);
            ArrivalBounds { sent: moments.sent(), empty, precision: *precision }
        };
        let free = buf.remaining();
        let Poll::Ready(receipt) = stream.poll_receive(cx, buf, bounds) else {
            *is_empty = true;
            return Poll::Pending;
        };
        let is_reset = matches!(&receipt, Err(error) if error.kind() == io::ErrorKind::ConnectionReset);
        if is_reset || (receipt.is_ok() && free > 0 && buf.remaining() == free) {
            let unacknowledged = stream.unacknowledged();
            moments.ended(StreamEnd { is_reset, unacknowledged, is_unread: false });
        }
        let receipt = receipt?;
        *is_empty = buf.remaining() > 0;
        if buf.remaining() < free {
            moments.read(receipt);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StampedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let before = self.moments.begin_write();
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.moments.wrote(before, written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before = self.moments.begin_write();
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        self.moments.wrote(before, written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_never_arrive_before_the_ones_in_front_of_them() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let moments = SharedMoments::default();
        moments.begin(start);
        let read = |at: u64, lag: u64| {
            let (doubt, clock) = (Duration::ZERO, ArrivalClock::Kernel);
            moments.read(Receipt { at: start + ms(at), doubt, lag: ms(lag), clock });
            let Moments { arrived, ours, .. } = moments.get();
            (arrived.unwrap().0.duration_since(start), ours)
        };
        // The first bytes fill a hole after 320 ms. Those behind it had been stamped after 20 ms.
        assert_eq!(read(320, 0), (ms(320), ms(0)));
        assert_eq!(read(20, 301), (ms(320), ms(0)));
        // The read before was 1 ms late, which is the generator's part once more bytes follow.
        assert_eq!(read(330, 0), (ms(330), ms(1)));
    }
}
