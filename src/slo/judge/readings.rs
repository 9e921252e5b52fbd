//! The readings of a host for an objective: coverage, observed value, intervals and certain breaches.

use std::ops::Range;

use jiff::Timestamp;

use crate::measure::hosts::{
    Coverage, HostSummary, MINUTE_S, Minute, PhaseReadings, Series, Trouble, quantile,
};
use crate::measure::summary::{PhaseSummary, Trials};
use crate::plan::model::HostId;
use crate::resources::metric::Metric;
use crate::resources::reading::CounterReset;
use crate::slo::decision_rule::DecisionRule;
use crate::slo::objective::{Aggregation, EveryInterval, HostObjective, JudgedHost};
use crate::statistics::Proportion;
use crate::units::format_amount_against;

/// The minimum number of readings that can decide.
pub const MIN_READINGS: u32 = 6;
/// The maximum share of missing readings.
const MAX_MISSING_SHARE: f64 = 0.05;
/// The longest allowed gap between readings, in seconds.
const MAX_GAP_S: f64 = 60.0;
/// The number of gaps that an explanation lists.
const MAX_SHOWN_GAPS: usize = 3;

/// The readings of an objective.
#[derive(Clone)]
pub(super) struct Readings<'c> {
    host: &'c JudgedHost,
    pub(super) metric: Metric,
    interval: Option<EveryInterval>,
    all: &'c PhaseReadings,
    summary: Option<&'c HostSummary>,
    series: Option<&'c Series>,
    pub(super) coverage: Coverage,
}

impl<'c> Readings<'c> {
    /// The readings of an objective on a host.
    pub(super) fn of_host(objective: &'c HostObjective, phase: &'c PhaseSummary) -> Self {
        Self::of(&objective.host, objective.metric, objective.interval, phase)
    }

    /// The readings of a metric of a host, which may be judged in intervals.
    pub(super) fn of(
        host: &'c JudgedHost,
        metric: Metric,
        interval: Option<EveryInterval>,
        phase: &'c PhaseSummary,
    ) -> Self {
        let all = &phase.readings;
        let summary = all.hosts.get(host.id.index());
        let series = summary.and_then(|host| host.series.get(&metric));
        let none = Default::default();
        let expected = summary.map_or_else(|| all.expected.clone(), |host| all.expected_of(host, metric));
        let coverage = series.map_or(&none, |series| &series.seen).coverage(&expected);
        Self { host, metric, interval, all, summary, series, coverage }
    }

    pub(super) fn has_data(&self) -> bool {
        self.coverage.seen > 0
    }

    /// Seconds between two readings.
    fn every(&self) -> f64 {
        self.all.ticks.map_or(0.0, |ticks| ticks.every)
    }

    pub(super) fn series(&self) -> Option<&'c Series> {
        self.series
    }

    /// The observed value, in the metric's unit.
    pub(super) fn observed(&self, of: Aggregation) -> Option<f64> {
        let series = self.series.filter(|_| self.has_data())?;
        match of {
            Aggregation::Mean => Some(series.mean()),
            Aggregation::Max => Some(series.highest).filter(|highest| highest.is_finite()),
            Aggregation::Quantile(part) => {
                let whole = series.minutes.iter().filter(|minute| self.all.whole(minute));
                quantile(&mut whole.map(Minute::mean).collect::<Vec<_>>(), part)
            }
        }
    }

    /// A lower bound of the part of the observed value that is not the target's. `None` if the target is not measured, or
    /// not this metric of it.
    pub(super) fn of_others(&self, of: Aggregation) -> Option<f64> {
        let has_all = |part: &HostSummary, metric: Metric, series: &Series| {
            series.seen.coverage(&self.all.expected_of(part, metric)).holes.is_empty()
        };
        self.of_others_if(of, has_all)
    }

    /// The same, with parts whose readings meet a condition.
    fn of_others_if(
        &self,
        of: Aggregation,
        condition: impl Fn(&HostSummary, Metric, &Series) -> bool,
    ) -> Option<f64> {
        // A part's share refers to the cores and the memory that it may use, at most those of the machine.
        let metric = match self.metric {
            Metric::Cpu | Metric::Memory | Metric::DiskRead | Metric::Threads => self.metric,
            Metric::MemoryUsed => Metric::ProcessMemory,
            _ => return None,
        };
        let of_part = |id: &HostId| {
            let part = self.all.hosts.get(id.index())?;
            let series = part.series.get(&metric)?;
            condition(part, metric, series).then_some(if of == Aggregation::Mean {
                series.mean()
            } else {
                series.highest
            })
        };
        let parts = self.host.target.as_ref()?.hosts.iter().map(of_part);
        Some(self.observed(of)? - parts.sum::<Option<f64>>()?)
    }

    /// The decision rule of a limit: the observed value is compared with it, or a share of intervals may miss.
    pub(super) fn decision_rule(&self, of: Aggregation, limit: f64) -> DecisionRule {
        match self.interval {
            Some(interval) => DecisionRule::of_trials(interval, &self.trials(of, interval, limit), false),
            None => {
                let within = self.observed(of).map(|observed| observed <= limit);
                let is_named = self.host.target.as_ref().is_some_and(|target| target.is_named);
                let by_others = is_named && self.of_others(of).is_some_and(|rest| rest > limit);
                DecisionRule::Observed { cases: f64::from(self.coverage.seen), within, by_others }
            }
        }
    }

    /// The intervals of whole minutes in each judged stretch.
    pub(super) fn trials(&self, of: Aggregation, interval: EveryInterval, limit: f64) -> Trials {
        self.trials_of(self.series.map_or(&[], |series| &series.minutes), of, interval, limit)
    }

    fn trials_of(&self, minutes: &[Minute], of: Aggregation, interval: EveryInterval, limit: f64) -> Trials {
        let each = (interval.every / MINUTE_S as u32).max(1);
        let mut trials = Trials::default();
        let whole: Vec<&Minute> = minutes.iter().filter(|minute| self.all.whole(minute)).collect();
        let place = |minute: &Minute| (minute.stretch, minute.place / each);
        for window in whole.chunk_by(|one, other| place(one) == place(other)) {
            if window.len() < each as usize {
                continue;
            }
            let value = match of {
                Aggregation::Max => {
                    window.iter().map(|minute| minute.highest).fold(f64::NEG_INFINITY, f64::max)
                }
                _ => {
                    let seconds: f64 = window.iter().map(|minute| minute.seconds).sum();
                    window.iter().map(|minute| minute.total).sum::<f64>() / seconds
                }
            };
            if !value.is_finite() {
                continue;
            }
            trials.judged += 1;
            trials.missed += u64::from(value > limit);
            trials.doubted += u64::from(value > limit);
        }
        trials
    }

    /// The reason why the readings cannot decide, if there is one.
    pub(super) fn not_assessable(&self, holes: AllowedGaps) -> Option<String> {
        if let Some((at, message)) = self.counter_reset(|subject| subject == CounterReset::OtherHost) {
            let clock = at.strftime("%H:%M:%S UTC");
            return Some(format!(
                "{message} at {clock}: readings before and after it are from different hosts"
            ));
        }
        let Coverage { expected, seen, .. } = self.coverage;
        let every = self.every();
        let missing = expected.saturating_sub(seen);
        let longest = self.coverage.holes.iter().map(|hole| f64::from(hole.end - hole.start + 1) * every);
        let longest = longest.fold(0.0, f64::max);
        if seen < MIN_READINGS {
            let detail = self.no_data().map_or(String::new(), |gaps| format!(": {gaps}"));
            let say = if seen == 1 { "1 reading".to_owned() } else { format!("{seen} readings") };
            return Some(format!("only {say}, and at least {MIN_READINGS} are needed{detail}"));
        }
        if self.interval.is_some()
            && !self.series.is_some_and(|it| it.minutes.iter().any(|m| self.all.whole(m)))
        {
            return Some("no whole minute of readings, which intervals need".to_owned());
        }
        let too_many = f64::from(missing) > MAX_MISSING_SHARE * f64::from(expected);
        let too_long = holes == AllowedGaps::Short && longest > MAX_GAP_S;
        (too_many || too_long).then(|| {
            let detail = self.no_data().unwrap_or_default();
            format!("{missing} of {expected} readings are missing, too incomplete to decide: {detail}")
        })
    }

    /// Whether a different host answered at some time.
    pub(super) fn is_of_other_host(&self) -> bool {
        self.counter_reset(|subject| subject == CounterReset::OtherHost).is_some()
    }

    /// Whether the readings up to the last snapshot are complete enough to decide.
    fn fit_so_far(&self) -> bool {
        let Some(last) = self.series.and_then(|series| series.seen.last()) else { return false };
        let expected = self.summary.map_or_else(Vec::new, |host| self.all.expected_of(host, self.metric));
        let so_far = expected.iter().map(|range| range.start..range.end.min(last + 1).max(range.start));
        let coverage = self.series.map(|series| series.seen.coverage(&so_far.collect::<Vec<_>>()));
        let readings = Readings { coverage: coverage.unwrap_or_default(), ..self.clone() };
        readings.not_assessable(AllowedGaps::Short).is_none()
    }

    /// The gaps, as in "no data 12:03:10–12:09:20 UTC (connection refused)".
    fn no_data(&self) -> Option<String> {
        let mut holes: Vec<&Range<u32>> = self.coverage.holes.iter().collect();
        holes.sort_by_key(|hole| std::cmp::Reverse(hole.end - hole.start));
        let more = holes.len().saturating_sub(MAX_SHOWN_GAPS);
        holes.truncate(MAX_SHOWN_GAPS);
        holes.sort_by_key(|hole| hole.start);
        let gaps: Vec<String> = holes.into_iter().filter_map(|hole| self.hole(hole)).collect();
        let more = if more > 0 { format!(" and {more} shorter gaps") } else { String::new() };
        (!gaps.is_empty()).then(|| format!("no data {}{more}", gaps.join(", ")))
    }

    fn hole(&self, hole: &Range<u32>) -> Option<String> {
        let clock = |tick: u32| Some(self.all.time_of(tick)?.strftime("%H:%M:%S").to_string());
        let (from, to) = (clock(hole.start.saturating_sub(1))?, clock(hole.end - 1)?);
        let looked =
            self.summary.is_some_and(|host| host.read_ticks.coverage(std::slice::from_ref(hole)).seen > 0);
        let otherwise =
            if looked { "its source does not provide it" } else { "no snapshot completed in time" };
        let why = self.cause_of_gap(hole).unwrap_or(otherwise);
        Some(format!("{from}–{to} UTC ({why})"))
    }

    /// The trouble of the host during a gap, or the reason why this metric is not available.
    fn cause_of_gap(&self, hole: &Range<u32>) -> Option<&'c str> {
        let host = self.summary?;
        let within = |it: &&Trouble| it.ticks.start < hole.end && hole.start < it.ticks.end;
        let trouble = host.troubles.iter().find(within).map(|trouble| &trouble.message);
        trouble.or_else(|| host.missing.get(&self.metric)).map(String::as_str)
    }

    /// The reason why there is no reading at all.
    pub(super) fn no_data_reason(&self) -> String {
        let detail = self.no_data().unwrap_or_else(|| "no reading in the judged period".to_owned());
        format!("{} of `{}`: {detail}", self.metric.as_str(), self.host_name())
    }

    /// The first counter reset of a kind before the end of the judged period: its time and its description.
    pub(super) fn counter_reset(&self, by: fn(CounterReset) -> bool) -> Option<(Timestamp, &'c str)> {
        let host = self.summary?;
        let end = self.all.expected.last()?.end;
        let (tick, subject) =
            *host.counter_resets.iter().find(|(tick, subject)| *tick < end && by(*subject))?;
        let trouble = host.troubles.iter().find(|trouble| trouble.ticks.contains(&tick));
        let message = trouble.map_or(
            match subject {
                CounterReset::Restart => "it restarted",
                CounterReset::Changed => "its counters started over",
                CounterReset::OtherHost => "a different host answered",
            },
            |trouble| &trouble.message,
        );
        Some((self.all.time_of(tick)?, message))
    }

    pub(super) fn host_name(&self) -> &'c str {
        &self.host.name
    }

    /// The observed value as a clause, such as "mean cpu of `target` is 97.3 %".
    pub(super) fn describe(&self, of: Aggregation, observed: Option<f64>, limits: &[f64]) -> String {
        let subject = match of {
            Aggregation::Quantile(_) => format!("{of} of the minutes' mean"),
            Aggregation::Mean | Aggregation::Max => of.to_string(),
        };
        let unit = self.metric.unit();
        let value =
            observed.map_or("unknown".to_owned(), |observed| format_amount_against(observed, limits, unit));
        format!("{subject} {} of `{}` is {value}", self.metric.as_str(), self.host_name())
    }
}

/// The proof that a host will exceed a limit even if every further reading of the phase is 0, as a clause. If a share
/// of intervals may miss, the missed ones must prove a breach at risk `alpha` even if all further ones are good.
pub(in crate::slo) fn certain_breach(
    objective: &HostObjective,
    phase: &PhaseSummary,
    limit: f64,
    alpha: f64,
) -> Option<String> {
    let HostObjective { metric, of, interval, .. } = objective;
    let readings = Readings::of_host(objective, phase);
    let series = readings.series.filter(|_| readings.fit_so_far())?;
    let is_named = readings.host.target.as_ref().is_some_and(|target| target.is_named);
    // Missing readings of the target's part make the rest larger, and so the run longer.
    if is_named && readings.of_others_if(*of, |_, _, _| true).is_some_and(|rest| rest > limit) {
        return None;
    }
    let (unit, host) = (metric.unit(), readings.host_name());
    let (subject, shown) = (metric.as_str(), |value: f64| format_amount_against(value, &[limit], unit));
    let minutes =
        || readings.all.expected.iter().map(|range| range.len() as f64 * readings.every() / MINUTE_S);
    if let Some(interval) = *interval {
        // The current minute may still improve.
        let past = &series.minutes[..series.minutes.len() - 1];
        let trials = readings.trials_of(past, *of, interval, limit);
        let all =
            minutes().map(|minutes| (minutes * MINUTE_S / f64::from(interval.every) + 1e-9).floor()).sum();
        let certain = match interval.allow {
            allow if allow > 0.0 => {
                Proportion::independent(all, trials.missed as f64).breach_p_value(allow) <= alpha
            }
            _ => trials.missed > 0,
        };
        let detail = format!("{} of {all} intervals, of which {} are complete", trials.missed, trials.judged);
        return certain.then(|| format!("{subject} of `{host}` is above {} in {detail}", shown(limit)));
    }
    let expected = f64::from(readings.coverage.expected);
    match *of {
        Aggregation::Max => (series.highest > limit).then(|| {
            format!("{subject} of `{host}` was {}, and the limit is {}", shown(series.highest), shown(limit))
        }),
        Aggregation::Mean => (series.total / (expected * readings.every()) > limit).then(|| {
            let so_far = shown(series.mean());
            let detail = format!(
                "mean {subject} of `{host}` over {} of {expected} readings is {so_far}",
                series.count()
            );
            format!("{detail}; the final mean is above {} even if all further readings are 0", shown(limit))
        }),
        Aggregation::Quantile(part) => {
            let all: f64 = minutes().map(|minutes| (minutes + 1e-9).floor()).sum();
            let past = &series.minutes[..series.minutes.len() - 1];
            let over = past.iter().filter(|minute| minute.mean() > limit).count() as f64;
            (over > all - (part * all - 1e-9).ceil()).then(|| {
                format!("{subject} of `{host}` was above {} in {over} of {all} minutes already", shown(limit))
            })
        }
    }
}

/// The gaps with which readings may still decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AllowedGaps {
    /// Gaps up to a minute.
    Short,
    /// Gaps of any length: drift takes hours to show.
    Any,
}

#[cfg(test)]
mod tests;
