//! The context that all users of a worker share in a phase.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::engine::clock::PhaseClock;
use crate::engine::heartbeat::Lateness;
use crate::engine::pool::Arrival;
use crate::engine::timer::{PreciseTimer, Precision};
use crate::engine::user::exchange_log::ExchangeLog;
use crate::engine::user::prepared::PreparedClass;
use crate::engine::user::rows::RowDeal;
use crate::engine::wire::fault::Fault;
use crate::engine::wire::response::MAX_SHOWN_BODY_BYTES;
use crate::engine::wire::socket::Dialer;
use crate::event::StopSignal;
use crate::measure::recorder::Recorder;
use crate::measure::sample::Sample;
use crate::plan::model::{OperationId, Phase, PhaseId, Plan, Secrets, Target};
use crate::plan::random::{RandomStream, StreamKey};

/// The most users of a worker that connect at the same time before a phase begins.
pub(in crate::engine) const MAX_PRECONNECTING: usize = 64;

/// The clock, recorder, target and settings that all users of a worker share in a phase.
pub(in crate::engine) struct PhaseContext {
    pub(in crate::engine) clock: PhaseClock,
    pub(in crate::engine) timer: PreciseTimer,
    pub(in crate::engine) recorder: RefCell<Recorder>,
    pub(in crate::engine) target: Target,
    pub(in crate::engine) dialer: Dialer,
    pub(in crate::engine) lateness: Lateness,
    /// Limits how many users connect at the same time before the phase begins.
    pub(in crate::engine) preconnect_permits: Semaphore,
    pub(in crate::engine) prepared_classes: Rc<Vec<PreparedClass>>,
    pub(in crate::engine) seed: u64,
    pub(in crate::engine) phase: PhaseId,
    /// The end of the phase as an offset; no task or arrival is intended from then on.
    pub(in crate::engine) end: Duration,
    pub(in crate::engine) stop: StopSignal,
    pub(in crate::engine) numbering: Numbering,
    pub(in crate::engine) rows: RowDeal,
    pub(in crate::engine) secrets: Secrets,
    /// Receives messages about connections and users; `None` unless the run is verbose.
    pub(in crate::engine) verbose_log: Option<Box<dyn Fn(String)>>,
    pub(in crate::engine) exchange_log: ExchangeLog,
}

/// How `${seq()}` is numbered, so that no number occurs twice in a run.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Numbering {
    /// Number of virtual users of the phase.
    pub(in crate::engine) users: u64,
    /// The largest number of `${seq()}` in a task.
    pub(in crate::engine) per_task: u64,
    /// Number of phases of the plan.
    pub(in crate::engine) phases: u64,
    /// Whether starts and stops are numbered too, between the tasks.
    pub(in crate::engine) starts: bool,
}

impl Numbering {
    pub(in crate::engine) fn of_phase(plan: &Plan, phase: &Phase) -> Self {
        Self {
            users: u64::from(phase.users),
            per_task: plan.sequences_per_task(),
            phases: plan.phases.len() as u64,
            starts: plan.has_start_sequences(),
        }
    }

    /// The first number for a stream key, and the step to the next number. Keys are numbered within their phase, and
    /// the numbers of the phases interleave.
    pub(in crate::engine) fn of(self, phase: PhaseId, stream_key: StreamKey) -> (u64, u64) {
        let of_user = |user: u32, time: u64| u64::from(user) + time * self.users;
        let (number, lane) = match stream_key {
            StreamKey::Task(user, task) => (of_user(user, task), 0),
            StreamKey::Arrival(number) => (number, 0),
            StreamKey::Start(user, attempt) => (of_user(user, attempt), 1),
            StreamKey::Stop(user, time) => (of_user(user, time), 2),
            StreamKey::User(_) | StreamKey::ArrivalGaps => (0, 0),
        };
        let number = if self.starts { number * 3 + lane } else { number };
        (number * self.per_task * self.phases + u64::from(phase.0), self.phases)
    }
}

impl PhaseContext {
    /// Returns at an offset from the phase's start, or at once if it has passed.
    pub(in crate::engine) async fn until(&self, offset: Duration, precision: Precision) {
        self.timer.sleep_until(self.clock.moment(offset), precision).await;
    }

    /// Waits for an intended start; `false` means that the run was stopped before it.
    pub(in crate::engine) async fn wait_for_start(&self, intended: Duration) -> bool {
        self.timer
            .sleep_until_unless(self.clock.moment(intended), Precision::Coarse, || self.stop.is_set())
            .await
    }

    /// Whether no task starts any more, because the run was stopped or the drain is over.
    pub(in crate::engine) fn is_stopped(&self) -> bool {
        self.timer.is_cancelled() || self.stop.is_set()
    }

    /// Wakes all users that wait for an intended start, so that they notice the stop of the run.
    pub(in crate::engine) fn wake_for_stop(&self) {
        self.timer.wake_all();
    }

    /// The random stream of a key in this phase.
    pub(in crate::engine) fn draw(&self, stream_key: StreamKey) -> RandomStream {
        RandomStream::new(self.seed, self.phase.0, stream_key)
    }

    pub(in crate::engine) fn expect(&self, intended: Duration) {
        self.recorder.borrow_mut().expect(intended);
    }

    pub(in crate::engine) fn forget(&self, intended: Duration) {
        self.recorder.borrow_mut().forget(intended);
    }

    pub(in crate::engine) fn verbose_log(&self, text: impl FnOnce() -> String) {
        if let Some(verbose_log) = &self.verbose_log {
            verbose_log(text());
        }
    }

    /// Records a finished request and, if it failed, the text of its fault.
    pub(in crate::engine) fn record(&self, sample: &Sample, fault: Option<&Fault>) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.record(sample);
        if let Some(fault) = fault {
            let text = self.secrets.redact(&fault.text);
            self.verbose_log(|| format!("user {}: {}: {text}", sample.user, fault.kind.as_str()));
            recorder.describe_failure(sample.operation, fault.kind, text);
            if !fault.body.is_empty() {
                recorder.keep_body(sample.operation, fault.kind, || self.begin_of(&fault.body));
            }
        }
    }

    /// The begin of a body as text, without secrets.
    fn begin_of(&self, body: &[u8]) -> String {
        let is_char = |end: &usize| body.get(*end).is_none_or(|byte| byte & 0xc0 != 0x80);
        let end = body.len().min(MAX_SHOWN_BODY_BYTES);
        // Not within a character, unless it is no text at all.
        let end = (end.saturating_sub(3)..=end).rev().find(is_char).unwrap_or(end);
        let begin = String::from_utf8_lossy(&body[..end]);
        match body.len() > MAX_SHOWN_BODY_BYTES {
            true => self.secrets.redact_truncated(&format!("{begin}…")),
            false => self.secrets.redact(&begin),
        }
    }

    /// Records a dropped arrival, under the operation of the first request that it would have made.
    pub(in crate::engine) fn drop_arrival(&self, class: usize, arrival: &Arrival, by_us: bool) {
        let operation = self.first_operation(class, arrival.number);
        self.recorder.borrow_mut().drop_arrival(operation, arrival.intended, by_us);
    }

    /// Withdraws an arrival that still waited for a user of its class when the run was stopped.
    pub(in crate::engine) fn withdraw_arrival(&self, class: usize, number: u64, intended: Duration) {
        let operation = self.first_operation(class, number);
        self.recorder.borrow_mut().withdraw(operation, intended, self.clock.now());
    }

    /// The operation of the first request that an arrival would have made.
    fn first_operation(&self, class: usize, number: u64) -> OperationId {
        let mut draw = self.draw(StreamKey::Arrival(number));
        self.prepared_classes[class].choose(&mut draw).1[0].operation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_number_of_a_run_is_given_once() {
        let numbering = Numbering { users: 3, per_task: 2, phases: 2, starts: true };
        let stream_keys = |time: u64| {
            (0..3).flat_map(move |user| {
                [StreamKey::Task(user, time), StreamKey::Start(user, time), StreamKey::Stop(user, time)]
            })
        };
        let mut given: Vec<u64> = (0..2)
            .map(PhaseId)
            .flat_map(|phase| {
                (0..100).flat_map(stream_keys).map(move |stream_key| numbering.of(phase, stream_key))
            })
            .flat_map(|(first, step)| [first, first + step])
            .collect();
        given.sort_unstable();
        assert_eq!(given, (0..3600).collect::<Vec<u64>>());
    }
}
