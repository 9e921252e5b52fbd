//! How something changed over a phase, and what that comes to.

use crate::measure::summary::{Evidence, PhaseSummary, SliceCounts};
use crate::resources::metric::Metric;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::readings::{AllowedGaps, Readings};
use crate::slo::objective::Objective;
use crate::statistics;
use crate::units::{TimeSpan, format_amount, format_number};

/// A change, with each end of its interval at risk α.
pub(super) struct Drift<'c> {
    pub(super) of: DriftSubject<'c>,
    /// In percent of the beginning, or as a multiple of it: low, estimate, high.
    pub(super) change: Option<[f64; 3]>,
    pub(super) samples: u64,
    /// Windows of which it is the trend, or batches.
    pub(super) windows: Option<f64>,
    /// Why it decides nothing, whatever it comes to.
    pub(super) not_assessable: Option<String>,
    /// What there is to say beside.
    pub(super) note: Option<String>,
}

/// What changed.
pub(super) enum DriftSubject<'c> {
    /// Something of a host.
    Readings(Readings<'c>),
    /// How long requests take.
    Requests(&'c Evidence),
}

impl<'c> Drift<'c> {
    /// How much a metric of a host grew.
    pub(super) fn of_metric(
        objective: &'c Objective,
        metric: Metric,
        phase: &'c PhaseSummary,
        alpha: f64,
    ) -> Self {
        let readings = Readings::of(objective, metric, phase);
        let span = span(phase);
        let lows = readings.series().into_iter().flat_map(|series| series.lows.iter());
        let lows: Vec<(f64, f64)> = lows.map(|(_, low)| (low.at, low.value)).collect();
        let trend = span.and_then(|span| statistics::trend(&lows, span, alpha));
        let length = span.map_or(0.0, |(from, to)| to - from);
        let note = trend.as_ref().and_then(|trend| full_in(&readings, trend));
        Self {
            change: trend.as_ref().map(|trend| trend.over(length)),
            samples: u64::from(readings.coverage.seen),
            windows: trend.as_ref().map(|trend| trend.windows as f64),
            not_assessable: not_assessable(&readings),
            note,
            of: DriftSubject::Readings(readings),
        }
    }

    /// How much slower answers came in the last tenth of a phase than in the first.
    pub(super) fn of_times(evidence: &'c Evidence, phase: &PhaseSummary, alpha: f64) -> Self {
        let mean_ratio = span(phase).and_then(|(from, to)| {
            let tenth = (to - from) / 10.0;
            let within = |low: f64, high: f64| -> Vec<(f64, f64)> {
                let width = evidence.timeline.width();
                let inside = |(at, _): &(f64, &SliceCounts)| *at >= low - 1e-6 && at + width <= high + 1e-6;
                evidence.timeline.iter().filter(inside).map(|(_, part)| (part.n, part.k)).collect()
            };
            statistics::mean_ratio(&within(from, from + tenth), &within(to - tenth, to), alpha)
        });
        Self {
            of: DriftSubject::Requests(evidence),
            change: mean_ratio.map(|mean_ratio| [mean_ratio.low, mean_ratio.estimate, mean_ratio.high]),
            samples: evidence.counts.n as u64,
            windows: None,
            not_assessable: None,
            note: None,
        }
    }

    pub(super) fn has_data(&self) -> bool {
        match &self.of {
            DriftSubject::Readings(readings) => readings.has_data(),
            DriftSubject::Requests(evidence) => evidence.counts.n > 0.0,
        }
    }

    pub(super) fn decision_rule(&self, limit: f64) -> DecisionRule {
        DecisionRule::Change { change: self.change, limit, cases: self.samples as f64 }
    }

    /// Why it decides nothing, if it does not.
    pub(super) fn not_assessable(&self, judged: f64, min_length: f64) -> Option<String> {
        if judged < min_length - 1e-6 {
            let span = |seconds: f64| TimeSpan::from(std::time::Duration::from_secs_f64(seconds.round()));
            return Some(format!(
                "{} are judged, and less than {} say nothing of drift",
                span(judged),
                span(min_length)
            ));
        }
        self.not_assessable.clone().or_else(|| {
            self.change.is_none().then(|| match self.of {
                DriftSubject::Readings(_) => "there are not readings in each of 24 equal windows".to_owned(),
                DriftSubject::Requests(_) => {
                    "there are not requests in 8 parts of the first and the last tenth".to_owned()
                }
            })
        })
    }

    /// "growth of process_memory of `target` is 21 % [17, 25]".
    pub(super) fn describe(&self) -> String {
        let value = |unit: &str| match self.change {
            Some([low, estimate, high]) => {
                format!("{} [{}, {}]", format_amount(estimate, unit), format_number(low), format_number(high))
            }
            None => "not known".to_owned(),
        };
        match &self.of {
            DriftSubject::Readings(readings) => {
                format!(
                    "growth of {} of `{}` is {}",
                    readings.metric.as_str(),
                    readings.host_name(),
                    value("%")
                )
            }
            DriftSubject::Requests(_) => {
                format!("the mean in the last tenth is that in the first times {}", value("ratio"))
            }
        }
    }
}

/// From the first judged second to the end of the last.
fn span(phase: &PhaseSummary) -> Option<(f64, f64)> {
    let from = phase.judged.first()?.from;
    let to = phase.judged.iter().map(|judged| judged.to).fold(0.0, f64::max);
    (to > f64::from(from)).then_some((f64::from(from), to))
}

fn not_assessable(readings: &Readings<'_>) -> Option<String> {
    let counter_reset = || {
        // What lies on a disk outlives whoever wrote it.
        let (at, message) =
            readings.counter_reset(|_| true).filter(|_| readings.metric != Metric::DiskUsed)?;
        let clock = at.strftime("%H:%M:%S UTC");
        Some(format!("{message} at {clock}: what it had before and what it has since are not one trend"))
    };
    readings.not_assessable(AllowedGaps::Any).or_else(counter_reset)
}

/// When what grows will be as much as there can be.
fn full_in(readings: &Readings<'_>, trend: &statistics::Trend) -> Option<String> {
    let series = readings.series()?;
    let [soonest, estimate, latest] = trend.full_in(series.last, series.most?)?;
    let unit = readings.metric.unit().as_str();
    let latest = if latest.is_finite() { hours(latest) } else { "never".to_owned() };
    Some(format!(
        "at this pace full ({}) in {} [{}, {latest}]",
        format_amount(series.most?, unit),
        hours(estimate),
        hours(soonest)
    ))
}

/// In hours, in minutes below two of them, and in days from two weeks on.
fn hours(seconds: f64) -> String {
    match seconds {
        s if s < 7200.0 => format!("{} min", format_number((s / 60.0).round())),
        s if s < 14.0 * 86_400.0 => format!("{} h", format_number((s / 360.0).round() / 10.0)),
        s => format!("{} days", format_number((s / 86_400.0).round())),
    }
}
