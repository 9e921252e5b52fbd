//! The summary: the numbers of a run for the judge and the reports.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::measure::blocks::BlockSums;
use crate::measure::causes::CauseDetectors;
use crate::measure::generator_health::GeneratorHealth;
use crate::measure::generator_vitals::GeneratorUsage;
use crate::measure::histogram::DenseHistogram;
use crate::measure::hosts::PhaseReadings;
use crate::measure::indicator::{CountBounds, Counts, IndicatorKind, Intervals, OurPart};
use crate::measure::outage::OutageDetector;
use crate::measure::rollup::{Rollup, RollupItem};
use crate::measure::sample::ErrorKind;
use crate::measure::timeline::Timeline;
use crate::measure::window::ConnectionCounts;
use crate::plan::model::{JudgedPeriod, OperationId, PhaseId};

/// The numbers of a run. Their size does not depend on the length of the run.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// By phase id; a phase that was not run is empty.
    pub phases: Vec<PhaseSummary>,
    /// By indicator, in the order of the ledger's indicators.
    pub evidence: Vec<Evidence>,
}

/// The numbers of a phase. Of a phase that ended before its judged period began, delays and response times are those of
/// the whole phase.
#[derive(Debug, Clone, Default)]
pub struct PhaseSummary {
    /// How long it ran, without the drain. `None` until it has ended.
    pub ran: Option<Duration>,
    /// Whether its record stops before its end, so that requests and arrivals may be without an outcome.
    pub is_cut_off: bool,
    /// The time from the start of the phase up to which it has been folded.
    pub settled: Duration,
    /// Its judged periods, once it has ended.
    pub judged: Vec<JudgedPeriod>,
    /// The judged time so far, in seconds.
    pub judged_seconds: f64,
    /// The operations that occurred.
    pub operations: BTreeMap<OperationId, OperationSummary>,
    /// Arrivals of the schedule.
    pub scheduled: u64,
    /// Of these, the ones that a user started.
    pub started: u64,
    /// Tasks that were begun, for users and for arrivals.
    pub iterations: u64,
    /// The generator's own part of the delay before sending, over the judged periods.
    pub send_lag: DenseHistogram,
    /// The part of the delay in which no user was idle, over the judged periods.
    pub user_wait: DenseHistogram,
    /// The part of the delay in which a connection was made, over the judged periods.
    pub connect: DenseHistogram,
    /// By operation and kind: the texts of the failures, and how often each occurred. Rare texts may be missing.
    pub failure_texts: BTreeMap<(OperationId, ErrorKind), BTreeMap<String, u64>>,
    /// By operation and kind: bodies of unexpected responses, at most 20 in all.
    pub failure_bodies: BTreeMap<(OperationId, ErrorKind), Vec<String>>,
    /// The detectors of likely causes.
    pub causes: CauseDetectors,
    /// Connections of the whole phase, those made before its start included.
    pub connections: ConnectionCounts,
    /// The longest outage of the judged periods.
    pub outages: OutageDetector,
    /// The numbers over time, of the whole phase.
    pub timeline: Timeline,
    /// The generator's health over the judged periods.
    pub health: GeneratorHealth,
    /// The readings of hosts over the judged periods.
    pub readings: PhaseReadings,
    /// The first second whose counts do not add up, and the contradiction.
    pub unbalanced: Option<(u32, String)>,
}

/// Facts about a phase that ran, apart from its counts.
#[derive(Debug, Clone, Copy)]
pub struct PhaseRun {
    pub phase: PhaseId,
    pub started_at: Timestamp,
    /// The generator's own usage; `None` until the phase has ended.
    pub usage: Option<GeneratorUsage>,
}

/// The numbers of an operation in a phase.
#[derive(Debug, Clone, Default)]
pub struct OperationSummary {
    /// Requests that were sent or attempted in the whole phase.
    pub requests: u64,
    /// Of these, the ones that were intended in a judged period.
    pub judged: u64,
    /// Requests that succeeded.
    pub succeeded: u64,
    /// Requests that were in flight when the drain of a stopped run ended.
    pub cancelled: u64,
    /// Failed requests, by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Arrivals that were never sent, in the whole phase.
    pub dropped: u64,
    /// Of these, the ones that still waited when the run was stopped.
    pub withdrawn: u64,
    /// Successful tasks that finished in a judged period.
    pub completed: u64,
    /// Bytes of response bodies.
    pub bytes: u64,
    /// Response times over the judged periods.
    pub response: DenseHistogram,
    /// Service times over the judged periods.
    pub service: DenseHistogram,
    /// Times with network latency over the judged periods; empty if the phase has none.
    pub user: DenseHistogram,
}

impl OperationSummary {
    /// Failed requests of every kind.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl PhaseSummary {
    /// Arrivals that were never sent.
    pub fn dropped(&self) -> u64 {
        self.operations.values().map(|operation| operation.dropped).sum()
    }

    /// Discards the times of the seconds before the first judged one.
    pub(super) fn discard_lead_in(&mut self) {
        (self.send_lag, self.user_wait, self.connect) = Default::default();
        for operation in self.operations.values_mut() {
            (operation.response, operation.service, operation.user) = Default::default();
        }
    }

    /// The contradiction in the counts of the phase, if they do not add up. In an `open` phase arrivals count
    /// too.
    pub fn contradiction(&self, open: bool) -> Option<String> {
        if let Some((second, why)) = &self.unbalanced {
            return Some(format!("in second {second}, {why}"));
        }
        let apart = self.operations.values().find(|o| o.requests != o.succeeded + o.failed() + o.cancelled);
        if let Some(OperationSummary { requests, succeeded, cancelled, errors, .. }) = apart {
            return Some(format!(
                "{succeeded} of {requests} requests succeeded, {} failed and {cancelled} were cancelled",
                errors.values().sum::<u64>()
            ));
        }
        let (scheduled, started, dropped) = (self.scheduled, self.started, self.dropped());
        (open && !self.is_cut_off && scheduled != started + dropped)
            .then(|| format!("{started} of {scheduled} arrivals were started and {dropped} dropped"))
    }
}

/// The counts of an indicator over the judged periods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The totals.
    pub counts: Counts,
    /// Whether requests were not counted against its limit, so that histograms decide.
    pub is_by_histogram: bool,
    /// Blocks for proving that a limit is kept.
    pub kept: BlockSums,
    /// Blocks for proving that a limit is broken.
    pub broken: BlockSums,
    /// The results of the intervals, if the objective has `every`.
    pub trials: Trials,
    /// The counts over time, if the indicator keeps them.
    pub timeline: Rollup<SliceCounts>,
}

impl Evidence {
    /// The pairs (n, k) of the totals by which a limit on requests is proven to be kept or broken.
    pub fn bounds(&self) -> CountBounds {
        IndicatorKind::Failed.bounds(self.counts)
    }
}

/// The n and k of [`Counts`] in one slice of a timeline.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SliceCounts {
    pub n: f64,
    pub k: f64,
    /// The generator's own part of both.
    pub ours: OurPart,
}

impl RollupItem for SliceCounts {
    fn join(&mut self, later: Self) {
        self.n += later.n;
        self.k += later.k;
        self.ours.n += later.ours.n;
        self.ours.k += later.ours.k;
    }
}

/// A timeline has at most 640 slices. Each starts with a length of one second.
impl Default for Rollup<SliceCounts> {
    fn default() -> Self {
        Self::new(1.0, 640)
    }
}

/// The results of the intervals of an objective with `every`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trials {
    /// Intervals with at least one case.
    pub judged: u64,
    /// Of these, the ones beyond the limit.
    pub missed: u64,
    /// Of these, the ones beyond the limit if failures without a time count as slow.
    pub doubted: u64,
    /// The ones beyond the limit only because of the generator's own part.
    pub missed_by_us: u64,
    /// The incomplete interval, and its number of seconds so far.
    open: Option<(CountBounds, u32)>,
}

impl Trials {
    /// Adds a second to the incomplete interval, and judges the interval when it is complete.
    pub fn push(&mut self, second: CountBounds, rules: Intervals) {
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let (window, seconds) = match self.open.take() {
            Some((before, seconds)) => {
                let CountBounds { kept, broken, ours } = second;
                let kept = add(before.kept, kept);
                (
                    CountBounds { kept, broken: add(before.broken, broken), ours: add(before.ours, ours) },
                    seconds + 1,
                )
            }
            None => (second, 1),
        };
        if seconds < rules.every {
            self.open = Some((window, seconds));
            return;
        }
        let Some(kept) = rules.rule.holds(window.kept.0, window.kept.1) else { return };
        let is_broken = |(n, k): (f64, f64)| rules.rule.holds(n, k) == Some(false);
        let broken = is_broken(window.broken);
        self.judged += 1;
        self.missed += u64::from(broken);
        self.missed_by_us += u64::from(!broken && is_broken(add(window.broken, window.ours)));
        self.doubted += u64::from(!kept);
    }

    /// Discards the incomplete interval.
    pub fn cut(&mut self) {
        self.open = None;
    }
}
