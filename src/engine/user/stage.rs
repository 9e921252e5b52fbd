//! What the users of a worker share in a phase.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::engine::alarm::{Alarm, Meeting};
use crate::engine::clock::Clock;
use crate::engine::user::prepared::Behaviour;
use crate::engine::wire::connection::Answer;
use crate::engine::wire::fault::Fault;
use crate::engine::wire::socket::{Dialer, Opened};
use crate::event::StopSignal;
use crate::measure::recorder::Recorder;
use crate::measure::sample::{ErrorKind, Sample};
use crate::plan::draw::{Draw, Occasion};
use crate::plan::expect::Finding;
use crate::plan::model::{OperationId, Phase, Plan, Secrets, Target};

/// So many users connect at a time, where many come at once.
pub(in crate::engine) const CONNECTING: usize = 64;

/// What the users of a worker share in a phase.
pub(in crate::engine) struct Stage {
    pub(in crate::engine) clock: Clock,
    pub(in crate::engine) alarm: Alarm,
    pub(in crate::engine) recorder: RefCell<Recorder>,
    pub(in crate::engine) target: Target,
    pub(in crate::engine) dialer: Dialer,
    /// Lets some users at a time connect before they need to.
    pub(in crate::engine) connecting: Semaphore,
    pub(in crate::engine) behaviours: Rc<Vec<Behaviour>>,
    pub(in crate::engine) seed: u64,
    pub(in crate::engine) phase: u16,
    /// When the phase ends; nothing is intended from then on.
    pub(in crate::engine) end: Duration,
    pub(in crate::engine) stop: StopSignal,
    pub(in crate::engine) numbering: Numbering,
    pub(in crate::engine) secrets: Secrets,
    /// Tells what happens to connections and users, if anyone wants to know.
    pub(in crate::engine) tell: Option<Box<dyn Fn(String)>>,
    /// Keeps everything of every request, if anyone wants to look at it.
    pub(in crate::engine) witness: Option<RefCell<Vec<Exchange>>>,
}

/// A request as it was sent, and all that came of it.
#[derive(Debug)]
pub struct Exchange {
    /// The request and its body; `None` where it could not be made.
    pub request: Option<(http::Request<()>, bytes::Bytes)>,
    /// How the connection came about, where one was made for it.
    pub opened: Option<Opened>,
    /// Its stamps and how it ended.
    pub sample: Sample,
    /// The answer, where there was a whole one.
    pub answer: Option<Answer>,
    /// When the head of the answer had been read, as an offset like those of the sample.
    pub head_at: Option<Duration>,
    /// What was expected of the answer, and what was found.
    pub findings: Vec<Finding>,
    /// What was captured: names and values.
    pub captured: Vec<(String, String)>,
    /// Why it failed, in words.
    pub failure: Option<String>,
}

/// How `${seq()}` is numbered, so that no two holes of a run get the same.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Numbering {
    /// Virtual users of the phase.
    pub(in crate::engine) users: u64,
    /// The most `${seq()}` of any task.
    pub(in crate::engine) per_task: u64,
    /// Phases of the plan.
    pub(in crate::engine) phases: u64,
    /// Whether starts and stops are numbered too, between the tasks.
    pub(in crate::engine) starts: bool,
}

impl Numbering {
    /// For a phase of a plan.
    pub(in crate::engine) fn of_phase(plan: &Plan, phase: &Phase) -> Self {
        Self {
            users: u64::from(phase.users),
            per_task: plan.sequences_per_task(),
            phases: plan.phases.len() as u64,
            starts: plan.numbers_starts(),
        }
    }

    /// The first number of an occasion and the step to the next: occasions are numbered within their phase, phases
    /// interleave.
    pub(in crate::engine) fn of(self, phase: u16, occasion: Occasion) -> (u64, u64) {
        let of_user = |user: u32, time: u64| u64::from(user) + time * self.users;
        let (number, lane) = match occasion {
            Occasion::User(user, task) => (of_user(user, task), 0),
            Occasion::Arrival(number) => (number, 0),
            Occasion::Start(user, attempt) => (of_user(user, attempt), 1),
            Occasion::Stop(user, time) => (of_user(user, time), 2),
            Occasion::Nature(_) | Occasion::Gaps => (0, 0),
        };
        let number = if self.starts { number * 3 + lane } else { number };
        (number * self.per_task * self.phases + u64::from(phase), self.phases)
    }

    /// The row of an occasion: arrival k takes row k, and a user's i-th task, start or stop row u + i · users.
    pub(in crate::engine) fn row(self, occasion: Occasion) -> u64 {
        match occasion {
            Occasion::User(user, time) | Occasion::Start(user, time) | Occasion::Stop(user, time) => {
                u64::from(user) + time * self.users
            }
            Occasion::Arrival(number) => number,
            Occasion::Nature(_) | Occasion::Gaps => 0,
        }
    }
}

impl Stage {
    /// Returns at an offset from the phase's start, or at once where it has passed.
    pub(in crate::engine) async fn until(&self, offset: Duration, meeting: Meeting) {
        self.alarm.at(self.clock.moment(offset), meeting).await;
    }

    /// Waits for an intended start; `false` means that the run stopped before it.
    pub(in crate::engine) async fn reach(&self, intended: Duration) -> bool {
        self.alarm.at_unless(self.clock.moment(intended), Meeting::Closely, || self.stop.is_set()).await
    }

    /// Lets those who wait for an intended start see that the run is to stop.
    pub(in crate::engine) fn interrupt(&self) {
        self.alarm.wake_all();
    }

    /// The chance of an occasion.
    pub(in crate::engine) fn draw(&self, occasion: Occasion) -> Draw {
        Draw::new(self.seed, self.phase, occasion)
    }

    pub(in crate::engine) fn expect(&self, intended: Duration) {
        self.recorder.borrow_mut().expect(intended);
    }

    pub(in crate::engine) fn forget(&self, intended: Duration) {
        self.recorder.borrow_mut().forget(intended);
    }

    pub(in crate::engine) fn tell(&self, text: impl FnOnce() -> String) {
        if let Some(tell) = &self.tell {
            tell(text());
        }
    }

    /// Records a request that ended.
    pub(in crate::engine) fn record(&self, user: u32, sample: &Sample, fault: Option<&Fault>) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.record(sample);
        if let Some(fault) = fault {
            let text = self.secrets.redact(&fault.text);
            self.tell(|| format!("user {user}: {}: {text}", fault.kind.word()));
            recorder.example(sample.operation, fault.kind, || text);
        }
    }

    /// Records that an arrival was never sent, at the operation of the first request that it would have made.
    pub(in crate::engine) fn drop_arrival(&self, class: usize, number: u64, intended: Duration) {
        let operation = self.first_operation(class, number);
        let mut recorder = self.recorder.borrow_mut();
        recorder.drop_arrival(operation, intended);
        recorder.example(operation, ErrorKind::Dropped, || "no user was idle in time".to_owned());
    }

    /// Takes back an arrival that waited for a user of a class until the run was told to stop.
    pub(in crate::engine) fn withdraw_arrival(&self, class: usize, number: u64, intended: Duration) {
        let operation = self.first_operation(class, number);
        self.recorder.borrow_mut().withdraw(operation, intended, self.clock.now());
    }

    /// The operation of the first request that an arrival would have sent.
    fn first_operation(&self, class: usize, number: u64) -> OperationId {
        let mut draw = self.draw(Occasion::Arrival(number));
        self.behaviours[class].choose(&mut draw).1[0].operation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_number_of_a_run_is_given_once() {
        let numbering = Numbering { users: 3, per_task: 2, phases: 2, starts: true };
        let occasions = |time: u64| {
            (0..3).flat_map(move |user| {
                [Occasion::User(user, time), Occasion::Start(user, time), Occasion::Stop(user, time)]
            })
        };
        let mut given: Vec<u64> = (0..2_u16)
            .flat_map(|phase| (0..100).flat_map(occasions).map(move |occasion| numbering.of(phase, occasion)))
            .flat_map(|(first, step)| [first, first + step])
            .collect();
        given.sort_unstable();
        assert_eq!(given, (0..3600).collect::<Vec<u64>>());
    }
}
