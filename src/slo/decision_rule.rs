use crate::measure::indicator::Counts;
use crate::measure::summary::{Evidence, Trials};
use crate::slo::objective::{EveryInterval, Objective, Statistic};
use crate::statistics::{Allowed, BatchMeans, Proportion, Side};

/// What was counted against one limit, and how it is decided.
#[derive(Debug, Clone, Copy)]
pub(in crate::slo) enum DecisionRule {
    /// A share of the cases may count.
    Proportion {
        /// With failures without a time among those that count.
        kept: Proportion,
        /// Without them.
        broken: Proportion,
        /// The share that may.
        allowed: f64,
    },
    /// No case may count, which needs no proof: it is seen.
    NoneAllowed {
        /// Cases.
        cases: f64,
        /// Of these, the ones that count.
        counted: f64,
        /// Those that may count: failures without a time.
        doubted: f64,
    },
    /// What was seen is within the limit or is not.
    Observed {
        /// Readings.
        cases: f64,
        /// `None` where that cannot be said.
        within: Option<bool>,
    },
    /// A change whose interval has to be on one side of the limit.
    Change {
        /// Low, estimate and high; `None` where it is not known.
        change: Option<[f64; 3]>,
        /// In the same unit.
        limit: f64,
        /// Readings or requests.
        cases: f64,
    },
    /// A mean has to be on one side of the limit.
    Mean {
        /// With failures without a time at the timeout.
        kept: Option<BatchMeans>,
        /// Without them.
        broken: Option<BatchMeans>,
        /// The good side.
        side: Side,
        /// In the means' own unit.
        limit: f64,
    },
}

impl DecisionRule {
    pub(in crate::slo) fn of(objective: &Objective, limit: f64, evidence: &Evidence) -> Self {
        if let Some(windows) = objective.windows {
            return Self::of_trials(windows, &evidence.trials);
        }
        let Counts { n, k, untimed } = evidence.counts;
        let mean = |side, limit| Self::Mean {
            kept: BatchMeans::of(&evidence.kept),
            broken: BatchMeans::of(&evidence.broken),
            side,
            limit,
        };
        match objective.statistic {
            Statistic::Quantile(part) => Self::of_share(evidence, 1.0 - part),
            Statistic::ErrorRate => Self::of_share(evidence, limit / 100.0),
            Statistic::Max => Self::NoneAllowed { cases: n - untimed, counted: k, doubted: untimed },
            Statistic::Mean => mean(Side::AtMost, limit * 1000.0),
            Statistic::Throughput => mean(Side::AtLeast, limit),
            // These have no evidence of this kind.
            Statistic::Resource(_) | Statistic::Growth(_) | Statistic::Slowdown { .. } => {
                Self::Observed { cases: 0.0, within: None }
            }
        }
    }

    fn of_share(evidence: &Evidence, allowed: f64) -> Self {
        let Counts { n, k, untimed } = evidence.counts;
        Self::Proportion {
            kept: Proportion::of(n, k + untimed, &evidence.kept),
            broken: Proportion::of(n - untimed, k, &evidence.broken),
            // 1 − 0.95 is not 0.05 but for a rounding.
            allowed: (allowed * 1e9).round() / 1e9,
        }
    }

    /// Every window is one case.
    pub(in crate::slo) fn of_trials(windows: EveryInterval, trials: &Trials) -> Self {
        let (judged, missed, doubted) = (trials.judged as f64, trials.missed as f64, trials.doubted as f64);
        match windows.allow {
            allow if allow > 0.0 => Self::Proportion {
                kept: Proportion::independent(judged, doubted),
                broken: Proportion::independent(judged, missed),
                allowed: allow,
            },
            _ => Self::NoneAllowed { cases: judged, counted: missed, doubted: doubted - missed },
        }
    }

    /// Whether it is proven that the limit is kept.
    pub(in crate::slo) fn is_kept(&self, alpha: f64) -> bool {
        match *self {
            Self::Proportion { kept, allowed, .. } => kept.is_within(Allowed { share: allowed, alpha }),
            Self::NoneAllowed { cases, counted, doubted } => cases > 0.0 && counted == 0.0 && doubted == 0.0,
            Self::Observed { within, .. } => within == Some(true),
            Self::Change { change, limit, .. } => change.is_some_and(|[_, _, high]| high < limit),
            Self::Mean { kept, side, limit, .. } => kept.is_some_and(|mean| mean.risk(side, limit) <= alpha),
        }
    }

    /// What α is compared with to prove that the limit is broken; 0 is certain, 1 is no proof at all.
    pub(in crate::slo) fn risk_of_breach(&self) -> f64 {
        match *self {
            Self::Proportion { broken, allowed, .. } => broken.breach_p_value(allowed),
            Self::NoneAllowed { counted, .. } => f64::from(u8::from(counted == 0.0)),
            Self::Observed { within, .. } => f64::from(u8::from(within != Some(false))),
            // Its interval was made for the gate's risk already.
            Self::Change { change, limit, .. } => {
                f64::from(u8::from(!change.is_some_and(|[low, ..]| low > limit)))
            }
            Self::Mean { broken, side, limit, .. } => broken.map_or(1.0, |mean| match side {
                // A mean at the limit itself keeps it.
                _ if mean.standard_error <= 0.0 && mean.risk(side, limit) == 0.0 => 1.0,
                side => mean.risk(side.other(), limit),
            }),
        }
    }

    /// Whether it shares its risk with others: what is seen needs no proof and takes no risk.
    pub(in crate::slo) fn shares_risk(&self) -> bool {
        matches!(self, Self::Proportion { .. } | Self::Mean { .. })
    }

    /// Whether what was observed is within the limit; `None` where that cannot be said.
    pub(in crate::slo) fn holds(&self) -> Option<bool> {
        match *self {
            Self::Proportion { broken, allowed, .. } => {
                (broken.cases > 0.0).then_some(broken.counted <= allowed * broken.cases + 1e-9)
            }
            Self::NoneAllowed { counted, doubted, .. } if counted == 0.0 && doubted > 0.0 => None,
            Self::NoneAllowed { cases, counted, .. } => (cases > 0.0).then_some(counted == 0.0),
            Self::Observed { within, .. } => within,
            Self::Change { change, limit, .. } => change.map(|[_, estimate, _]| estimate <= limit),
            Self::Mean { .. } => None,
        }
    }

    /// How many cases there are: requests, windows, batches or readings.
    pub(in crate::slo) fn cases(&self) -> f64 {
        match *self {
            Self::Proportion { broken, .. } => broken.cases,
            Self::NoneAllowed { cases, .. } | Self::Observed { cases, .. } | Self::Change { cases, .. } => {
                cases
            }
            Self::Mean { broken, .. } => broken.map_or(0.0, |mean| mean.batches as f64),
        }
    }

    /// How many independent cases, or batches, the decision rests on.
    pub(in crate::slo) fn effective(&self) -> Option<f64> {
        match *self {
            Self::Proportion { kept, .. } => Some(kept.effective()),
            Self::NoneAllowed { cases, .. } => Some(cases),
            Self::Observed { .. } | Self::Change { .. } => None,
            Self::Mean { kept, .. } => Some(kept?.batches as f64),
        }
    }
}
