//! How a virtual user lives: it starts, performs tasks, and leaves.

use std::rc::Rc;
use std::time::Duration;

use crate::engine::pool::{Pool, Ticket};
use crate::engine::user::memory::Memory;
use crate::engine::user::stage::Stage;
use crate::engine::user::turn::{Made, Turn};
use crate::engine::wire::connection::{Connection, Pause};
use crate::engine::wire::fault::Fault;
use crate::measure::sample::Purpose;
use crate::plan::draw::{Draw, Occasion};
use crate::plan::model::Wait;

/// A pause of this length is long.
const LONG: Duration = Duration::from_millis(100);
/// Between two attempts to start, where a user does not wait.
const PAUSE: Duration = Duration::from_secs(1);

/// One virtual user.
pub(in crate::engine) struct User {
    pub(super) stage: Rc<Stage>,
    pub(super) number: u32,
    pub(super) class: usize,
    /// How far away it is.
    pub(super) latency: Duration,
    pub(super) connection: Option<Connection>,
    pub(super) memory: Memory,
    attempts: u64,
    /// Whether its start has succeeded since it came.
    started: bool,
    left: u64,
}

/// Where a closed user is in its loop.
struct Round {
    task: u64,
    draw: Draw,
    wait: Wait,
}

/// Where a user of an open phase waits for arrivals.
pub(in crate::engine) struct Desk {
    pub(in crate::engine) pool: Rc<Pool>,
    pub(in crate::engine) seat: usize,
    /// How long it is usually idle.
    pub(in crate::engine) pause: Pause,
}

impl Desk {
    async fn next(&self, stage: &Stage) -> Option<Ticket> {
        self.pool.next(self.seat, || stage.clock.now()).await
    }
}

/// A stretch of time in which a user is there.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Life {
    pub(in crate::engine) since: Duration,
    pub(in crate::engine) until: Duration,
}

impl User {
    pub(in crate::engine) fn new(stage: Rc<Stage>, number: u32, class: usize) -> Self {
        let behaviour = &stage.behaviours[class];
        let memory = Memory::new(behaviour.captures, behaviour.cookies);
        let latency = behaviour.latency.map_or(Duration::ZERO, |(low, high)| {
            let drawn = stage.draw(Occasion::Nature(number)).float(low.seconds(), high.seconds());
            Duration::from_secs_f64(drawn)
        });
        let (connection, attempts, started, left) = (None, 0, false, 0);
        Self { stage, number, class, latency, connection, memory, attempts, started, left }
    }

    /// Loops through task and wait, once for each life. What it does first, at the start of its first life, is already
    /// expected.
    ///
    /// What needs much memory is put into a box, which is gone while the user waits.
    pub(in crate::engine) async fn loop_closed(mut self: Box<Self>, lives: Vec<Life>, wait: Wait) {
        let stage = Rc::clone(&self.stage);
        let mut round = Round { task: 0, draw: stage.draw(Occasion::User(self.number, 0)), wait };
        if lives.first().is_some_and(|life| life.since.is_zero()) {
            // What has not connected until then does so when it needs to.
            tokio::select! {
                () = Box::pin(self.connect()) => {}
                _ = stage.reach(Duration::ZERO) => {}
            }
            self.rest(Pause::Long);
        }
        for (index, life) in lives.into_iter().enumerate() {
            if index > 0 {
                stage.expect(life.since);
            }
            if let Some(mut intended) = Box::pin(self.start(life, wait)).await {
                while self.rest_until(intended).await {
                    intended = Box::pin(self.loop_without_pause(&mut round, intended, life.until)).await;
                    if intended >= life.until {
                        break;
                    }
                }
                stage.forget(intended);
            }
            Box::pin(self.leave(life.until)).await;
        }
        stage.tell(|| format!("user {} leaves", self.number));
    }

    /// Performs tasks as long as there is no long pause between them; returns when the next one is intended, which is
    /// expected.
    async fn loop_without_pause(
        &mut self,
        round: &mut Round,
        mut intended: Duration,
        until: Duration,
    ) -> Duration {
        let stage = Rc::clone(&self.stage);
        loop {
            let turn = Turn::task(Occasion::User(self.number, round.task), intended);
            let made = self.task(turn, &mut round.draw).await;
            stage.recorder.borrow_mut().lose(made.finished, lost(round.wait, intended, made));
            round.task += 1;
            round.draw = stage.draw(Occasion::User(self.number, round.task));
            intended = next_start(round.wait, intended, made.finished, &mut round.draw);
            // The next one is announced even where it will not be made: it is taken back later.
            stage.expect(intended);
            let pause = intended - made.finished;
            if intended >= until || pause >= LONG || !self.rest_until(intended).await {
                return intended;
            }
        }
    }

    /// Carries out arrivals until there are no more. Starts first, or connects, so that the first of them need not wait
    /// for it.
    pub(in crate::engine) async fn serve_open(mut self: Box<Self>, life: Life, wait: Wait, desk: Desk) {
        let stage = Rc::clone(&self.stage);
        let at_once = life.since.is_zero();
        if stage.behaviours[self.class].on_start.is_empty() && (at_once || stage.reach(life.since).await) {
            tokio::select! {
                () = Box::pin(self.connect()) => {}
                _ = stage.reach(stage.end) => {}
            }
        }
        if let Some(ready) = Box::pin(self.start(life, wait)).await {
            stage.forget(ready);
            self.rest(desk.pause);
            while let Some(ticket) = desk.next(&stage).await {
                Box::pin(self.serve_without_pause(ticket, &desk)).await;
            }
        }
        Box::pin(self.leave(life.until)).await;
        stage.tell(|| format!("user {} leaves", self.number));
    }

    /// Connects before it needs to. Until the phase begins, not all who come at once do so at once: that would keep the
    /// worker from all else.
    async fn connect(&mut self) {
        let stage = Rc::clone(&self.stage);
        let _turn = stage.connecting.acquire().await;
        let opened = Connection::open(&stage.dialer, stage.target.connect_timeout.duration()).await;
        self.keep(opened.map(|(connection, _)| connection));
    }

    /// Carries out an arrival, and those that follow it where they are not far apart.
    async fn serve_without_pause(&mut self, mut ticket: Ticket, desk: &Desk) {
        let stage = Rc::clone(&self.stage);
        loop {
            stage.recorder.borrow_mut().start(ticket.intended);
            let occasion = Occasion::Arrival(ticket.number);
            let turn = Turn { user_wait: ticket.user_wait, ..Turn::task(occasion, ticket.intended) };
            self.task(turn, &mut stage.draw(occasion)).await;
            self.rest(desk.pause);
            if desk.pause == Pause::Long {
                return;
            }
            let Some(next) = desk.next(&stage).await else { return };
            ticket = next;
        }
    }

    /// Waits for an intended start; `false` means that the run stopped before it.
    async fn rest_until(&mut self, intended: Duration) -> bool {
        let pause = self.stage.clock.until(intended);
        if !pause.is_zero() {
            self.rest(if pause < LONG { Pause::Short } else { Pause::Long });
        }
        self.stage.reach(intended).await
    }

    pub(super) fn rest(&mut self, pause: Pause) {
        if let Some(connection) = &mut self.connection {
            connection.rest(pause);
        }
    }

    /// Performs one task.
    async fn task(&mut self, turn: Turn, draw: &mut Draw) -> Made {
        let stage = Rc::clone(&self.stage);
        let (task, steps) = stage.behaviours[self.class].choose(draw);
        stage.recorder.borrow_mut().draw(turn.intended, task);
        self.make(steps, turn, draw).await
    }

    /// Makes the requests of the start, again and again until they succeed; returns when the first task is intended,
    /// which is then expected, as the start was before.
    ///
    /// `None` means that its time was over before.
    async fn start(&mut self, life: Life, wait: Wait) -> Option<Duration> {
        let stage = Rc::clone(&self.stage);
        let steps = &stage.behaviours[self.class].on_start;
        if steps.is_empty() {
            self.started = true;
            return Some(life.since);
        }
        let mut intended = life.since;
        loop {
            if !stage.reach(intended).await {
                stage.forget(intended);
                return None;
            }
            let occasion = Occasion::Start(self.number, self.attempts);
            let mut draw = stage.draw(occasion);
            let turn = Turn { purpose: Purpose::Session, ..Turn::task(occasion, intended) };
            let made = self.make(steps, turn, &mut draw).await;
            self.attempts += 1;
            self.started = made.succeeded;
            let next = match (made.succeeded, wait) {
                (true, _) => made.finished,
                (false, Wait::Nothing) => made.finished + PAUSE,
                (false, wait) => next_start(wait, intended, made.finished, &mut draw),
            };
            if next >= life.until || stage.stop.is_set() {
                return None;
            }
            stage.expect(next);
            if made.succeeded {
                return Some(next);
            }
            intended = next;
        }
    }

    /// Makes the requests of the stop when the user's time is over, or now if the run stops, and forgets everything.
    async fn leave(&mut self, until: Duration) {
        let stage = Rc::clone(&self.stage);
        let steps = &stage.behaviours[self.class].on_stop;
        if self.started && !steps.is_empty() {
            let mut intended = until.max(stage.clock.now());
            stage.expect(intended);
            if !stage.reach(intended).await {
                stage.forget(intended);
                intended = stage.clock.now();
                stage.expect(intended);
            }
            let occasion = Occasion::Stop(self.number, self.left);
            let turn = Turn { purpose: Purpose::Session, ..Turn::task(occasion, intended) };
            self.make(steps, turn, &mut stage.draw(occasion)).await;
        }
        self.left += 1;
        self.started = false;
        self.connection = None;
        self.memory.clear();
    }

    /// Keeps a connection for the next request; a failure is only told: the request that needs it tries anew and counts.
    pub(super) fn keep(&mut self, opened: Result<Connection, Fault>) {
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

/// By how much our own lag lengthened the cycle of a closed user. A pace takes it up where there is time left, and without
/// a wait no particular load is asked for.
fn lost(wait: Wait, intended: Duration, made: Made) -> Duration {
    match wait {
        Wait::Nothing => Duration::ZERO,
        Wait::Uniform(..) | Wait::Exponential(_) => made.lag,
        Wait::Pace(pace) => made.lag.min(made.finished.saturating_sub(intended + pace.duration())),
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
}
