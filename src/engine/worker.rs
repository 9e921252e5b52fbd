//! A worker: its part of a phase, from the first user to the last response.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::engine::clock::PhaseClock;
use crate::engine::heartbeat::{Heartbeat, Lateness};
use crate::engine::job::Job;
use crate::engine::pool::{Arrival, ExpiredArrival, Pool};
use crate::engine::timer::{PreciseTimer, Precision};
use crate::engine::user::context::{MAX_PRECONNECTING, Numbering, PhaseContext};
use crate::engine::user::exchange_log::ExchangeLog;
use crate::engine::user::prepared::PreparedClass;
use crate::engine::user::rows::{RowDeal, TakenRows};
use crate::engine::user::virtual_user::{ActivePeriod, OpenSlot, User};
use crate::engine::wire::connection::Pause;
use crate::event::{RunEvent, StopSignal};
use crate::measure::recorder::{Latency, Recorder, RecorderScope};
use crate::plan::Spacing;
use crate::plan::model::{Load, OpenLoad, Phase, PhaseId, Plan};
use crate::plan::random::{RandomStream, StreamKey};
use crate::schedule::{Arrivals, Dealer, deal};

/// A worker: its number, its job, and where it sends its events.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) job: Arc<Job>,
    pub(super) stop: StopSignal,
    pub(super) events: UnboundedSender<RunEvent>,
    /// The rows that arrivals took in earlier phases.
    pub(super) taken_rows: TakenRows,
}

/// A user that belongs to this worker.
struct OwnUser {
    number: u32,
    class: usize,
    /// The number of earlier users of its class.
    place: u32,
    ranks: Box<[u64]>,
}

/// The tightest limit of a plan that has none on response times.
const ASSUMED_LIMIT: Duration = Duration::from_millis(100);
/// How often a worker hands over its windows.
const HAND_OVER_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// Runs this worker's part of a phase that starts at `start`, until it has drained. Returns the end of its last task if
    /// the phase ends with its tasks and all are done. Needs a runtime that supports `spawn_local`.
    pub(super) async fn run(&self, id: PhaseId, start: Instant) -> Option<Duration> {
        let plan = &self.job.plan;
        let phase = &plan.phases[id.index()];
        let classes = classes_of_users(phase);
        let rows = RowDeal::new(plan, &classes);
        let users = self.users(&classes, &rows);
        let context = Rc::new(self.context(id, PhaseClock::starting_at(start), rows));
        let timer_task = spawn_local(drive_timer(Rc::clone(&context)));
        let preconnect_gate = spawn_local(stop_preconnecting(Rc::clone(&context)));
        let tasks = match phase.load {
            Load::Closed => self.spawn_closed_users(phase, users, &context),
            Load::Open(load) => {
                let (pools, mut tasks) = self.spawn_open_users(phase, users, &context);
                let starts = starts(phase, load, context.draw(StreamKey::ArrivalGaps));
                let share = WorkerShare { number: self.number, of: self.job.workers };
                context.rows.begin(&self.taken_rows);
                let arrivals = WorkerArrivals::new(plan, phase, starts, share);
                let arrivals = arrivals.taking_rows(Rc::clone(&context), self.taken_rows.clone());
                // Users leave when no arrival waits any more. If they left earlier, waiting arrivals must still be
                // dropped.
                tasks.push(spawn_local(until_phase_ends(dispatch(Rc::clone(&context), pools, arrivals))));
                tasks
            }
        };
        let stopper = spawn_local(follow_stop(Rc::clone(&context), self.job.max_drain));
        let drained = async {
            let mut all_left = Some(Duration::ZERO);
            for task in tasks {
                let left = task.await.expect("no task is aborted, and a panic ends the process");
                all_left = all_left.zip(left).map(|(last, left)| last.max(left));
            }
            all_left
        };
        let all_left = self.hand_over_until(drained, &context).await;
        timer_task.abort();
        preconnect_gate.abort();
        stopper.abort();
        all_left.filter(|_| phase.ends_with_its_tasks())
    }

    fn context(&self, id: PhaseId, clock: PhaseClock, rows: RowDeal) -> PhaseContext {
        let plan = &self.job.plan;
        let phase = &plan.phases[id.index()];
        let end = phase.duration.duration();
        let limits = Arc::clone(&self.job.limits);
        let has_latency = plan.classes_of(phase).any(|class| class.network_latency.is_some());
        let scope = RecorderScope {
            phase: id,
            worker: u16::try_from(self.number).expect("a run has fewer than 65 536 workers"),
            latency: if has_latency { Latency::Some } else { Latency::None },
        };
        let events = self.events.clone();
        PhaseContext {
            clock,
            timer: if self.job.real_time { PreciseTimer::new() } else { PreciseTimer::from_runtime() },
            recorder: RefCell::new(Recorder::new(limits, scope, end, self.job.log_capacity)),
            target: plan.target.clone(),
            dialer: self.job.dialer.clone(),
            lateness: Lateness::default(),
            preconnect_permits: Semaphore::new(MAX_PRECONNECTING),
            prepared_classes: Rc::new(PreparedClass::of_classes(plan)),
            seed: self.job.seed,
            phase: id,
            end,
            stop: self.stop.clone(),
            numbering: Numbering::of_phase(plan, phase),
            rows,
            secrets: plan.secrets.clone(),
            exchange_log: ExchangeLog::Off,
            // The send fails only after the session has ended, when messages are no longer needed.
            verbose_log: self.job.verbose.then(|| -> Box<dyn Fn(String)> {
                Box::new(move |text| drop(events.send(RunEvent::Verbose(text))))
            }),
        }
    }

    /// The users of this worker: user u belongs to worker u mod n.
    fn users(&self, classes: &[usize], rows: &RowDeal) -> Vec<OwnUser> {
        let mut counts = vec![0; self.job.plan.classes.len()];
        let placed = classes.iter().map(|class| {
            counts[*class] += 1;
            counts[*class] - 1
        });
        let all = (0..).zip(classes).zip(placed).zip(rows.ranks(classes));
        let own = all.skip(self.number).step_by(self.job.workers);
        own.map(|(((number, class), place), ranks)| OwnUser { number, class: *class, place, ranks }).collect()
    }

    fn spawn_closed_users(
        &self,
        phase: &Phase,
        users: Vec<OwnUser>,
        context: &Rc<PhaseContext>,
    ) -> Vec<JoinHandle<Option<Duration>>> {
        let tasks = users.into_iter().filter_map(|OwnUser { number, class, place: _, ranks }| {
            let active_periods = active_periods(phase, number);
            context.expect(active_periods.first()?.since);
            let wait = self.job.plan.classes[class].wait;
            let user = Box::new(User::new(Rc::clone(context), number, class, ranks));
            Some(spawn_local(user.run_closed(active_periods, wait, phase.tasks_of(number))))
        });
        tasks.collect()
    }

    /// Spawns the users of an open phase. Each class gets a pool.
    fn spawn_open_users(
        &self,
        phase: &Phase,
        users: Vec<OwnUser>,
        context: &Rc<PhaseContext>,
    ) -> (Vec<Rc<Pool>>, Vec<JoinHandle<Option<Duration>>>) {
        let pools: Vec<Rc<Pool>> = self.job.plan.classes.iter().map(|_| Rc::default()).collect();
        let ahead = self.connections_ahead(phase);
        let tasks = users.into_iter().filter_map(|OwnUser { number, class, place, ranks }| {
            let period = *active_periods(phase, number).first()?;
            context.expect(period.since);
            let wait = self.job.plan.classes[class].wait;
            let pool = Rc::clone(&pools[class]);
            let connects_ahead = f64::from(place) < ahead[class];
            let slot = OpenSlot { slot: pool.add_slot(), pool, pause: usual_pause(phase), connects_ahead };
            let user = Box::new(User::new(Rc::clone(context), number, class, ranks));
            Some(spawn_local(until_phase_ends(user.serve_open(period, wait, slot))))
        });
        let tasks = tasks.collect();
        (pools, tasks)
    }

    /// By class: the number of connections that its arrivals need at the same time while the target keeps its tightest
    /// limit.
    fn connections_ahead(&self, phase: &Phase) -> Vec<f64> {
        let Load::Open(load) = phase.load else { return Vec::new() };
        let limit = self.job.limits.shortest().unwrap_or(ASSUMED_LIMIT).as_secs_f64();
        let weights = self.job.plan.arrival_weights(phase);
        let all: f64 = weights.iter().sum();
        let mut ahead = vec![0.0; self.job.plan.classes.len()];
        for ((class, _), weight) in phase.mix.iter().zip(&weights) {
            ahead[class.index()] = (load.most_per_second() * weight / all * limit).ceil();
        }
        ahead
    }

    async fn hand_over_until<T>(&self, drained: impl Future<Output = T>, context: &PhaseContext) -> T {
        let mut tick = HAND_OVER_INTERVAL;
        let mut drained = std::pin::pin!(drained);
        let start = context.clock.moment(Duration::ZERO);
        let beating = || Heartbeat::starting_at(start, context.clock, context.lateness.clone());
        let mut heartbeat = self.job.real_time.then(beating);
        loop {
            let due = context.clock.moment(tick);
            let next = heartbeat.as_ref().map_or(due, |heartbeat| heartbeat.due().min(due));
            let done = tokio::select! {
                done = &mut drained => Some(done),
                () = sleep_until(next) => None,
            };
            if let Some(heartbeat) = &mut heartbeat {
                heartbeat.beat(&mut context.recorder.borrow_mut());
            }
            if done.is_none() && Instant::now() < due {
                continue;
            }
            if let Some(heartbeat) = &mut heartbeat {
                heartbeat.sample_cpu(&mut context.recorder.borrow_mut());
            }
            // After the last user nothing follows.
            let now = if done.is_some() { context.end } else { context.clock.now() };
            let (batch, samples) = context.recorder.borrow_mut().drain(now);
            // A send fails only after the session has ended, when windows are no longer needed.
            if !samples.is_empty() {
                let _ = self.events.send(RunEvent::Sampled { phase: context.phase, samples });
            }
            let _ = self.events.send(RunEvent::Recorded(batch));
            if let Some(done) = done {
                return done;
            }
            tick = Duration::from_secs(context.clock.now().as_secs()) + HAND_OVER_INTERVAL;
        }
    }
}

/// The class of each user of a phase, dealt by weight in the order of the users' numbers.
pub(super) fn classes_of_users(phase: &Phase) -> Vec<usize> {
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    deal(&weights, phase.users).into_iter().map(|share| phase.mix[share].0.index()).collect()
}

/// The periods in which a user of a phase is active.
fn active_periods(phase: &Phase, user: u32) -> Vec<ActivePeriod> {
    let active_periods = phase.active_periods(user).into_iter().map(|(since, until)| ActivePeriod {
        since: Duration::from_secs_f64(since),
        until: Duration::from_secs_f64(until),
    });
    active_periods.collect()
}

/// How long a user of an open phase is usually idle between two arrivals.
fn usual_pause(phase: &Phase) -> Pause {
    let Load::Open(load) = phase.load else { return Pause::Short };
    if f64::from(phase.users) >= load.most_per_second() { Pause::Long } else { Pause::Short }
}

/// The intended starts of an open phase, the same on every worker.
fn starts(phase: &Phase, load: OpenLoad, mut gaps: RandomStream) -> Box<dyn Iterator<Item = Duration>> {
    let arrivals = Arrivals::new((load.from, load.to), phase.ramp(), phase.duration);
    match load.spacing {
        Spacing::Even => Box::new(arrivals.spaced(0.0, || 1.0)),
        Spacing::Poisson if let Some(count) = phase.iterations => {
            Box::new(arrivals.scattered(count, move || gaps.exponential()))
        }
        Spacing::Poisson => {
            let first = gaps.exponential();
            Box::new(arrivals.spaced(first, move || gaps.exponential()))
        }
    }
}

/// The arrivals of one worker. Every worker deals all arrivals in the same way, so the workers need not communicate.
struct WorkerArrivals {
    starts: std::iter::Enumerate<Box<dyn Iterator<Item = Duration>>>,
    worker: usize,
    /// The index of each class of the phase, with the dealer of its arrivals to workers.
    classes: Vec<(usize, Dealer)>,
    by_class: Dealer,
    /// Takes the rows of all arrivals.
    rows: Option<(Rc<PhaseContext>, TakenRows)>,
}

/// An arrival that belongs to this worker.
struct OwnArrival {
    number: u64,
    /// Its class, as an index.
    class: usize,
    intended: Duration,
    /// Its rows by row source; `None` if the plan has none.
    rows: Option<Box<[u64]>>,
}

/// One of several workers, by its number from 0.
#[derive(Clone, Copy)]
struct WorkerShare {
    number: usize,
    of: usize,
}

impl WorkerArrivals {
    fn new(
        plan: &Plan,
        phase: &Phase,
        starts: Box<dyn Iterator<Item = Duration>>,
        share: WorkerShare,
    ) -> Self {
        let users = classes_of_users(phase);
        let weights = plan.arrival_weights(phase);
        let classes = phase.mix.iter().map(|(class, _)| {
            let mut owned = vec![0.0; share.of];
            users
                .iter()
                .enumerate()
                .filter(|(_, c)| **c == class.index())
                .for_each(|(u, _)| owned[u % share.of] += 1.0);
            (class.index(), Dealer::new(&owned))
        });
        let classes = classes.collect();
        let by_class = Dealer::new(&weights);
        Self { starts: starts.enumerate(), worker: share.number, classes, by_class, rows: None }
    }

    /// The same arrivals with their rows.
    fn taking_rows(self, context: Rc<PhaseContext>, taken: TakenRows) -> Self {
        Self { rows: Some((context, taken)), ..self }
    }
}

impl Iterator for WorkerArrivals {
    type Item = OwnArrival;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, intended) = self.starts.next()?;
            let (class, workers) = &mut self.classes[self.by_class.deal_next()];
            let (class, is_own) = (*class, workers.deal_next() == self.worker);
            let rows = self.rows.as_ref();
            let rows = rows.and_then(|(context, taken)| context.rows.arrive(taken, class, is_own));
            if is_own {
                return Some(OwnArrival { number: number as u64, class, intended, rows });
            }
        }
    }
}

/// Ends the phase when the run is stopped, and cancels the requests in flight when the drain has taken too long.
async fn follow_stop(context: Rc<PhaseContext>, max_drain: Duration) {
    let mut stop = context.stop.clone();
    stop.wait().await;
    context.recorder.borrow_mut().end_at(context.clock.now());
    context.wake_for_stop();
    tokio::select! {
        () = stop.wait_for_cancel() => {}
        () = tokio::time::sleep(max_drain) => {}
    }
    context.timer.cancel();
}

async fn drive_timer(context: Rc<PhaseContext>) {
    context.timer.drive().await;
}

/// Removes the limit on simultaneous connects when the phase begins: users then connect as soon as they need to.
async fn stop_preconnecting(context: Rc<PhaseContext>) {
    context.wait_for_start(Duration::ZERO).await;
    context.preconnect_permits.close();
}

/// Work that does not end with the last task of a user.
async fn until_phase_ends(work: impl Future<Output = ()>) -> Option<Duration> {
    work.await;
    None
}

/// Gives every arrival to a user at its intended start, and drops arrivals that wait longer than the target's
/// timeout.
async fn dispatch(context: Rc<PhaseContext>, pools: Vec<Rc<Pool>>, mut arrivals: WorkerArrivals) {
    let patience = context.target.timeout.duration();
    let mut stop = context.stop.clone();
    let mut next = arrivals.next();
    expect(&context, next.as_ref());
    loop {
        if next.is_none() {
            pools.iter().for_each(|pool| pool.close());
        }
        let expiry = pools.iter().filter_map(|pool| pool.oldest_waiting()).min().map(|at| at + patience);
        let Some(wake) = [next.as_ref().map(|next| next.intended), expiry].into_iter().flatten().min() else {
            break;
        };
        let stopped = tokio::select! {
            biased;
            () = stop.wait() => true,
            () = context.until(wake, Precision::Spin) => false,
            () = wait_until_all_empty(&pools), if next.is_none() => false,
        };
        let now = context.clock.now();
        if stopped {
            if let Some(next) = next {
                context.recorder.borrow_mut().forget(next.intended);
            }
            for (class, pool) in pools.iter().enumerate() {
                for arrival in pool.take_waiting() {
                    context.withdraw_arrival(class, arrival.number, arrival.intended);
                }
            }
            break;
        }
        while let Some(arrival) = next.take_if(|next| next.intended <= now) {
            let OwnArrival { number, class, intended, rows } = arrival;
            context.recorder.borrow_mut().schedule(intended, now);
            let late_before = context.lateness.past();
            pools[class].offer(Arrival { late_before, rows, ..Arrival::new(number, intended, now) });
            next = arrivals.next();
            expect(&context, next.as_ref());
        }
        for (class, pool) in pools.iter().enumerate() {
            for ExpiredArrival { arrival, by_us } in
                pool.take_expired(now, patience, context.lateness.total())
            {
                context.drop_arrival(class, &arrival, by_us);
            }
        }
    }
    pools.iter().for_each(|pool| pool.close());
}

/// Returns as soon as no arrival waits in any pool.
async fn wait_until_all_empty(pools: &[Rc<Pool>]) {
    for pool in pools {
        pool.wait_until_empty().await;
    }
}

fn expect(context: &PhaseContext, next: Option<&OwnArrival>) {
    if let Some(next) = next {
        context.recorder.borrow_mut().expect(next.intended);
    }
}

#[cfg(test)]
mod tests;
