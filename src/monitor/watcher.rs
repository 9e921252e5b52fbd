//! Samples the hosts of a plan while its phases run. Each host has its own thread, so one that hangs delays no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Observer, RunEvent, StopSignal};
use crate::measure::reading::Reading;
use crate::measure::summary::Summary;
use crate::monitor::Probe;
use crate::plan::model::{HostId, PhaseId, Plan, Secrets};
use crate::resources::rates::{between, covered_s, initial};
use crate::resources::reading::Values;
use crate::resources::snapshot::Snapshot;
use crate::resources::source::Source;
use crate::resources::ticks::Ticks;

/// Maximum time of a snapshot; it must also end before the next one is due.
const MAX_SNAPSHOT_TIME: Duration = Duration::from_secs(5);
/// A tick this shortly after the end of a phase is still sampled, because it is the tick at the end.
const END_TICK_TOLERANCE: Duration = Duration::from_millis(100);
/// How long the last snapshots of a phase may take after its end.
const LAST_SNAPSHOT_GRACE: Duration = Duration::from_secs(6);

/// The same from the stop of the run on: a CI or a container engine waits less than 10 s, and the drain takes 5 of them.
const STOPPED_GRACE: Duration = Duration::from_secs(2);

/// The current phase, with its start and the sink of its readings.
#[derive(Clone)]
struct RunningPhase {
    phase: PhaseId,
    at: Instant,
    open: Arc<ReadingSink>,
}

/// The sink of a phase's readings. It stays open until every host has had its last snapshot, or until the grace period
/// after the phase ends.
struct ReadingSink {
    events: Mutex<Option<UnboundedSender<RunEvent>>>,
    hosts: AtomicUsize,
}

impl ReadingSink {
    fn send(&self, reading: Reading) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // If the receiver is gone, no reader is left.
        let _ = events.as_ref().map(|events| events.send(RunEvent::HostReading(reading)));
    }

    fn close(&self) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A host has had its last snapshot; the last host closes the sink.
    fn leave(&self) {
        if self.hosts.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.close();
        }
    }
}

/// Samples hosts from the start of each phase to its end, until this value is dropped.
pub struct Watcher {
    /// Whether the run was stopped.
    stop: StopSignal,
    phases: watch::Sender<Option<RunningPhase>>,
    hosts: usize,
    /// Weak, because only a running phase and its last snapshots keep the stream open.
    events: WeakUnboundedSender<RunEvent>,
}

impl Watcher {
    /// Starts a thread for each host; readings are sent as events of the run.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        plan: &Arc<Plan>,
        events: WeakUnboundedSender<RunEvent>,
        stop: StopSignal,
    ) -> std::io::Result<Self> {
        let (phases, running) = watch::channel(None);
        let hosts = plan.monitor.as_ref().map_or(0, |monitor| monitor.hosts.len());
        for number in (0..).take(hosts) {
            let (plan, phases) = (Arc::clone(plan), running.clone());
            let name = format!("monitor-{number}");
            std::thread::Builder::new().name(name).spawn(move || sample_host(number, plan, phases))?;
        }
        Ok(Self { stop, phases, hosts, events })
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
                    let (mut stop, mut cancel) = (self.stop.clone(), self.stop.clone());
                    let stopped = async move {
                        stop.wait().await;
                        tokio::time::sleep(STOPPED_GRACE).await;
                    };
                    // A host that hangs does not keep the run from ending.
                    tokio::spawn(async move {
                        tokio::select! {
                            () = tokio::time::sleep(LAST_SNAPSHOT_GRACE) => {}
                            () = stopped => {}
                            () = cancel.wait_for_cancel() => {}
                        }
                        running.open.close();
                    });
                }
            }
            _ => {}
        }
    }
}

fn sample_host(number: u16, plan: Arc<Plan>, phases: watch::Receiver<Option<RunningPhase>>) {
    let Some(monitor) = &plan.monitor else { return };
    let probe = Probe::open(&monitor.hosts[usize::from(number)].source);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the preflight checked the descriptors of one runtime per host");
    runtime.block_on(HostSampler { number, plan, probe, phases }.watch());
    // A pending name lookup must not delay the end.
    runtime.shutdown_background();
}

/// Time limit of a snapshot if there is one every `every` seconds.
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
    /// Samples through all phases, until the watcher is dropped.
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

    /// Takes a snapshot at each tick of a phase.
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
            // A tick that passed during the snapshot is lost, and counts as a missing reading.
            tick = (tick + 1).max(passed);
        }
    }

    /// Waits for a tick; returns false if the phase ends before it.
    async fn reach(&mut self, running: &RunningPhase, ticks: Ticks, tick: u32) -> bool {
        let at = running.at + Duration::from_secs_f64(ticks.at(tick));
        if self.is_running(running) {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => return true,
                _ = self.phases.changed() => {}
            }
        }
        // The phase may have ended exactly at the tick.
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

    /// The reading between the previous snapshot and this one. The first snapshot of a phase only starts a reading.
    fn reading(
        &self,
        running: &RunningPhase,
        tick: u32,
        before: &mut Option<Snapshot>,
        snapshot: Result<Snapshot, String>,
    ) -> Option<Reading> {
        let reading = |covered_s: f64, mut values: Values| {
            let (phase, host) = (running.phase, HostId(self.number));
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

/// Takes one snapshot of each source, all at the same time; an error is the reason why there is none.
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

/// Takes a snapshot on its own thread, which is abandoned if it hangs.
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
        // The receiver may have timed out.
        let _ = sender.send(seen);
    };
    let started = std::thread::Builder::new().name("monitor".to_owned()).spawn(work);
    async move {
        started.map_err(|error| format!("could not start a thread: {error}"))?;
        match tokio::time::timeout(limit + Duration::from_secs(1), snapshot).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err("the thread of this host ended without a snapshot".to_owned()),
            Err(_) => Err(format!("no response within {limit:?}")),
        }
    }
}

/// A message from a host or exporter, without secrets and on one line.
fn redacted_line(message: &str, secrets: &Secrets) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    secrets.redact_truncated(message).chars().map(plain).collect()
}
