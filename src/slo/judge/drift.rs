//! Drift: the change of a metric or of response times over a phase, and its decision.

use crate::measure::summary::{Evidence, PhaseSummary, SliceCounts};
use crate::resources::metric::Metric;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::judge::readings::{AllowedGaps, Readings};
use crate::statistics::{self, MIN_RATIO_BATCHES, TREND_SEGMENTS};
use crate::units::{TimeSpan, Unit, format_against, format_amount, format_amount_against, format_number};

/// A change over a phase, with each end of its confidence interval at risk α.
pub(super) struct Drift<'c> {
    pub(super) of: DriftSubject<'c>,
    /// Lower end, estimate and upper end: growth in percent of the beginning, or the ratio to the beginning.
    pub(super) change: Option<[f64; 3]>,
    /// The estimate without the generator's own part; the ends of `change` are the outer ones of both.
    pub(super) certain: Option<f64>,
    pub(super) samples: u64,
    /// The number of segments of the trend; `None` for response times.
    pub(super) segments: Option<f64>,
    /// The reason why the data cannot decide, if there is one.
    pub(super) not_assessable: Option<String>,
    /// A further clause of the explanation.
    pub(super) note: Option<String>,
}

/// The data of a drift objective.
pub(super) enum DriftSubject<'c> {
    /// Readings of a host.
    Readings(Readings<'c>),
    /// Response times.
    Requests(&'c Evidence),
}

impl<'c> Drift<'c> {
    /// The growth of a metric of a host.
    pub(super) fn of_metric(
        readings: Readings<'c>,
        min_length: f64,
        phase: &PhaseSummary,
        alpha: f64,
    ) -> Self {
        let span = span(phase);
        let lows = readings.series().into_iter().flat_map(|series| series.lows.iter());
        let lows: Vec<(f64, f64)> = lows.map(|(_, low)| (low.at, low.value)).collect();
        let trend = span.and_then(|span| statistics::trend(&lows, span, alpha));
        let length = span.map_or(0.0, |(from, to)| to - from);
        let note = trend.as_ref().and_then(|trend| full_in(&readings, trend));
        let few_segments = || {
            let reason = format!("drift needs a reading in each of {} equal segments", TREND_SEGMENTS[1]);
            trend.is_none().then_some(reason)
        };
        let not_assessable = too_short(phase.judged_seconds, min_length)
            .or_else(|| not_assessable(&readings))
            .or_else(few_segments);
        Self {
            change: trend.as_ref().map(|trend| trend.over(length)),
            certain: trend.as_ref().map(|trend| trend.over(length)[1]),
            samples: u64::from(readings.coverage.seen),
            segments: trend.as_ref().map(|trend| trend.segments as f64),
            not_assessable,
            note,
            of: DriftSubject::Readings(readings),
        }
    }

    /// The ratio of the mean response time in the last tenth of a phase to that in the first tenth.
    pub(super) fn of_times(
        evidence: &'c Evidence,
        min_length: f64,
        phase: &PhaseSummary,
        alpha: f64,
    ) -> Self {
        type Part = fn(&SliceCounts) -> (f64, f64);
        let ratio = |part: Part| {
            let (from, to) = span(phase)?;
            let tenth = (to - from) / 10.0;
            let within = |low: f64, high: f64| -> Vec<(f64, f64)> {
                let width = evidence.timeline.width();
                let inside = |(at, _): &(f64, &SliceCounts)| *at >= low - 1e-6 && at + width <= high + 1e-6;
                evidence.timeline.iter().filter(inside).map(|(_, slice)| part(slice)).collect()
            };
            statistics::mean_ratio(&within(from, from + tenth), &within(to - tenth, to), alpha)
        };
        let mean_ratio = ratio(|slice| (slice.n, slice.k));
        let certain = ratio(|slice| (slice.n - slice.ours.n, slice.k - slice.ours.k));
        let few_parts = || {
            let reason = format!(
                "drift needs requests in at least {MIN_RATIO_BATCHES} parts of the first and of the last tenth, apart from the \
                 generator's own part"
            );
            (mean_ratio.is_none() || certain.is_none()).then_some(reason)
        };
        let not_assessable = too_short(phase.judged_seconds, min_length).or_else(few_parts);
        Self {
            of: DriftSubject::Requests(evidence),
            change: mean_ratio
                .as_ref()
                .zip(certain.as_ref())
                .map(|(all, certain)| [all.low.min(certain.low), all.estimate, all.high.max(certain.high)]),
            certain: certain.map(|certain| certain.estimate),
            samples: evidence.counts.n as u64,
            segments: None,
            not_assessable,
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
        DecisionRule::Change { change: self.change, certain: self.certain, limit, cases: self.samples as f64 }
    }

    /// "growth of process_memory of `target` is 21 % [17, 25]".
    pub(super) fn describe(&self, limits: &[f64]) -> String {
        let value = |unit: Unit| match self.change {
            Some([low, estimate, high]) => {
                let ends = [low, high].map(|end| format_against(end, limits));
                format!("{} [{}, {}]", format_amount_against(estimate, limits, unit), ends[0], ends[1])
            }
            None => "unknown".to_owned(),
        };
        match &self.of {
            DriftSubject::Readings(readings) => {
                format!(
                    "growth of {} of `{}` is {}",
                    readings.metric.as_str(),
                    readings.host_name(),
                    value(Unit::Percent)
                )
            }
            DriftSubject::Requests(_) => {
                format!("the mean in the last tenth is {} times that in the first", value(Unit::Ratio))
            }
        }
    }
}

/// The reason why a judged period is too short for drift, if it is. Both arguments are in seconds.
fn too_short(judged: f64, min_length: f64) -> Option<String> {
    let span = |seconds: f64| TimeSpan::from(std::time::Duration::from_secs_f64(seconds.round()));
    (judged < min_length - 1e-6)
        .then(|| format!("judged for {}, and drift needs at least {}", span(judged), span(min_length)))
}

/// The judged period in seconds: from the first judged second to the end of the last.
fn span(phase: &PhaseSummary) -> Option<(f64, f64)> {
    let from = phase.judged.first()?.from;
    let to = phase.judged.iter().map(|judged| judged.to).fold(0.0, f64::max);
    (to > f64::from(from)).then_some((f64::from(from), to))
}

fn not_assessable(readings: &Readings<'_>) -> Option<String> {
    let counter_reset = || {
        // Data on a disk survives the restart of the process that wrote it.
        let (at, message) =
            readings.counter_reset(|_| true).filter(|_| readings.metric != Metric::DiskUsed)?;
        let clock = at.strftime("%H:%M:%S UTC");
        Some(format!("{message} at {clock}: readings before and after it do not form one trend"))
    };
    readings.not_assessable(AllowedGaps::Any).or_else(counter_reset)
}

/// The time until a growing metric reaches its capacity, as a clause.
fn full_in(readings: &Readings<'_>, trend: &statistics::Trend) -> Option<String> {
    let series = readings.series()?;
    let [soonest, estimate, latest] = trend.full_in(series.last, series.most?)?;
    let unit = readings.metric.unit();
    let latest = if latest.is_finite() { hours(latest) } else { "never".to_owned() };
    Some(format!(
        "at this rate it reaches its capacity of {} in {} [{}, {latest}]",
        format_amount(series.most?, unit),
        hours(estimate),
        hours(soonest)
    ))
}

/// A time in minutes below 2 h, in days from 14 days on, and in hours between.
fn hours(seconds: f64) -> String {
    match seconds {
        s if s < 7200.0 => format!("{} min", format_number((s / 60.0).round())),
        s if s < 14.0 * 86_400.0 => format!("{} h", format_number((s / 360.0).round() / 10.0)),
        s => format!("{} days", format_number((s / 86_400.0).round())),
    }
}
