//! A worker: its part of a phase, from the first user to the last answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::engine::alarm::{Alarm, Meeting};
use crate::engine::clock::Clock;
use crate::engine::heart::Heart;
use crate::engine::job::Job;
use crate::engine::pool::{Pool, Ticket};
use crate::engine::user::life::{Desk, Life, User};
use crate::engine::user::prepared::Behaviour;
use crate::engine::user::stage::{CONNECTING, Numbering, Stage};
use crate::engine::wire::connection::Pause;
use crate::event::{RunEvent, StopSignal};
use crate::measure::recorder::{Latency, Recorder, Scope};
use crate::plan::Spacing;
use crate::plan::draw::{Draw, Occasion};
use crate::plan::model::{Load, OpenLoad, Phase, PhaseId, Plan};
use crate::schedule::{Arrivals, Dealer, deal};

/// What a worker is and where it tells what happens.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) job: Arc<Job>,
    pub(super) stop: StopSignal,
    pub(super) events: UnboundedSender<RunEvent>,
}

/// A user of this worker.
#[derive(Clone, Copy)]
struct Mine {
    number: u32,
    class: usize,
}

/// How often a worker hands over what it recorded.
const EVERY: Duration = Duration::from_secs(1);

impl Worker {
    /// Does this worker's part of a phase that starts at a moment, and returns when it has drained. Needs a runtime of
    /// one thread that tasks cannot leave.
    pub(super) async fn run(&self, id: PhaseId, start: Instant) {
        let plan = &self.job.plan;
        let phase = &plan.phases[id.index()];
        let stage = Rc::new(self.stage(id, Clock::starting_at(start)));
        let users = self.users(phase);
        let ringing = spawn_local(ring(Rc::clone(&stage)));
        let beginning = spawn_local(let_all_connect(Rc::clone(&stage)));
        let mut tasks = match phase.load {
            Load::Closed => self.start_closed(phase, &users, &stage),
            Load::Open(load) => {
                let (pools, mut tasks) = self.seat_users(phase, &users, &stage);
                let starts = starts(phase, load, stage.draw(Occasion::Gaps));
                let dealt = Dealt::new(plan, phase, starts, (self.number, self.job.workers));
                // Users leave when nothing waits any more; where they left before, what waits is still to be dropped.
                tasks.push(spawn_local(dispatch(Rc::clone(&stage), pools, dealt)));
                tasks
            }
        };
        let stopper = Rc::clone(&stage);
        tasks.push(spawn_local(async move {
            let mut stop = stopper.stop.clone();
            tokio::select! {
                () = stop.wait() => {
                    stopper.recorder.borrow_mut().end_at(stopper.clock.now());
                    stopper.interrupt();
                }
                () = stopper.until(stopper.end, Meeting::Closely) => {}
            }
        }));
        let drained = async {
            for task in tasks {
                task.await.expect("no task is aborted, and a panic ends the process");
            }
        };
        self.hand_over_until(drained, &stage).await;
        ringing.abort();
        beginning.abort();
    }

    fn stage(&self, id: PhaseId, clock: Clock) -> Stage {
        let plan = &self.job.plan;
        let phase = &plan.phases[id.index()];
        let end = phase.duration.duration();
        let limits = Arc::clone(&self.job.limits);
        let latent = plan.classes_of(phase).any(|class| class.network_latency.is_some());
        let scope = Scope {
            phase: id.0,
            worker: u16::try_from(self.number).expect("fewer than 65 536 workers"),
            latency: if latent { Latency::Some } else { Latency::None },
        };
        let events = self.events.clone();
        Stage {
            clock,
            alarm: if self.job.real_time { Alarm::new() } else { Alarm::of_the_runtime() },
            recorder: RefCell::new(Recorder::new(limits, scope, end, self.job.log_room)),
            target: plan.target.clone(),
            dialer: self.job.dialer.clone(),
            connecting: Semaphore::new(CONNECTING),
            behaviours: Rc::new(Behaviour::of_classes(plan)),
            seed: self.job.seed,
            phase: id.0,
            end,
            stop: self.stop.clone(),
            numbering: Numbering::of_phase(plan, phase),
            secrets: plan.secrets.clone(),
            witness: None,
            // A run that no one listens to any more is not worth talking about.
            tell: self.job.verbose.then(|| -> Box<dyn Fn(String)> {
                Box::new(move |text| drop(events.send(RunEvent::Told(text))))
            }),
        }
    }

    /// The users of this worker: user u is worker u mod n's.
    fn users(&self, phase: &Phase) -> Vec<Mine> {
        let classes = classes_of_users(phase);
        let mine = (0..phase.users).zip(classes).skip(self.number).step_by(self.job.workers);
        mine.map(|(number, class)| Mine { number, class }).collect()
    }

    fn start_closed(&self, phase: &Phase, users: &[Mine], stage: &Rc<Stage>) -> Vec<JoinHandle<()>> {
        let there = users.iter().map(|mine| (mine, lives(phase, mine.number)));
        let tasks = there.filter_map(|(Mine { number, class }, lives)| {
            stage.expect(lives.first()?.since);
            let wait = self.job.plan.classes[*class].wait;
            let user = Box::new(User::new(Rc::clone(stage), *number, *class));
            Some(spawn_local(user.loop_closed(lives, wait)))
        });
        tasks.collect()
    }

    /// Seats the users of an open phase, by class.
    fn seat_users(
        &self,
        phase: &Phase,
        users: &[Mine],
        stage: &Rc<Stage>,
    ) -> (Vec<Rc<Pool>>, Vec<JoinHandle<()>>) {
        let pools: Vec<Rc<Pool>> = self.job.plan.classes.iter().map(|_| Rc::default()).collect();
        let tasks = users.iter().filter_map(|Mine { number, class }| {
            let life = *lives(phase, *number).first()?;
            stage.expect(life.since);
            let wait = self.job.plan.classes[*class].wait;
            let pool = Rc::clone(&pools[*class]);
            let desk = Desk { seat: pool.seat(), pool, pause: usual_pause(phase) };
            let user = Box::new(User::new(Rc::clone(stage), *number, *class));
            Some(spawn_local(user.serve_open(life, wait, desk)))
        });
        let tasks = tasks.collect();
        (pools, tasks)
    }

    async fn hand_over_until(&self, drained: impl Future<Output = ()>, stage: &Stage) {
        let mut tick = EVERY;
        let mut drained = std::pin::pin!(drained);
        let start = stage.clock.moment(Duration::ZERO);
        let mut heart = self.job.real_time.then(|| Heart::starting_at(start, stage.clock));
        loop {
            let due = stage.clock.moment(tick);
            let next = heart.as_ref().map_or(due, |heart| heart.due().min(due));
            let done = tokio::select! {
                () = &mut drained => true,
                () = sleep_until(next) => false,
            };
            if let Some(heart) = &mut heart {
                heart.beat(&mut stage.recorder.borrow_mut());
            }
            if !done && Instant::now() < due {
                continue;
            }
            if let Some(heart) = &mut heart {
                heart.look(&mut stage.recorder.borrow_mut());
            }
            let (batch, log) = stage.recorder.borrow_mut().drain(stage.clock.now());
            // Where the session is gone there is no one left to tell.
            let _ = self.events.send(RunEvent::Recorded { batch, log });
            if done {
                return;
            }
            tick = Duration::from_secs(stage.clock.now().as_secs()) + EVERY;
        }
    }
}

/// The class of each user of a phase, dealt by weight in the fixed order of their numbers.
fn classes_of_users(phase: &Phase) -> Vec<usize> {
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    deal(&weights, phase.users).into_iter().map(|share| phase.mix[share].0.index()).collect()
}

/// When a user of a phase is there.
fn lives(phase: &Phase, user: u32) -> Vec<Life> {
    let lives = phase.lives(user).into_iter().map(|(since, until)| Life {
        since: Duration::from_secs_f64(since),
        until: Duration::from_secs_f64(until),
    });
    lives.collect()
}

/// How long a user of an open phase is idle between two arrivals, more or less.
fn usual_pause(phase: &Phase) -> Pause {
    let Load::Open(load) = phase.load else { return Pause::Short };
    if f64::from(phase.users) >= load.most_per_second() { Pause::Long } else { Pause::Short }
}

/// The intended starts of an open phase, the same on every worker.
fn starts(phase: &Phase, load: OpenLoad, mut gaps: Draw) -> Box<dyn Iterator<Item = Duration>> {
    let arrivals = Arrivals::new((load.from, load.to), phase.ramp(), phase.duration);
    match load.spacing {
        Spacing::Even => Box::new(arrivals.spaced(0.0, || 1.0)),
        Spacing::Poisson => {
            let first = gaps.exponential();
            Box::new(arrivals.spaced(first, move || gaps.exponential()))
        }
    }
}

/// The arrivals that fall to one worker. Every worker deals all of them in the same way.
struct Dealt {
    starts: std::iter::Enumerate<Box<dyn Iterator<Item = Duration>>>,
    worker: usize,
    /// The phase's classes, and for each how its arrivals are dealt to workers.
    classes: Vec<(usize, Dealer)>,
    by_class: Dealer,
}

impl Dealt {
    fn new(
        plan: &Plan,
        phase: &Phase,
        starts: Box<dyn Iterator<Item = Duration>>,
        (worker, workers): (usize, usize),
    ) -> Self {
        let users = classes_of_users(phase);
        let weights = plan.arrival_weights(phase);
        let classes = phase.mix.iter().map(|(class, _)| {
            let mut owned = vec![0.0; workers];
            users
                .iter()
                .enumerate()
                .filter(|(_, c)| **c == class.index())
                .for_each(|(u, _)| owned[u % workers] += 1.0);
            (class.index(), Dealer::new(&owned))
        });
        let classes = classes.collect();
        Self { starts: starts.enumerate(), worker, classes, by_class: Dealer::new(&weights) }
    }
}

impl Iterator for Dealt {
    /// The arrival's number, the class that carries it, and when it is intended.
    type Item = (u64, usize, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, at) = self.starts.next()?;
            let (class, workers) = &mut self.classes[self.by_class.deal_next()];
            if workers.deal_next() == self.worker {
                return Some((number as u64, *class, at));
            }
        }
    }
}

async fn ring(stage: Rc<Stage>) {
    stage.alarm.ring().await;
}

/// When the phase begins, no one waits for others to connect.
async fn let_all_connect(stage: Rc<Stage>) {
    stage.reach(Duration::ZERO).await;
    stage.connecting.close();
}

/// Gives every arrival to a user when it is intended, and drops those that waited for too long.
async fn dispatch(stage: Rc<Stage>, pools: Vec<Rc<Pool>>, mut dealt: Dealt) {
    let patience = stage.target.timeout.duration();
    let mut stop = stage.stop.clone();
    let mut next = dealt.next();
    expect(&stage, next);
    loop {
        if next.is_none() {
            pools.iter().for_each(|pool| pool.close());
        }
        let expiry = pools.iter().filter_map(|pool| pool.longest_waiting()).min().map(|at| at + patience);
        let Some(wake) = [next.map(|(_, _, at)| at), expiry].into_iter().flatten().min() else { break };
        let stopped = tokio::select! {
            biased;
            () = stop.wait() => true,
            () = stage.until(wake, Meeting::Exactly) => false,
            () = all_emptied(&pools), if next.is_none() => false,
        };
        let now = stage.clock.now();
        if stopped {
            if let Some((_, _, intended)) = next {
                stage.recorder.borrow_mut().forget(intended);
            }
            take_waiting(&pools, Duration::MAX, |class, ticket| {
                stage.withdraw_arrival(class, ticket.number, ticket.intended);
            });
            break;
        }
        while let Some((number, class, intended)) = next.filter(|(_, _, at)| *at <= now) {
            stage.recorder.borrow_mut().schedule(intended, now);
            pools[class].offer(Ticket::new(number, intended, now));
            next = dealt.next();
            expect(&stage, next);
        }
        if let Some(until) = now.checked_sub(patience) {
            take_waiting(&pools, until, |class, ticket| {
                stage.drop_arrival(class, ticket.number, ticket.intended);
            });
        }
    }
    pools.iter().for_each(|pool| pool.close());
}

/// Returns as soon as no arrival waits.
async fn all_emptied(pools: &[Rc<Pool>]) {
    for pool in pools {
        pool.emptied().await;
    }
}

fn expect(stage: &Stage, next: Option<(u64, usize, Duration)>) {
    if let Some((_, _, intended)) = next {
        stage.recorder.borrow_mut().expect(intended);
    }
}

/// Takes back the arrivals that were intended up to a moment and still wait.
fn take_waiting(pools: &[Rc<Pool>], until: Duration, mut take: impl FnMut(usize, Ticket)) {
    for (class, pool) in pools.iter().enumerate() {
        pool.take_waiting(until).into_iter().for_each(|ticket| take(class, ticket));
    }
}

#[cfg(test)]
mod tests;
