//! The request counts of an objective: observed value, confidence interval and sample count.

use std::time::Duration;

use crate::measure::histogram::DenseHistogram;
use crate::measure::indicator::Counts;
use crate::measure::summary::{Evidence, PhaseSummary};
use crate::slo::objective::{Aggregation, RequestObjective, RequestStatistic};
use crate::statistics::Proportion;

/// The requests of an objective.
pub(super) struct Requests<'c> {
    pub(super) objective: &'c RequestObjective,
    pub(super) phase: &'c PhaseSummary,
    /// The evidence at the gate's tier.
    pub(super) evidence: &'c Evidence,
}

impl Requests<'_> {
    pub(super) fn has_data(&self) -> bool {
        let Counts { n, untimed, .. } = self.evidence.counts;
        match self.objective.statistic {
            // Seconds alone are no data: a task must have been drawn or an arrival dropped in the judged period.
            // Otherwise users that never began would show as a throughput of 0.
            RequestStatistic::Throughput => {
                let tried = self.phase.health.draws.iter().any(|drawn| *drawn > 0);
                n > 0.0 && (tried || self.phase.dropped() > 0)
            }
            _ if self.objective.interval.is_some() => self.evidence.trials.judged > 0,
            RequestStatistic::ResponseTime(Aggregation::Mean) => n > 0.0,
            RequestStatistic::ResponseTime(_) | RequestStatistic::ErrorRate => n - untimed > 0.0,
        }
    }

    /// The number of requests.
    pub(super) fn samples(&self) -> u64 {
        match self.objective.statistic {
            RequestStatistic::Throughput => {
                let operations = self.objective.operations.iter();
                operations.filter_map(|id| self.phase.operations.get(id)).map(|o| o.completed).sum()
            }
            RequestStatistic::ResponseTime(_) | RequestStatistic::ErrorRate => self.evidence.counts.n as u64,
        }
    }

    pub(super) fn times(&self) -> DenseHistogram {
        let mut times = DenseHistogram::default();
        for operation in self.objective.operations.iter().filter_map(|id| self.phase.operations.get(id)) {
            times.merge(&operation.response);
        }
        times
    }

    /// The observed value for reports, in the statistic's unit.
    pub(super) fn observed(&self) -> Option<f64> {
        let Counts { n, k, .. } = self.evidence.counts;
        match self.objective.statistic {
            RequestStatistic::ResponseTime(Aggregation::Quantile(part)) => self.quantile(&self.times(), part),
            RequestStatistic::ResponseTime(Aggregation::Max) => self.times().max().map(ms),
            RequestStatistic::ResponseTime(Aggregation::Mean) => (n > 0.0).then(|| k / n / 1000.0),
            RequestStatistic::Throughput => self.has_data().then(|| k / n),
            RequestStatistic::ErrorRate => (n > 0.0).then(|| 100.0 * k / n),
        }
    }

    /// The mean without the generator's own part, in the unit of its counts; `None` without a case.
    pub(super) fn certain_mean(&self) -> Option<f64> {
        let Counts { n, k, ours, .. } = self.evidence.counts;
        (n - ours.n > 0.0).then(|| (k - ours.k) / (n - ours.n))
    }

    /// The time at a rank among responses and dropped arrivals. A dropped arrival has no time and ranks as the slowest.
    fn quantile(&self, times: &DenseHistogram, rank: f64) -> Option<f64> {
        let Counts { n, untimed, .. } = self.evidence.counts;
        let rank = rank * (n - untimed) / (times.count().max(1) as f64);
        times.quantile(rank.min(1.0)).filter(|_| rank <= 1.0).map(ms)
    }

    /// The confidence interval, each end at risk α.
    pub(super) fn interval(&self, alpha: f64) -> Option<[f64; 2]> {
        let Evidence { counts: Counts { n, k, untimed, .. }, broken, .. } = self.evidence;
        let mean = |unit: f64| {
            let (low, high) = crate::statistics::BatchMeans::of(broken)?.interval(alpha);
            Some([low.max(0.0) / unit, high / unit])
        };
        match self.objective.statistic {
            RequestStatistic::ResponseTime(Aggregation::Quantile(part)) => {
                let (low, high) = Proportion::of(n - untimed, *k, broken).ranks(part, alpha);
                let times = self.times();
                Some([self.quantile(&times, low)?, self.quantile(&times, high?)?])
            }
            RequestStatistic::ErrorRate => {
                let (low, high) = Proportion::of(*n, *k, broken).interval(alpha);
                Some([100.0 * low, 100.0 * high])
            }
            RequestStatistic::ResponseTime(Aggregation::Mean) => mean(1000.0),
            RequestStatistic::Throughput => mean(1.0),
            RequestStatistic::ResponseTime(Aggregation::Max) => None,
        }
    }

    /// The reason why throughput is not decided: the judged period is shorter than one cycle of the users. `round` is
    /// the cycle in seconds without the target's response time.
    pub(super) fn unsteady(&self, round: f64) -> Option<String> {
        let judged = self.phase.judged_seconds;
        let answered = || self.times().quantile(0.5).unwrap_or_default().as_secs_f64();
        let unsteady =
            self.objective.statistic == RequestStatistic::Throughput && judged < round + answered();
        unsteady.then(|| {
            format!(
                "judged for {} s, less than one cycle of its users; not enough to decide",
                crate::units::format_number(judged)
            )
        })
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
