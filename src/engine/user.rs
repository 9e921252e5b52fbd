//! A virtual user: performs tasks over a connection of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::clock::Clock;
use crate::engine::connection::{Answer, Connection};
use crate::engine::fault::Fault;
use crate::engine::pool::Pool;
use crate::engine::request::{Behaviour, Prepared};
use crate::engine::socket::Dialer;
use crate::event::StopSignal;
use crate::measure::recorder::Recorder;
use crate::measure::sample::{ErrorKind, Outcome, Sample};
use crate::plan::draw::{Draw, Occasion};
use crate::plan::model::{Secrets, Target, Wait};
use crate::plan::template::Facts;

/// What the users of a worker share in a phase.
pub(super) struct Stage {
    pub(super) clock: Clock,
    pub(super) recorder: RefCell<Recorder>,
    pub(super) target: Target,
    pub(super) dialer: Dialer,
    pub(super) behaviours: Rc<Vec<Behaviour>>,
    pub(super) seed: u64,
    pub(super) phase: u16,
    /// When the phase ends; nothing is intended from then on.
    pub(super) end: Duration,
    pub(super) stop: StopSignal,
    pub(super) numbering: Numbering,
    pub(super) secrets: Secrets,
    /// Tells what happens to connections and users, if anyone wants to know.
    pub(super) tell: Option<Box<dyn Fn(String)>>,
}

/// How `${seq()}` is numbered, so that no two holes of a run get the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbering {
    /// Virtual users of the phase.
    pub(super) users: u64,
    /// The most `${seq()}` of any request.
    pub(super) per_task: u64,
    /// Phases of the plan.
    pub(super) phases: u64,
}

impl Numbering {
    /// The first number of a task and the step to the next: tasks are numbered within their phase, phases interleave.
    fn of(self, phase: u16, task: u64) -> (u64, u64) {
        (task * self.per_task * self.phases + u64::from(phase), self.phases)
    }
}

/// One virtual user.
pub(super) struct User {
    stage: Rc<Stage>,
    number: u32,
    class: usize,
    connection: Option<Connection>,
}

/// When a request was wanted and how long it waited for a user.
#[derive(Clone, Copy)]
struct Wanted {
    intended: Duration,
    user_wait: Duration,
}

impl User {
    pub(super) fn new(stage: Rc<Stage>, number: u32, class: usize) -> Self {
        Self { stage, number, class, connection: None }
    }

    /// Loops through task and wait until the phase ends. The first task, already expected, is intended at `start`.
    pub(super) async fn loop_closed(mut self, start: Duration, wait: Wait) {
        let stage = Rc::clone(&self.stage);
        let mut intended = start;
        let mut draw = Draw::new(stage.seed, stage.phase, Occasion::User(self.number, 0));
        for task in 1.. {
            if !stage.reach(intended).await {
                stage.recorder.borrow_mut().forget(intended);
                break;
            }
            let number = u64::from(self.number) + (task - 1) * stage.numbering.users;
            let wanted = Wanted { intended, user_wait: Duration::ZERO };
            let finished = self.perform(wanted, number, &mut draw).await;
            draw = Draw::new(stage.seed, stage.phase, Occasion::User(self.number, task));
            intended = next_start(wait, intended, finished, &mut draw);
            if intended >= stage.end || stage.stop.is_set() {
                break;
            }
            stage.recorder.borrow_mut().expect(intended);
        }
        stage.tell(|| format!("user {} leaves", self.number));
    }

    /// Carries out arrivals until there are no more. Connects first, so that the first of them need not wait for it.
    pub(super) async fn serve_open(mut self, start: Duration, pool: Rc<Pool>, seat: usize) {
        let stage = Rc::clone(&self.stage);
        if stage.reach(start).await {
            let opened = Connection::open(&stage.dialer, stage.target.connect_timeout.duration()).await;
            self.keep(opened);
        }
        while let Some(ticket) = pool.next(seat, || stage.clock.now()).await {
            stage.recorder.borrow_mut().start(ticket.intended);
            let mut draw = Draw::new(stage.seed, stage.phase, Occasion::Arrival(ticket.number));
            let wanted = Wanted { intended: ticket.intended, user_wait: ticket.user_wait };
            self.perform(wanted, ticket.number, &mut draw).await;
        }
        stage.tell(|| format!("user {} leaves", self.number));
    }

    /// Keeps a connection for the next request; a failure is only told: the request that needs it tries anew and counts.
    fn keep(&mut self, opened: Result<Connection, Fault>) {
        match opened {
            Ok(connection) => {
                self.stage.tell(|| format!("user {} connected", self.number));
                self.connection = Some(connection);
            }
            Err(fault) => {
                let text = self.stage.secrets.redact(&fault.text);
                self.stage.tell(|| format!("user {}: {text}", self.number));
            }
        }
    }

    /// Performs one task; returns when it finished.
    async fn perform(&mut self, wanted: Wanted, task: u64, draw: &mut Draw) -> Duration {
        let stage = Rc::clone(&self.stage);
        let prepared = stage.behaviours[self.class].choose(draw);
        let facts = Facts {
            user: self.number,
            sequence: stage.numbering.of(stage.phase, task),
            now: &jiff::Timestamp::now,
        };
        let began = Instant::now();
        let had_connection = self.reuse().await;
        let (result, sent) = self.attempt(prepared, draw, &facts).await;
        let finished = Instant::now();
        let connected = (!had_connection).then(|| sent.connected.unwrap_or(finished) - began);
        let sample = Sample {
            operation: prepared.operation,
            intended: wanted.intended,
            sent: stage.clock.offset(sent.first_byte.unwrap_or(finished)),
            finished: stage.clock.offset(finished),
            user_wait: wanted.user_wait,
            connect: connected,
            outcome: result.as_ref().map_or_else(|fault| Outcome::Failed(fault.kind), |_| Outcome::Succeeded),
            bytes: result.as_ref().map_or(0, |answer| answer.bytes),
        };
        let mut recorder = stage.recorder.borrow_mut();
        recorder.record(&sample);
        if let Err(fault) = result {
            let text = stage.secrets.redact(&fault.text);
            stage.tell(|| format!("user {}: {}: {text}", self.number, fault.kind.word()));
            recorder.example(prepared.operation, fault.kind, || text);
        }
        sample.finished
    }

    /// Whether there is a connection that can still be used.
    async fn reuse(&mut self) -> bool {
        let usable = match &mut self.connection {
            Some(connection) => connection.is_usable().await,
            None => false,
        };
        if !usable && self.connection.take().is_some() {
            self.stage.tell(|| format!("user {}: the connection was closed", self.number));
        }
        usable
    }

    async fn attempt(
        &mut self,
        prepared: &Prepared,
        draw: &mut Draw,
        facts: &Facts<'_>,
    ) -> (Result<Answer, Fault>, Sent) {
        let mut sent = Sent::default();
        let request = match prepared.render(draw, facts) {
            Ok(request) => request,
            Err(fault) => return (Err(fault), sent),
        };
        let stage = Rc::clone(&self.stage);
        if self.connection.is_none() {
            match Connection::open(&stage.dialer, stage.target.connect_timeout.duration()).await {
                Ok(connection) => self.keep(Ok(connection)),
                Err(fault) => return (Err(fault), sent),
            }
            sent.connected = Some(Instant::now());
        }
        let connection = self.connection.as_mut().expect("it was just made");
        let handed = Instant::now();
        let (result, first_byte) = connection.exchange(request, stage.target.timeout.duration()).await;
        sent.first_byte = Some(first_byte.unwrap_or(handed));
        if result.is_err() {
            // After a failure nobody knows what is still on the wire.
            self.connection = None;
        }
        (result.and_then(|answer| prepared.check(answer)), sent)
    }
}

/// The moments of an attempt, as far as it got.
#[derive(Default)]
struct Sent {
    connected: Option<Instant>,
    first_byte: Option<Instant>,
}

impl Stage {
    /// Waits for an intended start; `false` means that the run stopped before it.
    async fn reach(&self, intended: Duration) -> bool {
        if self.stop.is_set() {
            return false;
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = self.clock.reach(intended) => true,
            () = stop.wait() => false,
        }
    }

    pub(super) fn tell(&self, text: impl FnOnce() -> String) {
        if let Some(tell) = &self.tell {
            tell(text());
        }
    }

    /// Records that an arrival was never sent, at the operation of the request that it would have been.
    pub(super) fn drop_arrival(&self, class: usize, number: u64, intended: Duration) {
        let mut draw = Draw::new(self.seed, self.phase, Occasion::Arrival(number));
        let operation = self.behaviours[class].choose(&mut draw).operation;
        let mut recorder = self.recorder.borrow_mut();
        recorder.drop_arrival(operation, intended);
        recorder.example(operation, ErrorKind::Dropped, || "no user was idle in time".to_owned());
    }
}

/// When the next task of a closed user is intended. Draws what the wait needs.
fn next_start(wait: Wait, intended: Duration, finished: Duration, draw: &mut Draw) -> Duration {
    match wait {
        Wait::Nothing => finished,
        Wait::Uniform(low, high) if low == high => finished + low.duration(),
        Wait::Uniform(low, high) => {
            finished + Duration::from_secs_f64(draw.float(low.seconds(), high.seconds()))
        }
        Wait::Exponential(mean) => finished + Duration::from_secs_f64(draw.exponential() * mean.seconds()),
        Wait::Pace(pace) => finished.max(intended + pace.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::TimeSpan;

    fn span(text: &str) -> TimeSpan {
        text.parse().unwrap()
    }

    fn draw(task: u64) -> Draw {
        Draw::new(1, 0, Occasion::User(0, task))
    }

    #[test]
    fn a_pace_keeps_its_cadence_and_never_catches_up() {
        let pace = Wait::Pace(span("10s"));
        let next = |intended, finished| {
            next_start(pace, Duration::from_secs(intended), Duration::from_secs(finished), &mut draw(0))
                .as_secs()
        };
        assert_eq!(next(0, 3), 10);
        assert_eq!(next(10, 25), 25);
        assert_eq!(next(25, 26), 35);
    }

    #[test]
    fn waits_have_the_mean_that_the_plan_says() {
        for (wait, low, high) in [
            (Wait::Uniform(span("30s"), span("40s")), 34.8, 35.2),
            (Wait::Exponential(span("35s")), 33.5, 36.5),
            (Wait::Uniform(span("35s"), span("35s")), 35.0, 35.0),
        ] {
            let of = |task| next_start(wait, Duration::ZERO, Duration::ZERO, &mut draw(task)).as_secs_f64();
            let mean = (0..10_000).map(of).sum::<f64>() / 10_000.0;
            assert!((low..=high).contains(&mean), "{wait:?}: {mean}");
        }
    }

    #[test]
    fn every_sequence_number_of_a_run_is_given_once() {
        let numbering = Numbering { users: 3, per_task: 2, phases: 2 };
        let mut given: Vec<u64> = (0..2_u16)
            .flat_map(|phase| (0..100).map(move |task| numbering.of(phase, task)))
            .flat_map(|(first, step)| [first, first + step])
            .collect();
        given.sort_unstable();
        assert_eq!(given, (0..400).collect::<Vec<u64>>());
    }
}
