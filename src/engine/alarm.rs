//! Waking at a moment to some hundredths of a millisecond: the runtime's own timer ticks in whole ones.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, sleep_until};

/// Wakes those who wait for a moment, on one thread.
pub(super) enum Alarm {
    /// By the runtime's timer, to a millisecond or two; where time is paused it is the only one.
    Coarse,
    /// By a timer of the system's, in the order of the moments.
    Fine(Fine),
}

pub(super) struct Fine {
    timer: timer::Timer,
    waiting: RefCell<BinaryHeap<Waiting>>,
}

/// Someone who waits; the first to wake is the greatest.
struct Waiting {
    at: Instant,
    waker: Waker,
}

impl Alarm {
    /// A fine one where the system has it; needs a runtime.
    pub(super) fn new() -> Self {
        match timer::Timer::new() {
            Ok(timer) => Self::Fine(Fine { timer, waiting: RefCell::default() }),
            Err(_) => Self::Coarse,
        }
    }

    /// Returns at a moment, or at once where it has passed.
    pub(super) async fn at(&self, moment: Instant) {
        match self {
            Self::Coarse if moment > Instant::now() => sleep_until(moment).await,
            Self::Coarse => {}
            Self::Fine(fine) => {
                let mut waits = false;
                poll_fn(|cx| fine.poll_at(moment, &mut waits, cx)).await;
            }
        }
    }

    /// Wakes whoever is to be woken, for ever.
    pub(super) async fn ring(&self) {
        match self {
            Self::Coarse => std::future::pending().await,
            Self::Fine(fine) => loop {
                fine.timer.rings().await;
                fine.wake_due();
            },
        }
    }
}

impl Fine {
    fn poll_at(&self, moment: Instant, waits: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
        if moment <= Instant::now() {
            return Poll::Ready(());
        }
        // Whoever waits stays on the list until the moment has come.
        if !std::mem::replace(waits, true) {
            let mut waiting = self.waiting.borrow_mut();
            let is_first = waiting.peek().is_none_or(|first| moment < first.at);
            waiting.push(Waiting { at: moment, waker: cx.waker().clone() });
            if is_first {
                self.timer.set(moment);
            }
        }
        Poll::Pending
    }

    fn wake_due(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let now = Instant::now();
        while let Some(first) = waiting.peek() {
            if first.at > now {
                self.timer.set(first.at);
                return;
            }
            if let Some(due) = waiting.pop() {
                due.waker.wake();
            }
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

#[cfg(target_os = "linux")]
mod timer {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::time::Instant;

    /// A descriptor that becomes readable at a moment (`timerfd_create(2)`).
    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        #[expect(
            deprecated,
            reason = "the other way is unsafe for descriptors that are not owned; this one is"
        )]
        pub(super) fn new() -> std::io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
        }

        /// It rings at this moment, and no longer at another one.
        pub(super) fn set(&self, moment: Instant) {
            // A time of zero would switch it off.
            let left = moment.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            let it_value = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let time = Itimerspec { it_interval, it_value };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &time)
                .expect("the timer is ours and the time is positive");
        }

        /// Returns when it rings.
        pub(super) async fn rings(&self) {
            let Ok(mut ready) = self.0.readable().await else { return std::future::pending().await };
            // It says how often it rang, which was once; what counts is that it is not readable any more.
            let _ = rustix::io::read(self.0.get_ref(), &mut [0; 8]);
            ready.clear_ready();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod timer {
    use tokio::time::Instant;

    /// There is none.
    pub(super) enum Timer {}

    impl Timer {
        pub(super) fn new() -> std::io::Result<Self> {
            Err(std::io::ErrorKind::Unsupported.into())
        }

        pub(super) fn set(&self, _: Instant) {
            match *self {}
        }

        pub(super) async fn rings(&self) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn everyone_is_woken_in_the_order_of_their_moments_and_never_too_early() {
        let alarm = Alarm::new();
        let start = Instant::now();
        let woken = RefCell::new(Vec::new());
        let wait = async |ms: u64| {
            let moment = start + Duration::from_millis(ms);
            alarm.at(moment).await;
            assert!(Instant::now() >= moment);
            woken.borrow_mut().push(ms);
        };
        tokio::select! {
            () = alarm.ring() => unreachable!("it never ends"),
            _ = async { tokio::join!(wait(9), wait(3), wait(6), wait(0), wait(3)) } => {}
        }
        assert_eq!(*woken.borrow(), [0, 3, 3, 6, 9]);
    }

    #[tokio::test]
    async fn whoever_gave_up_waiting_disturbs_no_one() {
        let alarm = Alarm::new();
        let start = Instant::now();
        let long = start + Duration::from_secs(3600);
        tokio::select! {
            () = alarm.ring() => unreachable!("it never ends"),
            () = async {
                let mut gone = Box::pin(alarm.at(start + Duration::from_millis(2)));
                let polled = poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx))).await;
                assert!(polled.is_pending() || start.elapsed() >= Duration::from_millis(2));
                drop(gone);
                alarm.at(start + Duration::from_millis(4)).await;
            } => {}
            () = alarm.at(long) => unreachable!("an hour has not passed"),
        }
    }
}
