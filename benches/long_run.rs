//! Writes the journal of a long run without running it: `cargo bench --bench long_run -- PLAN OTHER-RUN FOLDER`. The start
//! is that of OTHER-RUN, a run of the plan on this machine that may have been stopped at once. Every second of every phase
//! has its requests, recorded as a worker records them; each host is read at its ticks.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark without its input cannot run")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use runner::diagnostic::Problems;
use runner::event::{Observer, RunEnd, RunEvent, RunStart};
use runner::journal::reader::JournalReader;
use runner::journal::{FILE_NAME, writer::JournalWriter};
use runner::measure::generator_vitals::ThreadVitals;
use runner::measure::reading::Reading;
use runner::measure::recorder::{Latency, Recorder, RecorderScope};
use runner::measure::sample::{ArrivalClock, ErrorKind, Outcome, Purpose, Sample};
use runner::measure::summary::Summary;
use runner::measure::window::{Batch, Window};
use runner::plan::model::{HostId, Load, OperationId, Phase, PhaseId, Plan};
use runner::plan::random::{RandomStream, StreamKey};
use runner::plan::{self, Environment, Settings};
use runner::resources::metric::Metric;
use runner::resources::reading::Values;

/// The rate of phases without arrivals, per second.
const CLOSED_RATE: f64 = 50.0;
/// A request in this number fails.
const FAILS: u64 = 5000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [plan_path, other, folder] = &arguments[..] else { return };
    let environment = Environment { read: &|path| std::fs::read(path), variable: &|_| None };
    let mut problems = Problems::default();
    let loaded = plan::load(Path::new(plan_path), &Settings::default(), &environment, &mut problems);
    let plan = loaded.plan.unwrap();
    let mut events = JournalReader::new(File::open(Path::new(other).join(FILE_NAME)).unwrap()).unwrap();
    let Some(RunEvent::Started(start)) = events.next() else { return };
    std::fs::create_dir_all(folder).unwrap();
    let journal = JournalWriter::create(&Path::new(folder).join(FILE_NAME));
    let mut run = LongRun { at: start.at, start: *start, plan, journal, number: 0 };
    run.write();
    println!("{} requests, {:?}", run.number, run.journal.failure());
}

/// A run that is written and not made.
struct LongRun {
    plan: Plan,
    start: RunStart,
    journal: JournalWriter,
    at: Timestamp,
    /// The number of the next request.
    number: u64,
}

impl LongRun {
    fn emit(&mut self, event: &RunEvent) {
        self.journal.observe(event, &Summary::default());
    }

    fn write(&mut self) {
        self.emit(&RunEvent::Started(Box::new(self.start.clone())));
        for (index, phase) in self.plan.phases.clone().iter().enumerate() {
            let id = PhaseId(u16::try_from(index).unwrap());
            self.emit(&RunEvent::PhaseStarted { phase: id, at: self.at });
            self.phase(id, phase);
            let ran = phase.duration.duration();
            self.emit(&RunEvent::PhaseEnded { phase: id, ran, usage: None });
            self.at += SignedDuration::try_from(ran).unwrap();
        }
        self.emit(&RunEvent::Ended(RunEnd { at: self.at, without_verdict: None }));
    }

    fn phase(&mut self, id: PhaseId, phase: &Phase) {
        let requests = self.plan.classes_of(phase).flat_map(|class| class.requests().collect::<Vec<_>>());
        let operations: Vec<OperationId> = requests.map(|request| request.operation).collect();
        let scope = RecorderScope { phase: id, worker: 0, latency: Latency::None };
        let end = phase.duration.duration();
        let mut recorder = Recorder::new(Arc::new(self.start.limits.clone()), scope, end, 0);
        let ticks = self.plan.monitor.as_ref().map(|monitor| (monitor.ticks(phase), monitor.hosts.len()));
        let mut tick = 0;
        for second in 0..u32::try_from(end.as_secs()).unwrap() {
            let from = Duration::from_secs(second.into());
            self.second(&mut recorder, phase, &operations, from);
            let (mut batch, _) = recorder.drain(from + Duration::from_secs(1));
            for window in batch.windows.values_mut() {
                let thread =
                    ThreadVitals { cpu_samples: 1, cpu: 120, delay: Some(3), ..ThreadVitals::default() };
                window.vitals.workers.insert(0, thread);
            }
            self.emit(&RunEvent::Recorded(batch));
            for source in 1..u16::try_from(self.start.sources()).unwrap() {
                let windows = [(second, Window::default())].into();
                let (settled_before, recorded_before) = (second + 1, second + 1);
                let batch =
                    Batch { phase: id, source, windows, settled_before, recorded_before, ..Batch::default() };
                self.emit(&RunEvent::Recorded(batch));
            }
            while let Some((ticks, hosts)) =
                ticks.filter(|(ticks, _)| ticks.at(tick) <= f64::from(second + 1))
            {
                for host in 0..hosts {
                    self.reading(id, HostId(u16::try_from(host).unwrap()), tick, ticks.every);
                }
                tick += 1;
            }
        }
    }

    /// The requests of a second, all of which end in it.
    fn second(&mut self, recorder: &mut Recorder, phase: &Phase, operations: &[OperationId], from: Duration) {
        let rate = match phase.load {
            Load::Open(load) => load.most_per_second(),
            Load::Closed => CLOSED_RATE,
        };
        let count = (rate as u32).max(1);
        for index in 0..count {
            let intended = from + Duration::from_secs(1).mul_f64(0.9 * f64::from(index) / f64::from(count));
            let mut draw = RandomStream::new(1, 0, StreamKey::Arrival(self.number));
            let took = 0.002 + draw.exponential() * 0.02;
            let fails = self.number % FAILS == FAILS - 1;
            let sample = Sample {
                operation: operations[draw.index(operations.len())],
                user: 0,
                intended,
                sent: intended + Duration::from_micros(20),
                finished: (intended + Duration::from_secs_f64(took)).min(from + Duration::from_millis(999)),
                arrival_clock: Some(ArrivalClock::Kernel),
                user_wait: Duration::ZERO,
                ours: Duration::ZERO,
                is_in_wake: false,
                latency: Duration::ZERO,
                connect: None,
                outcome: if fails { Outcome::Failed(ErrorKind::Status5xx) } else { Outcome::Succeeded },
                status: Some(if fails { 503 } else { 200 }),
                bytes: 512,
                purpose: Purpose::Task,
            };
            recorder.expect(intended);
            if matches!(phase.load, Load::Open(_)) {
                recorder.schedule(intended, intended);
                recorder.start(intended);
            }
            recorder.record(&sample);
            self.number += 1;
        }
    }

    fn reading(&mut self, phase: PhaseId, host: HostId, tick: u32, covered_s: f64) {
        let wave = f64::from(tick % 97) / 97.0;
        let metrics = [Metric::Cpu, Metric::Memory, Metric::DiskIo, Metric::DiskRead, Metric::DiskWrite];
        let more =
            [Metric::NetworkIn, Metric::NetworkOut, Metric::OpenFiles, Metric::Threads, Metric::Restarts];
        let value = |metric: Metric| match metric {
            Metric::Restarts => 0.0,
            Metric::Cpu | Metric::Memory | Metric::DiskIo => 20.0 + 10.0 * wave,
            _ => 1e5 * (1.0 + wave),
        };
        let measured = metrics.into_iter().chain(more).map(|metric| (metric, value(metric))).collect();
        let values = Values { measured, ..Values::default() };
        self.emit(&RunEvent::HostReading(Reading { phase, host, tick, covered_s, values }));
    }
}
