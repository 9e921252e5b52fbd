//! The idle users of a class and the arrivals that wait for one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

/// An arrival to be carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// The arrival's number in the phase, from 0.
    pub(super) number: u64,
    /// When the schedule wanted it.
    pub(super) intended: Duration,
    /// When it was offered to the users.
    offered: Duration,
    /// How long it waited for an idle user.
    pub(super) user_wait: Duration,
}

impl Ticket {
    pub(super) fn new(number: u64, intended: Duration, offered: Duration) -> Self {
        Self { number, intended, offered, user_wait: Duration::ZERO }
    }
}

/// The users of one class on one worker. The user that has been idle the longest gets the next arrival.
#[derive(Debug, Default)]
pub(super) struct Pool {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    idle: VecDeque<usize>,
    seats: Vec<Seat>,
    waiting: VecDeque<Ticket>,
    closed: bool,
    /// Wants to know when nothing waits any more.
    watcher: Option<Waker>,
}

/// Where a user waits.
#[derive(Debug, Default)]
struct Seat {
    ticket: Option<Ticket>,
    waker: Option<Waker>,
    idle: bool,
}

impl Pool {
    /// A place for one more user.
    pub(super) fn seat(&self) -> usize {
        let mut inner = self.inner.borrow_mut();
        inner.seats.push(Seat::default());
        inner.seats.len() - 1
    }

    /// Gives an arrival to an idle user or lets it wait for one.
    pub(super) fn offer(&self, ticket: Ticket) {
        let mut inner = self.inner.borrow_mut();
        let Some(user) = inner.idle.pop_front() else {
            inner.waiting.push_back(ticket);
            return;
        };
        let seat = &mut inner.seats[user];
        seat.idle = false;
        seat.ticket = Some(ticket);
        if let Some(waker) = seat.waker.take() {
            waker.wake();
        }
    }

    /// The next arrival for a user; `None` when there will be none.
    pub(super) async fn next(&self, seat: usize, now: impl Fn() -> Duration) -> Option<Ticket> {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if let Some(ticket) = inner.seats[seat].ticket.take() {
                return Poll::Ready(Some(ticket));
            }
            if !inner.seats[seat].idle {
                if let Some(mut ticket) = inner.waiting.pop_front() {
                    ticket.user_wait = now().saturating_sub(ticket.offered);
                    if inner.waiting.is_empty()
                        && let Some(watcher) = inner.watcher.take()
                    {
                        watcher.wake();
                    }
                    return Poll::Ready(Some(ticket));
                }
                if inner.closed {
                    return Poll::Ready(None);
                }
                inner.seats[seat].idle = true;
                inner.idle.push_back(seat);
            } else if inner.closed {
                return Poll::Ready(None);
            }
            inner.seats[seat].waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Returns as soon as nothing waits.
    pub(super) async fn emptied(&self) {
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if inner.waiting.is_empty() {
                return Poll::Ready(());
            }
            inner.watcher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// When the arrival that waits the longest was intended.
    pub(super) fn longest_waiting(&self) -> Option<Duration> {
        self.inner.borrow().waiting.front().map(|ticket| ticket.intended)
    }

    /// Takes back the arrivals that were intended up to a moment and still wait.
    pub(super) fn take_waiting(&self, until: Duration) -> Vec<Ticket> {
        let waiting = &mut self.inner.borrow_mut().waiting;
        let expired = waiting.iter().take_while(|ticket| ticket.intended <= until).count();
        waiting.drain(..expired).collect()
    }

    /// There will be no more arrivals: users leave when none waits.
    pub(super) fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.closed = true;
        inner.seats.iter_mut().filter_map(|seat| seat.waker.take()).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn ticket(number: u64) -> Ticket {
        Ticket::new(number, Duration::from_secs(number), Duration::from_secs(number))
    }

    #[tokio::test]
    async fn the_longest_idle_user_gets_the_next_arrival_and_waiting_is_measured() {
        let pool = Rc::new(Pool::default());
        let (first, second) = (pool.seat(), pool.seat());
        let now = || Duration::from_secs(10);
        pool.offer(ticket(0));
        let waited = pool.next(second, now).await.unwrap();
        assert_eq!((waited.number, waited.user_wait), (0, Duration::from_secs(10)));
        let (a, b, ()) = tokio::join!(pool.next(first, now), pool.next(second, now), async {
            pool.offer(ticket(1));
            pool.offer(ticket(2));
        });
        assert_eq!((a.unwrap().number, b.unwrap().number), (1, 2));
    }

    #[tokio::test]
    async fn a_closed_pool_sends_users_home_but_not_before_the_last_arrival() {
        let pool = Pool::default();
        let seat = pool.seat();
        pool.offer(ticket(1));
        pool.close();
        assert!(pool.next(seat, || Duration::ZERO).await.is_some());
        assert!(pool.next(seat, || Duration::ZERO).await.is_none());
    }

    #[tokio::test]
    async fn it_is_told_when_nothing_waits_any_more() {
        let pool = Pool::default();
        let seat = pool.seat();
        pool.offer(ticket(1));
        let ((), taken) = tokio::join!(pool.emptied(), pool.next(seat, || Duration::ZERO));
        assert_eq!(taken.unwrap().number, 1);
    }

    #[test]
    fn arrivals_that_waited_too_long_are_taken_back() {
        let pool = Pool::default();
        (1..4).for_each(|number| pool.offer(ticket(number)));
        assert_eq!(pool.take_waiting(Duration::from_secs(2)).len(), 2);
        assert_eq!(pool.longest_waiting(), Some(Duration::from_secs(3)));
    }
}
