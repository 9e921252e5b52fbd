//! Reads with the kernel's receive stamps: when bytes had arrived, however late the thread reads them.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recv, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::engine::wire::send_queue;
use crate::measure::sample::ArrivalClock;

/// The most bytes of a read. Most responses fit in one.
const MAX_READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// Where reads put their bytes. The buffers of hyper would have to be cleared before each read.
    static BYTES: RefCell<[u8; MAX_READ_BYTES]> = const { RefCell::new([0; MAX_READ_BYTES]) };
    static TURNS: Cell<Turns> = const { Cell::new(Turns { began: None, seen: None, seen_before: None }) };
}

/// The turns of this thread: each waits for events, and then runs what they made ready.
#[derive(Debug, Clone, Copy)]
struct Turns {
    /// When it last began to wait.
    began: Option<Instant>,
    /// The last end of a wait at which all earlier events were seen.
    seen: Option<Instant>,
    /// The one before.
    seen_before: Option<Instant>,
}

/// In a longer wait the thread may have been stopped, which ends it without its events. A worker's heartbeat keeps all
/// other waits shorter.
const MAX_WAIT: Duration = Duration::from_millis(15);

impl Turns {
    fn wait(self, now: Instant) -> Self {
        Self { began: Some(now), ..self }
    }

    fn run(self, now: Instant) -> Self {
        match self.began.filter(|began| now.saturating_duration_since(*began) <= MAX_WAIT) {
            Some(_) => Self { seen: Some(now), seen_before: self.seen, ..self },
            None => Self { seen_before: self.seen, ..self },
        }
    }
}

/// Notes that this thread now waits for events.
pub(in crate::engine) fn thread_waits() {
    TURNS.set(TURNS.get().wait(Instant::now()));
}

/// Notes that this thread has events, or none in time.
pub(in crate::engine) fn thread_runs() {
    TURNS.set(TURNS.get().run(Instant::now()));
}

/// When the wait before the last one ended. A socket of which this turn has the first event was empty then.
pub(super) fn empty_since() -> Option<Instant> {
    TURNS.get().seen_before
}

/// Bytes that were read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Receipt {
    /// When the last of them had arrived, as exactly as it is known, but never earlier than that.
    pub(in crate::engine) at: Instant,
    /// How much earlier than `at` they may have arrived.
    pub(in crate::engine) doubt: Duration,
    /// How long after `at` they were read.
    pub(in crate::engine) lag: Duration,
    pub(in crate::engine) clock: ArrivalClock,
}

/// A source of bytes that may know when they arrived.
pub(super) trait Receive {
    /// Reads bytes, of which `bounds` are known before.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        bounds: impl Fn() -> ArrivalBounds,
    ) -> Poll<io::Result<Receipt>>;

    /// The bytes that were written and that the peer has not acknowledged; `None` if that is unknown.
    fn unacknowledged(&self) -> Option<u64>;
}

/// What is known about the arrival of bytes before they are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArrivalBounds {
    /// When their request was sent.
    pub(super) sent: Option<Instant>,
    /// When the socket was empty for the last time, as far as that is known.
    pub(super) empty: Option<Instant>,
    /// A doubt that is less than this is not worth a stamp.
    pub(super) precision: Duration,
}

/// The age of bytes when they were read, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Known(Duration),
    /// Their stamp is later than the read.
    Negative,
}

/// Asks the kernel to stamp what a socket receives. Without stamps the program's own clock is used.
pub(super) fn ask_for_stamps(stream: &TcpStream) {
    // An old kernel or a sandbox may refuse; each answer says then that it has no stamp.
    let _ = setsockopt(stream, ReceiveTimestampns, &true);
}

impl Receive for TcpStream {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        bounds: impl Fn() -> ArrivalBounds,
    ) -> Poll<io::Result<Receipt>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            if let Some(received) = receive_now(self, buffer, bounds()) {
                return Poll::Ready(received);
            }
        }
    }

    fn unacknowledged(&self) -> Option<u64> {
        send_queue::unacknowledged(self)
    }
}

/// Reads the bytes that have arrived, if there are some.
fn receive_now(
    stream: &TcpStream,
    buffer: &mut ReadBuf<'_>,
    bounds: ArrivalBounds,
) -> Option<io::Result<Receipt>> {
    let mut received = None;
    let tried = stream.try_io(Interest::READABLE, || {
        let receive = |space: &mut [u8; MAX_READ_BYTES]| {
            let most = buffer.remaining().min(MAX_READ_BYTES);
            let (bytes, receipt) = receive(stream, &mut space[..most], bounds)?;
            buffer.put_slice(&space[..bytes]);
            received = Some(receipt);
            // A read that does not fill its buffer has emptied the socket, so this ends the readiness without another
            // system call. tokio's own reads do the same.
            if 0 < bytes && bytes < most { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        BYTES.with_borrow_mut(receive)
    });
    match (received, tried) {
        (Some(receipt), _) => Some(Ok(receipt)),
        (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Some(Err(error)),
        (None, _) => None,
    }
}

#[cfg(test)]
impl Receive for tokio::io::DuplexStream {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        bounds: impl Fn() -> ArrivalBounds,
    ) -> Poll<io::Result<Receipt>> {
        let read = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(self), cx, buffer);
        read.map_ok(|()| bounds().receipt(Instant::now(), None))
    }

    fn unacknowledged(&self) -> Option<u64> {
        None
    }
}

/// The space for one control message with a time.
#[repr(align(8))]
struct ControlBuffer([u8; 64]);

fn receive(stream: &TcpStream, space: &mut [u8], bounds: ArrivalBounds) -> io::Result<(usize, Receipt)> {
    let stream = stream.as_raw_fd();
    if let Some(receipt) = bounds.receipt_at(Instant::now()) {
        // Reading a stamp costs as much as a twentieth of a request.
        return Ok((recv(stream, space, MsgFlags::empty())?, receipt));
    }
    let mut control = ControlBuffer([0; 64]);
    let mut parts = [IoSliceMut::new(space)];
    let received = recvmsg::<()>(stream, &mut parts, Some(&mut control.0), MsgFlags::empty())?;
    // No other control message was asked for.
    let age = match received.cmsgs()?.next() {
        Some(ControlMessageOwned::ScmTimestampns(stamp)) => Some(age(stamp)),
        _ => None,
    };
    Ok((received.bytes, bounds.receipt(Instant::now(), age)))
}

fn age(stamp: TimeSpec) -> Age {
    let now = clock_gettime(ClockId::Realtime);
    let nanos = (now.tv_sec - stamp.tv_sec()) * 1_000_000_000 + now.tv_nsec - stamp.tv_nsec();
    u64::try_from(nanos).map_or(Age::Negative, |nanos| Age::Known(Duration::from_nanos(nanos)))
}

impl ArrivalBounds {
    /// The receipt of bytes that are about to be read at `now`, if their arrival is known well enough without a stamp.
    fn receipt_at(self, now: Instant) -> Option<Receipt> {
        let doubt = now.saturating_duration_since(self.sent.max(self.empty)?);
        let clock = ArrivalClock::Kernel;
        (doubt < self.precision).then_some(Receipt { at: now, doubt, lag: Duration::ZERO, clock })
    }

    /// The receipt of bytes that were read at `now`, and how old they were by their stamp.
    fn receipt(self, now: Instant, age: Option<Age>) -> Receipt {
        let unstamped = |clock| Receipt { at: now, doubt: Duration::ZERO, lag: Duration::ZERO, clock };
        let age = match age {
            None => return unstamped(ArrivalClock::Own),
            Some(Age::Negative) => return unstamped(ArrivalClock::OwnForBadStamp),
            Some(Age::Known(age)) => age,
        };
        let Some(at) = now.checked_sub(age).filter(|at| self.sent.is_none_or(|sent| sent <= *at)) else {
            return unstamped(ArrivalClock::OwnForBadStamp);
        };
        match self.empty {
            // The last segment was stamped, but an earlier one was missing: the kernel held both back.
            Some(empty) if at < empty => {
                Receipt { doubt: now.saturating_duration_since(empty), ..unstamped(ArrivalClock::Kernel) }
            }
            _ => Receipt { at, doubt: Duration::ZERO, lag: age, clock: ArrivalClock::Kernel },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const PRECISION: Duration = Duration::from_millis(1);

    /// When bytes arrived that were read after 300 ms, as offsets in milliseconds: the time, the doubt and the lag.
    fn received(age: Option<Age>, empty: Option<u64>) -> (u128, u128, u128, ArrivalClock) {
        let sent = Instant::now();
        let empty = empty.map(|empty| sent + ms(empty));
        let bounds = ArrivalBounds { sent: Some(sent), empty, precision: PRECISION };
        let receipt = bounds.receipt(sent + ms(300), age);
        let at = receipt.at.duration_since(sent);
        (at.as_millis(), receipt.doubt.as_millis(), receipt.lag.as_millis(), receipt.clock)
    }

    #[test]
    fn a_socket_was_empty_when_the_wait_before_the_last_one_ended() {
        let start = Instant::now();
        let mut turn = Turns { began: None, seen: None, seen_before: None };
        // Each wait as its begin and its end, in milliseconds. A stop ends the third one without its events.
        let waits = [(0, 10), (10, 20), (21, 2021), (2021, 2021), (2022, 2030), (2031, 2040)];
        let empty = waits.map(|(began, ended)| {
            turn = turn.wait(start + ms(began)).run(start + ms(ended));
            turn.seen_before.map(|since| since.duration_since(start).as_millis())
        });
        assert_eq!(empty, [None, Some(10), Some(20), Some(20), Some(2021), Some(2030)]);
    }

    #[test]
    fn a_stamp_is_read_only_where_it_can_tell_more() {
        let sent = Instant::now();
        let needs_stamp = |sent: Option<Instant>, empty: Option<Instant>| {
            ArrivalBounds { sent, empty, precision: PRECISION }
                .receipt_at(sent.max(empty).unwrap_or_else(Instant::now) + ms(1))
                .is_none()
        };
        assert!(needs_stamp(None, None) && needs_stamp(Some(sent), None));
        let just_empty = ArrivalBounds { sent: Some(sent), empty: Some(sent + ms(20)), precision: PRECISION };
        let receipt = just_empty.receipt_at(sent + ms(20) + ms(1) / 2).unwrap();
        assert_eq!((receipt.at, receipt.doubt), (sent + ms(20) + ms(1) / 2, ms(1) / 2));
    }

    #[test]
    fn bytes_that_are_read_late_arrived_when_they_were_stamped() {
        assert_eq!(received(Some(Age::Known(ms(280))), Some(5)), (20, 0, 280, ArrivalClock::Kernel));
        assert_eq!(received(Some(Age::Known(ms(280))), None), (20, 0, 280, ArrivalClock::Kernel));
    }

    #[test]
    fn a_stamp_from_before_the_socket_was_empty_is_that_of_a_segment_that_waited_for_another() {
        assert_eq!(received(Some(Age::Known(ms(280))), Some(290)), (300, 10, 0, ArrivalClock::Kernel));
    }

    #[test]
    fn an_impossible_stamp_is_discarded_and_a_missing_one_replaced() {
        for age in [Age::Negative, Age::Known(ms(301))] {
            assert_eq!(received(Some(age), Some(290)), (300, 0, 0, ArrivalClock::OwnForBadStamp));
        }
        assert_eq!(received(None, None), (300, 0, 0, ArrivalClock::Own));
    }
}
