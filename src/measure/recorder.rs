//! The recorder: counts the requests of one worker in one phase until they are handed over.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use crate::measure::generator_vitals::{STALL_THRESHOLD, ThreadVitals};
use crate::measure::limits::{Limit, Limits};
use crate::measure::outage;
use crate::measure::response_gaps::GapDetector;
use crate::measure::sample::{ErrorKind, Outcome, Purpose, Sample};
use crate::measure::window::{Batch, Cell, FailureBody, FailureText, MAX_BODIES, MAX_BODIES_OF_KIND, Window};
use crate::plan::model::{OperationId, PhaseId};

/// Texts of failures are truncated to this length.
const MAX_TEXT_BYTES: usize = 256;
/// The most texts of failures that are counted.
const MAX_TEXTS: usize = 200;

/// The phase and the worker that a recorder belongs to.
#[derive(Debug, Clone, Copy)]
pub struct RecorderScope {
    pub phase: PhaseId,
    pub worker: u16,
    pub latency: Latency,
}

/// Whether users of the phase have a simulated network latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// At least one user class has one.
    Some,
    /// No user class has one.
    None,
}

/// Records the requests of one worker in one phase.
///
/// Each request and arrival is announced by [`expect`](Self::expect) when it is planned. So the recorder
/// knows the earliest second that can still change.
#[derive(Debug)]
pub struct Recorder {
    limits: Arc<Limits>,
    scope: RecorderScope,
    /// The end of the phase. Requests that finish later do not count as throughput.
    end: Duration,
    windows: BTreeMap<u32, Window>,
    expected: BTreeMap<u32, u32>,
    /// The failures since the last drain, by their text. Texts that have occurred before stay.
    failures: BTreeMap<(OperationId, ErrorKind, String), u32>,
    /// The bodies since the last drain, and the numbers of all that were kept.
    bodies: Vec<FailureBody>,
    kept_bodies: BTreeMap<(OperationId, ErrorKind), usize>,
    log: Vec<Sample>,
    log_capacity: usize,
    gap_detector: GapDetector,
}

/// What became of a request that crossed the end of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossingFate {
    /// The target cannot have received it, so it was sent again.
    Repeated,
    /// The target may have read it, and it was sent again.
    RepeatedUnclear,
    /// The target may have read it, so it failed.
    Failed,
}

impl Recorder {
    /// An empty record of one phase. Up to `log_capacity` samples are also kept as they are.
    pub fn new(limits: Arc<Limits>, scope: RecorderScope, end: Duration, log_capacity: usize) -> Self {
        Self {
            limits,
            scope,
            end,
            windows: BTreeMap::new(),
            expected: BTreeMap::new(),
            failures: BTreeMap::new(),
            bodies: Vec::new(),
            kept_bodies: BTreeMap::new(),
            log: Vec::new(),
            log_capacity,
            gap_detector: GapDetector::default(),
        }
    }

    /// Announces a request with this intended start.
    pub fn expect(&mut self, intended: Duration) {
        *self.expected.entry(second(intended)).or_default() += 1;
    }

    /// Withdraws an announcement: the request will not be made.
    pub fn forget(&mut self, intended: Duration) {
        let second = second(intended);
        let count = self.expected.get_mut(&second).expect("every recorded request was announced");
        *count -= 1;
        if *count == 0 {
            self.expected.remove(&second);
        }
    }

    /// Moves the end of the phase to `end` if that is earlier than planned.
    pub fn end_at(&mut self, end: Duration) {
        self.end = self.end.min(end);
    }

    /// Records an arrival of the schedule that is issued to the users at `now`.
    pub fn schedule(&mut self, intended: Duration, now: Duration) {
        let in_time = now < self.end + STALL_THRESHOLD;
        let window = self.window(intended);
        window.scheduled += 1;
        window.vitals.issued += u32::from(in_time);
    }

    /// Records that a user started the task of an arrival.
    pub fn start(&mut self, intended: Duration) {
        self.window(intended).started += 1;
    }

    /// Records an arrival that found no idle user in time; `by_us` is whether it would have, if the generator were never
    /// late.
    pub fn drop_arrival(&mut self, operation: OperationId, intended: Duration, by_us: bool) {
        let cell = self.window(intended).cells.entry(operation).or_default();
        cell.dropped += 1;
        cell.dropped_by_us += u32::from(by_us);
        self.forget(intended);
    }

    /// Records an arrival that still waited for a user when the run was stopped.
    pub fn withdraw(&mut self, operation: OperationId, intended: Duration, now: Duration) {
        let limits = Arc::clone(&self.limits);
        let limits = limits.of_operation(operation);
        let cell = self.window(intended).cells.entry(operation).or_default();
        cell.dropped += 1;
        cell.withdrawn += 1;
        cell.overdue.add(now.saturating_sub(intended), limits);
        self.forget(intended);
    }

    /// Records the task that was drawn for an intended start, by its index among all tasks of the plan.
    pub fn record_draw(&mut self, intended: Duration, task: usize) {
        self.window(intended).vitals.record_draw(task);
    }

    /// Records the time by which the generator's own lag lengthened the cycle of a user with think time. The
    /// task of the cycle ended at `finished`.
    pub fn record_lost_time(&mut self, finished: Duration, lost: Duration) {
        if finished < self.end && !lost.is_zero() {
            self.window(finished).vitals.lost += u64::try_from(lost.as_micros()).unwrap_or(u64::MAX >> 24);
        }
    }

    /// Records the vitals of the worker's thread at a time of the phase or its drain.
    pub fn record_thread(&mut self, at: Duration, thread: &ThreadVitals) {
        let worker = self.scope.worker;
        self.window(at).vitals.workers.entry(worker).or_default().merge(thread);
    }

    /// Records a connection to an address of the target that was opened at `now`.
    pub fn record_opened(&mut self, now: Duration, to: Option<SocketAddr>) {
        let connections = &mut self.window(now).connections;
        connections.opened += 1;
        if let Some(to) = to {
            *connections.opened_to.entry(to).or_default() += 1;
        }
    }

    /// Records a connection that the target had closed while it was idle, as seen at `now`.
    pub fn record_closed(&mut self, now: Duration) {
        self.window(now).connections.closed += 1;
    }

    /// Records a request that crossed the end of its connection, which had been idle for this long.
    pub fn record_crossing(&mut self, intended: Duration, fate: CrossingFate, idle: Duration) {
        let connections = &mut self.window(intended).connections;
        connections.repeated += u64::from(fate == CrossingFate::Repeated);
        connections.repeated_unclear += u64::from(fate == CrossingFate::RepeatedUnclear);
        *connections.crossed_after.entry(idle.as_secs_f64().round() as u32).or_default() += 1;
    }

    /// Records a request that has ended, with any outcome.
    pub fn record(&mut self, sample: &Sample) {
        self.forget(sample.intended);
        let Self { limits, windows, gap_detector, .. } = self;
        let has_latency = self.scope.latency == Latency::Some;
        let window = windows.entry(second(sample.intended)).or_default();
        window.send_lag.record(sample.send_lag());
        window.user_wait.record(sample.user_wait);
        match sample.connect {
            Some(connect) => window.connect.record(connect),
            None => window.connections.reused += 1,
        }
        window.vitals.arrival_clocks.add(sample.arrival_clock);
        let cell = window.cells.entry(sample.operation).or_default();
        count(cell, sample, limits.of_operation(sample.operation), has_latency);
        // In the drain nothing counts as completed. Most requests end in the second in which they were intended.
        if sample.finished < self.end {
            let window = match second(sample.finished) == second(sample.intended) {
                true => window,
                false => windows.entry(second(sample.finished)).or_default(),
            };
            complete(window, sample, gap_detector);
        }
        outage::mark_denied(sample, windows);
        if self.log_capacity > 0 {
            self.log_capacity -= 1;
            self.log.push(*sample);
        }
    }

    /// Counts a failure by its text. After 200 texts, failures with others have none.
    pub fn describe_failure(&mut self, operation: OperationId, kind: ErrorKind, mut text: String) {
        let cut = (0..=MAX_TEXT_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
        let is_full = self.failures.len() >= MAX_TEXTS;
        match self.failures.entry((operation, kind, text)) {
            Entry::Occupied(known) => *known.into_mut() += 1,
            Entry::Vacant(new) if !is_full => *new.insert(0) += 1,
            Entry::Vacant(_) => {}
        }
    }

    /// Keeps the body of an unexpected response, if few have been kept.
    pub fn keep_body(&mut self, operation: OperationId, kind: ErrorKind, body: impl FnOnce() -> String) {
        let all: usize = self.kept_bodies.values().sum();
        let kept = self.kept_bodies.entry((operation, kind)).or_default();
        if all < MAX_BODIES && *kept < MAX_BODIES_OF_KIND {
            *kept += 1;
            self.bodies.push(FailureBody { operation, kind, body: body() });
        }
    }

    /// Takes the failures since the last call.
    fn take_failures(&mut self) -> Vec<FailureText> {
        let counted = self.failures.iter_mut().filter(|(_, count)| **count > 0);
        let taken = counted.map(|((operation, kind, text), count)| FailureText {
            operation: *operation,
            kind: *kind,
            text: text.clone(),
            count: std::mem::take(count),
        });
        taken.collect()
    }

    /// Returns the windows and the logged samples since the last call, and continues to record.
    pub fn drain(&mut self, now: Duration) -> (Batch, Vec<Sample>) {
        let first_expected = self.expected.keys().next().copied().unwrap_or(u32::MAX);
        let batch = Batch {
            phase: self.scope.phase,
            source: self.scope.worker,
            windows: std::mem::take(&mut self.windows),
            // Windows of the drain, after the end, are settled when the phase has finished.
            settled_before: first_expected.min(second(now.min(self.end))),
            failures: self.take_failures(),
            recorded_before: second(now.min(self.end)),
            bodies: std::mem::take(&mut self.bodies),
        };
        (batch, std::mem::take(&mut self.log))
    }

    fn window(&mut self, at: Duration) -> &mut Window {
        self.windows.entry(second(at)).or_default()
    }
}

/// Counts a request in the second in which it was intended.
fn count(cell: &mut Cell, sample: &Sample, limits: &[Limit], has_latency: bool) {
    let response_time = sample.response_time();
    let ours = sample.ours.min(response_time);
    let certain_time = response_time - ours;
    cell.requests += 1;
    cell.bytes += sample.bytes;
    match sample.outcome {
        Outcome::Succeeded => {
            cell.succeeded += 1;
            cell.slower.add(response_time, limits);
            if limits.first().is_some_and(|shortest| shortest.time < response_time) {
                cell.slower_by_us.add_between(certain_time, response_time, limits);
            }
        }
        Outcome::Failed(ErrorKind::Cancelled) => {
            cell.cancelled += 1;
            cell.overdue.add(certain_time, limits);
        }
        Outcome::Failed(kind) => {
            *cell.errors.entry(kind).or_default() += 1;
            let is_ours = kind == ErrorKind::Local || sample.is_in_wake;
            cell.failed_by_us += u32::from(is_ours);
            if is_ours && kind == ErrorKind::Timeout {
                // A timeout is slower than every limit.
                cell.slower_by_us.add_between(Duration::ZERO, Duration::MAX, limits);
            }
        }
    }
    if matches!(sample.outcome, Outcome::Succeeded | Outcome::Failed(ErrorKind::Timeout)) {
        cell.response.record(response_time);
        if !ours.is_zero() {
            let ours = u64::try_from(ours.as_micros()).unwrap_or(u64::MAX >> 24);
            cell.our_time += ours;
            cell.most_ours = cell.most_ours.max(ours);
        }
        cell.service.record(sample.service_time());
        if has_latency {
            cell.user.record(sample.user_time());
        }
    }
}

/// Counts a request in the second in which it ended. Only a successful task counts as throughput.
fn complete(window: &mut Window, sample: &Sample, gap_detector: &mut GapDetector) {
    let is_success = sample.outcome == Outcome::Succeeded;
    if is_success {
        window.successes.succeed(sample.finished);
    }
    let cell = window.cells.entry(sample.operation).or_default();
    cell.completed += u32::from(is_success && sample.purpose == Purpose::Task);
    cell.ended += 1;
    if sample.outcome.is_answer() {
        cell.answered += 1;
        gap_detector.observe(sample, &mut window.answers);
    }
}

fn second(at: Duration) -> u32 {
    u32::try_from(at.as_secs()).expect("a phase is shorter than 2^32 seconds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::indicator::{Indicator, IndicatorKind};
    use crate::measure::limits::LimitId;

    const SEARCH: OperationId = OperationId(0);
    /// The only limit.
    const LIMIT: LimitId = LimitId(0);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn recorder(limit: Duration) -> Recorder {
        let indicator = Indicator {
            phase: PhaseId(0),
            operations: vec![SEARCH],
            kind: IndicatorKind::Slower(limit),
            intervals: None,
            keeps_timeline: false,
        };
        let scope = RecorderScope { phase: PhaseId(0), worker: 0, latency: Latency::None };
        Recorder::new(Arc::new(Limits::of(&[indicator], 1)), scope, ms(10_500), 0)
    }

    fn sample(intended: u64, finished: u64, outcome: Outcome) -> Sample {
        Sample { sent: ms(intended + 1), outcome, ..Sample::succeeded(SEARCH, intended, finished) }
    }

    #[test]
    fn a_request_counts_when_intended_and_completes_when_finished() {
        let mut recorder = recorder(ms(100));
        recorder.expect(ms(1900));
        recorder.record(&sample(1900, 2100, Outcome::Succeeded));
        let (batch, _) = recorder.drain(ms(3000));
        assert_eq!(batch.windows[&1].cells[&SEARCH].requests, 1);
        assert_eq!(batch.windows[&1].cells[&SEARCH].completed, 0);
        assert_eq!(batch.windows[&2].cells[&SEARCH].completed, 1);
        assert_eq!(batch.windows[&1].cells[&SEARCH].slower.above(LIMIT), 1);
    }

    #[test]
    fn a_second_is_settled_when_none_of_its_requests_is_in_flight() {
        let mut recorder = recorder(ms(100));
        recorder.expect(ms(1900));
        assert_eq!(recorder.drain(ms(5000)).0.settled_before, 1);
        recorder.record(&sample(1900, 5100, Outcome::Failed(ErrorKind::Timeout)));
        assert_eq!(recorder.drain(ms(6000)).0.settled_before, 6);
    }

    #[test]
    fn a_time_exactly_at_the_limit_is_within_it() {
        let mut recorder = recorder(ms(100));
        for finished in [99, 100, 101] {
            recorder.expect(ms(0));
            recorder.record(&sample(0, finished, Outcome::Succeeded));
        }
        assert_eq!(recorder.drain(ms(1000)).0.windows[&0].cells[&SEARCH].slower.above(LIMIT), 1);
    }

    #[test]
    fn responses_after_the_end_are_no_throughput() {
        for early in [None, Some(ms(10_450))] {
            let mut recorder = recorder(ms(100));
            recorder.expect(ms(10_400));
            early.into_iter().for_each(|end| recorder.end_at(end));
            recorder.record(&sample(
                10_400,
                if early.is_some() { 10_460 } else { 10_700 },
                Outcome::Succeeded,
            ));
            let (batch, _) = recorder.drain(ms(11_000));
            let cells = || batch.windows.values().flat_map(|window| window.cells.values());
            assert_eq!(cells().map(|cell| cell.completed).sum::<u32>(), 0);
            assert_eq!(cells().map(|cell| cell.succeeded).sum::<u32>(), 1);
            assert_eq!(batch.settled_before, 10);
        }
    }

    #[test]
    fn latency_is_in_user_time_and_a_start_is_no_throughput() {
        let mut recorder = recorder(ms(100));
        recorder.scope.latency = Latency::Some;
        recorder.expect(ms(0));
        let latency = ms(200);
        let of_start = sample(0, 299, Outcome::Succeeded);
        recorder.record(&Sample { sent: ms(201), latency, purpose: Purpose::Session, ..of_start });
        let (batch, _) = recorder.drain(ms(1000));
        let window = &batch.windows[&0];
        let cell = &window.cells[&SEARCH];
        assert_eq!((cell.response.sum(), cell.user.sum(), window.send_lag.sum()), (99_000, 299_000, 1000));
        assert_eq!((cell.slower.above(LIMIT), cell.succeeded, cell.completed), (0, 1, 0));
    }

    #[test]
    fn failures_have_no_times_but_timeouts_have() {
        let mut recorder = recorder(ms(100));
        for kind in [ErrorKind::Status5xx, ErrorKind::Timeout, ErrorKind::Reset] {
            recorder.expect(ms(0));
            recorder.record(&sample(0, 900, Outcome::Failed(kind)));
        }
        let (batch, _) = recorder.drain(ms(1000));
        let cell = &batch.windows[&0].cells[&SEARCH];
        assert_eq!((cell.requests, cell.failed(), cell.response.count()), (3, 3, 1));
    }
}
