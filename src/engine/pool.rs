//! The idle users of a class and the arrivals that wait for a user.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

/// An arrival of an open phase that a user has to perform.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// The arrival's number in the phase, from 0.
    pub(super) number: u64,
    /// The intended start, by the schedule.
    pub(super) intended: Duration,
    /// When it was offered to the users.
    pub(super) offered: Duration,
    /// How long it waited for an idle user.
    pub(super) user_wait: Duration,
    /// The part of that time that the generator's own lateness causes.
    pub(super) our_wait: Duration,
    /// For how long the thread had been late in total when it was offered.
    pub(super) late_before: Duration,
    /// Its rows by row source; `None` if the plan has none.
    pub(super) rows: Option<Box<[u64]>>,
}

/// An arrival that expires is the generator's if the thread was late for this part of its wait.
const LATE_PART_OF_WAIT: u32 = 10;

/// An arrival that waited too long for a user.
#[derive(Debug, Clone)]
pub(super) struct ExpiredArrival {
    pub(super) arrival: Arrival,
    /// Whether users had time for it that the generator's own lateness took.
    pub(super) by_us: bool,
}

impl Arrival {
    pub(super) fn new(number: u64, intended: Duration, offered: Duration) -> Self {
        Self {
            number,
            intended,
            offered,
            user_wait: Duration::ZERO,
            our_wait: Duration::ZERO,
            late_before: Duration::ZERO,
            rows: None,
        }
    }
}

/// The users of one class on one worker. The user that was busy last gets the next arrival: its connection is
/// the least likely to have been closed, and users that are not needed stay idle.
#[derive(Debug, Default)]
pub(super) struct Pool {
    inner: RefCell<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// The idle users, the one that was busy last at the end: those with a connection, and those without.
    idle: [Vec<usize>; 2],
    slots: Vec<PoolSlot>,
    waiting: VecDeque<Arrival>,
    /// The users' time that the generator's own lateness took since an arrival last found an idle user at once.
    lost: Duration,
    /// How long the last performed arrival took.
    task_time: Duration,
    closed: bool,
    /// Woken as soon as no arrival waits.
    empty_waker: Option<Waker>,
}

/// The place of one user, at which it waits for its next arrival.
#[derive(Debug, Default)]
struct PoolSlot {
    arrival: Option<Arrival>,
    waker: Option<Waker>,
    idle: bool,
    /// When the user began its last arrival.
    began: Duration,
    /// When it had finished that arrival.
    finished: Duration,
    /// When it would have finished if the generator were never late.
    would_have_finished: Duration,
}

impl PoolSlot {
    /// Begins an arrival at `now`. Returns how much earlier that would have been if the generator were never late, and
    /// the time that the user could have used since its last arrival.
    fn begin(&mut self, intended: Duration, now: Duration) -> (Duration, Duration) {
        self.began = now;
        let late = now.saturating_sub(intended.max(self.would_have_finished));
        (late, now.saturating_sub(intended.max(self.finished)))
    }
}

impl Pool {
    /// Adds a place for one more user and returns its index.
    pub(super) fn add_slot(&self) -> usize {
        let mut inner = self.inner.borrow_mut();
        inner.slots.push(PoolSlot::default());
        inner.slots.len() - 1
    }

    /// Gives an arrival to the idle user that was busy last, one with a connection if there is one. Queues it if no user is
    /// idle.
    pub(super) fn offer(&self, arrival: Arrival) {
        let mut inner = self.inner.borrow_mut();
        let [connected, others] = &mut inner.idle;
        let Some(user) = connected.pop().or_else(|| others.pop()) else {
            inner.waiting.push_back(arrival);
            return;
        };
        let slot = &mut inner.slots[user];
        slot.idle = false;
        slot.arrival = Some(arrival);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    /// Waits for the next arrival of a user; `None` when there will be no more.
    pub(super) async fn next(
        &self,
        slot: usize,
        is_connected: bool,
        now: impl Fn() -> Duration,
    ) -> Option<Arrival> {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            let inner = &mut *inner;
            let user = &mut inner.slots[slot];
            if let Some(arrival) = user.arrival.take() {
                inner.lost += user.begin(arrival.intended, now()).1;
                return Poll::Ready(Some(arrival));
            }
            if !user.idle {
                if let Some(mut arrival) = inner.waiting.pop_front() {
                    let now = now();
                    let (late, lost) = user.begin(arrival.intended, now);
                    arrival.user_wait = now.saturating_sub(arrival.offered);
                    let before = arrival.offered.saturating_sub(arrival.intended);
                    arrival.our_wait = late.saturating_sub(before).min(arrival.user_wait);
                    inner.lost += lost;
                    if inner.waiting.is_empty()
                        && let Some(empty_waker) = inner.empty_waker.take()
                    {
                        empty_waker.wake();
                    }
                    return Poll::Ready(Some(arrival));
                }
                if inner.closed {
                    return Poll::Ready(None);
                }
                // No arrival waits, so the backlog of a late thread is gone.
                inner.lost = Duration::ZERO;
                user.idle = true;
                inner.idle[usize::from(!is_connected)].push(slot);
            } else if inner.closed {
                return Poll::Ready(None);
            }
            user.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Notes that a user finished its arrival. `ours` is the generator's own part of the time since its intended start.
    pub(super) fn performed(&self, slot: usize, finished: Duration, ours: Duration) {
        let mut inner = self.inner.borrow_mut();
        let user = &mut inner.slots[slot];
        user.finished = finished;
        user.would_have_finished = finished.saturating_sub(ours);
        let took = finished.saturating_sub(user.began);
        inner.task_time = took;
    }

    /// Returns as soon as no arrival waits.
    pub(super) async fn wait_until_empty(&self) {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if inner.waiting.is_empty() {
                return Poll::Ready(());
            }
            inner.empty_waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The intended start of the arrival that waits the longest.
    pub(super) fn oldest_waiting(&self) -> Option<Duration> {
        self.inner.borrow().waiting.front().map(|arrival| arrival.intended)
    }

    /// Removes and returns the arrivals that have waited for `patience`. The thread has been `late` for this time in total.
    pub(super) fn take_expired(
        &self,
        now: Duration,
        patience: Duration,
        late: Duration,
    ) -> Vec<ExpiredArrival> {
        let Some(until) = now.checked_sub(patience) else { return Vec::new() };
        let mut inner = self.inner.borrow_mut();
        let PoolState { waiting, lost, task_time, .. } = &mut *inner;
        let expired = waiting.iter().take_while(|arrival| arrival.intended <= until).count();
        let expired = waiting.drain(..expired).map(|arrival| {
            // A thread that is late all the time keeps users busy by parts that are known only when they finish.
            let was_late = late.saturating_sub(arrival.late_before) >= patience / LATE_PART_OF_WAIT;
            let was_offered_too_late = arrival.offered.saturating_sub(arrival.intended) >= patience;
            let had_time = !task_time.is_zero() && *lost >= *task_time;
            if had_time && !was_offered_too_late {
                *lost -= *task_time;
            }
            ExpiredArrival { arrival, by_us: was_offered_too_late || had_time || was_late }
        });
        expired.collect()
    }

    /// Removes and returns the arrivals that still wait.
    pub(super) fn take_waiting(&self) -> Vec<Arrival> {
        self.inner.borrow_mut().waiting.drain(..).collect()
    }

    /// Announces that no more arrivals come: users leave when no arrival waits.
    pub(super) fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.closed = true;
        inner.slots.iter_mut().filter_map(|slot| slot.waker.take()).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn arrival(number: u64) -> Arrival {
        Arrival::new(number, Duration::from_secs(number), Duration::from_secs(number))
    }

    #[tokio::test]
    async fn the_user_that_was_busy_last_gets_the_next_arrival_and_waiting_is_measured() {
        let pool = Rc::new(Pool::default());
        let (first, second) = (pool.add_slot(), pool.add_slot());
        let now = || Duration::from_secs(10);
        pool.offer(arrival(0));
        let waited = pool.next(second, true, now).await.unwrap();
        assert_eq!((waited.number, waited.user_wait), (0, Duration::from_secs(10)));
        let (a, b, ()) = tokio::join!(pool.next(first, true, now), pool.next(second, true, now), async {
            pool.offer(arrival(1));
            pool.offer(arrival(2));
        });
        assert_eq!((a.unwrap().number, b.unwrap().number), (2, 1));
        // A user without a connection comes last, whenever it was busy.
        let (a, b, ()) = tokio::join!(pool.next(first, true, now), pool.next(second, false, now), async {
            pool.offer(arrival(3));
            pool.offer(arrival(4));
        });
        assert_eq!((a.unwrap().number, b.unwrap().number), (3, 4));
    }

    #[tokio::test]
    async fn a_closed_pool_releases_users_after_the_last_arrival() {
        let pool = Pool::default();
        let slot = pool.add_slot();
        pool.offer(arrival(1));
        pool.close();
        assert!(pool.next(slot, true, || Duration::ZERO).await.is_some());
        assert!(pool.next(slot, true, || Duration::ZERO).await.is_none());
    }

    #[tokio::test]
    async fn an_emptied_queue_wakes_its_waiter() {
        let pool = Pool::default();
        let slot = pool.add_slot();
        pool.offer(arrival(1));
        let ((), taken) = tokio::join!(pool.wait_until_empty(), pool.next(slot, true, || Duration::ZERO));
        assert_eq!(taken.unwrap().number, 1);
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn arrivals_that_waited_too_long_are_taken_back() {
        let pool = Pool::default();
        (1..4).for_each(|number| pool.offer(arrival(number)));
        assert_eq!(
            pool.take_expired(Duration::from_secs(12), Duration::from_secs(10), Duration::ZERO).len(),
            2
        );
        assert_eq!(pool.oldest_waiting(), Some(Duration::from_secs(3)));
        assert_eq!(pool.take_waiting().len(), 1);
    }

    /// Users that serve arrivals every 10 ms, each in `takes` ms, on a thread that does nothing for 3 s after the first
    /// second. Arrivals wait for at most 500 ms. Returns for each arrival the wait and our part of it in ms, or whether
    /// its drop is ours.
    fn paused(users: usize, takes: u64) -> Vec<Result<(u128, u128), bool>> {
        let pool = Pool::default();
        let mut slots: Vec<(usize, Option<(u64, Duration)>)> =
            (0..users).map(|_| (pool.add_slot(), None)).collect();
        let (mut results, mut offered) = (Vec::new(), 0);
        let noop = &mut std::task::Context::from_waker(Waker::noop());
        for now in (0..10_000).filter(|now| !(1000..4000).contains(now)) {
            while offered * 10 <= now && offered < 900 {
                pool.offer(Arrival::new(offered, ms(offered * 10), ms(now)));
                offered += 1;
            }
            for expired in pool.take_expired(ms(now), ms(500), Duration::ZERO) {
                results.push((expired.arrival.number, Err(expired.by_us)));
            }
            for (slot, busy) in &mut slots {
                if let Some((until, ours)) = busy.filter(|(until, _)| *until <= now) {
                    // The response came in time even if it was read late.
                    pool.performed(*slot, ms(until), ours);
                    *busy = None;
                }
                if busy.is_none()
                    && let Poll::Ready(Some(arrival)) =
                        std::pin::pin!(pool.next(*slot, true, || ms(now))).poll(noop)
                {
                    let lag = arrival
                        .offered
                        .saturating_sub(arrival.intended)
                        .max(ms(now).saturating_sub(arrival.intended + arrival.user_wait));
                    *busy = Some((now + takes, lag + arrival.our_wait));
                    let waits = (arrival.user_wait.as_millis(), arrival.our_wait.as_millis());
                    results.push((arrival.number, Ok(waits)));
                }
            }
        }
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }

    #[test]
    fn what_a_pause_of_the_generator_holds_up_is_its_own() {
        let results = paused(4, 20);
        assert_eq!(results.len(), 900);
        let dropped = results.iter().filter(|result| result.is_err()).count();
        assert!(dropped > 200, "{dropped}");
        assert!(!results.contains(&Err(false)));
        // The users have time to spare, so all waits are ours.
        let theirs = results.iter().flatten().map(|(waited, ours)| waited - ours).max();
        assert!(theirs <= Some(1), "{theirs:?}");
        assert_eq!(results[800..].iter().flatten().map(|(waited, _)| *waited).max(), Some(0));
    }

    #[test]
    fn users_that_are_too_few_stay_too_few_after_a_pause() {
        let results = paused(4, 80);
        let [ours, theirs] =
            [true, false].map(|by_us| results.iter().filter(|it| **it == Err(by_us)).count());
        // Half of all arrivals find no user: 50 per second. The pause drops those of 3 s, and takes the time of 150.
        assert!((250..=450).contains(&ours), "{ours} and {theirs}");
        assert!((150..=300).contains(&theirs), "{ours} and {theirs}");
    }

    #[test]
    fn an_arrival_that_waited_while_the_thread_was_late_expires_by_us() {
        let pool = Pool::default();
        pool.offer(arrival(0));
        pool.offer(Arrival { late_before: Duration::from_millis(900), ..arrival(0) });
        let (now, patience, late) =
            (Duration::from_secs(10), Duration::from_secs(10), Duration::from_secs(1));
        let by_us: Vec<bool> =
            pool.take_expired(now, patience, late).iter().map(|expired| expired.by_us).collect();
        assert_eq!(by_us, [true, false]);
    }
}
