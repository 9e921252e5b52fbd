//! A worker: its part of a phase, from the first user to the last answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

use crate::engine::clock::Clock;
use crate::engine::job::Job;
use crate::engine::pool::{Pool, Ticket};
use crate::engine::request::Behaviour;
use crate::engine::socket::Dialer;
use crate::engine::user::{Numbering, Stage, User};
use crate::event::{RunEvent, StopSignal};
use crate::measure::recorder::Recorder;
use crate::plan::model::{Load, Phase, PhaseId, Plan};
use crate::schedule::{Arrivals, Dealer, deal};

/// What a worker is and where it tells what happens.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) job: Arc<Job>,
    pub(super) dialer: Dialer,
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
    /// Does this worker's part of a phase that starts at a moment, and returns when it has drained.
    pub(super) async fn run(&self, id: PhaseId, start: Instant) {
        let plan = &self.job.plan;
        let phase = &plan.phases[id.index()];
        let stage = Rc::new(self.stage(id, Clock::starting_at(start)));
        let users = self.users(phase);
        let local = LocalSet::new();
        let mut tasks = match phase.load {
            Load::Closed => self.start_closed(phase, &users, &stage, &local),
            Load::Open(rate) => {
                let (pools, tasks) = self.seat_users(phase, &users, &stage, &local);
                let arrivals = Arrivals::constant(rate, phase.ramp, phase.duration);
                let dealt = Dealt::new(plan, phase, arrivals, self.number, self.job.workers);
                // It is done when the users are: they leave when nothing waits any more.
                local.spawn_local(dispatch(Rc::clone(&stage), pools, dealt));
                tasks
            }
        };
        let stopper = Rc::clone(&stage);
        tasks.push(local.spawn_local(async move {
            let mut stop = stopper.stop.clone();
            tokio::select! {
                () = stop.wait() => stopper.recorder.borrow_mut().end_at(stopper.clock.now()),
                () = stopper.clock.reach(stopper.end) => {}
            }
        }));
        let drained = local.run_until(async {
            for task in tasks {
                task.await.expect("no task is aborted, and a panic ends the process");
            }
        });
        self.hand_over_until(drained, &stage).await;
    }

    fn stage(&self, id: PhaseId, clock: Clock) -> Stage {
        let plan = &self.job.plan;
        let phase = &plan.phases[id.index()];
        let end = phase.duration.duration();
        let limits = Arc::clone(&self.job.limits);
        let worker = u16::try_from(self.number).expect("fewer than 65 536 workers");
        let events = self.events.clone();
        Stage {
            clock,
            recorder: RefCell::new(Recorder::new(limits, id.0, worker, end, self.job.log_room)),
            target: plan.target.clone(),
            dialer: self.dialer.clone(),
            behaviours: Rc::new(Behaviour::of_classes(plan)),
            seed: self.job.seed,
            phase: id.0,
            end,
            stop: self.stop.clone(),
            numbering: Numbering {
                users: u64::from(phase.users),
                per_task: plan.sequences_per_task(),
                phases: plan.phases.len() as u64,
            },
            secrets: plan.secrets.clone(),
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

    fn start_closed(
        &self,
        phase: &Phase,
        users: &[Mine],
        stage: &Rc<Stage>,
        local: &LocalSet,
    ) -> Vec<JoinHandle<()>> {
        let starts = users.iter().map(|mine| (mine, Duration::from_secs_f64(phase.user_start(mine.number))));
        let in_time = starts.filter(|(_, start)| *start < stage.end);
        let tasks = in_time.map(|(Mine { number, class }, start)| {
            stage.recorder.borrow_mut().expect(start);
            let wait = self.job.plan.classes[*class].wait;
            local.spawn_local(User::new(Rc::clone(stage), *number, *class).loop_closed(start, wait))
        });
        tasks.collect()
    }

    /// Seats the users of an open phase, by class.
    fn seat_users(
        &self,
        phase: &Phase,
        users: &[Mine],
        stage: &Rc<Stage>,
        local: &LocalSet,
    ) -> (Vec<Rc<Pool>>, Vec<JoinHandle<()>>) {
        let pools: Vec<Rc<Pool>> = self.job.plan.classes.iter().map(|_| Rc::default()).collect();
        let tasks = users.iter().map(|Mine { number, class }| {
            let start = Duration::from_secs_f64(phase.user_start(*number));
            let pool = Rc::clone(&pools[*class]);
            let seat = pool.seat();
            local.spawn_local(User::new(Rc::clone(stage), *number, *class).serve_open(start, pool, seat))
        });
        let tasks = tasks.collect();
        (pools, tasks)
    }

    async fn hand_over_until(&self, drained: impl Future<Output = ()>, stage: &Stage) {
        let mut tick = 1;
        let mut drained = std::pin::pin!(drained);
        loop {
            let next = tokio::time::sleep(EVERY * tick - stage.clock.now().min(EVERY * tick));
            let done = tokio::select! {
                () = &mut drained => true,
                () = next => false,
            };
            let (batch, log) = stage.recorder.borrow_mut().drain(stage.clock.now());
            // Where the session is gone there is no one left to tell.
            let _ = self.events.send(RunEvent::Recorded { batch, log });
            if done {
                return;
            }
            tick = u32::try_from(stage.clock.now().as_secs()).unwrap_or(u32::MAX - 1) + 1;
        }
    }
}

/// The class of each user of a phase, dealt by weight in the fixed order of their numbers.
fn classes_of_users(phase: &Phase) -> Vec<usize> {
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    deal(&weights, phase.users).into_iter().map(|share| phase.mix[share].0.index()).collect()
}

/// The arrivals that fall to one worker. Every worker deals all of them in the same way.
struct Dealt {
    arrivals: Arrivals,
    next: u64,
    worker: usize,
    /// The phase's classes, and for each how its arrivals are dealt to workers.
    classes: Vec<(usize, Dealer)>,
    by_class: Dealer,
}

impl Dealt {
    fn new(plan: &Plan, phase: &Phase, arrivals: Arrivals, worker: usize, workers: usize) -> Self {
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
        Self { arrivals, next: 0, worker, classes: classes.collect(), by_class: Dealer::new(&weights) }
    }
}

impl Iterator for Dealt {
    /// The arrival's number, the class that carries it, and when it is intended.
    type Item = (u64, usize, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.arrivals.total() {
            let number = self.next;
            self.next += 1;
            let (class, workers) = &mut self.classes[self.by_class.deal_next()];
            if workers.deal_next() == self.worker {
                return Some((number, *class, self.arrivals.at(number)));
            }
        }
        None
    }
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
            () = stage.clock.reach(wake) => false,
        };
        let now = stage.clock.now();
        if stopped {
            if let Some((_, _, intended)) = next {
                stage.recorder.borrow_mut().forget(intended);
            }
            drop_waiting(&stage, &pools, Duration::MAX);
            break;
        }
        while let Some((number, class, intended)) = next.filter(|(_, _, at)| *at <= now) {
            stage.recorder.borrow_mut().schedule(intended);
            pools[class].offer(Ticket::new(number, intended, now));
            next = dealt.next();
            expect(&stage, next);
        }
        if let Some(until) = now.checked_sub(patience) {
            drop_waiting(&stage, &pools, until);
        }
    }
    pools.iter().for_each(|pool| pool.close());
}

fn expect(stage: &Stage, next: Option<(u64, usize, Duration)>) {
    if let Some((_, _, intended)) = next {
        stage.recorder.borrow_mut().expect(intended);
    }
}

fn drop_waiting(stage: &Stage, pools: &[Rc<Pool>], until: Duration) {
    for (class, pool) in pools.iter().enumerate() {
        for ticket in pool.take_waiting(until) {
            stage.drop_arrival(class, ticket.number, ticket.intended);
        }
    }
}

#[cfg(test)]
mod tests;
