//! A timer that wakes tasks to within some hundredths of a millisecond; the runtime's own timer ticks in
//! milliseconds.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

/// A precise wait spends its last part polling the clock, for about as long as a wake-up takes. These are the bounds
/// of that part.
const MIN_SPIN: Duration = Duration::from_micros(5);
const MAX_SPIN: Duration = Duration::from_micros(60);
/// The change of the spin after a wake-up that took longer than it, and after one that did not. With this ratio the
/// spin covers nine wake-ups of ten.
const SPIN_INCREASE: Duration = Duration::from_nanos(1800);
const SPIN_DECREASE: Duration = Duration::from_nanos(200);

/// The distance between shared ticks: waits that need not end exactly share a wake-up there.
const SHARED_TICK: Duration = Duration::from_millis(250);
/// Longer than any run.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Wakes tasks at their moments, on one thread, as long as [`drive`](Self::drive) is polled.
pub(super) struct PreciseTimer {
    timer: TimerSource,
    waiters: RefCell<BinaryHeap<Waiter>>,
    created_at: Instant,
    last_fired: Cell<Instant>,
    /// When the timer is due to fire.
    armed_for: Cell<Option<Instant>>,
    /// How long before a moment it begins to poll the clock.
    spin: Cell<Duration>,
    /// When it last stopped polling the clock.
    last_spin: Cell<Option<Instant>>,
    is_cancelled: Cell<bool>,
}

/// The source of wake-ups.
enum TimerSource {
    /// The operating system's timer.
    System(system::SystemTimer),
    /// The runtime's timer, precise to a millisecond or two. It is the only one that follows a paused clock.
    Runtime(RefCell<Pin<Box<Sleep>>>),
}

/// How precisely a wait ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// As precisely as possible, at the cost of some CPU time.
    Spin,
    /// As precisely as the timer source.
    Coarse,
}

/// A waiting task. The first to be woken is the greatest, because `BinaryHeap` is a max-heap.
struct Waiter {
    at: Instant,
    precision: Precision,
    waker: Waker,
}

impl PreciseTimer {
    /// Uses the operating system's timer if there is one. Needs a runtime.
    pub(super) fn new() -> Self {
        system::SystemTimer::new()
            .map_or_else(|_| Self::from_runtime(), |timer| Self::with(TimerSource::System(timer)))
    }

    /// Uses the runtime's clock, which can be paused.
    pub(super) fn from_runtime() -> Self {
        Self::with(TimerSource::Runtime(RefCell::new(Box::pin(sleep(FAR_FUTURE)))))
    }

    fn with(timer: TimerSource) -> Self {
        let created_at = Instant::now();
        let (armed_for, last_spin, is_cancelled) = Default::default();
        let (last_fired, spin) = (Cell::new(created_at), Cell::new(MAX_SPIN));
        Self {
            timer,
            waiters: RefCell::default(),
            created_at,
            last_fired,
            armed_for,
            spin,
            last_spin,
            is_cancelled,
        }
    }

    /// Returns at a moment, or at once if it has passed.
    pub(super) async fn sleep_until(&self, moment: Instant, precision: Precision) {
        self.sleep_until_unless(moment, precision, || false).await;
    }

    /// Returns true at a moment, or false as soon as `is_stopped` holds. The condition is checked at the start and
    /// at each [`wake_all`](Self::wake_all). False too if the drain is over.
    pub(super) async fn sleep_until_unless(
        &self,
        moment: Instant,
        precision: Precision,
        is_stopped: impl Fn() -> bool,
    ) -> bool {
        let mut is_registered = false;
        poll_fn(|cx| {
            if self.is_cancelled() || is_stopped() {
                return Poll::Ready(false);
            }
            if moment <= Instant::now() {
                return Poll::Ready(true);
            }
            // A waiter stays registered until its moment, so it registers only once.
            if !std::mem::replace(&mut is_registered, true) {
                self.wake_at(moment, precision, cx);
            }
            Poll::Pending
        })
        .await
    }

    /// Does work that is over at `latest`. `None` if the drain ends before.
    pub(super) async fn unless_cancelled<T>(
        &self,
        latest: Instant,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut is_registered = false;
        poll_fn(|cx| {
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if !std::mem::replace(&mut is_registered, true) {
                self.wake_at(latest, Precision::Coarse, cx);
            }
            Poll::Pending
        })
        .await
    }

    /// Ends all waits of the worker at once, those that begin later too: the drain is over.
    pub(super) fn cancel(&self) {
        self.is_cancelled.set(true);
        self.wake_all();
    }

    /// Whether the drain is over, so that requests in flight are cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.get()
    }

    /// Wakes all waiters; each of them then decides whether to go on waiting.
    pub(super) fn wake_all(&self) {
        self.waiters.borrow().iter().for_each(|waiter| waiter.waker.wake_by_ref());
    }

    /// Wakes the current task at a moment. This cannot be cancelled.
    pub(super) fn wake_at(&self, moment: Instant, precision: Precision, cx: &Context<'_>) {
        let mut waiters = self.waiters.borrow_mut();
        let is_first = waiters.peek().is_none_or(|first| moment < first.at);
        let waiter = Waiter { at: moment, precision, waker: cx.waker().clone() };
        if is_first {
            self.set(self.fire_at(&waiter));
        }
        waiters.push(waiter);
    }

    /// The last shared tick at or before a moment.
    pub(super) fn shared_tick_before(&self, moment: Instant) -> Instant {
        let passed = moment.saturating_duration_since(self.created_at).as_millis() / SHARED_TICK.as_millis();
        self.created_at + SHARED_TICK * u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// When the timer last fired: all waiters that were due by then have been woken.
    pub(super) fn last_fired(&self) -> Instant {
        self.last_fired.get()
    }

    /// Drives the timer while `work` runs, which may wait for it.
    pub(super) async fn drive_while<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.drive() => unreachable!("the timer runs until it is dropped"),
            done = work => done,
        }
    }

    /// Wakes the waiters that are due. Never returns.
    pub(super) async fn drive(&self) {
        loop {
            self.timer.fires().await;
            self.adapt_spin();
            while let Some(moment) = self.wake_due() {
                if !self.may_spin() {
                    self.set(moment);
                    break;
                }
                // Yielding lets other tasks run while this one spins.
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

    /// Adapts the spin to the time that the last wake-up took.
    fn adapt_spin(&self) {
        let Some(armed_for) = self.armed_for.take() else { return };
        let spin = match armed_for.elapsed() > self.spin.get() {
            true => self.spin.get() + SPIN_INCREASE,
            false => self.spin.get() - SPIN_DECREASE,
        };
        self.spin.set(spin.clamp(MIN_SPIN, MAX_SPIN));
    }

    /// Wakes the waiters that are due. Returns the next moment if it is too close for the timer to be set.
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

    /// When the timer has to fire for a waiter; for a precise wait this is earlier by the spin.
    fn fire_at(&self, waiter: &Waiter) -> Instant {
        match (&self.timer, waiter.precision) {
            (TimerSource::System(_), Precision::Spin) => {
                waiter.at.checked_sub(self.spin.get()).unwrap_or(waiter.at)
            }
            _ => waiter.at,
        }
    }

    /// Whether the clock may be polled until the next moment: spinning takes at most a fifth of the time.
    fn may_spin(&self) -> bool {
        self.last_spin.get().is_none_or(|last| last.elapsed() >= 4 * self.spin.get())
    }
}

impl TimerSource {
    /// Fires at this moment only; an earlier setting is replaced.
    fn set(&self, moment: Instant) {
        match self {
            Self::System(timer) => timer.set(moment),
            Self::Runtime(sleep) => sleep.borrow_mut().as_mut().reset(moment),
        }
    }

    /// Returns when it fires.
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
            reason = "the replacement is unsafe for descriptors that are not owned; this one is owned"
        )]
        pub(super) fn new() -> std::io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
        }

        /// Fires at this moment only; an earlier setting is replaced.
        pub(super) fn set(&self, moment: Instant) {
            // A time of zero would disarm it.
            let left = moment.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            let it_value = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let time = Itimerspec { it_interval, it_value };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &time)
                .expect("the timer is open and the time is positive");
        }

        /// Returns when it fires.
        pub(super) async fn fires(&self) {
            let Ok(mut ready) = self.0.readable().await else { return std::future::pending().await };
            // The value, the number of times that it fired, is always one. Reading it makes the descriptor unreadable
            // again.
            let _ = rustix::io::read(self.0.get_ref(), &mut [0; 8]);
            ready.clear_ready();
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use tokio::time::Instant;

    /// This platform has no such timer, so there is no value of this type.
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
    use std::rc::Rc;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn work_that_hangs_ends_when_the_drain_does() {
        let timer = Rc::new(PreciseTimer::from_runtime());
        let latest = Instant::now() + Duration::from_secs(3600);
        let hung = Rc::clone(&timer);
        let work = tokio::task::spawn_local(async move {
            hung.unless_cancelled(latest, std::future::pending::<()>()).await
        });
        yield_now().await;
        assert_eq!(timer.unless_cancelled(latest, async { 7 }).await, Some(7));
        timer.cancel();
        assert_eq!(work.await.unwrap(), None);
        // Work that begins after the drain is not done at all.
        assert_eq!(timer.unless_cancelled(latest, async { 7 }).await, None);
        assert!(Instant::now() < latest);
    }

    #[tokio::test(flavor = "local")]
    async fn waiters_wake_in_order_and_never_early() {
        let timer = Rc::new(PreciseTimer::new());
        let start = Instant::now();
        let woken = Rc::new(RefCell::new(Vec::new()));
        // Tasks of their own are polled in the order in which they are woken, also if the thread was late for several.
        let waiters = [9, 3, 6, 0, 3].map(|ms| {
            let (timer, woken) = (Rc::clone(&timer), Rc::clone(&woken));
            tokio::task::spawn_local(async move {
                let moment = start + Duration::from_millis(ms);
                timer.sleep_until(moment, Precision::Coarse).await;
                assert!(Instant::now() >= moment);
                woken.borrow_mut().push(ms);
            })
        });
        timer
            .drive_while(async {
                for waiter in waiters {
                    waiter.await.unwrap();
                }
            })
            .await;
        assert_eq!(*woken.borrow(), [0, 3, 3, 6, 9]);
    }

    #[tokio::test]
    async fn a_dropped_waiter_disturbs_no_other() {
        let timer = PreciseTimer::new();
        let start = Instant::now();
        let long = start + Duration::from_secs(3600);
        tokio::select! {
            () = timer.drive() => unreachable!("the timer runs until it is dropped"),
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
