//! The circuit breaker: ends a run whose target fails most requests.

use std::collections::VecDeque;
use std::time::Duration;

/// The span, in seconds, in which more than half of all requests must have failed. Both halves of it must fail on
/// their own, because one bad moment is not enough.
const SPAN_S: u64 = 60;
/// The fewest requests in the span that can trip the breaker, half of them in each half.
const MIN_REQUESTS: u64 = 10;

/// Trips when the target has failed more than half of all requests for a minute: more load would show nothing new.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    /// The second in which the first request ended.
    since: Option<u64>,
    /// Per second: the second, the requests that ended in it, and those of them that failed.
    seconds: VecDeque<(u64, u64, u64)>,
}

impl CircuitBreaker {
    /// Adds requests that have ended by `now`. Returns why the run should end, if it should.
    pub(super) fn take(&mut self, now: Duration, ended: u64, failed: u64) -> Option<String> {
        let second = now.as_secs();
        if ended > 0 {
            self.since.get_or_insert(second);
            match self.seconds.back_mut().filter(|(last, ..)| *last == second) {
                Some((_, all, bad)) => (*all, *bad) = (*all + ended, *bad + failed),
                None => self.seconds.push_back((second, ended, failed)),
            }
        }
        while self.seconds.front().is_some_and(|(first, ..)| *first + SPAN_S <= second) {
            self.seconds.pop_front();
        }
        let middle = (second + 1).saturating_sub(SPAN_S / 2);
        let (early, late): (Vec<_>, Vec<_>) = self.seconds.iter().partition(|(at, ..)| *at < middle);
        let fails = |half: &[&(u64, u64, u64)]| {
            let (ended, failed) = sums(half);
            ended >= MIN_REQUESTS / 2 && 2 * failed > ended
        };
        let long_enough = self.since.is_some_and(|since| second >= since + SPAN_S);
        (long_enough && fails(&early) && fails(&late)).then(|| {
            let (ended, failed) = sums(&[early, late].concat());
            format!(
                "{failed} of {ended} requests failed or were dropped in the last {SPAN_S} s, more than half in each \
                 half of that time; check the target, or set `breaker = false` in `[gate]`"
            )
        })
    }
}

fn sums(seconds: &[&(u64, u64, u64)]) -> (u64, u64) {
    seconds.iter().fold((0, 0), |sum, (_, ended, failed)| (sum.0 + ended, sum.1 + failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second at which it trips, with `ended` requests per second of which `failed` fail.
    fn trips_at(ended: u64, failed: impl Fn(u64) -> u64) -> Option<u64> {
        let mut breaker = CircuitBreaker::default();
        (0..200).find(|second| breaker.take(Duration::from_secs(*second), ended, failed(*second)).is_some())
    }

    #[test]
    fn more_than_half_for_a_minute_is_enough_and_half_is_not() {
        assert_eq!(trips_at(10, |_| 6), Some(60));
        assert_eq!(trips_at(10, |_| 5), None);
        assert_eq!(trips_at(10, |_| 10), Some(60));
    }

    #[test]
    fn half_a_minute_of_failures_in_a_good_run_is_not_enough() {
        let failing = |from: u64, to: u64| {
            trips_at(10, move |second| if (from..to).contains(&second) { 10 } else { 0 })
        };
        assert_eq!(failing(70, 100), None);
        assert_eq!(failing(70, 130), Some(115));
        // One bad moment after a quiet minute is not enough.
        assert_eq!(trips_at(0, |_| 0), None);
        let mut breaker = CircuitBreaker::default();
        assert_eq!(breaker.take(Duration::ZERO, 10, 0), None);
        assert_eq!(breaker.take(Duration::from_secs(90), 10, 10), None);
    }

    #[test]
    fn a_few_requests_are_no_reason() {
        let mut breaker = CircuitBreaker::default();
        let fallen = (0..20).find(|minute| breaker.take(Duration::from_secs(30 * minute), 1, 1).is_some());
        assert_eq!(fallen, None);
    }
}
