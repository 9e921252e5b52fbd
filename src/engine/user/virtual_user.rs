//! The life cycle of a virtual user: it starts, performs tasks, and leaves.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::pool::{Arrival, Pool};
use crate::engine::user::context::PhaseContext;
use crate::engine::user::intent::{Intent, Performed};
use crate::engine::user::state::UserState;
use crate::engine::wire::connection::{Connection, Pause};
use crate::engine::wire::fault::Fault;
use crate::measure::sample::Purpose;
use crate::plan::model::Wait;
use crate::plan::random::{RandomStream, StreamKey};

/// A pause of this length or more is long.
const LONG_PAUSE: Duration = Duration::from_millis(100);
/// The time between two attempts to start, for users without a wait.
const START_RETRY_DELAY: Duration = Duration::from_secs(1);

/// One virtual user.
pub(in crate::engine) struct User {
    pub(super) context: Rc<PhaseContext>,
    pub(super) number: u32,
    pub(super) class: usize,
    /// The simulated network latency, drawn once per user.
    pub(super) latency: Duration,
    pub(super) connection: Option<Connection>,
    pub(super) state: UserState,
    /// By row source: its rank among the users that take rows, and the row of the current requests.
    pub(super) ranks: Box<[u64]>,
    pub(super) rows: Box<[u64]>,
    attempts: u64,
    /// Whether its start has succeeded in the current active period.
    started: bool,
    left: u64,
}

/// The position of a closed user in its loop.
struct Iteration {
    task: u64,
    /// The number of tasks that it may do.
    tasks: u64,
    draw: RandomStream,
    wait: Wait,
}

impl Iteration {
    /// Whether all tasks are done.
    fn is_last(&self) -> bool {
        self.task >= self.tasks
    }
}

/// The place in a pool where a user of an open phase waits for arrivals.
pub(in crate::engine) struct OpenSlot {
    pub(in crate::engine) pool: Rc<Pool>,
    pub(in crate::engine) slot: usize,
    /// How long the user is usually idle.
    pub(in crate::engine) pause: Pause,
    /// Whether the user connects before its first arrival. The others connect when they are needed: idle connections
    /// occupy targets that have a worker for each.
    pub(in crate::engine) connects_ahead: bool,
}

impl OpenSlot {
    async fn next(&self, context: &PhaseContext, is_connected: bool) -> Option<Arrival> {
        self.pool.next(self.slot, is_connected, || context.clock.now()).await
    }
}

/// A period in which a user is active, as offsets from the phase's start.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct ActivePeriod {
    pub(in crate::engine) since: Duration,
    pub(in crate::engine) until: Duration,
}

impl User {
    /// A user of a class, with its ranks by row source.
    pub(in crate::engine) fn new(
        context: Rc<PhaseContext>,
        number: u32,
        class: usize,
        ranks: Box<[u64]>,
    ) -> Self {
        let prepared = &context.prepared_classes[class];
        let state = UserState::new(prepared.captures, prepared.cookies);
        let latency = prepared.latency.map_or(Duration::ZERO, |(low, high)| {
            let drawn = context.draw(StreamKey::User(number)).float(low.seconds(), high.seconds());
            Duration::from_secs_f64(drawn)
        });
        let (connection, attempts, started, left) = (None, 0, false, 0);
        let rows = ranks.clone();
        Self { context, number, class, latency, connection, state, ranks, rows, attempts, started, left }
    }

    /// Repeats task and wait in each active period, for at most this many tasks. The caller has already announced the first
    /// request, at the start of the first period, to the recorder. Returns when the user left after its last task; `None` if
    /// its time ended before.
    ///
    /// Futures that need much memory are boxed, so that a user does not hold that memory while it waits.
    pub(in crate::engine) async fn run_closed(
        mut self: Box<Self>,
        active_periods: Vec<ActivePeriod>,
        wait: Wait,
        tasks: u64,
    ) -> Option<Duration> {
        let context = Rc::clone(&self.context);
        let draw = context.draw(StreamKey::Task(self.number, 0));
        let mut iteration = Iteration { task: 0, tasks, draw, wait };
        let at_once = active_periods.first().is_some_and(|period| period.since.is_zero());
        if at_once && context.prepared_classes[self.class].connects_ahead() {
            // A user that has not connected by then connects when it needs to.
            tokio::select! {
                () = Box::pin(self.connect()) => {}
                _ = context.wait_for_start(Duration::ZERO) => {}
            }
            self.rest(Pause::Long);
        }
        for (index, period) in active_periods.into_iter().enumerate() {
            if index > 0 {
                context.expect(period.since);
            }
            if let Some(mut intended) = Box::pin(self.start(period, wait)).await {
                while self.rest_until(intended).await {
                    intended = Box::pin(self.run_until_pause(&mut iteration, intended, period.until)).await;
                    if intended >= period.until || iteration.is_last() {
                        break;
                    }
                }
                context.forget(intended);
            }
            let until = if iteration.is_last() { Duration::ZERO } else { period.until };
            Box::pin(self.leave(until)).await;
        }
        context.verbose_log(|| format!("user {} leaves", self.number));
        iteration.is_last().then(|| context.clock.now())
    }

    /// Performs tasks as long as the pauses between them are short. Returns the intended start of the next task,
    /// which is announced to the recorder.
    async fn run_until_pause(
        &mut self,
        iteration: &mut Iteration,
        mut intended: Duration,
        until: Duration,
    ) -> Duration {
        let context = Rc::clone(&self.context);
        loop {
            let intent = Intent::task(StreamKey::Task(self.number, iteration.task), intended);
            let performed = self.task(intent, &mut iteration.draw).await;
            context
                .recorder
                .borrow_mut()
                .record_lost_time(performed.finished, lost_to_lag(iteration.wait, intended, performed));
            iteration.task += 1;
            iteration.draw = context.draw(StreamKey::Task(self.number, iteration.task));
            intended = next_start(iteration.wait, intended, performed.finished, &mut iteration.draw);
            // The next task is announced even if it will not be performed: the caller withdraws it later.
            context.expect(intended);
            let pause = intended - performed.finished;
            let is_over = intended >= until || iteration.is_last();
            if is_over || pause >= LONG_PAUSE {
                return intended;
            }
            // Without a wait there is no need to look at the clock.
            let goes_on = match pause.is_zero() {
                true => !context.is_stopped(),
                false => self.rest_until(intended).await,
            };
            if !goes_on {
                return intended;
            }
        }
    }

    /// Performs arrivals until there are no more. Starts before the first arrival, or connects if its slot says so, so that
    /// the arrival need not wait for it.
    pub(in crate::engine) async fn serve_open(
        mut self: Box<Self>,
        period: ActivePeriod,
        wait: Wait,
        slot: OpenSlot,
    ) {
        let context = Rc::clone(&self.context);
        let at_once = period.since.is_zero();
        if slot.connects_ahead
            && context.prepared_classes[self.class].on_start.is_empty()
            && context.prepared_classes[self.class].connects_ahead()
            && (at_once || context.wait_for_start(period.since).await)
        {
            tokio::select! {
                () = Box::pin(self.connect()) => {}
                _ = context.wait_for_start(context.end) => {}
            }
        }
        if let Some(ready) = Box::pin(self.start(period, wait)).await {
            context.forget(ready);
            self.rest(slot.pause);
            while let Some(arrival) = slot.next(&context, self.connection.is_some()).await {
                Box::pin(self.serve_until_pause(arrival, &slot)).await;
            }
        }
        Box::pin(self.leave(period.until)).await;
        context.verbose_log(|| format!("user {} leaves", self.number));
    }

    /// Connects before the connection is needed. Until the phase begins only some users connect at the same time,
    /// because all at once would block the worker.
    async fn connect(&mut self) {
        let context = Rc::clone(&self.context);
        let _permit = context.preconnect_permits.acquire().await;
        let within = context.target.connect_timeout.duration();
        let opened = Connection::open(&context.dialer, within, self.number as usize).await;
        self.keep(opened.map(|(connection, opened)| (connection, opened.to)));
    }

    /// Performs an arrival and, if the usual pause is short, the arrivals that follow.
    async fn serve_until_pause(&mut self, mut arrival: Arrival, slot: &OpenSlot) {
        let context = Rc::clone(&self.context);
        loop {
            context.recorder.borrow_mut().start(arrival.intended);
            let stream_key = StreamKey::Arrival(arrival.number);
            let Arrival { intended, user_wait, our_wait, rows, .. } = arrival;
            self.rows = rows.unwrap_or_else(|| std::mem::take(&mut self.rows));
            let intent = Intent { user_wait, our_wait, ..Intent::task(stream_key, intended) };
            let performed = self.task(intent, &mut context.draw(stream_key)).await;
            slot.pool.performed(slot.slot, performed.finished, performed.ours);
            self.rest(slot.pause);
            if slot.pause == Pause::Long {
                return;
            }
            let Some(next) = slot.next(&context, self.connection.is_some()).await else { return };
            arrival = next;
        }
    }

    /// Waits for an intended start; `false` means that the run was stopped before it.
    async fn rest_until(&mut self, intended: Duration) -> bool {
        let pause = self.context.clock.until(intended);
        if pause.is_zero() {
            return !self.context.is_stopped();
        }
        self.rest(if pause < LONG_PAUSE { Pause::Short } else { Pause::Long });
        self.context.wait_for_start(intended).await
    }

    pub(super) fn rest(&mut self, pause: Pause) {
        if let Some(connection) = &mut self.connection {
            connection.rest(pause);
        }
    }

    /// Draws a task and performs it.
    async fn task(&mut self, intent: Intent, draw: &mut RandomStream) -> Performed {
        let context = Rc::clone(&self.context);
        let (task, steps) = context.prepared_classes[self.class].choose(draw);
        context.recorder.borrow_mut().record_draw(intent.intended, task);
        self.perform(steps, intent, draw).await
    }

    /// Makes the requests of the start, repeatedly until they succeed. Returns the intended start of the first task.
    /// The caller has announced the start to the recorder; the first task is announced here.
    ///
    /// `None` means that the active period ended or the run was stopped before that.
    async fn start(&mut self, period: ActivePeriod, wait: Wait) -> Option<Duration> {
        let context = Rc::clone(&self.context);
        let steps = &context.prepared_classes[self.class].on_start;
        if steps.is_empty() {
            self.started = true;
            return Some(period.since);
        }
        let mut intended = period.since;
        loop {
            if !context.wait_for_start(intended).await {
                context.forget(intended);
                return None;
            }
            let stream_key = StreamKey::Start(self.number, self.attempts);
            let mut draw = context.draw(stream_key);
            let intent = Intent { purpose: Purpose::Session, ..Intent::task(stream_key, intended) };
            let performed = self.perform(steps, intent, &mut draw).await;
            self.attempts += 1;
            self.started = performed.succeeded;
            let next = match (performed.succeeded, wait) {
                (true, _) => performed.finished,
                (false, Wait::Nothing) => performed.finished + START_RETRY_DELAY,
                (false, wait) => next_start(wait, intended, performed.finished, &mut draw),
            };
            if next >= period.until || context.stop.is_set() {
                return None;
            }
            context.expect(next);
            if performed.succeeded {
                return Some(next);
            }
            intended = next;
        }
    }

    /// Makes the requests of the stop at the end of the active period, or now if the run stops. Then discards the
    /// connection and the state.
    async fn leave(&mut self, until: Duration) {
        let context = Rc::clone(&self.context);
        let steps = &context.prepared_classes[self.class].on_stop;
        if self.started && !steps.is_empty() && !context.timer.is_cancelled() {
            let mut intended = until.max(context.clock.now());
            context.expect(intended);
            if !context.wait_for_start(intended).await {
                context.forget(intended);
                intended = context.clock.now();
                context.expect(intended);
            }
            let stream_key = StreamKey::Stop(self.number, self.left);
            let intent = Intent { purpose: Purpose::Session, ..Intent::task(stream_key, intended) };
            self.perform(steps, intent, &mut context.draw(stream_key)).await;
        }
        self.left += 1;
        self.started = false;
        self.connection = None;
        self.state.clear();
    }

    /// Keeps a connection for the next request. A failure is only logged: the request that needs the connection tries
    /// again, and that attempt counts.
    pub(super) fn keep(&mut self, opened: Result<(Connection, Option<SocketAddr>), Fault>) {
        match opened {
            Ok((connection, to)) => {
                let now = self.context.clock.now();
                self.context.recorder.borrow_mut().record_opened(now, to);
                self.context.verbose_log(|| format!("user {} connected", self.number));
                self.connection = Some(connection);
            }
            Err(fault) => {
                let text = self.context.secrets.redact(&fault.text);
                self.context.verbose_log(|| format!("user {}: {text}", self.number));
            }
        }
    }
}

/// The intended start of a closed user's next task. A random wait is drawn from `draw`.
fn next_start(wait: Wait, intended: Duration, finished: Duration, draw: &mut RandomStream) -> Duration {
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

/// By how much the generator's own lag lengthened the cycle of a closed user. A pace absorbs lag if there is time
/// left. Without a wait the plan asks for no particular load, so nothing is lost.
fn lost_to_lag(wait: Wait, intended: Duration, performed: Performed) -> Duration {
    match wait {
        Wait::Nothing => Duration::ZERO,
        Wait::Uniform(..) | Wait::Exponential(_) => performed.lag,
        Wait::Pace(pace) => performed.lag.min(performed.finished.saturating_sub(intended + pace.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::TimeSpan;

    fn span(text: &str) -> TimeSpan {
        text.parse().unwrap()
    }

    fn draw(task: u64) -> RandomStream {
        RandomStream::new(1, 0, StreamKey::Task(0, task))
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
