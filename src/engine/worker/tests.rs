//! Facts about hours of load, on a paused clock and against a server in memory.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::diagnostic::{Problems, render};
use crate::engine::wire::socket::Dialer;
use crate::event::{Observer, StopHandle};
use crate::journal::writer::JournalWriter;
use crate::measure::indicator::{Indicator, IndicatorKind};
use crate::measure::ledger::Ledger;
use crate::measure::limits::Limits;
use crate::plan::{Environment, Settings, load};

/// The server's response time.
const ANSWER: Duration = Duration::from_millis(5);

fn plan(text: &str) -> Plan {
    let mut problems = Problems::default();
    let environment = Environment { read: &|_| Ok(text.as_bytes().to_vec()), variable: &|_| None };
    let loaded = load(Path::new("plans/test.toml"), &Settings::default(), &environment, &mut problems);
    loaded.plan.unwrap_or_else(|| panic!("{}", render(&problems, false)))
}

/// Responds to every request of every connection after the same time.
async fn serve(mut connections: UnboundedReceiver<DuplexStream>) {
    while let Some(stream) = connections.recv().await {
        tokio::spawn(async move {
            let answer = service_fn(|request: http::Request<hyper::body::Incoming>| async {
                let _ = request.into_body().collect().await;
                tokio::time::sleep(ANSWER).await;
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"{}"))))
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

/// The results of a run in memory.
struct Ran {
    ledger: Ledger,
    /// Resident memory after each simulated hour, by phase.
    memory: Vec<Vec<u64>>,
    /// Size of the journal in bytes.
    on_disk: u64,
    most_pending: usize,
}

/// Folds and records the events of a run in memory.
struct Follower {
    ledger: Ledger,
    journal: JournalWriter,
    memory: Vec<Vec<u64>>,
    seconds: u64,
    most_pending: usize,
}

impl Follower {
    fn take(&mut self, event: &RunEvent) {
        if let RunEvent::Recorded(batch) = event {
            self.ledger.fold(batch);
        }
        self.most_pending = self.most_pending.max(self.ledger.pending_seconds());
        self.journal.observe(event, self.ledger.summary());
        self.seconds += 1;
        if self.seconds.is_multiple_of(3600) {
            self.memory.last_mut().unwrap().push(resident_bytes());
        }
    }
}

/// Runs all phases of a plan on one worker in a runtime whose clock is paused.
async fn simulate(plan: Plan) -> Ran {
    // It computes for a minute, next to tests that wait for the real clock.
    let _ = rustix::process::nice(19);
    let plan = Arc::new(plan);
    let limits = Limits::of(&indicators(&plan), plan.operations.len());
    let ledger = Ledger::new(&plan, indicators(&plan), &limits, 1);
    let (to_server, connections) = unbounded_channel();
    tokio::spawn(serve(connections));
    let (events, mut received) = unbounded_channel();
    let (_stop, stop) = StopHandle::new();
    let job = Arc::new(Job {
        dialer: Dialer::memory(to_server),
        plan: Arc::clone(&plan),
        phases: Vec::new(),
        seed: 7,
        workers: 1,
        limits: Arc::new(limits),
        log_capacity: 0,
        max_drain: Duration::ZERO,
        verbose: false,
        real_time: false,
    });
    let worker = Worker { number: 0, job, stop, events, taken_rows: TakenRows::default() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.journal");
    let journal = JournalWriter::create(&file);
    let mut follower = Follower { ledger, journal, memory: Vec::new(), seconds: 0, most_pending: 0 };
    for (phase, id) in plan.phases.iter().zip((0..).map(PhaseId)) {
        (follower.seconds, follower.memory) = (0, [follower.memory, vec![Vec::new()]].concat());
        let mut work = std::pin::pin!(worker.run(id, Instant::now() + Duration::from_millis(20)));
        loop {
            tokio::select! {
                biased;
                event = received.recv() => follower.take(&event.unwrap()),
                _ = &mut work => break,
            }
        }
        while let Ok(event) = received.try_recv() {
            follower.take(&event);
        }
        follower.ledger.finish(id, phase.duration.duration());
    }
    let Follower { ledger, journal, memory, most_pending, .. } = follower;
    assert_eq!(journal.failure(), None);
    Ran { ledger, memory, on_disk: file.metadata().unwrap().len(), most_pending }
}

/// One limit for all operations of each phase.
fn indicators(plan: &Plan) -> Vec<Indicator> {
    let kind = IndicatorKind::Slower(Duration::from_millis(50));
    let phases = plan.phases.iter().zip((0..).map(PhaseId));
    phases
        .map(|(of, phase)| Indicator {
            phase,
            operations: plan.operations_of(of),
            kind,
            intervals: None,
            keeps_timeline: false,
        })
        .collect()
}

/// Memory can be measured only in a process of its own: outside nextest the test runs itself again in one.
fn in_a_process_of_its_own(test: &str) -> bool {
    if std::env::var_os("NEXTEST").is_some() || std::env::var_os("ALONE").is_some() {
        return true;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let name = format!("engine::worker::tests::{test}");
    assert!(again.args(["--exact", &name]).env("ALONE", "1").status().unwrap().success());
    false
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn assert_memory_is_flat(ran: &Ran) {
    // The first hour of a phase fills histograms and connects users; later hours must add nothing but the times that the
    // slices of the timeline hold.
    for hours in &ran.memory {
        let (first, last) = (hours[0], *hours.last().unwrap());
        assert!(last < first + (4 << 20), "{:?}", ran.memory);
        let line = format!("{first} bytes resident after 1 h, {last} after {} h\n", hours.len());
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
    }
    assert!(ran.most_pending <= 4, "{} seconds were pending", ran.most_pending);
    let line = format!("{} bytes of windows on disk\n", ran.on_disk);
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
}

const SOAK: &str = r#"
name = "soak"
target.url = "http://127.0.0.1:1"
[gate]
tier = "none"
[[phases]]
name = "week"
duration = "168h"
users = 25
spawn_rate = 2
mix = { soak = 1 }
[users.soak]
wait = ["60s", "120s"]
tasks = [{ request = "GET /a", weight = 10 }, { request = "GET /b" }, { request = "POST /c", json = { id = "${uuid()}" } }]
"#;

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_week_of_waiting_users_takes_the_memory_of_an_hour() {
    if !in_a_process_of_its_own("a_week_of_waiting_users_takes_the_memory_of_an_hour") {
        return;
    }
    let ran = simulate(plan(SOAK)).await;
    assert_memory_is_flat(&ran);
    let week = &ran.ledger.summary().phases[0];
    let requests: u64 = week.operations.values().map(|operation| operation.requests).sum();
    // 25 users perform one task per 90.005 s each; the first tasks start at once.
    assert!(requests.abs_diff(168_000) < 500, "{requests}");
    assert!(week.operations.values().all(|operation| operation.failed() == 0));
    assert_eq!(week.judged_seconds, 604_800.0 - 13.0);
    // A week of 604 800 s must not drift: the longest send lag is the timer's own millisecond.
    assert!(week.send_lag.max().unwrap() <= Duration::from_millis(1), "{:?}", week.send_lag.max());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn fourteen_hours_of_the_daily_plan_are_all_carried_out_in_the_memory_of_one() {
    if !in_a_process_of_its_own("fourteen_hours_of_the_daily_plan_are_all_carried_out_in_the_memory_of_one") {
        return;
    }
    let mut problems = Problems::default();
    let environment = Environment { read: &|path| std::fs::read(path), variable: &|_| None };
    // A 25th of the load takes a 25th of the time to compute.
    let rates = [("morning-steady", "1/s"), ("afternoon-peak", "5/s"), ("evening-mixed", "2.4/s")];
    let overrides = rates.map(|(phase, rate)| format!("phases.{phase}.arrivals={rate}")).into();
    let settings = Settings { overrides, ..Settings::default() };
    let daily = load(Path::new("plans/daily.toml"), &settings, &environment, &mut problems).plan.unwrap();
    let ran = simulate(daily).await;
    assert_memory_is_flat(&ran);
    assert_eq!(ran.memory.iter().map(Vec::len).collect::<Vec<_>>(), [8, 2, 4]);
    let phases = &ran.ledger.summary().phases;
    // The rates rise over ramps of 10 s, which have half the arrivals of 10 s at the full rate.
    let scheduled: Vec<u64> = phases.iter().map(|phase| phase.scheduled).collect();
    assert_eq!(scheduled, [28_795, 5 * 7195, 34_548]);
    for phase in phases {
        assert_eq!((phase.started, phase.contradiction(true)), (phase.scheduled, None));
        // Five milliseconds of service, and at most one each for the timers of both sides.
        let longest = phase.operations.values().filter_map(|operation| operation.response.max()).max();
        assert!(longest.unwrap() <= Duration::from_millis(8), "{longest:?}");
    }
}
