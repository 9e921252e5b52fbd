//! Every task once, by the first user of its class, with everything that was sent and received kept to be looked at.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::engine::alarm::Alarm;
use crate::engine::clock::Clock;
use crate::engine::user::life::User;
use crate::engine::user::prepared::{Behaviour, Prepared};
use crate::engine::user::stage::{CONNECTING, Exchange, Numbering, Stage};
use crate::engine::user::turn::Turn;
use crate::engine::wire::socket::Dialer;
use crate::event::StopHandle;
use crate::measure::recorder::{Latency, Recorder, Scope};
use crate::measure::sample::Purpose;
use crate::measure::watch::Limits;
use crate::plan::draw::{Draw, Occasion};
use crate::plan::model::{ClassId, OperationId, PhaseId, Plan};

/// What is to be done once.
#[derive(Debug)]
pub struct Once<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// The phase that its first users come from; chance depends on it.
    pub phase: PhaseId,
    /// The classes whose tasks are performed.
    pub classes: Vec<ClassId>,
    /// Only tasks with this operation, if any.
    pub only: Option<OperationId>,
    /// What chance depends on.
    pub seed: u64,
}

/// Something that was done once.
#[derive(Debug)]
pub struct Done {
    /// Whose it is.
    pub class: ClassId,
    /// What it was: `start`, `task 2 of 5`, `stop`.
    pub what: String,
    /// Its requests, as far as it got.
    pub exchanges: Vec<Exchange>,
}

/// Performs each task once, with the start before and the stop after; shows each when it is done.
///
/// # Errors
/// When what the plan says about TLS cannot be used.
pub async fn each_task_once(once: Once<'_>, mut show: impl FnMut(&Done)) -> Result<(), String> {
    let dialer = Dialer::new(&once.plan.target)?;
    let (_handle, stop) = StopHandle::new();
    let plan = once.plan;
    let phase = &plan.phases[once.phase.index()];
    let scope = Scope { phase: once.phase.0, worker: 0, latency: Latency::None };
    let end = Duration::from_secs(u32::MAX.into());
    let stage = Rc::new(Stage {
        clock: Clock::starting_at(Instant::now()),
        alarm: Alarm::new(),
        recorder: RefCell::new(Recorder::new(Arc::new(Limits::default()), scope, end, 0)),
        target: plan.target.clone(),
        dialer,
        connecting: Semaphore::new(CONNECTING),
        behaviours: Rc::new(Behaviour::of_classes(plan)),
        seed: once.seed,
        phase: once.phase.0,
        end,
        stop,
        numbering: Numbering::of_phase(plan, phase),
        secrets: plan.secrets.clone(),
        tell: None,
        witness: Some(RefCell::default()),
    });
    let work = async {
        for class in &once.classes {
            of_class(&stage, *class, once.only, &mut show).await;
        }
    };
    LocalSet::new().run_until(stage.alarm.while_it_rings(work)).await;
    Ok(())
}

async fn of_class(
    stage: &Rc<Stage>,
    class: ClassId,
    only: Option<OperationId>,
    show: &mut impl FnMut(&Done),
) {
    let behaviour = &stage.behaviours[class.index()];
    let wanted = |steps: &[Prepared]| only.is_none_or(|only| steps.iter().any(|step| step.operation == only));
    let tasks = behaviour.tasks.len();
    let mut todo = Vec::new();
    for (index, task) in behaviour.tasks.iter().enumerate() {
        for (choice, steps) in task.iter().enumerate().filter(|(_, steps)| wanted(steps)) {
            let choice = if task.len() > 1 {
                format!(", choice {} of {}", choice + 1, task.len())
            } else {
                String::new()
            };
            todo.push((format!("task {} of {tasks}{choice}", index + 1), steps));
        }
    }
    if todo.is_empty() && !wanted(&behaviour.on_start) && !wanted(&behaviour.on_stop) {
        return;
    }
    let mut user = User::new(Rc::clone(stage), 0, class.index());
    let mut perform = async |what: String, steps: &[Prepared], occasion, purpose| {
        if steps.is_empty() {
            return true;
        }
        let intended = stage.clock.now();
        stage.expect(intended);
        let turn = Turn { purpose, ..Turn::task(occasion, intended) };
        let mut draw: Draw = stage.draw(occasion);
        let made = user.make(steps, turn, &mut draw).await;
        let witness = stage.witness.as_ref().expect("it is there to be looked at");
        show(&Done { class, what, exchanges: std::mem::take(&mut witness.borrow_mut()) });
        made.succeeded
    };
    let start = Occasion::Start(0, 0);
    if !perform("start".to_owned(), &behaviour.on_start, start, Purpose::Session).await {
        return;
    }
    for (number, (what, steps)) in (0..).zip(todo) {
        perform(what, steps, Occasion::User(0, number), Purpose::Task).await;
    }
    perform("stop".to_owned(), &behaviour.on_stop, Occasion::Stop(0, 0), Purpose::Session).await;
}
