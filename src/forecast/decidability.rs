use crate::forecast::PhaseForecast;
use crate::measure::hosts::MINUTE_S;
use crate::plan::Decision;
use crate::plan::model::{Gate, JudgedPeriod, Phase};
use crate::slo::judge::MIN_READINGS;
use crate::slo::objective::{Aggregation, Objective, Resource, Statistic};
use crate::statistics::{Allowed, min_samples};

/// The fewest judged seconds from which the spread of a rate or a mean can be told.
const MIN_JUDGED_SECONDS: u64 = 4;
/// The fewest seconds with a request from which that of a mean can be told, where there are as many.
const MIN_BATCHES: u64 = 16;

/// A trend is that of so many windows at least, without the first tenth.
const MIN_TREND_WINDOWS: f64 = 24.0;
/// A tenth of a phase has so many parts at least, of a second or more.
const MIN_RATIO_BATCHES: f64 = 8.0;

/// What an objective needs to be proven in its phase, and what it can expect there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleSize {
    /// What is counted.
    pub of: SampleUnit,
    /// So many can be expected; `None` where it depends on the target's speed.
    pub expected: Option<f64>,
    /// So many are needed, if all of them are good; `None` where any number decides.
    pub needed: Option<u64>,
    /// So many are needed, if one of them is bad.
    pub needed_with_one_failure: Option<u64>,
}

/// What a proof counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleUnit {
    /// Requests.
    Samples,
    /// Judged seconds.
    Seconds,
    /// Windows of `every`.
    Windows,
    /// Readings of a host.
    Readings,
    /// Judged seconds, for what takes hours to show.
    JudgedTime,
}

/// Whether an objective can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decidability {
    /// With room for some that are bad.
    Good,
    /// If hardly any is bad.
    Just,
    /// Never.
    None,
    /// It depends on how fast the target is.
    Depends,
}

impl Decidability {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "yes",
            Self::Just => "just",
            Self::None => "too few",
            Self::Depends => "depends",
        }
    }
}

impl SampleUnit {
    /// One of them.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Seconds | Self::JudgedTime => "judged seconds",
            Self::Windows => "windows",
            Self::Readings => "readings",
        }
    }

    /// Whether so many are needed for a proof at the gate's confidence, and not for any statement at all.
    pub fn is_statistical(self) -> bool {
        !matches!(self, Self::Readings | Self::JudgedTime)
    }
}

impl SampleSize {
    /// Whether what can be expected is enough: comfortably from twice what is needed.
    pub fn decidability(&self) -> Decidability {
        match (self.expected, self.needed) {
            (_, None) => Decidability::Good,
            (None, Some(_)) => Decidability::Depends,
            (Some(expected), Some(needed)) if expected < needed as f64 => Decidability::None,
            (Some(expected), Some(needed)) if expected < 2.0 * needed as f64 => Decidability::Just,
            _ => Decidability::Good,
        }
    }
}

impl PhaseForecast {
    /// What an objective of this phase needs, and what it can expect.
    pub fn sample_size(&self, objective: &Objective, phase: &Phase, gate: &Gate) -> SampleSize {
        let seconds = stretches(phase, 1);
        let readings = self.readings.iter().sum();
        let of = match (objective.windows, objective.statistic) {
            (_, Statistic::Resource(_)) if readings < f64::from(MIN_READINGS) => SampleUnit::Readings,
            (Some(_), _) => SampleUnit::Windows,
            (None, Statistic::Resource(_)) => SampleUnit::Readings,
            (None, Statistic::Growth(_) | Statistic::Slowdown { .. }) => SampleUnit::JudgedTime,
            (None, Statistic::Throughput) => SampleUnit::Seconds,
            (None, Statistic::Mean) if seconds < MIN_JUDGED_SECONDS as f64 => SampleUnit::Seconds,
            (None, _) => SampleUnit::Samples,
        };
        let expected = match of {
            SampleUnit::Samples => self.samples(objective, phase),
            SampleUnit::Seconds => Some(seconds),
            SampleUnit::Readings => Some(readings),
            SampleUnit::JudgedTime => Some(phase.judged_seconds()),
            SampleUnit::Windows => objective.windows.map(|windows| match objective.statistic {
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
            SampleUnit::Readings => gated.map(|_| self.min_readings(objective.statistic)),
            SampleUnit::JudgedTime => gated.map(|_| self.min_length_s(objective.statistic)),
            SampleUnit::Seconds => limit.map(|_| MIN_JUDGED_SECONDS.max(self.cycle_seconds.ceil() as u64)),
            SampleUnit::Samples if objective.statistic == Statistic::Mean => {
                limit.map(|_| if seconds < MIN_BATCHES as f64 { MIN_JUDGED_SECONDS } else { MIN_BATCHES })
            }
            _ => share.and_then(|share| min_samples(Allowed { share, alpha: gate.alpha })),
        };
        let needed_with_one_failure =
            share.zip(needed).map(|(share, none)| samples_with_one_failure(share, gate.alpha, none));
        SampleSize { of, expected, needed, needed_with_one_failure }
    }
}

impl PhaseForecast {
    /// The seconds of the longest judged stretch whose windows can be told.
    pub(super) fn longest(&self, objective: &Objective, phase: &Phase) -> f64 {
        let of_readings = self.readings.iter().map(|readings| readings * self.reading_seconds);
        match objective.statistic {
            Statistic::Resource(_) => of_readings.fold(0.0, f64::max),
            _ => phase.judged().into_iter().map(JudgedPeriod::seconds).fold(0.0, f64::max),
        }
    }

    /// Windows of so many seconds that readings fill, in whole minutes.
    fn windows_of_readings(&self, every: u32) -> f64 {
        let minutes = |readings: &f64| (readings * self.reading_seconds / MINUTE_S + 1e-9).floor();
        let windows = |readings: &f64| (minutes(readings) * MINUTE_S / f64::from(every) + 1e-9).floor();
        self.readings.iter().map(windows).sum()
    }

    /// Six, and of percentiles those of a minute.
    fn min_readings(&self, statistic: Statistic) -> u64 {
        let minute = match statistic {
            Statistic::Resource(Resource { of: Aggregation::Quantile(_), .. }) => {
                MINUTE_S / self.reading_seconds
            }
            _ => 0.0,
        };
        u64::from(MIN_READINGS).max(minute.ceil() as u64)
    }

    /// The shortest judged time that shows a drift, in seconds: what the objective says, and what there must be to see it.
    fn min_length_s(&self, statistic: Statistic) -> u64 {
        let seen = match statistic {
            Statistic::Growth(_) => MIN_TREND_WINDOWS * self.reading_seconds / 0.9,
            _ => 10.0 * MIN_RATIO_BATCHES,
        };
        statistic.min_length().unwrap_or(0.0).max(seen).ceil() as u64
    }
}

/// How many whole stretches of so many seconds are judged.
fn stretches(phase: &Phase, seconds: u32) -> f64 {
    let whole = |judged: JudgedPeriod| (judged.seconds() / f64::from(seconds) + 1e-9).floor();
    phase.judged().into_iter().map(whole).sum()
}

/// The fewest trials that can prove a share if one of them fails: the least n with `(1 − q)ⁿ + n·q·(1 − q)ⁿ⁻¹ ≤ α`.
fn samples_with_one_failure(share: f64, alpha: f64, none_failed: u64) -> u64 {
    let risk = |n: &u64| {
        let n = *n as f64;
        ((n - 1.0) * (-share).ln_1p()).exp() * (1.0 - share + n * share)
    };
    (none_failed..none_failed.saturating_mul(4)).find(|n| risk(n) <= alpha).unwrap_or(u64::MAX)
}

/// The smallest share that so many trials can prove, if none of them fails: `1 − α^(1/n)`.
pub(super) fn min_provable_share(trials: f64, alpha: f64) -> f64 {
    -(alpha.ln() / trials.max(1.0)).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_bad_asks_for_half_as_many_again() {
        assert_eq!(samples_with_one_failure(0.05, 0.05, 59), 93);
        assert_eq!(samples_with_one_failure(0.01, 0.05, 299), 473);
    }

    #[test]
    fn the_least_share_is_the_one_that_needs_as_many() {
        assert!((min_provable_share(59.0, 0.05) - 0.0495).abs() < 0.0001);
        assert_eq!(min_samples(Allowed { share: min_provable_share(59.0, 0.05), alpha: 0.05 }), Some(59));
    }
}
