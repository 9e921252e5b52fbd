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
const SHORTEST_LOOK: Duration = Duration::from_micros(5);
const LONGEST_LOOK: Duration = Duration::from_micros(60);
/// By how much that is changed when waking up took longer, and when it did not: it is then enough nine times of ten.
const LONGER: Duration = Duration::from_nanos(1800);
const SHORTER: Duration = Duration::from_nanos(200);

/// The distance of moments that many can share.
const TICK: Duration = Duration::from_millis(250);
/// A wait that no one sits out.
const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Wakes those who wait for a moment, on one thread, as long as someone lets it [ring](Self::ring).
pub(super) struct Alarm {
    timer: Timer,
    waiting: RefCell<BinaryHeap<Waiting>>,
    made: Instant,
    /// When it rang last.
    rung: Cell<Instant>,
    /// When the timer was to ring.
    set_to: Cell<Option<Instant>>,
    /// How long before a moment it begins to look at the clock.
    look: Cell<Duration>,
    /// When it last stopped looking at the clock.
    looked: Cell<Option<Instant>>,
}

/// What rings.
enum Timer {
    /// A timer of the system's.
    System(system::Timer),
    /// The runtime's, to a millisecond or two; where time is paused it is the only one.
    Runtime(RefCell<Pin<Box<Sleep>>>),
}

/// How well a moment is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meeting {
    /// As well as can be, at the price of some processor time.
    Exactly,
    /// As well as the timer does it.
    Closely,
}

/// Whoever waits; the first to be woken is the greatest.
struct Waiting {
    at: Instant,
    meeting: Meeting,
    waker: Waker,
}

impl Alarm {
    /// A fine one where the system has it; needs a runtime.
    pub(super) fn new() -> Self {
        system::Timer::new().map_or_else(|_| Self::of_the_runtime(), |timer| Self::with(Timer::System(timer)))
    }

    /// One that goes by the runtime's clock, which can be paused.
    pub(super) fn of_the_runtime() -> Self {
        Self::with(Timer::Runtime(RefCell::new(Box::pin(sleep(NEVER)))))
    }

    fn with(timer: Timer) -> Self {
        let made = Instant::now();
        let (set_to, looked) = Default::default();
        let (rung, look) = (Cell::new(made), Cell::new(LONGEST_LOOK));
        Self { timer, waiting: RefCell::default(), made, rung, set_to, look, looked }
    }

    /// Returns at a moment, or at once where it has passed.
    pub(super) async fn at(&self, moment: Instant, meeting: Meeting) {
        self.at_unless(moment, meeting, || false).await;
    }

    /// Returns at a moment with true, or with false where something is so before, which is looked at whenever
    /// [`wake_all`](Self::wake_all) says so.
    pub(super) async fn at_unless(&self, moment: Instant, meeting: Meeting, so: impl Fn() -> bool) -> bool {
        let mut waits = false;
        poll_fn(|cx| {
            if so() {
                return Poll::Ready(false);
            }
            if moment <= Instant::now() {
                return Poll::Ready(true);
            }
            // Whoever waits stays on the list until the moment has come.
            if !std::mem::replace(&mut waits, true) {
                self.wake_at(moment, meeting, cx);
            }
            Poll::Pending
        })
        .await
    }

    /// Wakes everyone, who then waits on if there is reason to.
    pub(super) fn wake_all(&self) {
        self.waiting.borrow().iter().for_each(|waiter| waiter.waker.wake_by_ref());
    }

    /// Wakes a task at a moment, which cannot be taken back.
    pub(super) fn wake_at(&self, moment: Instant, meeting: Meeting, cx: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        let is_first = waiting.peek().is_none_or(|first| moment < first.at);
        let waiter = Waiting { at: moment, meeting, waker: cx.waker().clone() };
        if is_first {
            self.set(self.ring_at(&waiter));
        }
        waiting.push(waiter);
    }

    /// The last of some common moments before this one.
    pub(super) fn tick_before(&self, moment: Instant) -> Instant {
        let passed = moment.saturating_duration_since(self.made).as_millis() / TICK.as_millis();
        self.made + TICK * u32::try_from(passed).unwrap_or(u32::MAX)
    }

    /// When it rang last: whoever was to be woken until then has been.
    pub(super) fn rung(&self) -> Instant {
        self.rung.get()
    }

    /// Does something that may wait for it.
    pub(super) async fn while_it_rings<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.ring() => unreachable!("it never ends"),
            done = work => done,
        }
    }

    /// Wakes whoever is to be woken, for ever.
    pub(super) async fn ring(&self) {
        loop {
            self.timer.rings().await;
            self.learn();
            while let Some(moment) = self.wake_due() {
                if !self.may_look() {
                    self.set(moment);
                    break;
                }
                // Whatever else there is to do gets its turn meanwhile.
                while Instant::now() < moment {
                    yield_now().await;
                }
                self.looked.set(Some(moment));
            }
        }
    }

    fn set(&self, moment: Instant) {
        self.set_to.set(Some(moment));
        self.timer.set(moment);
    }

    /// Looks how long it took to wake up.
    fn learn(&self) {
        let Some(set_to) = self.set_to.take() else { return };
        let look = match set_to.elapsed() > self.look.get() {
            true => self.look.get() + LONGER,
            false => self.look.get() - SHORTER,
        };
        self.look.set(look.clamp(SHORTEST_LOOK, LONGEST_LOOK));
    }

    /// Wakes those whose moment has come. Returns the next moment where it is too close for the timer.
    fn wake_due(&self) -> Option<Instant> {
        let mut waiting = self.waiting.borrow_mut();
        let now = Instant::now();
        self.rung.set(now);
        while let Some(first) = waiting.peek() {
            if first.at > now {
                let ring_at = self.ring_at(first);
                if ring_at <= now {
                    return Some(first.at);
                }
                self.set(ring_at);
                return None;
            }
            if let Some(due) = waiting.pop() {
                due.waker.wake();
            }
        }
        None
    }

    /// When the timer is to ring for someone who waits.
    fn ring_at(&self, waiter: &Waiting) -> Instant {
        match (&self.timer, waiter.meeting) {
            (Timer::System(_), Meeting::Exactly) => {
                waiter.at.checked_sub(self.look.get()).unwrap_or(waiter.at)
            }
            _ => waiter.at,
        }
    }

    /// Whether the clock may be looked at until the next moment: no more than a fifth of the time.
    fn may_look(&self) -> bool {
        self.looked.get().is_none_or(|last| last.elapsed() >= 4 * self.look.get())
    }
}

impl Timer {
    /// It rings at this moment, and no longer at another one.
    fn set(&self, moment: Instant) {
        match self {
            Self::System(timer) => timer.set(moment),
            Self::Runtime(sleep) => sleep.borrow_mut().as_mut().reset(moment),
        }
    }

    /// Returns when it rings.
    async fn rings(&self) {
        match self {
            Self::System(timer) => timer.rings().await,
            Self::Runtime(sleep) => {
                poll_fn(|cx| sleep.borrow_mut().as_mut().poll(cx)).await;
                self.set(Instant::now() + NEVER);
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
mod system {
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
    use super::*;

    #[tokio::test]
    async fn everyone_is_woken_in_the_order_of_their_moments_and_never_too_early() {
        let alarm = Alarm::new();
        let start = Instant::now();
        let woken = RefCell::new(Vec::new());
        let wait = async |ms: u64| {
            let moment = start + Duration::from_millis(ms);
            alarm.at(moment, Meeting::Closely).await;
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
                let mut gone = Box::pin(alarm.at(start + Duration::from_millis(2), Meeting::Exactly));
                let polled = poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx))).await;
                assert!(polled.is_pending() || start.elapsed() >= Duration::from_millis(2));
                drop(gone);
                alarm.at(start + Duration::from_millis(4), Meeting::Exactly).await;
            } => {}
            () = alarm.at(long, Meeting::Exactly) => unreachable!("an hour has not passed"),
        }
    }
}
