//! The rules that decide a limit: share, maximum, observed value, change and mean.

use crate::measure::indicator::CountBounds;
use crate::measure::summary::{Evidence, Trials};
use crate::slo::objective::{Aggregation, EveryInterval, RequestObjective, RequestStatistic};
use crate::statistics::{Allowed, BatchMeans, Proportion, Side};

/// The evidence for one limit and the rule that decides it.
#[derive(Debug, Clone, Copy)]
pub(in crate::slo) enum DecisionRule {
    /// At most a share of the cases may be bad.
    Proportion {
        /// For proving that the limit is kept: failures without a response time count as bad.
        kept: Proportion,
        /// For proving a breach: without these failures.
        broken: Proportion,
        /// The allowed share, from 0 to 1.
        allowed: f64,
        /// Cases that a histogram cannot tell from the limit, because the run did not count requests against it.
        unclear: f64,
        /// The generator's own part: cases that are bad only because of it.
        ours: f64,
    },
    /// No case may be bad. This needs no proof because every case is observed.
    NoneAllowed {
        cases: f64,
        /// The bad cases.
        counted: f64,
        /// The cases that may be bad: failures without a response time.
        doubted: f64,
        /// Of these, the ones that are bad only because of the generator's own part.
        ours: f64,
    },
    /// The observed value is compared with the limit.
    Observed {
        /// The number of readings.
        cases: f64,
        /// Whether the value is within the limit; `None` if there is no value.
        within: Option<bool>,
        /// Whether it would be beyond the limit even without the target.
        by_others: bool,
    },
    /// The confidence interval of a change must be on one side of the limit.
    Change {
        /// Lower end, estimate and upper end; `None` if there is not enough data.
        change: Option<[f64; 3]>,
        /// The estimate without the generator's own part.
        certain: Option<f64>,
        /// In the unit of the change.
        limit: f64,
        /// The number of readings or requests.
        cases: f64,
    },
    /// A mean must be on one side of the limit.
    Mean {
        /// For proving that the limit is kept: failures without a response time count with the timeout.
        kept: Option<BatchMeans>,
        /// For proving a breach: without these failures.
        broken: Option<BatchMeans>,
        /// The good side of the limit.
        side: Side,
        /// In the unit of the means.
        limit: f64,
        /// The limit that a breach must exceed. For throughput it is lower if the load was.
        breach_limit: f64,
    },
}

impl DecisionRule {
    /// The rule of a value that is compared with a limit.
    pub(in crate::slo) fn observed(cases: f64, within: Option<bool>) -> Self {
        Self::Observed { cases, within, by_others: false }
    }

    /// The rule for a limit on requests; `evidence` is that of its indicator.
    pub(in crate::slo) fn of(objective: &RequestObjective, limit: f64, evidence: &Evidence) -> Self {
        if let Some(interval) = objective.interval {
            return Self::of_trials(interval, &evidence.trials, evidence.is_by_histogram);
        }
        let CountBounds { kept, broken, ours } = evidence.bounds();
        let mean = |side, limit| Self::Mean {
            kept: BatchMeans::of(&evidence.kept),
            broken: BatchMeans::of(&evidence.broken),
            side,
            limit,
            breach_limit: limit,
        };
        match objective.statistic {
            RequestStatistic::ResponseTime(Aggregation::Quantile(part)) => {
                Self::of_share(evidence, 1.0 - part)
            }
            RequestStatistic::ErrorRate => Self::of_share(evidence, limit / 100.0),
            RequestStatistic::ResponseTime(Aggregation::Max) => {
                let doubted = kept.1 - broken.1;
                Self::NoneAllowed { cases: broken.0, counted: broken.1, doubted, ours: ours.1 }
            }
            RequestStatistic::ResponseTime(Aggregation::Mean) => mean(Side::AtMost, limit * 1000.0),
            RequestStatistic::Throughput => mean(Side::AtLeast, limit),
        }
    }

    fn of_share(evidence: &Evidence, allowed: f64) -> Self {
        let CountBounds { kept, broken, ours } = evidence.bounds();
        Self::Proportion {
            kept: Proportion::of(kept.0, kept.1, &evidence.kept),
            broken: Proportion::of(broken.0, broken.1, &evidence.broken),
            // 1 − 0.95 is 0.05 only after rounding.
            allowed: (allowed * 1e9).round() / 1e9,
            unclear: evidence.counts.unclear.sum(),
            ours: ours.1,
        }
    }

    /// The rule of intervals: every interval is one case. With `is_by_histogram` the doubted intervals are those that a
    /// histogram cannot tell from the limit.
    pub(in crate::slo) fn of_trials(interval: EveryInterval, trials: &Trials, is_by_histogram: bool) -> Self {
        let (judged, missed, doubted) = (trials.judged as f64, trials.missed as f64, trials.doubted as f64);
        let by_us = trials.missed_by_us as f64;
        match interval.allow {
            allow if allow > 0.0 => Self::Proportion {
                kept: Proportion::independent(judged, doubted),
                broken: Proportion::independent(judged, missed),
                allowed: allow,
                unclear: if is_by_histogram { doubted - missed } else { 0.0 },
                ours: by_us,
            },
            _ => Self::NoneAllowed { cases: judged, counted: missed, doubted: doubted - missed, ours: by_us },
        }
    }

    /// The rule if this share of the load was missing for no fault of the target.
    pub(in crate::slo) fn without_load(self, missing: f64) -> Self {
        match self {
            Self::Mean { kept, broken, side: Side::AtLeast, limit, .. } => {
                let breach_limit = limit * (1.0 - missing);
                Self::Mean { kept, broken, side: Side::AtLeast, limit, breach_limit }
            }
            rule => rule,
        }
    }

    /// Whether a mean is on the bad side of the limit that a breach must exceed.
    pub(in crate::slo) fn is_broken_by(&self, mean: f64) -> bool {
        match *self {
            Self::Mean { side: Side::AtLeast, breach_limit, .. } => mean < breach_limit,
            Self::Mean { side: Side::AtMost, breach_limit, .. } => mean > breach_limit,
            _ => false,
        }
    }

    /// Whether it is proven at risk `alpha` that the limit is kept.
    pub(in crate::slo) fn is_kept(&self, alpha: f64) -> bool {
        match *self {
            Self::Proportion { kept, allowed, .. } => kept.is_within(Allowed { share: allowed, alpha }),
            Self::NoneAllowed { cases, counted, doubted, .. } => {
                cases > 0.0 && counted == 0.0 && doubted == 0.0
            }
            Self::Observed { within, .. } => within == Some(true),
            Self::Change { change, limit, .. } => change.is_some_and(|[_, _, high]| high < limit),
            Self::Mean { kept, side, limit, .. } => kept.is_some_and(|mean| mean.risk(side, limit) <= alpha),
        }
    }

    /// The p-value of a breach, which is proven if it is at most α. 0 is certainty; 1 is no proof.
    pub(in crate::slo) fn risk_of_breach(&self) -> f64 {
        match *self {
            Self::Proportion { broken, allowed, .. } => broken.breach_p_value(allowed),
            Self::NoneAllowed { counted, .. } => f64::from(u8::from(counted == 0.0)),
            Self::Observed { within, by_others, .. } => {
                f64::from(u8::from(within != Some(false) || by_others))
            }
            // The interval was computed at the gate's risk.
            Self::Change { change, limit, .. } => {
                f64::from(u8::from(!change.is_some_and(|[low, ..]| low > limit)))
            }
            Self::Mean { broken, side, breach_limit, .. } => broken.map_or(1.0, |mean| match side {
                // A mean exactly at the limit keeps it.
                _ if mean.standard_error <= 0.0 && mean.risk(side, breach_limit) == 0.0 => 1.0,
                side => mean.risk(side.other(), breach_limit),
            }),
        }
    }

    /// Whether the decision shares α with other objectives. An observed value needs no proof and takes no risk.
    pub(in crate::slo) fn shares_risk(&self) -> bool {
        matches!(self, Self::Proportion { .. } | Self::Mean { .. })
    }

    /// Whether the observed value is within the limit; `None` if it is unknown, or not without the generator's own part.
    pub(in crate::slo) fn holds(&self) -> Option<bool> {
        match *self {
            Self::Proportion { broken, allowed, unclear, ours, .. } => {
                let within = |counted: f64| counted <= allowed * broken.cases + 1e-9;
                let is_clear = within(broken.counted) == within(broken.counted + unclear + ours);
                (broken.cases > 0.0 && is_clear).then(|| within(broken.counted))
            }
            Self::NoneAllowed { counted, doubted, .. } if counted == 0.0 && doubted > 0.0 => None,
            Self::NoneAllowed { cases, counted, .. } => (cases > 0.0).then_some(counted == 0.0),
            Self::Observed { within, by_others, .. } => within.filter(|_| !by_others),
            Self::Change { change, certain, limit, .. } => {
                let holds = change?[1] <= limit;
                (holds == (certain? <= limit)).then_some(holds)
            }
            Self::Mean { .. } => None,
        }
    }

    /// The number of cases: requests, intervals, batches or readings.
    pub(in crate::slo) fn cases(&self) -> f64 {
        match *self {
            Self::Proportion { broken, .. } => broken.cases,
            Self::NoneAllowed { cases, .. } | Self::Observed { cases, .. } | Self::Change { cases, .. } => {
                cases
            }
            Self::Mean { broken, .. } => broken.map_or(0.0, |mean| mean.batches as f64),
        }
    }

    /// The effective sample size: independent cases, or batches.
    pub(in crate::slo) fn effective(&self) -> Option<f64> {
        match *self {
            Self::Proportion { kept, .. } => Some(kept.effective()),
            Self::NoneAllowed { cases, .. } => Some(cases),
            Self::Observed { .. } | Self::Change { .. } => None,
            Self::Mean { kept, .. } => Some(kept?.batches as f64),
        }
    }
}
