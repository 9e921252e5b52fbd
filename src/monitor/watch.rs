//! Looks at the hosts of a plan while its phases run, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::event::{Observer, RunEvent};
use crate::measure::summary::Summary;
use crate::monitor::Probe;
use crate::plan::model::{Host, Monitor, PhaseId, Plan};
use crate::resources::difference::{between, covers};
use crate::resources::look::Look;
use crate::resources::reading::{Reading, Values};
use crate::resources::ticks::Ticks;

/// A look takes no longer than this, nor than until the next one.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// A tick that comes so shortly after the end of a phase is still looked at: it is the one at its end.
const LATE: Duration = Duration::from_millis(100);

/// A phase that runs, and where its readings go.
#[derive(Clone)]
struct Begun {
    phase: PhaseId,
    at: Instant,
    events: UnboundedSender<RunEvent>,
}

/// Looks at hosts from the start of each phase to its end; ends with this value.
pub struct Watcher {
    phases: watch::Sender<Option<Begun>>,
    /// It does not keep the stream open: that is for a phase, and for its last looks.
    events: WeakUnboundedSender<RunEvent>,
}

impl Watcher {
    /// Starts the thread; readings join the events of the run.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(plan: Arc<Plan>, events: WeakUnboundedSender<RunEvent>) -> std::io::Result<Self> {
        let (phases, begun) = watch::channel(None);
        std::thread::Builder::new().name("monitor".to_owned()).spawn(move || watch_all(&plan, &begun))?;
        Ok(Self { phases, events })
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => {
                let begun = |events| Begun { phase: *phase, at: Instant::now(), events };
                self.phases.send_replace(self.events.upgrade().map(begun));
            }
            RunEvent::PhaseEnded { .. } => {
                self.phases.send_replace(None);
            }
            RunEvent::Recorded { .. } | RunEvent::Read(_) | RunEvent::Told(_) => {}
        }
    }
}

fn watch_all(plan: &Arc<Plan>, phases: &watch::Receiver<Option<Begun>>) {
    let Some(monitor) = &plan.monitor else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the preflight made sure of descriptors for a few runtimes");
    let local = LocalSet::new();
    let hosts = (0..).zip(&monitor.hosts).map(|(number, host)| {
        let one = OneHost { number, plan: Arc::clone(plan), probe: open(host), phases: phases.clone() };
        local.spawn_local(one.watch())
    });
    let hosts: Vec<_> = hosts.collect();
    local.block_on(&runtime, async {
        for host in hosts {
            // A host whose task failed has no readings, which is told.
            let _ = host.await;
        }
    });
    // A name that is still looked up keeps nobody waiting.
    runtime.shutdown_background();
}

fn open(host: &Host) -> Result<Probe, String> {
    Probe::open(&host.source)
}

/// How long a look may take where there is one every so often.
fn limit(every: f64) -> Duration {
    LONGEST_LOOK.min(Duration::from_secs_f64(every * 0.9))
}

struct OneHost {
    number: u16,
    plan: Arc<Plan>,
    probe: Result<Probe, String>,
    phases: watch::Receiver<Option<Begun>>,
}

impl OneHost {
    /// Through all phases, until no more is to come.
    async fn watch(mut self) {
        while self.phases.has_changed().is_ok() {
            let begun = self.phases.borrow_and_update().clone();
            if let Some(begun) = begun {
                self.follow(&begun).await;
            }
            if self.phases.borrow().is_none() && self.phases.changed().await.is_err() {
                return;
            }
        }
    }

    /// Through a phase: a look at each of its ticks.
    async fn follow(&mut self, begun: &Begun) {
        let plan = Arc::clone(&self.plan);
        let Some(monitor) = &plan.monitor else { return };
        let ticks = monitor.ticks(&plan.phases[begun.phase.index()]);
        let mut before = None;
        let mut tick = 0;
        while self.reach(begun, ticks, tick).await {
            let look = self.look(limit(ticks.every)).await;
            if let Some(reading) = self.reading(begun, tick, &mut before, look) {
                // Nobody follows the run any more: there is nobody to tell.
                let _ = begun.events.send(RunEvent::Read(reading));
            }
            let passed = ((begun.at.elapsed().as_secs_f64() - ticks.first) / ticks.every).max(0.0) as u32;
            // A tick that went by during the look is lost, and is missed where readings are counted.
            tick = (tick + 1).max(passed);
        }
    }

    /// Waits for a tick; false where the phase ends before.
    async fn reach(&mut self, begun: &Begun, ticks: Ticks, tick: u32) -> bool {
        let at = begun.at + Duration::from_secs_f64(ticks.at(tick));
        if self.goes_on(begun) {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => return true,
                _ = self.phases.changed() => {}
            }
        }
        // It may have ended just at the tick.
        let due = self.goes_on(begun) || at <= Instant::now() + LATE;
        if due {
            tokio::time::sleep_until(at).await;
        }
        due
    }

    /// Whether the phase has not ended.
    fn goes_on(&self, begun: &Begun) -> bool {
        let same = |now: &Begun| now.phase == begun.phase;
        self.phases.has_changed().is_ok() && self.phases.borrow().as_ref().is_some_and(same)
    }

    async fn look(&mut self, limit: Duration) -> Result<Look, String> {
        match &mut self.probe {
            Ok(probe) => probe.look(limit).await,
            Err(why) => Err(why.clone()),
        }
    }

    /// What a look comes to after the one before. The first of a phase only begins a reading.
    fn reading(
        &self,
        begun: &Begun,
        tick: u32,
        before: &mut Option<Look>,
        look: Result<Look, String>,
    ) -> Option<Reading> {
        let reading = |covers: f64, values: Values| {
            let (phase, host) = (begun.phase.0, self.number);
            Some(Reading { phase, host, tick, covers, values })
        };
        match (look, before.take()) {
            (Err(why), last) => {
                *before = last;
                reading(0.0, Values::nothing(why))
            }
            (Ok(now), None) => {
                *before = Some(now);
                None
            }
            (Ok(now), Some(last)) => {
                let (covers, values) = (covers(&last, &now), between(&last, &now));
                *before = Some(now);
                reading(covers, values)
            }
        }
    }
}

/// Looks at every host once, so that a run does not begin that nobody could judge: what was seen, or why nothing was.
pub async fn first_looks(monitor: &Monitor) -> Vec<Result<Look, String>> {
    let mut looks = Vec::new();
    for host in &monitor.hosts {
        looks.push(match open(host) {
            Ok(mut probe) => probe.look(limit(monitor.every.seconds())).await,
            Err(why) => Err(why),
        });
    }
    looks
}
