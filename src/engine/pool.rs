//! The idle users of a class and the arrivals that wait for a user.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

/// An arrival of an open phase that a user has to perform.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// The arrival's number in the phase, from 0.
    pub(super) number: u64,
    /// The intended start, by the schedule.
    pub(super) intended: Duration,
    /// When it was offered to the users.
    offered: Duration,
    /// How long it waited for an idle user.
    pub(super) user_wait: Duration,
}

impl Arrival {
    pub(super) fn new(number: u64, intended: Duration, offered: Duration) -> Self {
        Self { number, intended, offered, user_wait: Duration::ZERO }
    }
}

/// The users of one class on one worker. The user that has been idle the longest gets the next arrival.
#[derive(Debug, Default)]
pub(super) struct Pool {
    inner: RefCell<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    idle: VecDeque<usize>,
    slots: Vec<PoolSlot>,
    waiting: VecDeque<Arrival>,
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
}

impl Pool {
    /// Adds a place for one more user and returns its index.
    pub(super) fn add_slot(&self) -> usize {
        let mut inner = self.inner.borrow_mut();
        inner.slots.push(PoolSlot::default());
        inner.slots.len() - 1
    }

    /// Gives an arrival to the user that has been idle the longest, or queues it if no user is idle.
    pub(super) fn offer(&self, arrival: Arrival) {
        let mut inner = self.inner.borrow_mut();
        let Some(user) = inner.idle.pop_front() else {
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
    pub(super) async fn next(&self, slot: usize, now: impl Fn() -> Duration) -> Option<Arrival> {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if let Some(arrival) = inner.slots[slot].arrival.take() {
                return Poll::Ready(Some(arrival));
            }
            if !inner.slots[slot].idle {
                if let Some(mut arrival) = inner.waiting.pop_front() {
                    arrival.user_wait = now().saturating_sub(arrival.offered);
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
                inner.slots[slot].idle = true;
                inner.idle.push_back(slot);
            } else if inner.closed {
                return Poll::Ready(None);
            }
            inner.slots[slot].waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
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

    /// Removes and returns the arrivals that still wait and were intended at `until` or before.
    pub(super) fn take_waiting(&self, until: Duration) -> Vec<Arrival> {
        let waiting = &mut self.inner.borrow_mut().waiting;
        let expired = waiting.iter().take_while(|arrival| arrival.intended <= until).count();
        waiting.drain(..expired).collect()
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
    async fn the_longest_idle_user_gets_the_next_arrival_and_waiting_is_measured() {
        let pool = Rc::new(Pool::default());
        let (first, second) = (pool.add_slot(), pool.add_slot());
        let now = || Duration::from_secs(10);
        pool.offer(arrival(0));
        let waited = pool.next(second, now).await.unwrap();
        assert_eq!((waited.number, waited.user_wait), (0, Duration::from_secs(10)));
        let (a, b, ()) = tokio::join!(pool.next(first, now), pool.next(second, now), async {
            pool.offer(arrival(1));
            pool.offer(arrival(2));
        });
        assert_eq!((a.unwrap().number, b.unwrap().number), (1, 2));
    }

    #[tokio::test]
    async fn a_closed_pool_releases_users_after_the_last_arrival() {
        let pool = Pool::default();
        let slot = pool.add_slot();
        pool.offer(arrival(1));
        pool.close();
        assert!(pool.next(slot, || Duration::ZERO).await.is_some());
        assert!(pool.next(slot, || Duration::ZERO).await.is_none());
    }

    #[tokio::test]
    async fn an_emptied_queue_wakes_its_waiter() {
        let pool = Pool::default();
        let slot = pool.add_slot();
        pool.offer(arrival(1));
        let ((), taken) = tokio::join!(pool.wait_until_empty(), pool.next(slot, || Duration::ZERO));
        assert_eq!(taken.unwrap().number, 1);
    }

    #[test]
    fn arrivals_that_waited_too_long_are_taken_back() {
        let pool = Pool::default();
        (1..4).for_each(|number| pool.offer(arrival(number)));
        assert_eq!(pool.take_waiting(Duration::from_secs(2)).len(), 2);
        assert_eq!(pool.oldest_waiting(), Some(Duration::from_secs(3)));
    }
}
