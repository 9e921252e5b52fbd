//! The sample sizes that objectives need and can expect, and whether they can be decided.

use crate::forecast::PhaseForecast;
use std::collections::BTreeMap;

use crate::measure::hosts::MINUTE_S;
use crate::plan::Decision;
use crate::plan::model::{Gate, JudgedPeriod, Phase};
use crate::slo::judge::MIN_READINGS;
use crate::slo::objective::{
    Aggregation, Change, DriftObjective, Family, HostObjective, Objective, RequestStatistic,
};
use crate::statistics::{
    Allowed, MIN_BATCHES, MIN_JUDGED_SECONDS, MIN_RATIO_BATCHES, TREND_SEGMENTS, min_samples,
};

/// The mean of response times, which batches prove.
const MEAN: RequestStatistic = RequestStatistic::ResponseTime(Aggregation::Mean);

/// The samples that an objective needs for a proof in its phase, and the samples that it can expect there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleSize {
    /// The unit of the counts.
    pub of: SampleUnit,
    /// The expected number; `None` if it depends on the target's speed.
    pub expected: Option<f64>,
    /// The needed number if all are good; `None` if any number decides.
    pub needed: Option<u64>,
    /// The needed number if one is bad.
    pub needed_with_one_failure: Option<u64>,
}

/// The unit in which a proof counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleUnit {
    /// Requests.
    Samples,
    /// Judged seconds.
    Seconds,
    /// Intervals of `every`.
    Windows,
    /// Readings of a host.
    Readings,
    /// Judged seconds of a drift objective, which takes hours to decide.
    JudgedTime,
}

/// Whether an objective can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decidability {
    /// Yes, with room for some bad samples.
    Good,
    /// Only if hardly any sample is bad.
    Just,
    /// No: too few samples.
    None,
    /// It depends on the target's speed.
    Depends,
}

impl Decidability {
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
    /// The name in the JSON of `runner check`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Seconds | Self::JudgedTime => "judged seconds",
            Self::Windows => "windows",
            Self::Readings => "readings",
        }
    }

    /// The plural noun of the messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Windows => "intervals",
            other => other.as_str(),
        }
    }

    /// Whether the needed number follows from the gate's confidence. Otherwise it is a fixed minimum.
    pub fn is_statistical(self) -> bool {
        !matches!(self, Self::Readings | Self::JudgedTime)
    }
}

impl SampleSize {
    /// Whether the expected samples are enough; they are comfortably enough from twice the needed number.
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
    /// The needed and the expected samples of an objective of this phase.
    pub fn sample_size(&self, objective: &Objective, phase: &Phase, gate: &Gate) -> SampleSize {
        let seconds = whole_intervals(phase, 1);
        let readings = self.readings_of(objective).sum();
        let interval = objective.family.interval();
        let of = match &objective.family {
            Family::Host(_) if readings < f64::from(MIN_READINGS) => SampleUnit::Readings,
            Family::Host(_) | Family::Requests(_) if interval.is_some() => SampleUnit::Windows,
            Family::Host(_) => SampleUnit::Readings,
            Family::Drift(_) | Family::Outage => SampleUnit::JudgedTime,
            Family::Requests(requests) => match requests.statistic {
                RequestStatistic::Throughput => SampleUnit::Seconds,
                MEAN if seconds < MIN_JUDGED_SECONDS as f64 => SampleUnit::Seconds,
                RequestStatistic::ResponseTime(_) | RequestStatistic::ErrorRate => SampleUnit::Samples,
            },
        };
        let expected = match of {
            SampleUnit::Samples => {
                // How many tasks fall into ramp and warm-up depends on the target's speed.
                let is_most =
                    phase.ends_with_its_tasks() && phase.judged().first().is_none_or(|it| it.from > 0);
                self.samples(objective, phase).filter(|_| !is_most)
            }
            // The time depends on the target's speed.
            _ if phase.ends_with_its_tasks() => None,
            SampleUnit::Seconds => Some(seconds),
            SampleUnit::Readings => Some(readings),
            SampleUnit::JudgedTime => Some(phase.judged_seconds()),
            SampleUnit::Windows => interval.map(|interval| match &objective.family {
                Family::Host(_) => self.windows_of_readings(objective, interval.every),
                Family::Requests(_) | Family::Drift(_) | Family::Outage => {
                    whole_intervals(phase, interval.every)
                }
            }),
        };
        let gated = objective.gated_limit(gate.tier);
        let limit = gated.filter(|_| gate.decision == Decision::Proven);
        let share = limit.and_then(|(_, limit)| match (interval, &objective.family) {
            // If no interval may miss, counting decides.
            (Some(interval), _) => Some(interval.allow).filter(|allow| *allow > 0.0),
            (None, Family::Requests(requests)) => requests.statistic.allowed_share(limit),
            (None, Family::Host(_) | Family::Drift(_) | Family::Outage) => None,
        });
        let needed = match of {
            SampleUnit::Readings => gated.map(|_| self.min_readings(&objective.family)),
            SampleUnit::JudgedTime => gated.map(|(_, limit)| self.min_length_s(&objective.family, limit)),
            SampleUnit::Seconds => limit.map(|_| MIN_JUDGED_SECONDS.max(self.cycle_seconds.ceil() as u64)),
            SampleUnit::Samples if is_mean(&objective.family) => {
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
    /// Whether only the readings that look back to before the judged periods are missing to decide an objective.
    pub(super) fn is_short_by_look_back(&self, objective: &Objective, phase: &Phase, gate: &Gate) -> bool {
        let is_short = |forecast: &Self| {
            forecast.sample_size(objective, phase, gate).decidability() == Decidability::None
        };
        is_short(self) && !is_short(&Self { early_readings: BTreeMap::new(), ..self.clone() })
    }

    /// The longest judged period that intervals of an objective can fill, in seconds.
    pub(super) fn longest(&self, objective: &Objective, phase: &Phase) -> f64 {
        let of_readings = self.readings_of(objective).map(|readings| readings * self.reading_seconds);
        match &objective.family {
            Family::Host(_) => of_readings.fold(0.0, f64::max),
            Family::Requests(_) | Family::Drift(_) | Family::Outage => {
                phase.judged().into_iter().map(JudgedPeriod::seconds).fold(0.0, f64::max)
            }
        }
    }

    /// The number of intervals of `every` seconds that whole minutes of readings fill.
    fn windows_of_readings(&self, objective: &Objective, every: u32) -> f64 {
        let minutes = |readings: f64| (readings * self.reading_seconds / MINUTE_S + 1e-9).floor();
        let windows = |readings: f64| (minutes(readings) * MINUTE_S / f64::from(every) + 1e-9).floor();
        self.readings_of(objective).map(windows).sum()
    }

    /// The readings of each judged period, without those that look back to before it.
    fn readings_of(&self, objective: &Objective) -> impl Iterator<Item = f64> {
        let early = objective.family.readings();
        let early = early.and_then(|(host, metric)| self.early_readings.get(&(host.id, metric)));
        let early = early.copied().unwrap_or(0.0);
        self.readings.iter().map(move |readings| (readings - early).max(0.0))
    }

    /// The minimum number of readings: 6, or for percentiles those of a whole minute if they are more.
    fn min_readings(&self, family: &Family) -> u64 {
        let minute = match family {
            Family::Host(HostObjective { of: Aggregation::Quantile(_), .. }) => {
                MINUTE_S / self.reading_seconds
            }
            Family::Host(_) | Family::Requests(_) | Family::Drift(_) | Family::Outage => 0.0,
        };
        u64::from(MIN_READINGS).max(minute.ceil() as u64)
    }

    /// The shortest judged period that decides, in seconds: of a drift `min_length` or the minimum of the method, of an
    /// outage more than its limit.
    fn min_length_s(&self, family: &Family, limit: f64) -> u64 {
        let Family::Drift(DriftObjective { change, min_length }) = family else {
            return limit.floor() as u64 + 1;
        };
        let seen = match change {
            Change::Growth { .. } => TREND_SEGMENTS[1] as f64 * self.reading_seconds / 0.9,
            Change::Slowdown { .. } => 10.0 * MIN_RATIO_BATCHES as f64,
        };
        min_length.max(seen).ceil() as u64
    }
}

fn is_mean(family: &Family) -> bool {
    matches!(family, Family::Requests(requests) if requests.statistic == MEAN)
}

/// The number of whole intervals of `seconds` in the judged period.
fn whole_intervals(phase: &Phase, seconds: u32) -> f64 {
    let whole = |judged: JudgedPeriod| (judged.seconds() / f64::from(seconds) + 1e-9).floor();
    phase.judged().into_iter().map(whole).sum()
}

/// The smallest number of trials that can prove a share q if one fails: the least n with
/// `(1 − q)ⁿ + n·q·(1 − q)ⁿ⁻¹ ≤ α`.
fn samples_with_one_failure(share: f64, alpha: f64, none_failed: u64) -> u64 {
    let risk = |n: &u64| {
        let n = *n as f64;
        ((n - 1.0) * (-share).ln_1p()).exp() * (1.0 - share + n * share)
    };
    (none_failed..none_failed.saturating_mul(4)).find(|n| risk(n) <= alpha).unwrap_or(u64::MAX)
}

/// The smallest share that n trials can prove if none fails: `1 − α^(1/n)`.
pub(super) fn min_provable_share(trials: f64, alpha: f64) -> f64 {
    -(alpha.ln() / trials.max(1.0)).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_sample_needs_half_as_many_again() {
        assert_eq!(samples_with_one_failure(0.05, 0.05, 59), 93);
        assert_eq!(samples_with_one_failure(0.01, 0.05, 299), 473);
    }

    #[test]
    fn the_least_share_is_the_one_that_needs_as_many() {
        assert!((min_provable_share(59.0, 0.05) - 0.0495).abs() < 0.0001);
        assert_eq!(min_samples(Allowed { share: min_provable_share(59.0, 0.05), alpha: 0.05 }), Some(59));
    }
}
