//! The circuit breaker: ends a run whose target has collapsed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::measure::limits::{Limit, Limits};
use crate::measure::window::{Batch, Cell};
use crate::units::Count;

/// The span, in seconds, in which more than half of all requests must have failed. Both halves of it must fail on
/// their own, because one bad moment is not enough.
const SPAN_S: u64 = 60;
/// The fewest requests in the span that can trip the breaker, half of them in each half.
const MIN_REQUESTS: u64 = 10;

/// Trips when the target has failed more than half of all requests of a phase for a minute: more load would show nothing
/// new. Failures that the generator caused do not count.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    /// The second in which the first request ended.
    since: Option<u64>,
    /// The outcomes of each second, with the second.
    seconds: VecDeque<(u64, Outcomes)>,
}

/// How requests ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    succeeded: u64,
    /// Of these, the ones that the target answered later than every limit of their operation.
    slow: u64,
    /// Failed for another reason than the generator.
    failed: u64,
    /// Arrivals that found no user, for another reason than the generator.
    dropped: u64,
}

/// Why a phase should end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Collapse {
    pub(super) why: String,
    /// Whether there are enough failures without the dropped arrivals.
    pub(super) is_certain: bool,
}

impl Outcomes {
    /// The outcomes in a batch of requests with these limits.
    pub(super) fn of(batch: &Batch, limits: &Limits) -> Self {
        let cells = batch.windows.values().flat_map(|window| &window.cells);
        cells.fold(Self::default(), |sum, (operation, cell)| {
            sum.and(Self::of_cell(cell, limits.of_operation(*operation)))
        })
    }

    fn of_cell(cell: &Cell, limits: &[Limit]) -> Self {
        let succeeded = u64::from(cell.succeeded);
        let slower =
            |limit: &Limit| cell.service.count_above(limit.time).saturating_sub(cell.timeouts().into());
        Self {
            succeeded,
            // Without a limit it is unknown whether they were fast enough.
            slow: limits.last().map_or(succeeded, slower),
            failed: u64::from(cell.failed() - cell.failed_by_us),
            dropped: u64::from(cell.unserved() - cell.dropped_by_us),
        }
    }

    fn and(self, other: Self) -> Self {
        let Self { succeeded, slow, failed, dropped } = other;
        Self {
            succeeded: self.succeeded + succeeded,
            slow: self.slow + slow,
            failed: self.failed + failed,
            dropped: self.dropped + dropped,
        }
    }

    /// Without dropped arrivals.
    fn sent(self) -> Self {
        Self { dropped: 0, ..self }
    }

    /// Without dropped arrivals if the answers keep their limits, because then there are only too few users.
    fn blamed(self) -> Self {
        if 2 * self.slow < self.succeeded { self.sent() } else { self }
    }

    fn bad(self) -> u64 {
        self.failed + self.dropped
    }

    fn all(self) -> u64 {
        self.succeeded + self.bad()
    }

    fn are_mostly_bad(self) -> bool {
        self.all() >= MIN_REQUESTS / 2 && 2 * self.bad() > self.all()
    }
}

impl CircuitBreaker {
    /// Adds requests that have ended by `now`. Returns why the phase should end, if it should.
    pub(super) fn take(&mut self, now: Duration, outcomes: Outcomes) -> Option<Collapse> {
        let second = now.as_secs();
        if outcomes != Outcomes::default() {
            self.since.get_or_insert(second);
            match self.seconds.back_mut().filter(|(last, ..)| *last == second) {
                Some((_, sum)) => *sum = sum.and(outcomes),
                None => self.seconds.push_back((second, outcomes)),
            }
        }
        while self.seconds.front().is_some_and(|(first, ..)| *first + SPAN_S <= second) {
            self.seconds.pop_front();
        }
        let middle = (second + 1).saturating_sub(SPAN_S / 2);
        let (early, late) = self.seconds.iter().fold(
            (Outcomes::default(), Outcomes::default()),
            |(early, late), (at, outcomes)| match *at < middle {
                true => (early.and(*outcomes), late),
                false => (early, late.and(*outcomes)),
            },
        );
        let long_enough = self.since.is_some_and(|since| second >= since + SPAN_S);
        let fails =
            |part: fn(Outcomes) -> Outcomes| part(early).are_mostly_bad() && part(late).are_mostly_bad();
        (long_enough && fails(Outcomes::blamed)).then(|| {
            let sum = early.and(late);
            let why = format!(
                "the target collapsed: {} of {} requests succeeded in the last {SPAN_S} s, less than half in each half \
                 of that time; check the target, or set `breaker = false` in `[gate]`",
                Count(sum.succeeded as f64),
                Count(sum.all() as f64)
            );
            Collapse { why, is_certain: fails(Outcomes::sent) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(ended: u64, failed: u64) -> Outcomes {
        Outcomes { succeeded: ended - failed, failed, ..Outcomes::default() }
    }

    /// The second at which it trips, with these outcomes in each second.
    fn trips_at(each: impl Fn(u64) -> Outcomes) -> Option<u64> {
        let mut breaker = CircuitBreaker::default();
        (0..200).find(|second| breaker.take(Duration::from_secs(*second), each(*second)).is_some())
    }

    #[test]
    fn more_than_half_for_a_minute_is_enough_and_half_is_not() {
        assert_eq!(trips_at(|_| outcomes(10, 6)), Some(60));
        assert_eq!(trips_at(|_| outcomes(10, 5)), None);
        assert_eq!(trips_at(|_| outcomes(10, 10)), Some(60));
    }

    #[test]
    fn half_a_minute_of_failures_in_a_good_run_is_not_enough() {
        let failing = |from: u64, to: u64| {
            trips_at(move |second| outcomes(10, if (from..to).contains(&second) { 10 } else { 0 }))
        };
        assert_eq!(failing(70, 100), None);
        assert_eq!(failing(70, 130), Some(115));
        // One bad moment after a quiet minute is not enough.
        assert_eq!(trips_at(|_| outcomes(0, 0)), None);
        let mut breaker = CircuitBreaker::default();
        assert_eq!(breaker.take(Duration::ZERO, outcomes(10, 0)), None);
        assert_eq!(breaker.take(Duration::from_secs(90), outcomes(10, 10)), None);
    }

    #[test]
    fn a_few_requests_are_no_reason() {
        let mut breaker = CircuitBreaker::default();
        let fallen =
            (0..20).find(|minute| breaker.take(Duration::from_secs(30 * minute), outcomes(1, 1)).is_some());
        assert_eq!(fallen, None);
    }

    #[test]
    fn dropped_arrivals_count_only_where_answers_are_too_slow() {
        let of = |slow: u64| trips_at(|_| Outcomes { succeeded: 10, slow, failed: 0, dropped: 30 });
        assert_eq!((of(4), of(5)), (None, Some(60)));
        assert_eq!(trips_at(|_| Outcomes { dropped: 30, ..Outcomes::default() }), Some(60));
    }

    #[test]
    fn failures_of_the_generator_are_left_out() {
        let mut cell = Cell { requests: 10, succeeded: 2, dropped: 5, ..Cell::default() };
        cell.errors.insert(crate::measure::sample::ErrorKind::Local, 8);
        (cell.failed_by_us, cell.dropped_by_us) = (8, 4);
        assert_eq!(Outcomes::of_cell(&cell, &[]), Outcomes { succeeded: 2, slow: 2, failed: 0, dropped: 1 });
    }
}
