use crate::measure::hosts::MINUTE;
use crate::offer::PhaseOffer;
use crate::plan::Decision;
use crate::plan::model::{Gate, Judged, Phase};
use crate::proof::{Allowed, fewest_samples};
use crate::slo::judge::FEWEST_READINGS;
use crate::slo::objective::{Objective, Resource, Statistic, Typical};

/// The fewest judged seconds from which the spread of a rate or a mean can be told.
const FEWEST_SECONDS: u64 = 4;
/// The fewest seconds with a request from which that of a mean can be told, where there are as many.
const FEWEST_BATCHES: u64 = 16;

/// A trend is that of so many windows at least, without the first tenth.
const DRIFT_WINDOWS: f64 = 24.0;
/// A tenth of a phase has so many parts at least, of a second or more.
const DRIFT_BATCHES: f64 = 8.0;

/// What an objective needs to be proven in its phase, and what it can expect there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    /// What is counted.
    pub of: Counted,
    /// So many can be expected; `None` where it depends on the target's speed.
    pub expected: Option<f64>,
    /// So many are needed, if all of them are good; `None` where any number decides.
    pub needed: Option<u64>,
    /// So many are needed, if one of them is bad.
    pub needed_with_one: Option<u64>,
}

/// What a proof counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Requests.
    Samples,
    /// Judged seconds.
    Seconds,
    /// Windows of `every`.
    Windows,
    /// Readings of a host.
    Readings,
    /// Judged seconds, for what takes hours to show.
    Length,
}

/// Whether an objective can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chance {
    /// With room for some that are bad.
    Good,
    /// If hardly any is bad.
    Just,
    /// Never.
    None,
    /// It depends on how fast the target is.
    Depends,
}

impl Chance {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "yes",
            Self::Just => "just",
            Self::None => "too few",
            Self::Depends => "depends",
        }
    }
}

impl Counted {
    /// One of them.
    pub fn word(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Seconds | Self::Length => "judged seconds",
            Self::Windows => "windows",
            Self::Readings => "readings",
        }
    }

    /// Whether so many are needed for a proof at the gate's confidence, and not for any statement at all.
    pub fn is_statistical(self) -> bool {
        !matches!(self, Self::Readings | Self::Length)
    }
}

impl Proof {
    /// Whether what can be expected is enough: comfortably from twice what is needed.
    pub fn chance(&self) -> Chance {
        match (self.expected, self.needed) {
            (_, None) => Chance::Good,
            (None, Some(_)) => Chance::Depends,
            (Some(expected), Some(needed)) if expected < needed as f64 => Chance::None,
            (Some(expected), Some(needed)) if expected < 2.0 * needed as f64 => Chance::Just,
            _ => Chance::Good,
        }
    }
}

impl PhaseOffer {
    /// What an objective of this phase needs, and what it can expect.
    pub fn proof(&self, objective: &Objective, phase: &Phase, gate: &Gate) -> Proof {
        let seconds = stretches(phase, 1);
        let readings = self.readings.iter().sum();
        let of = match (objective.windows, objective.statistic) {
            (_, Statistic::Resource(_)) if readings < f64::from(FEWEST_READINGS) => Counted::Readings,
            (Some(_), _) => Counted::Windows,
            (None, Statistic::Resource(_)) => Counted::Readings,
            (None, Statistic::Growth(_) | Statistic::Slowdown { .. }) => Counted::Length,
            (None, Statistic::Throughput) => Counted::Seconds,
            (None, Statistic::Mean) if seconds < FEWEST_SECONDS as f64 => Counted::Seconds,
            (None, _) => Counted::Samples,
        };
        let expected = match of {
            Counted::Samples => self.samples(objective, phase),
            Counted::Seconds => Some(seconds),
            Counted::Readings => Some(readings),
            Counted::Length => Some(phase.judged_seconds()),
            Counted::Windows => objective.windows.map(|windows| match objective.statistic {
                Statistic::Resource(_) => self.windows_of_readings(windows.every),
                _ => stretches(phase, windows.every),
            }),
        };
        let gated = objective.gated_limit(gate.tier);
        let limit = gated.filter(|_| gate.decision == Decision::Proven);
        let share = limit.and_then(|(_, limit)| match (objective.windows, objective.statistic) {
            // That none may miss is seen by counting.
            (Some(windows), _) => Some(windows.allow).filter(|allow| *allow > 0.0),
            (None, Statistic::Quantile(part)) => Some(1.0 - part),
            (None, Statistic::ErrorRate) => Some(limit / 100.0),
            (None, _) => None,
        });
        let needed = match of {
            Counted::Readings => gated.map(|_| self.fewest_readings(objective.statistic)),
            Counted::Length => gated.map(|_| self.least_length(objective.statistic)),
            Counted::Seconds => limit.map(|_| FEWEST_SECONDS.max(self.round_seconds.ceil() as u64)),
            Counted::Samples if objective.statistic == Statistic::Mean => {
                limit.map(|_| if seconds < FEWEST_BATCHES as f64 { FEWEST_SECONDS } else { FEWEST_BATCHES })
            }
            _ => share.and_then(|share| fewest_samples(Allowed { share, alpha: gate.alpha })),
        };
        let needed_with_one = share.zip(needed).map(|(share, none)| with_one(share, gate.alpha, none));
        Proof { of, expected, needed, needed_with_one }
    }
}

impl PhaseOffer {
    /// The seconds of the longest judged stretch whose windows can be told.
    pub(super) fn longest(&self, objective: &Objective, phase: &Phase) -> f64 {
        let of_readings = self.readings.iter().map(|readings| readings * self.reading_seconds);
        match objective.statistic {
            Statistic::Resource(_) => of_readings.fold(0.0, f64::max),
            _ => phase.judged().into_iter().map(Judged::seconds).fold(0.0, f64::max),
        }
    }

    /// Windows of so many seconds that readings fill, in whole minutes.
    fn windows_of_readings(&self, every: u32) -> f64 {
        let minutes = |readings: &f64| (readings * self.reading_seconds / MINUTE + 1e-9).floor();
        let windows = |readings: &f64| (minutes(readings) * MINUTE / f64::from(every) + 1e-9).floor();
        self.readings.iter().map(windows).sum()
    }

    /// Six, and of percentiles those of a minute.
    fn fewest_readings(&self, statistic: Statistic) -> u64 {
        let minute = match statistic {
            Statistic::Resource(Resource { of: Typical::Quantile(_), .. }) => MINUTE / self.reading_seconds,
            _ => 0.0,
        };
        u64::from(FEWEST_READINGS).max(minute.ceil() as u64)
    }

    /// The shortest judged time that shows a drift, in seconds: what the objective says, and what there must be to see it.
    fn least_length(&self, statistic: Statistic) -> u64 {
        let seen = match statistic {
            Statistic::Growth(_) => DRIFT_WINDOWS * self.reading_seconds / 0.9,
            _ => 10.0 * DRIFT_BATCHES,
        };
        statistic.min_length().unwrap_or(0.0).max(seen).ceil() as u64
    }
}

/// How many whole stretches of so many seconds are judged.
fn stretches(phase: &Phase, seconds: u32) -> f64 {
    let whole = |judged: Judged| (judged.seconds() / f64::from(seconds) + 1e-9).floor();
    phase.judged().into_iter().map(whole).sum()
}

/// The fewest trials that can prove a share if one of them fails: the least n with `(1 − q)ⁿ + n·q·(1 − q)ⁿ⁻¹ ≤ α`.
fn with_one(share: f64, alpha: f64, none_failed: u64) -> u64 {
    let risk = |n: &u64| {
        let n = *n as f64;
        ((n - 1.0) * (-share).ln_1p()).exp() * (1.0 - share + n * share)
    };
    (none_failed..none_failed.saturating_mul(4)).find(|n| risk(n) <= alpha).unwrap_or(u64::MAX)
}

/// The smallest share that so many trials can prove, if none of them fails: `1 − α^(1/n)`.
pub(super) fn least_share(trials: f64, alpha: f64) -> f64 {
    -(alpha.ln() / trials.max(1.0)).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_bad_asks_for_half_as_many_again() {
        assert_eq!(with_one(0.05, 0.05, 59), 93);
        assert_eq!(with_one(0.01, 0.05, 299), 473);
    }

    #[test]
    fn the_least_share_is_the_one_that_needs_as_many() {
        assert!((least_share(59.0, 0.05) - 0.0495).abs() < 0.0001);
        assert_eq!(fewest_samples(Allowed { share: least_share(59.0, 0.05), alpha: 0.05 }), Some(59));
    }
}
