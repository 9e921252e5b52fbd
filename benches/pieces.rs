//! Benchmarks of the parts of the hot path. `cargo bench --bench pieces` runs all of them; with a word as its argument,
//! those whose name contains it.
//!
//! Unless noted otherwise, the input is one second with 5000 requests whose times are exponential with a mean of 5 ms,
//! and three limits per operation.

#![expect(clippy::unwrap_used, reason = "a benchmark without its input cannot run")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use runner::diagnostic::Problems;
use runner::event::RunEvent;
use runner::journal::format::frame;
use runner::measure::histogram::DenseHistogram;
use runner::measure::indicator::{Indicator, IndicatorKind};
use runner::measure::ledger::Ledger;
use runner::measure::limits::Limits;
use runner::measure::recorder::{Latency, Recorder, RecorderScope};
use runner::measure::sample::{Outcome, Purpose, Sample};
use runner::measure::summary::Summary;
use runner::measure::window::{Batch, Window};
use runner::plan::model::{OperationId, PhaseId, Plan};
use runner::plan::random::{RandomStream, StreamKey};
use runner::plan::template::{Hole, RenderContext, Template};
use runner::plan::{self, Environment, Settings};
use runner::schedule::{Arrivals, deal};
use runner::slo::judge::{Policy, RunLength, judge};
use runner::slo::{self, Objectives};

const REQUESTS: u64 = 5000;
const SECOND: Duration = Duration::from_secs(1);
/// Iterations per reading of the clock, for parts that take nanoseconds.
const MANY: u32 = 1000;

fn main() {
    divan::main();
}

/// The shipped plan `daily`, three phases in 14 hours, and its objectives.
fn day() -> (Plan, Objectives) {
    let environment = Environment { read: &|path| std::fs::read(path), variable: &|_| None };
    let mut problems = Problems::default();
    let loaded = plan::load(Path::new("plans/daily.toml"), &Settings::default(), &environment, &mut problems);
    let objectives = slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
    (loaded.plan.unwrap(), objectives)
}

fn operations(count: u16) -> Vec<OperationId> {
    (0..count).map(OperationId).collect()
}

/// Samples evenly spread over a second, with the operations in turn.
fn samples(operations: &[OperationId], requests: u64) -> Vec<Sample> {
    let sample = |number: u64| {
        let intended = SECOND.mul_f64(number as f64 / requests as f64);
        let sent = intended + Duration::from_micros(20);
        let took = RandomStream::new(1, 0, StreamKey::Arrival(number)).exponential() * 0.005;
        Sample {
            user: 0,
            status: Some(200),
            arrival_clock: None,
            ours: Duration::ZERO,
            is_in_wake: false,
            operation: operations[number as usize % operations.len()],
            intended,
            sent,
            finished: sent + Duration::from_secs_f64(took),
            user_wait: Duration::ZERO,
            latency: Duration::ZERO,
            connect: None,
            outcome: Outcome::Succeeded,
            bytes: 512,
            purpose: Purpose::Task,
        }
    };
    (0..requests).map(sample).collect()
}

fn record(recorder: &mut Recorder, sample: &Sample) {
    recorder.expect(sample.intended);
    recorder.record(sample);
}

/// A recorder that has recorded this number of requests in one second.
fn filled(operations: &[OperationId], requests: u64) -> Recorder {
    let limits = [10, 20, 50].map(|ms| Indicator {
        phase: PhaseId(0),
        operations: operations.to_vec(),
        kind: IndicatorKind::Slower(Duration::from_millis(ms)),
        intervals: None,
        keeps_timeline: false,
    });
    let known = operations.iter().map(|operation| operation.index() + 1).max().unwrap();
    let limits = Arc::new(Limits::of(&limits, known));
    let scope = RecorderScope { phase: PhaseId(0), worker: 0, latency: Latency::None };
    let mut recorder = Recorder::new(limits, scope, 100 * SECOND, 0);
    samples(operations, requests).iter().for_each(|sample| record(&mut recorder, sample));
    recorder
}

fn window(operations: &[OperationId], requests: u64) -> Window {
    filled(operations, requests).drain(SECOND).0.windows.remove(&0).unwrap()
}

/// Renders the JSON body of a search with these holes.
fn render(bencher: Bencher<'_, '_>, holes: [Option<Hole>; 3]) {
    let mut template = Template::default();
    let names = [r#"{"query":"#, r#","top_k":"#, r#","similarity_threshold":"#];
    for (name, hole) in names.into_iter().zip(holes) {
        template.push_text(name.as_bytes());
        match hole {
            Some(hole) => template.push_hole(hole),
            None => template.push_text(b"10"),
        }
    }
    template.push_text(b"}");
    let now = || jiff::Timestamp::UNIX_EPOCH;
    let facts = RenderContext { user: 1, rows: &[1], captured: &[], sequence: (0, 1), now: &now };
    let mut draw = RandomStream::new(1, 0, StreamKey::Task(1, 1));
    bencher.bench_local(|| {
        let mut out = BytesMut::new();
        template.render(&mut out, &mut draw, &facts).unwrap();
        out.freeze()
    });
}

/// A word of a list, an integer and a decimal number.
#[divan::bench(sample_size = MANY)]
fn render_three_holes(bencher: Bencher<'_, '_>) {
    let words = [r#""printer offline""#, r#""password reset""#, r#""nightly backup is slow""#];
    let pick = Hole::Pick(Arc::new(words.into_iter().collect()));
    render(bencher, [Some(pick), Some(Hole::Integer(5, 20)), Some(Hole::Float(0.6, 0.8))]);
}

/// The same body without a hole. The engine renders a constant body once for all requests.
#[divan::bench(sample_size = MANY)]
fn render_constant(bencher: Bencher<'_, '_>) {
    render(bencher, [None, None, None]);
}

/// Draws the next task of a user from six.
#[divan::bench(sample_size = MANY)]
fn draw_task(bencher: Bencher<'_, '_>) {
    let mut task = 0;
    bencher.bench_local(|| {
        task += 1;
        RandomStream::new(1, 0, StreamKey::Task(7, task)).weighted(&[10.0, 15.0, 18.0, 20.0, 21.0, 22.0])
    });
}

/// Records one more request in a second that already has many, while another request of that second is in flight.
#[divan::bench(args = [1, 10], sample_size = MANY)]
fn record_sample(bencher: Bencher<'_, '_>, count: u16) {
    let mut recorder = filled(&operations(count), REQUESTS);
    let samples = samples(&operations(count), REQUESTS);
    let mut next = samples.iter().cycle();
    recorder.expect(Duration::ZERO);
    bencher.bench_local(|| record(&mut recorder, next.next().unwrap()));
}

/// Takes the windows of one second from a recorder.
#[divan::bench(args = [1, 10], sample_size = 10)]
fn drain_recorder(bencher: Bencher<'_, '_>, count: u16) {
    let fill = || filled(&operations(count), REQUESTS);
    bencher.with_inputs(fill).bench_local_values(|mut recorder| recorder.drain(SECOND));
}

/// Merges the windows of two workers.
#[divan::bench(args = [1, 10])]
fn merge_windows(bencher: Bencher<'_, '_>, count: u16) {
    let window = window(&operations(count), REQUESTS);
    bencher.with_inputs(|| window.clone()).bench_local_refs(|mine| mine.merge(&window));
}

/// Folds one second of two workers in the second phase of the plan `daily`, with all its operations and objectives.
#[divan::bench(sample_size = 8)]
fn fold_ledger(bencher: Bencher<'_, '_>) {
    let (plan, objectives) = day();
    let all = operations(u16::try_from(plan.operations.len()).unwrap());
    let mut ledger = Ledger::new(&plan, objectives.indicators.clone(), &limits(&plan, &objectives), 2);
    let window = window(&all, REQUESTS);
    let mut second = 0;
    let next = || {
        second += 1;
        [0, 1].map(|worker| Batch {
            phase: PhaseId(1),
            source: worker,
            windows: [(second - 1, window.clone())].into(),
            settled_before: second,
            ..Batch::default()
        })
    };
    bencher.with_inputs(next).bench_local_refs(|of_workers| {
        of_workers.iter().for_each(|batch| ledger.fold(batch));
    });
}

/// Encodes the batch of one worker.
#[divan::bench(args = [1, 10])]
fn encode_journal(bencher: Bencher<'_, '_>, count: u16) {
    let (batch, _) = filled(&operations(count), REQUESTS).drain(SECOND);
    let (event, mut record) = (RunEvent::Recorded(batch), Vec::new());
    bencher.bench_local(|| {
        record.clear();
        frame(&event, &mut record);
    });
}

/// Arrivals of a rising rate; the throughput counts arrivals.
#[divan::bench]
fn schedule_arrivals(bencher: Bencher<'_, '_>) {
    let rates = ["10/s", "5000/s"].map(|rate| rate.parse().unwrap());
    let arrivals = Arrivals::new(rates.into(), "10s".parse().unwrap(), "1h".parse().unwrap());
    let spaced = || arrivals.clone().spaced(0.0, || 1.0).take(MANY as usize).max();
    bencher.counter(ItemsCount::new(MANY)).bench_local(spaced);
}

/// Deals arrivals to three classes; the throughput counts arrivals.
#[divan::bench]
fn deal_arrivals(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(MANY)).bench_local(|| deal(black_box(&[70.0, 20.0, 10.0]), MANY));
}

fn limits(plan: &Plan, objectives: &Objectives) -> Limits {
    Limits::of(&objectives.indicators, plan.operations.len())
}

/// The summary of the plan `daily` with 100 requests in each of its 50 400 seconds.
fn summary(plan: &Plan, objectives: &Objectives) -> Summary {
    let mut ledger = Ledger::new(plan, objectives.indicators.clone(), &limits(plan, objectives), 1);
    for (number, phase) in (0..).zip(&plan.phases) {
        let window = window(&plan.operations_of(phase), 100);
        let seconds = phase.duration.seconds() as u32;
        for second in 0..seconds {
            let windows = [(second, window.clone())].into();
            let settled_before = second + 1;
            ledger.fold(&Batch {
                phase: PhaseId(number),
                source: 0,
                windows,
                settled_before,
                ..Batch::default()
            });
        }
        ledger.finish(PhaseId(number), phase.duration.duration());
    }
    ledger.summary().clone()
}

/// Judges all objectives of the plan `daily`.
#[divan::bench]
fn judge_day(bencher: Bencher<'_, '_>) {
    let (plan, objectives) = day();
    let summary = summary(&plan, &objectives);
    let gate = &plan.gate;
    let policy = Policy { gate, length: RunLength::Full, excuses: &[], cycle_seconds: &[], aborted: None };
    bencher.bench_local(|| judge(&objectives.all, &summary, policy));
}

/// A quantile of the response times of an operation.
#[divan::bench(args = [0.5, 0.95, 0.999], sample_size = MANY)]
fn quantile(bencher: Bencher<'_, '_>, part: f64) {
    let mut times = DenseHistogram::default();
    times.add(&window(&operations(1), REQUESTS).cells[&OperationId(0)].response);
    bencher.bench_local(|| times.quantile(part));
}

/// The cost of one reading of a host, with the kernel files of this machine.
mod looks {
    use runner::monitor::Probe;
    use runner::resources::exporter;
    use runner::resources::source::{DeviceFilter, ProcessSelector, Source};

    use super::{Bencher, Duration, black_box};

    fn snapshot(bencher: Bencher<'_, '_>, source: &Source) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut probe = Probe::open(source).unwrap();
        bencher.bench_local(|| black_box(runtime.block_on(probe.snapshot(Duration::from_secs(5))).unwrap()));
    }

    #[divan::bench]
    fn at_this_machine(bencher: Bencher<'_, '_>) {
        snapshot(bencher, &Source::Local(DeviceFilter::default()));
    }

    /// A process with 20 additional threads.
    #[divan::bench]
    fn at_a_process(bencher: Bencher<'_, '_>) {
        for _ in 0..20 {
            std::thread::spawn(std::thread::park);
        }
        snapshot(bencher, &Source::Process(ProcessSelector::Pid(std::process::id())));
    }

    /// Parses the text of an exporter, as long as a real one.
    #[divan::bench]
    fn in_the_text_of_an_exporter(bencher: Bencher<'_, '_>) {
        let text = include_str!("../tests/readings/an-exporter-without-a-collector/before.prom");
        let others: String = (0..800).map(|line| format!("go_other_{line} {line}\n")).collect();
        let text = text.to_owned() + &others;
        bencher.bench_local(|| black_box(exporter::machine(black_box(&text), 0.0).unwrap()));
    }
}
