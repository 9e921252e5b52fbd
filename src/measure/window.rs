//! The window: the record of one worker for one second of a phase.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::generator_vitals::GeneratorVitals;
use crate::measure::histogram::SparseHistogram;
use crate::measure::limits::LimitCounts;
use crate::measure::outage::SuccessSlots;
use crate::measure::response_gaps::ResponseActivity;
use crate::measure::sample::ErrorKind;
use crate::plan::model::{OperationId, PhaseId};

/// The requests that were intended or completed in one second of a phase.
///
/// A second may be recorded in several windows (late responses, several workers). [`merge`](Self::merge)
/// combines them in any order. Requests count in the second of their intended start, completions in the
/// second in which they finished.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// By operation.
    pub cells: BTreeMap<OperationId, Cell>,
    /// Arrivals of the schedule in this second.
    pub scheduled: u32,
    /// Of these, the ones that a user started.
    pub started: u32,
    /// The generator's own part of the delay before sending.
    pub send_lag: SparseHistogram,
    /// The part of the delay in which no user was idle.
    pub user_wait: SparseHistogram,
    /// The part of the delay in which a connection was made.
    pub connect: SparseHistogram,
    /// When the target responded.
    pub answers: ResponseActivity,
    /// The generator's self-metrics.
    pub vitals: GeneratorVitals,
    /// When requests succeeded, and when they waited for it.
    #[serde(default)]
    pub successes: SuccessSlots,
    #[serde(default)]
    pub connections: ConnectionCounts,
}

/// Connections, and the requests that had to be sent again over a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectionCounts {
    pub opened: u64,
    /// Connections that the target had closed while they were idle.
    pub closed: u64,
    /// Requests over connections that existed before.
    pub reused: u64,
    /// Requests that the target cannot have received, and that were sent again.
    pub repeated: u64,
    /// Requests that were sent again although the target may have read them.
    pub repeated_unclear: u64,
    /// How long the connections of both had been idle, in seconds, and those of requests that failed with an unclear fate.
    pub crossed_after: BTreeMap<u32, u64>,
    /// Connections that were opened, by the address of the target.
    #[serde(default)]
    pub opened_to: BTreeMap<SocketAddr, u64>,
}

impl ConnectionCounts {
    pub fn merge(&mut self, other: &Self) {
        let Self { opened, closed, reused, repeated, repeated_unclear, crossed_after, opened_to } = other;
        self.opened += opened;
        self.closed += closed;
        self.reused += reused;
        self.repeated += repeated;
        self.repeated_unclear += repeated_unclear;
        for (idle, count) in crossed_after {
            *self.crossed_after.entry(*idle).or_default() += count;
        }
        for (address, count) in opened_to {
            *self.opened_to.entry(*address).or_default() += count;
        }
    }
}

/// The counts and times of one operation's requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cell {
    /// Requests that were sent or attempted.
    pub requests: u32,
    /// Of these, the ones that succeeded.
    pub succeeded: u32,
    /// Of these, the ones that were in flight when the drain of a stopped run ended.
    pub cancelled: u32,
    /// Failed requests, by kind.
    pub errors: BTreeMap<ErrorKind, u32>,
    /// Arrivals that were never sent.
    pub dropped: u32,
    /// Of these, the ones that still waited when the run was stopped.
    pub withdrawn: u32,
    /// The withdrawn arrivals and cancelled requests that had taken longer than a limit.
    pub overdue: LimitCounts,
    /// Successful tasks that finished in this second.
    pub completed: u32,
    /// Requests that ended in this second, with any outcome.
    pub ended: u32,
    /// Of these, the ones with a response from the target.
    pub answered: u32,
    /// The successful requests that took longer than a limit, without timeouts.
    pub slower: LimitCounts,
    /// Bytes of response bodies.
    pub bytes: u64,
    /// Response times of requests that succeeded or timed out.
    pub response: SparseHistogram,
    /// Their service times.
    pub service: SparseHistogram,
    /// Their times with network latency; empty if the phase has none.
    pub user: SparseHistogram,
    /// Of the requests that are slower than a limit, the ones that would not be without the generator's own part.
    #[serde(default)]
    pub slower_by_us: LimitCounts,
    /// The dropped arrivals that would have found a user if the generator were never late.
    #[serde(default)]
    pub dropped_by_us: u32,
    /// The failures that the generator caused, or may have caused by a burst of requests after a stall.
    #[serde(default)]
    pub failed_by_us: u32,
    /// The sum of the generator's own parts of the response times, in microseconds.
    #[serde(default)]
    pub our_time: u64,
    /// The largest of them, in microseconds.
    #[serde(default)]
    pub most_ours: u64,
}

impl Window {
    /// Adds another window of the same second.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            cells,
            scheduled,
            started,
            send_lag,
            user_wait,
            connect,
            answers,
            vitals,
            successes,
            connections,
        } = other;
        for (operation, cell) in cells {
            self.cells.entry(*operation).or_default().merge(cell);
        }
        self.scheduled += scheduled;
        self.started += started;
        self.send_lag.merge(send_lag);
        self.user_wait.merge(user_wait);
        self.connect.merge(connect);
        self.answers.merge(answers);
        self.vitals.merge(vitals);
        self.successes.merge(*successes);
        self.connections.merge(connections);
    }

    /// The contradiction in the counts of a settled second, if they do not add up. In an `open` phase
    /// arrivals count too.
    pub fn contradiction(&self, open: bool) -> Option<String> {
        let apart =
            self.cells.values().find(|cell| cell.requests != cell.succeeded + cell.failed() + cell.cancelled);
        if let Some(cell) = apart {
            return Some(format!(
                "{} of {} requests succeeded, {} failed and {} were cancelled",
                cell.succeeded,
                cell.requests,
                cell.failed(),
                cell.cancelled
            ));
        }
        let dropped: u32 = self.cells.values().map(|cell| cell.dropped).sum();
        let (scheduled, started) = (self.scheduled, self.started);
        (open && scheduled != started + dropped)
            .then(|| format!("{started} of {scheduled} arrivals were started and {dropped} dropped"))
    }
}

impl Cell {
    /// Timeouts. They are slower than every limit.
    pub fn timeouts(&self) -> u32 {
        self.errors.get(&ErrorKind::Timeout).copied().unwrap_or(0)
    }

    /// Failed requests of every kind.
    pub fn failed(&self) -> u32 {
        self.errors.values().sum()
    }

    /// Dropped arrivals without the withdrawn ones, which might still have been sent.
    pub fn unserved(&self) -> u32 {
        self.dropped - self.withdrawn
    }

    fn merge(&mut self, other: &Self) {
        let Self {
            requests,
            succeeded,
            cancelled,
            errors,
            dropped,
            withdrawn,
            overdue,
            completed,
            ended,
            answered,
            slower,
            bytes,
            response,
            service,
            user,
            slower_by_us,
            dropped_by_us,
            failed_by_us,
            our_time,
            most_ours,
        } = other;
        self.requests += requests;
        self.succeeded += succeeded;
        self.cancelled += cancelled;
        for (kind, count) in errors {
            *self.errors.entry(*kind).or_default() += count;
        }
        self.dropped += dropped;
        self.withdrawn += withdrawn;
        self.overdue.merge(overdue);
        self.completed += completed;
        self.ended += ended;
        self.answered += answered;
        self.slower.merge(slower);
        self.bytes += bytes;
        self.response.merge(response);
        self.service.merge(service);
        self.user.merge(user);
        self.slower_by_us.merge(slower_by_us);
        self.dropped_by_us += dropped_by_us;
        self.failed_by_us += failed_by_us;
        self.our_time += our_time;
        self.most_ours = self.most_ours.max(*most_ours);
    }
}

/// The record that a worker hands over once a second.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Batch {
    pub phase: PhaseId,
    /// The number of the worker, or of the process, among the sources of windows.
    pub source: u16,
    /// The windows with new records since the last batch, by second of the phase.
    pub windows: BTreeMap<u32, Window>,
    /// The worker's record of all seconds before this one is complete.
    pub settled_before: u32,
    /// The failures since the last batch, by their text.
    pub failures: Vec<FailureText>,
    /// Everything that has happened before this second is recorded; requests in flight have not happened yet.
    #[serde(default)]
    pub recorded_before: u32,
    /// Bodies of unexpected responses since the last batch.
    #[serde(default)]
    pub bodies: Vec<FailureBody>,
}

/// The begin of the body of an unexpected response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureBody {
    pub operation: OperationId,
    pub kind: ErrorKind,
    pub body: String,
}

/// The bodies of unexpected responses that are kept: a few of each operation and kind.
pub const MAX_BODIES: usize = 20;
pub const MAX_BODIES_OF_KIND: usize = 4;

/// Failures with the same text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureText {
    pub operation: OperationId,
    pub kind: ErrorKind,
    /// At most 256 bytes.
    pub text: String,
    /// 0 in journals that only have the first text of each kind.
    #[serde(default)]
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::measure::generator_vitals::{ArrivalClocks, MachineVitals, ThreadVitals};
    use crate::measure::limits::LimitId;
    use crate::measure::outage;
    use crate::measure::response_gaps::GapDetector;
    use crate::measure::sample::{Outcome, Sample};

    prop_compose! {
        fn vitals()(
            workers in prop::collection::btree_map(0_u16..3, (0_u64..100, 0_u64..200, 0_u64..1500), 0..3),
            draws in prop::collection::vec(0_u32..9, 0..4),
            numbers in prop::array::uniform4(0_u32..100),
        ) -> GeneratorVitals {
            let thread = |(late, ran, of): (u64, u64, u64)| {
                let ms = Duration::from_millis;
                let mut thread = ThreadVitals::of_cpu(ms(ran), (of % 2 == 0).then(|| ms(ran / 2)), ms(of + 1));
                thread.merge(&ThreadVitals::stall(ms(late), ms(late)));
                thread
            };
            let [issued, clock_steps, stolen, lost] = numbers;
            let machine = MachineVitals { ticks: 200, stolen: stolen.into(), clock_steps, largest_step_us: lost.into(), ..MachineVitals::default() };
            let workers = workers.into_iter().map(|(worker, drawn)| (worker, thread(drawn))).collect();
            let arrival_clocks = ArrivalClocks { kernel: issued, own: lost, bad_stamps: stolen };
            GeneratorVitals { workers, machine, issued, lost: lost.into(), draws, arrival_clocks }
        }
    }

    prop_compose! {
        fn counts()(times in prop::collection::vec(0_u64..10_000_000_000, 0..6)) -> SparseHistogram {
            let mut counts = SparseHistogram::default();
            times.iter().for_each(|nanos| counts.record(Duration::from_nanos(*nanos)));
            counts
        }
    }

    prop_compose! {
        fn cell()(
            numbers in prop::array::uniform4(0_u32..1000),
            errors in prop::collection::btree_map(prop::sample::select(ErrorKind::ALL), 1_u32..50, 0..4),
            slower in prop::collection::btree_map(0_u32..4, 0_u32..9, 3),
            response in counts(),
            service in counts(),
            user in counts(),
        ) -> Cell {
            let [requests, succeeded, dropped, completed] = numbers;
            let slower: LimitCounts = slower.into_iter().map(|(id, count)| (LimitId(id), count)).collect();
            Cell {
                requests, succeeded, cancelled: dropped, errors, dropped, completed, ended: dropped, answered: completed,
                withdrawn: dropped / 2, overdue: slower.clone(), slower_by_us: slower.clone(), slower, bytes: 7, response,
                service, user, dropped_by_us: dropped / 3, failed_by_us: dropped / 4, our_time: completed.into(), most_ours: requests.into(),
            }
        }
    }

    prop_compose! {
        fn answers()(
            answered in prop::collection::btree_set((0_u64..1000, 0_u16..3), 0..6),
        ) -> ResponseActivity {
            let (mut gap_detector, mut answers) = (GapDetector::default(), ResponseActivity::default());
            let mut observe = |at, operation| {
                gap_detector.observe(&Sample::succeeded(operation, 0, at), &mut answers);
            };
            answered.iter().for_each(|(at, operation)| observe(*at, OperationId(*operation)));
            answers
        }
    }

    prop_compose! {
        fn connections()(
            numbers in prop::array::uniform5(0_u64..100),
            crossed_after in prop::collection::btree_map(0_u32..9, 1_u64..9, 0..3),
            opened_to in prop::collection::btree_map(any::<SocketAddr>(), 1_u64..9, 0..3),
        ) -> ConnectionCounts {
            let [opened, closed, reused, repeated, repeated_unclear] = numbers;
            ConnectionCounts { opened, closed, reused, repeated, repeated_unclear, crossed_after, opened_to }
        }
    }

    prop_compose! {
        fn successes()(at in 0_u64..950, failed in 0_u64..950) -> SuccessSlots {
            let mut windows = BTreeMap::from([(0, Window::default())]);
            windows.entry(0).or_default().successes.succeed(Duration::from_millis(at));
            let outcome = Outcome::Failed(ErrorKind::Reset);
            outage::mark_denied(&Sample { outcome, ..Sample::succeeded(OperationId(0), failed, failed + 20) }, &mut windows);
            windows[&0].successes
        }
    }

    prop_compose! {
        fn window()(
            cells in prop::collection::btree_map((0_u16..4).prop_map(OperationId), cell(), 0..4),
            scheduled in 0_u32..100,
            started in 0_u32..100,
            send_lag in counts(),
            user_wait in counts(),
            connect in counts(),
            answers in answers(),
            vitals in vitals(),
            successes in successes(),
            connections in connections(),
        ) -> Window {
            Window { cells, scheduled, started, send_lag, user_wait, connect, answers, vitals, successes, connections }
        }
    }

    fn merged(first: &Window, second: &Window) -> Window {
        let mut result = first.clone();
        result.merge(second);
        result
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merging_is_associative_and_commutative_with_an_identity(
            a in window(), b in window(), c in window(),
        ) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &Window::default()), a);
        }

        #[test]
        fn merging_loses_nothing(a in window(), b in window()) {
            let both = merged(&a, &b);
            let total = |f: &dyn Fn(&Cell) -> u64| {
                let sum = |w: &Window| w.cells.values().map(f).sum::<u64>();
                (sum(&a) + sum(&b), sum(&both))
            };
            let sums = [
                total(&|cell| u64::from(cell.requests)),
                total(&|cell| u64::from(cell.failed())),
                total(&|cell| (0..4).map(|id| u64::from(cell.slower.above(LimitId(id)))).sum()),
                total(&|cell| cell.response.count()),
                total(&|cell| cell.service.sum()),
                total(&|cell| cell.user.sum()),
            ];
            for (apart, together) in sums {
                prop_assert_eq!(apart, together);
            }
            prop_assert_eq!(both.connect.count(), a.connect.count() + b.connect.count());
        }
    }
}
