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
use crate::resources::rates::{between, covered_s, initial};
use crate::resources::reading::{Reading, Values};
use crate::resources::snapshot::Snapshot;
use crate::resources::source::Source;
use crate::resources::ticks::Ticks;

/// A look takes no longer than this, nor than until the next one.
const MAX_SNAPSHOT_TIME: Duration = Duration::from_secs(5);
/// A tick that comes so shortly after the end of a phase is still looked at: it is the one at its end.
const END_TICK_TOLERANCE: Duration = Duration::from_millis(100);
/// For so long after the end of a phase its last looks are waited for.
const LAST_SNAPSHOT_GRACE: Duration = Duration::from_secs(6);

/// A phase that runs.
#[derive(Clone)]
struct RunningPhase {
    phase: PhaseId,
    at: Instant,
    open: Arc<ReadingSink>,
}

/// Where the readings of a phase go: open until all hosts have been looked at for the last time, or until nobody waits for
/// them any longer.
struct ReadingSink {
    events: Mutex<Option<UnboundedSender<RunEvent>>>,
    hosts: AtomicUsize,
}

impl ReadingSink {
    fn send(&self, reading: Reading) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody may follow the run any more: then there is nobody to tell.
        let _ = events.as_ref().map(|events| events.send(RunEvent::HostReading(reading)));
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
    phases: watch::Sender<Option<RunningPhase>>,
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
        let (phases, running) = watch::channel(None);
        let hosts = plan.monitor.as_ref().map_or(0, |monitor| monitor.hosts.len());
        for number in (0..).take(hosts) {
            let (plan, phases) = (Arc::clone(plan), running.clone());
            let name = format!("monitor-{number}");
            std::thread::Builder::new().name(name).spawn(move || sample_host(number, plan, phases))?;
        }
        Ok(Self { phases, hosts, events })
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: &RunEvent, _: &Summary) {
        match event {
            RunEvent::PhaseStarted { phase, .. } => {
                let hosts = AtomicUsize::new(self.hosts);
                let open = ReadingSink { events: Mutex::new(self.events.upgrade()), hosts };
                let running = RunningPhase { phase: *phase, at: Instant::now(), open: Arc::new(open) };
                self.phases.send_replace(Some(running));
            }
            RunEvent::PhaseEnded { .. } => {
                if let Some(running) = self.phases.send_replace(None) {
                    // A host that hangs does not keep the run from ending.
                    tokio::spawn(async move {
                        tokio::time::sleep(LAST_SNAPSHOT_GRACE).await;
                        running.open.close();
                    });
                }
            }
            RunEvent::Recorded { .. } | RunEvent::HostReading(_) | RunEvent::Verbose(_) => {}
        }
    }
}

fn sample_host(number: u16, plan: Arc<Plan>, phases: watch::Receiver<Option<RunningPhase>>) {
    let Some(monitor) = &plan.monitor else { return };
    let probe = Probe::open(&monitor.hosts[usize::from(number)].source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the preflight made sure of descriptors for a few runtimes");
    runtime.block_on(HostSampler { number, plan, probe, phases }.watch());
    // A name that is still looked up keeps nobody waiting.
    runtime.shutdown_background();
}

/// How long a look may take where there is one every so often.
fn limit(every: f64) -> Duration {
    MAX_SNAPSHOT_TIME.min(Duration::from_secs_f64(every * 0.9))
}

struct HostSampler {
    number: u16,
    plan: Arc<Plan>,
    probe: Result<Probe, String>,
    phases: watch::Receiver<Option<RunningPhase>>,
}

impl HostSampler {
    /// Through all phases, until no more is to come.
    async fn watch(mut self) {
        while self.phases.has_changed().is_ok() {
            let running = self.phases.borrow_and_update().clone();
            if let Some(running) = running {
                self.follow(&running).await;
                running.open.leave();
            }
            if self.phases.borrow().is_none() && self.phases.changed().await.is_err() {
                return;
            }
        }
    }

    /// Through a phase: a look at each of its ticks.
    async fn follow(&mut self, running: &RunningPhase) {
        let plan = Arc::clone(&self.plan);
        let Some(monitor) = &plan.monitor else { return };
        let ticks = monitor.ticks(&plan.phases[running.phase.index()]);
        let mut before = None;
        let mut tick = 0;
        while self.reach(running, ticks, tick).await {
            let snapshot = self.snapshot(limit(ticks.every)).await;
            if let Some(reading) = self.reading(running, tick, &mut before, snapshot) {
                running.open.send(reading);
            }
            let passed = ((running.at.elapsed().as_secs_f64() - ticks.first) / ticks.every).max(0.0) as u32;
            // A tick that went by during the look is lost, and is missed where readings are counted.
            tick = (tick + 1).max(passed);
        }
    }

    /// Waits for a tick; false where the phase ends before.
    async fn reach(&mut self, running: &RunningPhase, ticks: Ticks, tick: u32) -> bool {
        let at = running.at + Duration::from_secs_f64(ticks.at(tick));
        if self.is_running(running) {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => return true,
                _ = self.phases.changed() => {}
            }
        }
        // It may have ended just at the tick.
        let due = self.is_running(running) || at <= Instant::now() + END_TICK_TOLERANCE;
        if due {
            tokio::time::sleep_until(at).await;
        }
        due
    }

    /// Whether the phase has not ended.
    fn is_running(&self, running: &RunningPhase) -> bool {
        let same = |now: &RunningPhase| now.phase == running.phase;
        self.phases.has_changed().is_ok() && self.phases.borrow().as_ref().is_some_and(same)
    }

    async fn snapshot(&mut self, limit: Duration) -> Result<Snapshot, String> {
        match &mut self.probe {
            Ok(probe) => probe.snapshot(limit).await,
            Err(why) => Err(why.clone()),
        }
    }

    /// What a look comes to after the one before. The first of a phase only begins a reading.
    fn reading(
        &self,
        running: &RunningPhase,
        tick: u32,
        before: &mut Option<Snapshot>,
        snapshot: Result<Snapshot, String>,
    ) -> Option<Reading> {
        let reading = |covered_s: f64, mut values: Values| {
            let (phase, host) = (running.phase.0, self.number);
            let missing = values.missing.iter_mut().map(|(_, why)| why);
            missing
                .chain(&mut values.troubles)
                .for_each(|message| *message = redacted_line(message, &self.plan.secrets));
            Some(Reading { phase, host, tick, covered_s, values })
        };
        match (snapshot, before.take()) {
            (Err(why), last) => {
                *before = last;
                reading(0.0, Values::failed(why))
            }
            (Ok(now), None) => {
                let values = initial(&now);
                *before = Some(now);
                if tick == 0 { None } else { reading(0.0, values) }
            }
            (Ok(now), Some(last)) => {
                let (covered_s, values) = (covered_s(&last, &now), between(&last, &now));
                *before = Some(now);
                reading(covered_s, values)
            }
        }
    }
}

/// Looks at some hosts once, all at the same time: what was seen of each, or why nothing was.
pub async fn first_snapshots(
    sources: Vec<Source>,
    every: f64,
    secrets: &Secrets,
) -> Vec<Result<Snapshot, String>> {
    let snapshots: Vec<_> = sources.into_iter().map(|source| first_snapshot(source, limit(every))).collect();
    let mut seen = Vec::new();
    for snapshot in snapshots {
        seen.push(snapshot.await.map_err(|why| redacted_line(&why, secrets)));
    }
    seen
}

/// Looks on a thread of its own, which is left behind where it hangs.
fn first_snapshot(source: Source, limit: Duration) -> impl Future<Output = Result<Snapshot, String>> {
    let (sender, snapshot) = tokio::sync::oneshot::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string());
        let seen = runtime.and_then(|runtime| {
            let seen = runtime.block_on(async { Probe::open(&source)?.snapshot(limit).await });
            runtime.shutdown_background();
            seen
        });
        // Whoever asked may have given up.
        let _ = sender.send(seen);
    };
    let started = std::thread::Builder::new().name("monitor".to_owned()).spawn(work);
    async move {
        started.map_err(|error| format!("no thread could be started: {error}"))?;
        match tokio::time::timeout(limit + Duration::from_secs(1), snapshot).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err("the look failed".to_owned()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        }
    }
}

/// What a host or its exporter said, without secrets and on one line.
fn redacted_line(message: &str, secrets: &Secrets) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    secrets.redact_truncated(message).chars().map(plain).collect()
}
