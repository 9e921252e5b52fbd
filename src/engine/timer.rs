//! Waking at a moment to some hundredths of a millisecond: the runtime's own timer ticks in whole ones.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

/// The last part of a wait that is to end exactly is spent looking at the clock: as long as waking up usually takes, as
/// far as it lies between these.
const MIN_SPIN: Duration = Duration::from_micros(5);
const MAX_SPIN: Duration = Duration::from_micros(60);
/// By how much that is changed when waking up took longer, and when it did not: it is then enough nine times of ten.
const SPIN_INCREASE: Duration = Duration::from_nanos(1800);
const SPIN_DECREASE: Duration = Duration::from_nanos(200);

/// The distance of moments that many can share.
const SHARED_TICK: Duration = Duration::from_millis(250);
/// A wait that no one sits out.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Wakes those who wait for a moment, on one thread, as long as someone lets it [ring](Self::ring).
pub(super) struct PreciseTimer {
    timer: TimerSource,
    waiters: RefCell<BinaryHeap<Waiter>>,
    created_at: Instant,
    /// When it rang last.
    last_fired: Cell<Instant>,
    /// When the timer was to ring.
    armed_for: Cell<Option<Instant>>,
    /// How long before a moment it begins to look at the clock.
    spin: Cell<Duration>,
    /// When it last stopped looking at the clock.
    last_spin: Cell<Option<Instant>>,
}

/// What rings.
enum TimerSource {
    /// A timer of the system's.
    System(system::SystemTimer),
    /// The runtime's, to a millisecond or two; where time is paused it is the only one.
    Runtime(RefCell<Pin<Box<Sleep>>>),
}

/// How well a moment is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// As well as can be, at the price of some processor time.
    Spin,
    /// As well as the timer does it.
    Coarse,
}

/// Whoever waits; the first to be woken is the greatest.
struct Waiter {
    at: Instant,
    precision: Precision,
    waker: Waker,
}

impl PreciseTimer {
    /// A fine one where the system has it; needs a runtime.
    pub(super) fn new() -> Self {
        system::SystemTimer::new()
            .map_or_else(|_| Self::from_runtime(), |timer| Self::with(TimerSource::System(timer)))
    }

    /// One that goes by the runtime's clock, which can be paused.
    pub(super) fn from_runtime() -> Self {
        Self::with(TimerSource::Runtime(RefCell::new(Box::pin(sleep(FAR_FUTURE)))))
    }

    fn with(timer: TimerSource) -> Self {
        let created_at = Instant::now();
        let (armed_for, last_spin) = Default::default();
        let (last_fired, spin) = (Cell::new(created_at), Cell::new(MAX_SPIN));
        Self { timer, waiters: RefCell::default(), created_at, last_fired, armed_for, spin, last_spin }
    }

    /// Returns at a moment, or at once where it has passed.
    pub(super) async fn sleep_until(&self, moment: Instant, precision: Precision) {
        self.sleep_until_unless(moment, precision, || false).await;
    }

    /// Returns at a moment with true, or with false where something is so before, which is looked at whenever
    /// [`wake_all`](Self::wake_all) says so.
    pub(super) async fn sleep_until_unless(
        &self,
        moment: Instant,
        precision: Precision,
        is_cancelled: impl Fn() -> bool,
    ) -> bool {
        let mut is_registered = false;
        poll_fn(|cx| {
            if is_cancelled() {
                return Poll::Ready(false);
            }
            if moment <= Instant::now() {
                return Poll::Ready(true);
            }
            // Whoever waits stays on the list until the moment has come.
            if !std::mem::replace(&mut is_registered, true) {
                self.wake_at(moment, precision, cx);
            }
            Poll::Pending
        })
        .await
    }

    /// Wakes everyone, who then waits on if there is reason to.
    pub(super) fn wake_all(&self) {
        self.waiters.borrow().iter().for_each(|waiter| waiter.waker.wake_by_ref());
    }

    /// Wakes a task at a moment, which cannot be taken back.
    pub(super) fn wake_at(&self, moment: Instant, precision: Precision, cx: &Context<'_>) {
        let mut waiters = self.waiters.borrow_mut();
        let is_first = waiters.peek().is_none_or(|first| moment < first.at);
        let waiter = Waiter { at: moment, precision, waker: cx.waker().clone() };
        if is_first {
            self.set(self.fire_at(&waiter));
        }
        waiters.push(waiter);
    }

    /// The last of some common moments before this one.
    pub(super) fn shared_tick_before(&self, moment: Instant) -> Instant {
        let passed = moment.saturating_duration_since(self.created_at).as_millis() / SHARED_TICK.as_millis();
        self.created_at + SHARED_TICK * u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// When it rang last: whoever was to be woken until then has been.
    pub(super) fn last_fired(&self) -> Instant {
        self.last_fired.get()
    }

    /// Does something that may wait for it.
    pub(super) async fn drive_while<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.drive() => unreachable!("it never ends"),
            done = work => done,
        }
    }

    /// Wakes whoever is to be woken, for ever.
    pub(super) async fn drive(&self) {
        loop {
            self.timer.fires().await;
            self.adapt_spin();
            while let Some(moment) = self.wake_due() {
                if !self.may_spin() {
                    self.set(moment);
                    break;
                }
                // Whatever else there is to do gets its turn meanwhile.
                while Instant::now() < moment {
                    yield_now().await;
                }
                self.last_spin.set(Some(moment));
            }
        }
    }

    fn set(&self, moment: Instant) {
        self.armed_for.set(Some(moment));
        self.timer.set(moment);
    }

    /// Looks how long it took to wake up.
    fn adapt_spin(&self) {
        let Some(armed_for) = self.armed_for.take() else { return };
        let spin = match armed_for.elapsed() > self.spin.get() {
            true => self.spin.get() + SPIN_INCREASE,
            false => self.spin.get() - SPIN_DECREASE,
        };
        self.spin.set(spin.clamp(MIN_SPIN, MAX_SPIN));
    }

    /// Wakes those whose moment has come. Returns the next moment where it is too close for the timer.
    fn wake_due(&self) -> Option<Instant> {
        let mut waiters = self.waiters.borrow_mut();
        let now = Instant::now();
        self.last_fired.set(now);
        while let Some(first) = waiters.peek() {
            if first.at > now {
                let fire_at = self.fire_at(first);
                if fire_at <= now {
                    return Some(first.at);
                }
                self.set(fire_at);
                return None;
            }
            if let Some(due) = waiters.pop() {
                due.waker.wake();
            }
        }
        None
    }

    /// When the timer is to ring for someone who waits.
    fn fire_at(&self, waiter: &Waiter) -> Instant {
        match (&self.timer, waiter.precision) {
            (TimerSource::System(_), Precision::Spin) => {
                waiter.at.checked_sub(self.spin.get()).unwrap_or(waiter.at)
            }
            _ => waiter.at,
        }
    }

    /// Whether the clock may be looked at until the next moment: no more than a fifth of the time.
    fn may_spin(&self) -> bool {
        self.last_spin.get().is_none_or(|last| last.elapsed() >= 4 * self.spin.get())
    }
}

impl TimerSource {
    /// It rings at this moment, and no longer at another one.
    fn set(&self, moment: Instant) {
        match self {
            Self::System(timer) => timer.set(moment),
            Self::Runtime(sleep) => sleep.borrow_mut().as_mut().reset(moment),
        }
    }

    /// Returns when it rings.
    async fn fires(&self) {
        match self {
            Self::System(timer) => timer.fires().await,
            Self::Runtime(sleep) => {
                poll_fn(|cx| sleep.borrow_mut().as_mut().poll(cx)).await;
                self.set(Instant::now() + FAR_FUTURE);
            }
        }
    }
}
impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Waiter {}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

#[cfg(target_os = "linux")]
mod system {
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
    pub(super) struct SystemTimer(AsyncFd<OwnedFd>);

    impl SystemTimer {
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
        pub(super) async fn fires(&self) {
            let Ok(mut ready) = self.0.readable().await else { return std::future::pending().await };
            // It says how often it rang, which was once; what counts is that it is not readable any more.
            let _ = rustix::io::read(self.0.get_ref(), &mut [0; 8]);
            ready.clear_ready();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use tokio::time::Instant;

    /// There is none.
    pub(super) enum SystemTimer {}

    impl SystemTimer {
        pub(super) fn new() -> std::io::Result<Self> {
            Err(std::io::ErrorKind::Unsupported.into())
        }

        pub(super) fn set(&self, _: Instant) {
            match *self {}
        }

        pub(super) async fn fires(&self) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiters_wake_in_order_and_never_early() {
        let timer = PreciseTimer::new();
        let start = Instant::now();
        let woken = RefCell::new(Vec::new());
        let wait = async |ms: u64| {
            let moment = start + Duration::from_millis(ms);
            timer.sleep_until(moment, Precision::Coarse).await;
            assert!(Instant::now() >= moment);
            woken.borrow_mut().push(ms);
        };
        tokio::select! {
            () = timer.drive() => unreachable!("it never ends"),
            _ = async { tokio::join!(wait(9), wait(3), wait(6), wait(0), wait(3)) } => {}
        }
        assert_eq!(*woken.borrow(), [0, 3, 3, 6, 9]);
    }

    #[tokio::test]
    async fn a_dropped_waiter_disturbs_no_other() {
        let timer = PreciseTimer::new();
        let start = Instant::now();
        let long = start + Duration::from_secs(3600);
        tokio::select! {
            () = timer.drive() => unreachable!("it never ends"),
            () = async {
                let mut gone = Box::pin(timer.sleep_until(start + Duration::from_millis(2), Precision::Spin));
                let polled = poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx))).await;
                assert!(polled.is_pending() || start.elapsed() >= Duration::from_millis(2));
                drop(gone);
                timer.sleep_until(start + Duration::from_millis(4), Precision::Spin).await;
            } => {}
            () = timer.sleep_until(long, Precision::Spin) => unreachable!("an hour has not passed"),
        }
    }
}
