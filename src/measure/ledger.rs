//! The ledger: merges the windows of all workers, second by second, into the summary of a run.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::measure::histogram::compare_buckets;
use crate::measure::hosts::PhaseReadings;
use crate::measure::indicator::{Counts, Indicator, IndicatorKind, OurPart, Unclear};
use crate::measure::limits::{Limit, LimitId, Limits};
use crate::measure::reading::Reading;
use crate::measure::summary::{Evidence, PhaseSummary, SliceCounts, Summary};
use crate::measure::window::{Batch, Cell, FailureBody, FailureText, MAX_BODIES, MAX_BODIES_OF_KIND, Window};
use crate::plan::model::{JudgedPeriod, Load, Phase, PhaseId, Plan};

/// The most texts of failures that are kept for an operation and kind. Failures with others are only counted.
const MAX_TEXTS_OF_KIND: usize = 200;

/// Folds batches of windows into a summary. The order of batches from different workers does not matter.
///
/// A second is folded when all workers have settled it, and seconds are folded in order, because the
/// statistics of bursts depend on the order. Until then the second is pending. Few seconds are pending: a
/// request settles within two timeouts.
#[derive(Debug)]
pub struct Ledger {
    indicators: Vec<Indicator>,
    limits: Limits,
    phases: Vec<PhaseSpan>,
    /// The time limit of a request.
    timeout: Duration,
    sources: usize,
    pending: BTreeMap<PhaseId, PendingPhase>,
    summary: Summary,
}

/// Whether the record of a second has everything that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordState {
    Complete,
    /// Requests and arrivals may be without an outcome.
    CutOff,
}

/// The length and the judged periods of a phase.
#[derive(Debug)]
struct PhaseSpan {
    judged: Vec<JudgedPeriod>,
    duration: Duration,
    /// Whether the load is open: a schedule starts the tasks.
    open: bool,
}

/// The windows of a running phase that are not folded yet.
#[derive(Debug, Default)]
struct PendingPhase {
    /// By source: the second before which its record is complete.
    settled: Vec<u32>,
    /// By source: the second before which its record has everything that had happened.
    recorded: Vec<u32>,
    windows: BTreeMap<u32, Window>,
    /// The next second to fold.
    next: u32,
}

impl Ledger {
    /// An empty ledger for the indicators of a plan. Requests are counted against `limits`. `sources` is the number of
    /// workers and processes that hand over windows.
    pub fn new(plan: &Plan, indicators: Vec<Indicator>, limits: &Limits, sources: usize) -> Self {
        let length = |phase: &Phase| PhaseSpan {
            judged: phase.judged(),
            duration: phase.duration.duration(),
            open: matches!(phase.load, Load::Open(_)),
        };
        let of_phase = |phase: &Phase| PhaseSummary {
            readings: plan.monitor.as_ref().map(|it| PhaseReadings::of(it, phase)).unwrap_or_default(),
            ..PhaseSummary::default()
        };
        let summary = Summary {
            phases: plan.phases.iter().map(of_phase).collect(),
            evidence: indicators.iter().map(|indicator| Evidence::of(indicator, limits)).collect(),
        };
        let phases = plan.phases.iter().map(length).collect();
        let timeout = plan.target.timeout.duration();
        Self {
            indicators,
            limits: limits.clone(),
            phases,
            timeout,
            sources,
            pending: BTreeMap::new(),
            summary,
        }
    }

    /// The summary of all seconds folded so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The number of seconds that wait for a worker to settle them.
    pub fn pending_seconds(&self) -> usize {
        self.pending.values().map(|pending| pending.windows.len()).sum()
    }

    /// Records the start of a phase.
    pub fn begin(&mut self, phase: PhaseId, at: Timestamp) {
        self.summary.phases[phase.index()].readings.started_at = Some(at);
    }

    /// Adds a reading of a host to its phase.
    pub fn read(&mut self, reading: &Reading) {
        if let Some(phase) = self.summary.phases.get_mut(reading.phase.index()) {
            phase.readings.add(reading);
        }
    }

    /// Adds a batch of one worker and folds the seconds that it settles.
    pub fn fold(&mut self, batch: &Batch) {
        let phase = batch.phase.index();
        for FailureText { operation, kind, text, count } in &batch.failures {
            let texts = self.summary.phases[phase].failure_texts.entry((*operation, *kind)).or_default();
            if texts.len() < MAX_TEXTS_OF_KIND || texts.contains_key(text) {
                *texts.entry(text.clone()).or_default() += u64::from(*count);
            }
        }
        let bodies = &mut self.summary.phases[phase].failure_bodies;
        for FailureBody { operation, kind, body } in &batch.bodies {
            let all: usize = bodies.values().map(Vec::len).sum();
            let kept = bodies.entry((*operation, *kind)).or_default();
            if all < MAX_BODIES && kept.len() < MAX_BODIES_OF_KIND {
                kept.push(body.clone());
            }
        }
        let sources = self.sources;
        let pending = self.pending.entry(batch.phase).or_default();
        pending.settled.resize(sources, 0);
        let settled = &mut pending.settled[usize::from(batch.source)];
        *settled = (*settled).max(batch.settled_before);
        pending.recorded.resize(sources, 0);
        let recorded = &mut pending.recorded[usize::from(batch.source)];
        *recorded = (*recorded).max(batch.recorded_before);
        for (second, window) in &batch.windows {
            pending.windows.entry(*second).or_default().merge(window);
        }
        let before = pending.settled.iter().copied().min().unwrap_or(0);
        // The drain follows the last second. It is folded when the phase has finished.
        let last = self.phases[phase].duration.as_secs_f64().ceil() as u32;
        self.settle(batch.phase, before.min(last), RecordState::Complete);
    }

    /// Folds the rest of a phase that ran for `ran`. All workers have delivered all of their windows.
    pub fn finish(&mut self, phase: PhaseId, ran: Duration) {
        self.end(phase, ran, RecordState::Complete);
    }

    /// Folds the rest of a phase whose record stops before its end, up to the second that all sources had recorded. What
    /// was in flight then has no outcome, so its counts need not add up.
    pub fn cut_off(&mut self, phase: PhaseId) {
        let pending = self.pending.entry(phase).or_default();
        let recorded =
            pending.recorded.iter().copied().min().filter(|_| pending.recorded.len() == self.sources);
        let settled = self.summary.phases[phase.index()].settled;
        let ran = settled.max(Duration::from_secs(recorded.unwrap_or(0).into()));
        self.end(phase, ran, RecordState::CutOff);
    }

    fn end(&mut self, phase: PhaseId, ran: Duration, record: RecordState) {
        let length = &mut self.phases[phase.index()];
        // An interrupted phase is judged up to the interrupt.
        length.duration = length.duration.min(ran);
        let end = length.duration.as_secs_f64();
        length.judged.iter_mut().for_each(|judged| judged.to = judged.to.min(end));
        let judged_seconds =
            length.judged.iter().copied().map(JudgedPeriod::seconds).fold(0.0, |sum, seconds| sum + seconds);
        let last_second = self.pending.entry(phase).or_default().windows.keys().next_back().copied();
        let end = u32::try_from(ran.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX);
        self.settle(phase, end.max(last_second.map_or(0, |second| second + 1)), record);
        // A window of a settled second is a fault of the worker, but its requests were made, so they count.
        for (second, window) in self.pending.remove(&phase).unwrap_or_default().windows {
            self.fold_second(phase, second, &window);
        }
        let summary = &mut self.summary.phases[phase.index()];
        summary.ran = Some(ran);
        summary.is_cut_off = record == RecordState::CutOff;
        summary.judged_seconds = judged_seconds;
        summary.judged = self.phases[phase.index()].judged.clone();
        summary.readings.finish(&self.phases[phase.index()].judged);
        for (indicator, evidence) in self.indicators.iter().zip(&mut self.summary.evidence) {
            if indicator.phase == phase && indicator.kind == IndicatorKind::Completed {
                evidence.counts.n = judged_seconds;
            }
        }
    }

    /// Folds the pending seconds of a phase before `before`, in order.
    fn settle(&mut self, phase: PhaseId, before: u32, record: RecordState) {
        loop {
            let Some(pending) = self.pending.get_mut(&phase) else { return };
            let second = pending.next;
            if second >= before {
                return;
            }
            pending.next += 1;
            let window = pending.windows.remove(&second).unwrap_or_default();
            let unbalanced = &mut self.summary.phases[phase.index()].unbalanced;
            if unbalanced.is_none() && record == RecordState::Complete {
                let open = self.phases[phase.index()].open;
                *unbalanced = window.contradiction(open).map(|why| (second, why));
            }
            self.fold_second(phase, second, &window);
        }
    }

    fn fold_second(&mut self, phase: PhaseId, second: u32, window: &Window) {
        let judged = self.phases[phase.index()].judged.iter();
        let stretch =
            judged.enumerate().find(|(_, judged)| judged.from <= second && f64::from(second) < judged.to);
        let stretch = stretch.map(|(index, judged)| (index, *judged));
        let summary = &mut self.summary.phases[phase.index()];
        let part = match stretch {
            Some(_) if summary.judged_seconds > 0.0 => PhasePart::Judged,
            Some(_) => PhasePart::FirstJudged,
            None if summary.judged_seconds > 0.0 => PhasePart::Unjudged,
            None => PhasePart::LeadIn,
        };
        fold_window(summary, window, part);
        summary.settled = Duration::from_secs(u64::from(second) + 1);
        summary.judged_seconds += stretch.map_or(0.0, |(_, judged)| (judged.to - f64::from(second)).min(1.0));
        if f64::from(second) < self.phases[phase.index()].duration.as_secs_f64() {
            summary.causes.add_second(second, window, part);
            summary.timeline.add_second(second, self.phases[phase.index()].duration, window);
        }
        let Some((index, judged)) = stretch else { return };
        if index > 0 && second == judged.from {
            summary.outages.cut();
        }
        summary.outages.add_second(second, window.successes);
        let whole = f64::from(second) + 1.0 <= judged.to;
        for (indicator, evidence) in self.indicators.iter().zip(&mut self.summary.evidence) {
            if indicator.phase == phase {
                if index > 0 && second == judged.from {
                    evidence.cut();
                }
                let counts = count_second(indicator, &self.limits, self.timeout, window);
                evidence.add_second(indicator, counts, whole);
                if indicator.keeps_timeline {
                    let Counts { n, k, ours, .. } = counts;
                    evidence.timeline.push(f64::from(second), SliceCounts { n, k, ours });
                }
            }
        }
    }
}

/// The part of a phase in which a second lies. Times of the lead-in are shown as long as nothing is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PhasePart {
    /// Before the first judged second.
    LeadIn,
    /// The first judged second.
    FirstJudged,
    /// A later judged second.
    Judged,
    /// Not judged, and after the first judged second.
    Unjudged,
}

impl PhasePart {
    pub(super) fn is_judged(self) -> bool {
        matches!(self, Self::FirstJudged | Self::Judged)
    }
}

fn fold_window(summary: &mut PhaseSummary, window: &Window, part: PhasePart) {
    if part == PhasePart::FirstJudged {
        summary.discard_lead_in();
    }
    let Window { cells, scheduled, started, send_lag, user_wait, connect, connections, .. } = window;
    summary.connections.merge(connections);
    summary.scheduled += u64::from(*scheduled);
    summary.started += u64::from(*started);
    summary.iterations += window.vitals.draws.iter().copied().map(u64::from).sum::<u64>();
    for (id, cell) in cells {
        let operation = summary.operations.entry(*id).or_default();
        operation.requests += u64::from(cell.requests);
        operation.succeeded += u64::from(cell.succeeded);
        for (kind, count) in &cell.errors {
            *operation.errors.entry(*kind).or_default() += u64::from(*count);
        }
        operation.dropped += u64::from(cell.dropped);
        operation.withdrawn += u64::from(cell.withdrawn);
        operation.cancelled += u64::from(cell.cancelled);
        operation.bytes += cell.bytes;
        if part.is_judged() {
            operation.judged += u64::from(cell.requests);
            operation.completed += u64::from(cell.completed);
        }
        if part != PhasePart::Unjudged {
            operation.response.add(&cell.response);
            operation.service.add(&cell.service);
            operation.user.add(&cell.user);
        }
    }
    if part.is_judged() {
        summary.health.add(window);
    } else {
        summary.health.add_unjudged(window);
    }
    if part != PhasePart::Unjudged {
        summary.send_lag.add(send_lag);
        summary.user_wait.add(user_wait);
        summary.connect.add(connect);
    }
}

/// The counts of an indicator in one second.
fn count_second(indicator: &Indicator, limits: &Limits, timeout: Duration, window: &Window) -> Counts {
    let mut counts = Counts::default();
    for (id, cell) in indicator.operations.iter().filter_map(|id| Some((*id, window.cells.get(id)?))) {
        let unserved = f64::from(cell.unserved());
        counts.add(match indicator.kind {
            IndicatorKind::Slower(limit) => match limits.id(id, limit) {
                Some(limit) => count_slower(cell, limit),
                None => estimate_slower(cell, limit, limits.of_operation(id), timeout),
            },
            IndicatorKind::Failed => Counts {
                n: cases(cell),
                k: f64::from(cell.failed()) + unserved,
                ours: OurPart { n: 0.0, k: failed_by_us(cell) },
                ..Counts::default()
            },
            IndicatorKind::Completed => Counts {
                k: f64::from(cell.completed),
                ours: OurPart { n: 0.0, k: -failed_by_us(cell) },
                ..Counts::default()
            },
            // A dropped arrival enters the mean with the longest time that a request may take.
            IndicatorKind::Time(failure) => Counts {
                n: cell.response.count() as f64 + unserved,
                k: cell.response.sum() as f64 + unserved * failure.as_micros() as f64,
                untimed: f64::from(cell.failed() - cell.timeouts()),
                ours: OurPart {
                    n: f64::from(cell.dropped_by_us),
                    k: cell.our_time as f64 + f64::from(cell.dropped_by_us) * failure.as_micros() as f64,
                },
                ..Counts::default()
            },
        });
    }
    match indicator.kind {
        IndicatorKind::Completed => Counts { n: 1.0, ..counts },
        _ => counts,
    }
}

/// Failures and dropped arrivals that are the generator's own part.
fn failed_by_us(cell: &Cell) -> f64 {
    f64::from(cell.failed_by_us) + f64::from(cell.dropped_by_us)
}

/// Requests with an outcome and dropped arrivals.
fn cases(cell: &Cell) -> f64 {
    f64::from(cell.requests - cell.cancelled) + f64::from(cell.unserved())
}

/// Counts the cases that took longer than a limit.
///
/// Withdrawn arrivals and cancelled requests that had taken longer are slow. The outcome of the others is unknown, so they
/// do not count.
fn count_slower(cell: &Cell, limit: LimitId) -> Counts {
    let overdue = f64::from(cell.overdue.above(limit));
    let certain = f64::from(cell.timeouts()) + f64::from(cell.unserved()) + overdue;
    Counts {
        n: cases(cell) + overdue,
        k: f64::from(cell.slower.above(limit)) + certain,
        untimed: f64::from(cell.failed() - cell.timeouts()),
        ours: OurPart {
            n: 0.0,
            k: f64::from(cell.slower_by_us.above(limit)) + f64::from(cell.dropped_by_us),
        },
        ..Counts::default()
    }
}

/// Bounds the cases that took longer than a limit which they were not counted against, by the histogram of response times
/// and by the counted limits on both sides.
fn estimate_slower(cell: &Cell, limit: Duration, counted: &[Limit], timeout: Duration) -> Counts {
    let next = counted.partition_point(|known| known.time < limit);
    let above = |known: Option<&Limit>| known.map(|known| f64::from(cell.overdue.above(known.id)));
    let overdue = above(counted.get(next)).unwrap_or(0.0);
    let unfinished = f64::from(cell.withdrawn) + f64::from(cell.cancelled);
    let may_be_overdue = above(next.checked_sub(1).map(|before| &counted[before])).unwrap_or(unfinished);
    let sure_limit = limit + Duration::from_micros(cell.most_ours);
    let (beyond, near) = (cell.response.count_above(limit) as f64, cell.response.count_near(limit) as f64);
    // Timeouts are slower than every limit. The histogram has them with the time that they waited, at least `timeout`.
    let timeouts = f64::from(cell.timeouts());
    let (slow, may_be_slow) = match compare_buckets(limit, timeout) {
        Ordering::Less => (beyond, beyond + near),
        Ordering::Equal => (beyond.max(timeouts), beyond + near),
        Ordering::Greater => (beyond.max(timeouts), beyond + near + timeouts),
    };
    let by_us = (slow - f64::max(cell.response.count_above(sure_limit) as f64, timeouts.min(slow))).max(0.0);
    Counts {
        n: cases(cell) + overdue,
        k: slow + f64::from(cell.unserved()) + overdue,
        untimed: f64::from(cell.failed() - cell.timeouts()),
        ours: OurPart { n: 0.0, k: by_us + f64::from(cell.dropped_by_us) },
        unclear: Unclear { in_bucket: may_be_slow - slow, unfinished: may_be_overdue - overdue },
    }
}

impl Evidence {
    /// No case yet.
    fn of(indicator: &Indicator, limits: &Limits) -> Self {
        let is_by_histogram = match indicator.kind {
            IndicatorKind::Slower(time) => {
                indicator.operations.iter().any(|operation| limits.id(*operation, time).is_none())
            }
            _ => false,
        };
        Self { is_by_histogram, ..Self::default() }
    }

    /// Adds one judged second. A partial second (`whole` is false) forms no block.
    fn add_second(&mut self, indicator: &Indicator, counts: Counts, whole: bool) {
        let bounds = indicator.kind.bounds(counts);
        if let Some(intervals) = indicator.intervals.filter(|_| whole) {
            self.trials.push(bounds, intervals);
        }
        if whole || indicator.kind != IndicatorKind::Completed {
            self.kept.push(bounds.kept.0, bounds.kept.1);
            self.broken.push(bounds.broken.0, bounds.broken.1);
        }
        // The cases of throughput are the judged seconds. Their number is known when the phase has ended.
        let n = if indicator.kind == IndicatorKind::Completed { 0.0 } else { counts.n };
        self.counts.add(Counts { n, ..counts });
    }

    /// Marks a break in time: the next judged second does not directly follow the previous one.
    fn cut(&mut self) {
        self.kept.cut();
        self.broken.cut();
        self.trials.cut();
    }
}

#[cfg(test)]
mod tests;
