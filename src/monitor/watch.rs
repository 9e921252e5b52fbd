//! Looks at the hosts of a plan while its phases run, each on a thread of its own: one that hangs delays no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Observer, RunEvent};
use crate::measure::summary::Summary;
use crate::monitor::Probe;
use crate::plan::model::{PhaseId, Plan, Secrets};
use crate::resources::difference::{alone, between, covers};
use crate::resources::look::Look;
use crate::resources::reading::{Reading, Values};
use crate::resources::source::Source;
use crate::resources::ticks::Ticks;

/// A look takes no longer than this, nor than until the next one.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// A tick that comes so shortly after the end of a phase is still looked at: it is the one at its end.
const LATE: Duration = Duration::from_millis(100);
/// For so long after the end of a phase its last looks are waited for.
const GRACE: Duration = Duration::from_secs(6);

/// A phase that runs.
#[derive(Clone)]
struct Begun {
    phase: PhaseId,
    at: Instant,
    open: Arc<Open>,
}

/// Where the readings of a phase go: open until all hosts have been looked at for the last time, or until nobody waits for
/// them any longer.
struct Open {
    events: Mutex<Option<UnboundedSender<RunEvent>>>,
    hosts: AtomicUsize,
}

impl Open {
    fn send(&self, reading: Reading) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody may follow the run any more: then there is nobody to tell.
        let _ = events.as_ref().map(|events| events.send(RunEvent::Read(reading)));
    }

    fn close(&self) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A host has been looked at for the last time.
    fn leave(&self) {
        if self.hosts.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.close();
        }
    }
}

/// Looks at hosts from the start of each phase to its end; ends with this value.
pub struct Watcher {
    phases: watch::Sender<Option<Begun>>,
    hosts: usize,
    /// It does not keep the stream open: that is for a phase, and for its last looks.
    events: WeakUnboundedSender<RunEvent>,
}

impl Watcher {
    /// Starts a thread for each host; readings join the events of the run.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(plan: &Arc<Plan>, events: WeakUnboundedSender<RunEvent>) -> std::io::Result<Self> {
        let (phases, begun) = watch::channel(None);
        let hosts = plan.monitor.as_ref().map_or(0, |monitor| monitor.hosts.len());
        for number in (0..).take(hosts) {
            let (plan, phases) = (Arc::clone(plan), begun.clone());
            let name = format!("monitor-{number}");
            std::thread::Builder::new().name(name).spawn(move || watch_one(number, plan, phases))?;
        }
        Ok(Self { phases, hosts, events })
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => {
                let hosts = AtomicUsize::new(self.hosts);
                let open = Open { events: Mutex::new(self.events.upgrade()), hosts };
                let begun = Begun { phase: *phase, at: Instant::now(), open: Arc::new(open) };
                self.phases.send_replace(Some(begun));
            }
            RunEvent::PhaseEnded { .. } => {
                if let Some(begun) = self.phases.send_replace(None) {
                    // A host that hangs does not keep the run from ending.
                    tokio::spawn(async move {
                        tokio::time::sleep(GRACE).await;
                        begun.open.close();
                    });
                }
            }
            RunEvent::Recorded { .. } | RunEvent::Read(_) | RunEvent::Told(_) => {}
        }
    }
}

fn watch_one(number: u16, plan: Arc<Plan>, phases: watch::Receiver<Option<Begun>>) {
    let Some(monitor) = &plan.monitor else { return };
    let probe = Probe::open(&monitor.hosts[usize::from(number)].source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the preflight made sure of descriptors for a few runtimes");
    runtime.block_on(OneHost { number, plan, probe, phases }.watch());
    // A name that is still looked up keeps nobody waiting.
    runtime.shutdown_background();
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
                begun.open.leave();
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
                begun.open.send(reading);
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
        let reading = |covers: f64, mut values: Values| {
            let (phase, host) = (begun.phase.0, self.number);
            let missing = values.missing.iter_mut().map(|(_, why)| why);
            missing.chain(&mut values.troubles).for_each(|told| *told = shown(told, &self.plan.secrets));
            Some(Reading { phase, host, tick, covers, values })
        };
        match (look, before.take()) {
            (Err(why), last) => {
                *before = last;
                reading(0.0, Values::nothing(why))
            }
            (Ok(now), None) => {
                let values = alone(&now);
                *before = Some(now);
                if tick == 0 { None } else { reading(0.0, values) }
            }
            (Ok(now), Some(last)) => {
                let (covers, values) = (covers(&last, &now), between(&last, &now));
                *before = Some(now);
                reading(covers, values)
            }
        }
    }
}

/// Looks at some hosts once, all at the same time: what was seen of each, or why nothing was.
pub async fn first_looks(sources: Vec<Source>, every: f64, secrets: &Secrets) -> Vec<Result<Look, String>> {
    let looks: Vec<_> = sources.into_iter().map(|source| first_look(source, limit(every))).collect();
    let mut seen = Vec::new();
    for look in looks {
        seen.push(look.await.map_err(|why| shown(&why, secrets)));
    }
    seen
}

/// Looks on a thread of its own, which is left behind where it hangs.
fn first_look(source: Source, limit: Duration) -> impl Future<Output = Result<Look, String>> {
    let (told, look) = tokio::sync::oneshot::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string());
        let seen = runtime.and_then(|runtime| {
            let seen = runtime.block_on(async { Probe::open(&source)?.look(limit).await });
            runtime.shutdown_background();
            seen
        });
        // Whoever asked may have given up.
        let _ = told.send(seen);
    };
    let started = std::thread::Builder::new().name("monitor".to_owned()).spawn(work);
    async move {
        started.map_err(|error| format!("no thread could be started: {error}"))?;
        match tokio::time::timeout(limit + Duration::from_secs(1), look).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err("the look failed".to_owned()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        }
    }
}

/// What a host or its exporter said, without secrets and on one line.
fn shown(told: &str, secrets: &Secrets) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    secrets.redact_cut(told).chars().map(plain).collect()
}
