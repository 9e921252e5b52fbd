//! Runs the phases one after another on all workers.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::engine::clock::PhaseClock;
use crate::engine::job::Job;
use crate::engine::own_process::{OwnProcess, OwnScope};
use crate::engine::user::rows::TakenRows;
use crate::engine::wire::receive::{thread_runs, thread_waits};
use crate::engine::worker::Worker;
use crate::event::{RunEvent, StopSignal};
use crate::measure::generator_vitals::GeneratorUsage;
use crate::plan::Spacing;
use crate::plan::model::{Load, Phase, PhaseId};

/// The longest time for users to connect before a phase begins; the remaining users connect during the phase.
const MAX_CONNECT_LEAD: Duration = Duration::from_secs(10);

/// An order to a worker: a phase and its start.
type PhaseOrder = (PhaseId, Instant);
/// The end of a worker's part of a phase: of its last task, if the phase ends with its tasks and all are done.
type WorkerEnd = Option<Duration>;

/// Starts the run, which sends its events until it has ended. The handle of `signal` stops it early. Without
/// [`Job::real_time`] the caller needs a runtime that supports `spawn_local`: all tasks stay on its thread.
///
/// # Errors
/// When a thread cannot be started.
pub fn start(job: Job, events: UnboundedSender<RunEvent>, signal: StopSignal) -> std::io::Result<()> {
    let job = Arc::new(job);
    let (done, finished) = unbounded_channel();
    let mut orders = Vec::new();
    for number in 0..job.workers {
        let (sender, receiver) = unbounded_channel();
        orders.push(sender);
        let setup =
            WorkerSetup { number, job: Arc::clone(&job), stop: signal.clone(), events: events.clone() };
        let done = done.clone();
        if job.real_time {
            let name = format!("worker-{number}");
            thread::Builder::new().name(name).spawn(move || setup.run(receiver, &done))?;
        } else {
            spawn_local(setup.work_here(receiver, done));
        }
    }
    let real_time = job.real_time;
    let conductor = Conductor { job, orders, finished, events, stop: signal };
    if real_time {
        thread::Builder::new().name("conductor".into()).spawn(move || {
            let runtime = runtime();
            runtime.block_on(conductor.conduct());
        })?;
    } else {
        spawn_local(conductor.conduct());
    }
    Ok(())
}

const EXPECT_RUNTIME: &str = "the preflight checks that the descriptors of a runtime are available";

fn runtime() -> tokio::runtime::Runtime {
    Builder::new_current_thread().enable_all().build().expect(EXPECT_RUNTIME)
}

/// A runtime whose tasks stay on its thread.
fn local_runtime() -> LocalRuntime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().on_thread_park(thread_waits).on_thread_unpark(thread_runs);
    builder.build_local(LocalOptions::default()).expect(EXPECT_RUNTIME)
}

/// The parts of a worker, sent to the thread on which it works.
struct WorkerSetup {
    number: usize,
    job: Arc<Job>,
    stop: StopSignal,
    events: UnboundedSender<RunEvent>,
}

impl WorkerSetup {
    fn setup(self) -> Worker {
        let Self { number, job, stop, events } = self;
        Worker { number, job, stop, events, taken_rows: TakenRows::default() }
    }

    /// Works on its own thread, with one runtime per phase.
    fn run(self, mut orders: UnboundedReceiver<PhaseOrder>, done: &UnboundedSender<WorkerEnd>) {
        let worker = Rc::new(self.setup());
        while let Some((phase, start)) = orders.blocking_recv() {
            let worker = Rc::clone(&worker);
            // Run as a task, because waking the root future of a runtime costs a system call.
            let run = async move { spawn_local(async move { worker.run(phase, start).await }).await };
            // The runtime of a phase drops everything that the phase leaves behind.
            let end = local_runtime().block_on(run);
            if done.send(end.expect("the phase is not aborted, and a panic ends the process")).is_err() {
                return;
            }
        }
    }

    /// Works on the caller's thread and runtime.
    async fn work_here(self, mut orders: UnboundedReceiver<PhaseOrder>, done: UnboundedSender<WorkerEnd>) {
        let worker = self.setup();
        while let Some((phase, start)) = orders.recv().await {
            if done.send(worker.run(phase, start).await).is_err() {
                return;
            }
        }
    }
}

/// Orders the phases and reports their start and end.
struct Conductor {
    job: Arc<Job>,
    orders: Vec<UnboundedSender<PhaseOrder>>,
    finished: UnboundedReceiver<WorkerEnd>,
    events: UnboundedSender<RunEvent>,
    stop: StopSignal,
}

impl Conductor {
    async fn conduct(mut self) {
        for id in self.job.phases.clone() {
            if self.stop.is_set() {
                return;
            }
            let (ran, usage) = self.phase(id).await;
            let _ = self.events.send(RunEvent::PhaseEnded { phase: id, ran, usage });
        }
    }

    /// Runs a phase on all workers until all have drained. Returns how long it ran, without the drain, and the resource
    /// usage of this process.
    async fn phase(&mut self, id: PhaseId) -> (Duration, Option<GeneratorUsage>) {
        let Self { job, orders, finished, events, stop } = self;
        let phase = &job.plan.phases[id.index()];
        let duration = phase.duration.duration();
        let start = Instant::now() + lead(job, phase);
        for order in orders.iter() {
            let _ = order.send((id, start));
        }
        tokio::select! {
            () = stop.wait() => {}
            () = tokio::time::sleep_until(start) => {}
        }
        let scope = OwnScope {
            phase: id,
            number: u16::try_from(job.workers).expect("a run has fewer than 65 536 workers"),
            clock: PhaseClock::starting_at(start),
            end: duration,
        };
        let mut process = OwnProcess::new(scope, job.real_time);
        // A thread that runs late reads the time of day late.
        let late = Instant::now().saturating_duration_since(start);
        let now = jiff::Timestamp::now();
        let at = now.checked_sub(jiff::SignedDuration::try_from(late).unwrap_or_default()).unwrap_or(now);
        let _ = events.send(RunEvent::PhaseStarted { phase: id, at });
        let ended = async {
            let mut time_is_up = std::pin::pin!(async {
                let at = tokio::select! {
                    () = stop.wait() => Instant::now(),
                    () = tokio::time::sleep_until(start + duration) => start + duration,
                };
                at.saturating_duration_since(start)
            });
            let mut all_done = std::pin::pin!(async {
                let mut last = Some(Duration::ZERO);
                for _ in orders {
                    let end = finished.recv().await.flatten();
                    last = last.zip(end).map(|(last, end)| last.max(end));
                }
                last
            });
            tokio::select! {
                ran = &mut time_is_up => {
                    all_done.await;
                    ran
                }
                done = &mut all_done => match done {
                    Some(ran) => ran,
                    None => time_is_up.await,
                },
            }
        };
        let ran = tokio::select! {
            ran = ended => ran,
            () = process.record(events) => unreachable!("the recording ends with the phase"),
        };
        process.hand_over(events);
        (ran, process.usage())
    }
}

/// The time before a phase in which workers place their users, and users that start at once connect. It grows with the
/// number of users; a TLS handshake takes much longer than a TCP connect.
fn lead(job: &Job, phase: &Phase) -> Duration {
    let per_user = match job.plan.target.tls {
        None => Duration::from_micros(200),
        Some(_) => Duration::from_millis(1),
    };
    let connecting = per_user * phase.users_at_once() / u32::try_from(job.workers).unwrap_or(1);
    let placing = Duration::from_micros(5) * phase.users + drawing(phase);
    Duration::from_millis(20) + placing + connecting.min(MAX_CONNECT_LEAD)
}

/// The time in which a worker draws the gaps of random arrivals in advance.
fn drawing(phase: &Phase) -> Duration {
    let is_random = matches!(phase.load, Load::Open(load) if load.spacing == Spacing::Poisson);
    Duration::from_nanos(phase.iterations.filter(|_| is_random).unwrap_or(0).saturating_mul(50))
}
