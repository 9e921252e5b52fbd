//! Indicators: the counts by which objectives are decided.

use std::time::Duration;

use crate::plan::model::{OperationId, PhaseId};

/// The indicator of an objective. Its counts are exact and kept second by second over the judged periods of a
/// phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicator {
    pub phase: PhaseId,
    /// The operations whose requests are pooled.
    pub operations: Vec<OperationId>,
    pub kind: IndicatorKind,
    /// The intervals that are judged separately, if the objective has `every`.
    pub intervals: Option<Intervals>,
    /// Whether the counts are also kept as a timeline.
    pub keeps_timeline: bool,
}

/// The intervals of an objective with `every`. Each is judged separately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intervals {
    /// The length of an interval, in seconds.
    pub every: u32,
    /// The condition under which an interval is within the limit.
    pub rule: IntervalRule,
}

/// The condition under which counts are within a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntervalRule {
    /// At most this share of the cases is bad: slow or failed.
    Share(f64),
    /// No case is bad.
    None,
    /// The mean time is at most this, in microseconds.
    Mean(f64),
    /// At least this many per second.
    Throughput(f64),
}

impl IntervalRule {
    /// Whether k bad cases of n are within the limit. `None` without a case.
    pub fn holds(self, n: f64, k: f64) -> Option<bool> {
        if n <= 0.0 {
            return None;
        }
        Some(match self {
            // A share equal to the limit is within it. The rounding error of 1 − 0.95 must not decide.
            Self::Share(share) => k <= share * n + 1e-9,
            Self::None => k == 0.0,
            Self::Mean(limit) => k / n <= limit,
            Self::Throughput(limit) => k / n >= limit,
        })
    }
}

/// The counts of an indicator.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Cases: requests and dropped arrivals; for throughput, seconds.
    pub n: f64,
    /// Bad cases; for throughput, successful tasks; for means, the sum of the times in microseconds.
    pub k: f64,
    /// Failures without a response time.
    pub untimed: f64,
    /// Of the cases in `n` and `k`, the generator's own part: slow requests that would not be slow and dropped arrivals
    /// that would have been sent if it were never late. For means, arrivals in `n`, and in `k` time. For throughput, `k` is
    /// negative: tasks that are missing.
    pub ours: OurPart,
    /// Further cases of a limit that requests were not counted against: those that a histogram cannot tell from the limit.
    pub unclear: Unclear,
}

/// The generator's own part of counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OurPart {
    /// Cases that would not have been any.
    pub n: f64,
    /// The part of the bad cases, or of the sum of the times.
    pub k: f64,
}

/// Cases of a limit that requests were not counted against, which may be slow or not.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Unclear {
    /// Requests in the bucket of the limit. They are among the cases.
    pub in_bucket: f64,
    /// Requests and arrivals without an outcome, which are cases only if they are slow.
    pub unfinished: f64,
}

/// The pairs (n, k) of cases and bad cases that prove that a limit is kept or broken. What is unclear counts as slow for
/// the one and as not slow for the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountBounds {
    /// To prove that it is kept. A failure without a time may have taken any time, so it is bad.
    pub kept: (f64, f64),
    /// To prove that it is broken. A failure without a time is left out, and so is the generator's own part.
    pub broken: (f64, f64),
    /// The generator's own part, which `broken` leaves out.
    pub ours: (f64, f64),
}

impl Unclear {
    /// All of them.
    pub fn sum(self) -> f64 {
        self.in_bucket + self.unfinished
    }
}

impl Counts {
    /// Adds the counts of another second.
    pub fn add(&mut self, other: Self) {
        let Self { n, k, untimed, ours, unclear: Unclear { in_bucket, unfinished } } = other;
        self.ours.n += ours.n;
        self.ours.k += ours.k;
        self.n += n;
        self.k += k;
        self.untimed += untimed;
        self.unclear.in_bucket += in_bucket;
        self.unclear.unfinished += unfinished;
    }
}

/// The requests that an indicator counts as bad, or adds up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IndicatorKind {
    /// Response times above a limit. Timeouts and dropped arrivals are above every limit.
    Slower(Duration),
    /// Failed requests and dropped arrivals.
    Failed,
    /// Successful tasks, by the second in which they finished.
    Completed,
    /// The sum of the response times, in microseconds, of the requests that have one. To prove that a limit
    /// is kept, each failure without a time enters with this duration.
    Time(Duration),
}

impl IndicatorKind {
    /// The pairs (n, k) by which these counts prove that a limit is kept or broken.
    pub fn bounds(self, counts: Counts) -> CountBounds {
        let Counts { n, k, untimed, ours, unclear: Unclear { in_bucket, unfinished } } = counts;
        let ours = (ours.n, ours.k);
        match self {
            Self::Slower(_) | Self::Failed | Self::Completed => CountBounds {
                kept: (n + unfinished, k + untimed + in_bucket + unfinished),
                broken: (n - untimed - ours.0, k - ours.1),
                ours,
            },
            // The cases of a mean are the requests with a response time.
            Self::Time(failure) => {
                let kept = (n + untimed, k + untimed * failure.as_micros() as f64);
                CountBounds { kept, broken: (n - ours.0, k - ours.1), ours }
            }
        }
    }
}
