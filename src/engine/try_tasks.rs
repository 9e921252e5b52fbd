//! The work of `runner try`: the first user of each class performs every task once, and all requests and responses
//! are kept for display.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::engine::clock::PhaseClock;
use crate::engine::heartbeat::Lateness;
use crate::engine::timer::PreciseTimer;
use crate::engine::user::context::{MAX_PRECONNECTING, Numbering, PhaseContext};
use crate::engine::user::exchange_log::{Exchange, ExchangeLog};
use crate::engine::user::intent::Intent;
use crate::engine::user::prepared::{Prepared, PreparedClass};
use crate::engine::user::rows::RowDeal;
use crate::engine::user::virtual_user::User;
use crate::engine::wire::socket::Dialer;
use crate::engine::worker::classes_of_users;
use crate::event::StopHandle;
use crate::measure::limits::Limits;
use crate::measure::recorder::{Latency, Recorder, RecorderScope};
use crate::measure::sample::Purpose;
use crate::plan::model::{ClassId, OperationId, PhaseId, Plan};
use crate::plan::random::{RandomStream, StreamKey};

/// The tasks to try.
#[derive(Debug)]
pub struct TryJob<'p> {
    pub plan: &'p Plan,
    /// The phase whose first users perform the tasks. It is part of the key of their random streams.
    pub phase: PhaseId,
    pub classes: Vec<ClassId>,
    /// If set, only tasks with this operation are performed.
    pub only: Option<OperationId>,
    /// The seed of all random streams.
    pub seed: u64,
}

/// A task, a start or a stop that was performed once.
#[derive(Debug)]
pub struct TriedTask {
    pub class: ClassId,
    /// For display: `start`, `task 2 of 5`, `task 2 of 5, choice 1 of 3`, `stop`.
    pub label: String,
    /// Its requests, up to the first that failed.
    pub exchanges: Vec<Exchange>,
}

/// Performs the start, each task once and the stop of each class, and calls `show` after each of them.
///
/// # Errors
/// When the TLS settings of the plan cannot be used.
pub async fn try_each_task(job: TryJob<'_>, mut show: impl FnMut(&TriedTask)) -> Result<(), String> {
    let dialer = Dialer::new(&job.plan.target)?;
    let (_handle, stop) = StopHandle::new();
    let plan = job.plan;
    let phase = &plan.phases[job.phase.index()];
    let scope = RecorderScope { phase: job.phase, worker: 0, latency: Latency::None };
    let end = Duration::from_secs(u32::MAX.into());
    let context = Rc::new(PhaseContext {
        clock: PhaseClock::starting_at(Instant::now()),
        timer: PreciseTimer::new(),
        recorder: RefCell::new(Recorder::new(Arc::new(Limits::default()), scope, end, 0)),
        target: plan.target.clone(),
        dialer,
        lateness: Lateness::default(),
        preconnect_permits: Semaphore::new(MAX_PRECONNECTING),
        prepared_classes: Rc::new(PreparedClass::of_classes(plan)),
        seed: job.seed,
        phase: job.phase,
        end,
        stop,
        numbering: Numbering::of_phase(plan, phase),
        rows: RowDeal::new(plan, &classes_of_users(phase)),
        secrets: plan.secrets.clone(),
        verbose_log: None,
        exchange_log: ExchangeLog::on(),
    });
    let work = async {
        for class in &job.classes {
            try_class(&context, *class, job.only, &mut show).await;
        }
    };
    LocalSet::new().run_until(context.timer.drive_while(work)).await;
    Ok(())
}

async fn try_class(
    context: &Rc<PhaseContext>,
    class: ClassId,
    only: Option<OperationId>,
    show: &mut impl FnMut(&TriedTask),
) {
    let prepared = &context.prepared_classes[class.index()];
    let wanted = |steps: &[Prepared]| only.is_none_or(|only| steps.iter().any(|step| step.operation == only));
    let tasks = prepared.tasks.len();
    let mut todo = Vec::new();
    for (index, task) in prepared.tasks.iter().enumerate() {
        for (choice, steps) in task.iter().enumerate().filter(|(_, steps)| wanted(steps)) {
            let choice = if task.len() > 1 {
                format!(", choice {} of {}", choice + 1, task.len())
            } else {
                String::new()
            };
            todo.push((format!("task {} of {tasks}{choice}", index + 1), steps));
        }
    }
    if todo.is_empty() && !wanted(&prepared.on_start) && !wanted(&prepared.on_stop) {
        return;
    }
    let mut user = User::new(Rc::clone(context), 0, class.index(), context.rows.first_ranks());
    let mut perform = async |label: String, steps: &[Prepared], stream_key, purpose| {
        if steps.is_empty() {
            return true;
        }
        let intended = context.clock.now();
        context.expect(intended);
        let intent = Intent { purpose, ..Intent::task(stream_key, intended) };
        let mut draw: RandomStream = context.draw(stream_key);
        let performed = user.perform(steps, intent, &mut draw).await;
        show(&TriedTask { class, label, exchanges: context.exchange_log.take() });
        performed.succeeded
    };
    let start = StreamKey::Start(0, 0);
    if !perform("start".to_owned(), &prepared.on_start, start, Purpose::Session).await {
        return;
    }
    for (number, (label, steps)) in (0..).zip(todo) {
        perform(label, steps, StreamKey::Task(0, number), Purpose::Task).await;
    }
    perform("stop".to_owned(), &prepared.on_stop, StreamKey::Stop(0, 0), Purpose::Session).await;
}
