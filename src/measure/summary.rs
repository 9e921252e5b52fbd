//! Everything that judge and reports need to know of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::measure::blocks::BlockSums;
use crate::measure::causes::CauseDetectors;
use crate::measure::generator_health::GeneratorHealth;
use crate::measure::histogram::DenseHistogram;
use crate::measure::hosts::PhaseReadings;
use crate::measure::indicator::{CountBounds, Counts, Intervals};
use crate::measure::rollup::{Rollup, RollupItem};
use crate::measure::sample::ErrorKind;
use crate::plan::model::{JudgedPeriod, OperationId, PhaseId};

/// A run, folded. Its size does not depend on the run's length.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// By phase id; a phase that was not run is empty.
    pub phases: Vec<PhaseSummary>,
    /// By the watches' order.
    pub evidence: Vec<Evidence>,
}

/// A phase, folded.
#[derive(Debug, Clone, Default)]
pub struct PhaseSummary {
    /// How long it ran, without the drain; `None` where it has not ended.
    pub ran: Option<Duration>,
    /// How far it has been folded.
    pub settled: Duration,
    /// What of it is judged, when it has ended.
    pub judged: Vec<JudgedPeriod>,
    /// How many seconds of it were judged so far.
    pub judged_seconds: f64,
    /// The operations that occurred.
    pub operations: BTreeMap<OperationId, OperationSummary>,
    /// Arrivals that the schedule wanted.
    pub scheduled: u64,
    /// Of these, the ones that a user took up.
    pub started: u64,
    /// Our own part of the wait before sending, over the judged window.
    pub send_lag: DenseHistogram,
    /// The part in which no user was idle, over the judged window.
    pub user_wait: DenseHistogram,
    /// The part in which a connection was made, over the judged window.
    pub connect: DenseHistogram,
    /// A failure of each kind in words.
    pub examples: BTreeMap<(OperationId, ErrorKind), String>,
    /// What may show why it was slow.
    pub causes: CauseDetectors,
    /// How the generator fared over the judged window.
    pub health: GeneratorHealth,
    /// What was read of hosts over the judged window.
    pub readings: PhaseReadings,
    /// The first second whose numbers do not add up, and how.
    pub unbalanced: Option<(u32, String)>,
}

/// What is known of a phase besides its numbers.
#[derive(Debug, Clone, Copy)]
pub struct PhaseRun {
    /// Which.
    pub phase: PhaseId,
    /// When it began.
    pub started_at: Timestamp,
    /// The processor time that the generator used in it, drain included.
    pub cpu: Duration,
    /// How long that was measured for.
    pub wall: Duration,
    /// The most memory that the generator had at its end.
    pub peak_memory_bytes: u64,
}

/// An operation in a phase, folded.
#[derive(Debug, Clone, Default)]
pub struct OperationSummary {
    /// Requests that were sent or tried in the whole phase.
    pub requests: u64,
    /// Of these, the ones that succeeded.
    pub succeeded: u64,
    /// The others, by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Arrivals that were never sent, in the whole phase.
    pub dropped: u64,
    /// Of these, the ones that still waited when the run was told to stop.
    pub withdrawn: u64,
    /// Successful completions within the judged window.
    pub completed: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// Response times over the judged window.
    pub response: DenseHistogram,
    /// Service times over the judged window.
    pub service: DenseHistogram,
    /// Times with network latency over the judged window; empty where the phase has none.
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

    /// Where the phase's numbers do not add up, in words.
    pub fn contradiction(&self, open: bool) -> Option<String> {
        if let Some((second, why)) = &self.unbalanced {
            return Some(format!("in second {second}, {why}"));
        }
        let apart = self.operations.values().find(|o| o.requests != o.succeeded + o.failed());
        if let Some(OperationSummary { requests, succeeded, errors, .. }) = apart {
            return Some(format!(
                "{requests} requests are not {succeeded} that succeeded and {} that failed",
                errors.values().sum::<u64>()
            ));
        }
        let (scheduled, started, dropped) = (self.scheduled, self.started, self.dropped());
        (open && scheduled != started + dropped)
            .then(|| format!("{scheduled} arrivals are not {started} started and {dropped} dropped"))
    }
}

/// What a watch counted over the judged window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// All of it.
    pub counts: Counts,
    /// Blocks for proving that a limit is kept.
    pub kept: BlockSums,
    /// Blocks for proving that a limit is broken.
    pub broken: BlockSums,
    /// The windows that were judged each, where they are.
    pub trials: Trials,
    /// How the count went, where that is kept: cases and what was counted of them.
    pub timeline: Rollup<SliceCounts>,
}

/// Cases of a stretch of time, and what was counted of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SliceCounts {
    /// Cases.
    pub n: f64,
    /// Counted.
    pub k: f64,
}

impl RollupItem for SliceCounts {
    fn join(&mut self, later: Self) {
        self.n += later.n;
        self.k += later.k;
    }
}

/// The course of a count has at most so many stretches, of a second at first.
impl Default for Rollup<SliceCounts> {
    fn default() -> Self {
        Self::new(1.0, 640)
    }
}

/// Windows of one length, each judged by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trials {
    /// Those in which there was something to judge.
    pub judged: u64,
    /// Of these, the ones beyond the limit.
    pub missed: u64,
    /// Of these, the ones that are beyond it if failures without a time were slow.
    pub doubted: u64,
    /// The window under way, and how many seconds it has.
    open: Option<(CountBounds, u32)>,
}

impl Trials {
    /// Adds a second to the window under way, and judges the window when it is complete.
    pub fn push(&mut self, second: CountBounds, rules: Intervals) {
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let (window, seconds) = match self.open.take() {
            Some((before, seconds)) => {
                let kept = add(before.kept, second.kept);
                (CountBounds { kept, broken: add(before.broken, second.broken) }, seconds + 1)
            }
            None => (second, 1),
        };
        if seconds < rules.every {
            self.open = Some((window, seconds));
            return;
        }
        let Some(kept) = rules.rule.holds(window.kept.0, window.kept.1) else { return };
        let broken = rules.rule.holds(window.broken.0, window.broken.1) == Some(false);
        self.judged += 1;
        self.missed += u64::from(broken);
        self.doubted += u64::from(!kept);
    }

    /// The window under way is not complete and is left out.
    pub fn cut(&mut self) {
        self.open = None;
    }
}
