//! Error rates of verdicts, by simulation: the same samples are judged by proof and by a comparison of the observed
//! percentile with the limit. All runs are seeded. The tests compare their results with the tables of
//! `docs/concepts/verdict.md`. `UPDATE_EXPECTED=1` updates these; `SIMULATED_RUNS=100000` simulates more runs and
//! prints the tables.

#![expect(clippy::unwrap_used, reason = "a missing page or number has failed the test")]
#![expect(clippy::print_stdout, reason = "the tables of a larger simulation are for reading")]

mod drift;
mod page;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use runner::measure::blocks::BlockSums;
use runner::statistics::{Allowed, BatchMeans, Proportion, SequentialTest, Side, min_samples};

use crate::page::{ALPHA, exponential, percent, publish, runs, table};

/// The process that decides which samples of a run are slow; there is one sample each second.
#[derive(Clone, Copy)]
enum Process {
    /// Each sample is slow with this probability, independently of the others.
    Independent(f64),
    /// In spells of 10 s on average half of the samples are slow, outside of them 1 %. This share is slow in total.
    Spells(f64),
}

const INSIDE: f64 = 0.5;
const OUTSIDE: f64 = 0.01;
const SPELL: f64 = 10.0;

/// The samples of a simulated run.
struct Samples {
    random: Xoshiro256PlusPlus,
    process: Process,
    in_spell: bool,
}

impl Samples {
    fn new(process: Process, seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let in_spell = match process {
            Process::Independent(_) => false,
            Process::Spells(slow) => random.random::<f64>() < in_spells(slow),
        };
        Self { random, process, in_spell }
    }

    fn next_is_slow(&mut self) -> bool {
        let chance = match self.process {
            Process::Independent(slow) => slow,
            Process::Spells(slow) => {
                let part = in_spells(slow);
                let change = if self.in_spell { 1.0 / SPELL } else { part / (1.0 - part) / SPELL };
                self.in_spell ^= self.random.random::<f64>() < change;
                if self.in_spell { INSIDE } else { OUTSIDE }
            }
        };
        self.random.random::<f64>() < chance
    }
}

/// The share of time in spells with which this share of all samples is slow.
fn in_spells(slow: f64) -> f64 {
    (slow - OUTSIDE) / (INSIDE - OUTSIDE)
}

/// The counts of a run, second by second.
#[derive(Default)]
struct Counted {
    blocks: BlockSums,
    n: f64,
    k: f64,
}

impl Counted {
    fn push(&mut self, slow: bool) {
        let k = f64::from(u8::from(slow));
        self.blocks.push(1.0, k);
        self.n += 1.0;
        self.k += k;
    }

    fn share(&self) -> Proportion {
        Proportion::of(self.n, self.k, &self.blocks)
    }
}

/// The share of runs with each verdict.
#[derive(Default)]
struct Rates {
    passes: f64,
    breaches: f64,
    plain_passes: f64,
}

/// Judges `runs()` runs of this number of samples against a limit that allows this share of slow samples.
fn judged(process: Process, samples: u32, allowed: f64, row: u64) -> Rates {
    let mut rates = Rates::default();
    let each = 1.0 / f64::from(runs());
    for run in 0..runs() {
        let mut source = Samples::new(process, row << 32 | u64::from(run));
        let mut counted = Counted::default();
        (0..samples).for_each(|_| counted.push(source.next_is_slow()));
        let share = counted.share();
        let within = share.is_within(Allowed { share: allowed, alpha: ALPHA });
        rates.passes += each * f64::from(u8::from(within));
        rates.breaches += each * f64::from(u8::from(share.breach_p_value(allowed) <= ALPHA));
        rates.plain_passes += each * f64::from(u8::from(counted.k <= allowed * counted.n));
    }
    rates
}

/// A row of the table: the simulated process and the permitted results.
struct Row {
    label: &'static str,
    process: Process,
    samples: u32,
    allowed: f64,
    /// The largest shares of passes and of breaches; `fewest` holds the smallest.
    most: (f64, f64),
    fewest: (f64, f64),
}

const ANY: (f64, f64) = (1.0, 1.0);
const NONE: (f64, f64) = (0.0, 0.0);

fn rows() -> Vec<Row> {
    use Process::{Independent, Spells};
    let row =
        |label, process, samples, most, fewest| Row { label, process, samples, allowed: 0.05, most, fewest };
    vec![
        row("p95, exactly at the limit", Independent(0.05), 500, (0.06, 0.06), NONE),
        row("p95, exactly at the limit", Independent(0.05), 5000, (0.06, 0.06), NONE),
        row("p95, exactly at the limit, in spells of 10 s", Spells(0.05), 500, (0.13, 0.13), NONE),
        row("p95, exactly at the limit, in spells of 10 s", Spells(0.05), 5000, (0.06, 0.06), NONE),
        row("p95, half as many slow as allowed", Independent(0.025), 5000, (1.0, 0.0), (0.98, 0.0)),
        row("p95, half as many, in spells of 10 s", Spells(0.025), 5000, (1.0, 0.01), NONE),
        row("p95, twice as many slow as allowed", Independent(0.10), 5000, (0.0, 1.0), (0.0, 0.99)),
        row("p95, twice as many, in spells of 10 s", Spells(0.10), 5000, (0.001, 1.0), (0.0, 0.5)),
        Row {
            allowed: 0.01,
            ..row("p99, exactly at the limit", Independent(0.01), 5000, (0.06, 0.06), NONE)
        },
        Row {
            allowed: 0.01,
            ..row("p99, twice as many slow as allowed", Independent(0.02), 50, (0.0, 1.0), NONE)
        },
        Row {
            allowed: 0.01,
            ..row("p99, twice as many slow as allowed", Independent(0.02), 5000, (0.0, 1.0), (0.0, 0.99))
        },
        row("p95, exactly at the limit, in spells of 10 s", Spells(0.05), 60, ANY, NONE),
    ]
}

#[test]
fn percentile_verdicts_are_wrong_as_rarely_as_documented() {
    let mut lines = Vec::new();
    for (number, row) in (1..).zip(rows()) {
        let rates = judged(row.process, row.samples, row.allowed, number);
        let label = format!("{} of {} samples", row.label, row.samples);
        assert!(rates.passes <= row.most.0 && rates.breaches <= row.most.1, "{label}: too many");
        assert!(rates.passes >= row.fewest.0 && rates.breaches >= row.fewest.1, "{label}: too few");
        let undecided = 1.0 - rates.passes - rates.breaches;
        lines.push(vec![
            row.label.to_owned(),
            row.samples.to_string(),
            percent(rates.passes),
            percent(undecided.max(0.0)),
            percent(rates.breaches),
            percent(rates.plain_passes),
            percent(1.0 - rates.plain_passes),
        ]);
    }
    let head =
        ["truth", "samples", "passes", "inconclusive", "breaches", "compared: passes", "compared: breaches"];
    publish("verdicts", &table(&head, lines));
}

/// A mean whose limit equals the true value.
struct MeanRow {
    label: &'static str,
    side: Side,
    seconds: u32,
    /// The requests of a second and the sum of their times or completions; the true ratio is 1.
    second: Second,
    /// The largest shares of passes and of breaches.
    most: (f64, f64),
}

/// The number of events of a Poisson process with this rate in a second.
fn poisson(rate: f64, random: &mut Xoshiro256PlusPlus) -> f64 {
    let (mut time, mut count) = (exponential(random) / rate, 0.0);
    while time < 1.0 {
        count += 1.0;
        time += exponential(random) / rate;
    }
    count
}

/// This number of requests, and the sum of their exponential times.
fn times(n: u32, random: &mut Xoshiro256PlusPlus) -> (f64, f64) {
    (f64::from(n), (0..n).map(|_| exponential(random)).sum())
}

/// Draws the counts of one second of a run.
type Second = fn(u32, &mut Xoshiro256PlusPlus) -> (f64, f64);

fn mean_rows() -> Vec<MeanRow> {
    let mean =
        |label, seconds, second: Second, most| MeanRow { label, side: Side::AtMost, seconds, second, most };
    let throughput =
        |label, seconds, second: Second, most| MeanRow { label, side: Side::AtLeast, seconds, second, most };
    vec![
        mean("mean of exponential times, 10 a second", 60, |_, random| times(10, random), (0.08, 0.08)),
        mean("mean of exponential times, one a second", 60, |_, random| times(1, random), (0.10, 0.05)),
        mean(
            "mean of exponential times, one in 3 s",
            60,
            |second, random| times(u32::from(second % 3 == 0), random),
            (0.14, 0.05),
        ),
        throughput(
            "throughput, 10/s at random",
            60,
            |_, random| (1.0, poisson(10.0, random) / 10.0),
            (0.08, 0.08),
        ),
        throughput(
            "throughput, 10/s at random",
            600,
            |_, random| (1.0, poisson(10.0, random) / 10.0),
            (0.08, 0.08),
        ),
    ]
}

#[test]
fn mean_verdicts_are_wrong_as_rarely_as_documented() {
    let mut lines = Vec::new();
    for (number, row) in (200..).zip(mean_rows()) {
        let (mut passes, mut breaches) = (0.0, 0.0);
        let each = 1.0 / f64::from(runs());
        for run in 0..runs() {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(number << 32 | u64::from(run));
            let mut blocks = BlockSums::default();
            for second in 0..row.seconds {
                let (n, k) = (row.second)(second, &mut random);
                blocks.push(n, k);
            }
            let Some(means) = BatchMeans::of(&blocks) else { continue };
            passes += each * f64::from(u8::from(means.risk(row.side, 1.0) <= ALPHA));
            breaches += each * f64::from(u8::from(means.risk(row.side.other(), 1.0) <= ALPHA));
        }
        assert!(passes <= row.most.0 && breaches <= row.most.1, "{}: {passes} {breaches}", row.label);
        let undecided = 1.0 - passes - breaches;
        let rates = [passes, undecided, breaches].map(percent);
        lines.push([vec![row.label.to_owned(), row.seconds.to_string()], rates.to_vec()].concat());
    }
    let head = ["truth exactly at the limit", "judged seconds", "passes", "inconclusive", "breaches"];
    publish("means", &table(&head, lines));
}

#[test]
fn deciding_counts_equal_the_documented_ones() {
    let counts = [
        ("p95", 0.05, 500),
        ("p95", 0.05, 5000),
        ("p99", 0.01, 500),
        ("p99", 0.01, 5000),
        ("p99.9", 0.001, 5000),
    ];
    let lines = counts.map(|(name, share, n)| {
        let of = |k: u32| Proportion::independent(f64::from(n), f64::from(k));
        let allowed = Allowed { share, alpha: ALPHA };
        let passes = (0..n).take_while(|k| of(*k).is_within(allowed)).last();
        let breaches = (0..n).find(|k| of(*k).breach_p_value(share) <= ALPHA).unwrap();
        vec![
            name.to_owned(),
            min_samples(allowed).unwrap().to_string(),
            n.to_string(),
            passes.map_or("none can".to_owned(), |k| k.to_string()),
            breaches.to_string(),
        ]
    });
    let head = ["objective", "fewest samples", "of", "pass up to", "breach from"];
    publish("counts", &table(&head, lines));
}

/// The number of the sample at which a run is aborted. `looks` holds the first sample at which the test looks, and the
/// interval between looks.
fn aborted(process: Process, objectives: usize, looks: (u32, u32), seed: u64) -> Option<u32> {
    const SAMPLES: u32 = 5000;
    let test = SequentialTest { alpha: ALPHA, objectives };
    let mut source = Samples::new(process, seed);
    let mut counted = Counted::default();
    (1..=SAMPLES).find(|number| {
        counted.push(source.next_is_slow());
        let looks_now = *number >= looks.0 && number % looks.1 == 0;
        looks_now && test.bayes_factor(&counted.share(), 0.05).proves()
    })
}

/// The same for independent samples and a look after each sample.
fn aborted_at_once(slow: f64, objectives: usize, seed: u64) -> Option<u32> {
    const SAMPLES: u32 = 5000;
    let test = SequentialTest { alpha: ALPHA, objectives };
    let mut source = Samples::new(Process::Independent(slow), seed);
    let mut k = 0;
    (1..=SAMPLES).find(|number| {
        k += u32::from(source.next_is_slow());
        test.bayes_factor(&Proportion::independent(f64::from(*number), f64::from(k)), 0.05).proves()
    })
}

struct AbortRow {
    label: &'static str,
    run: fn(u64) -> Option<u32>,
    /// The largest and the smallest share of aborted runs.
    share: (f64, f64),
    /// The smallest and the largest median sample of an abort.
    median: Option<(u32, u32)>,
}

const EVERY_SECOND: &str = "looked at after each sample, D* = 1";

fn abort_rows() -> Vec<(&'static str, AbortRow)> {
    use Process::Spells;
    let at_once = |label, run, share, median| (EVERY_SECOND, AbortRow { label, run, share, median });
    let spells = |label, run, share| {
        ("every 10 s from 300 s on, in spells of 10 s", AbortRow { label, run, share, median: None })
    };
    vec![
        at_once("exactly at the limit, alone", |seed| aborted_at_once(0.05, 1, seed), (0.06, 0.0), None),
        at_once(
            "twice as many slow as allowed, alone",
            |seed| aborted_at_once(0.10, 1, seed),
            (1.0, 0.99),
            Some((190, 230)),
        ),
        at_once(
            "twice as many slow as allowed, one of 12 objectives",
            |seed| aborted_at_once(0.10, 12, seed),
            (1.0, 0.99),
            Some((310, 370)),
        ),
        spells("half as many slow as allowed", |seed| aborted(Spells(0.025), 1, (300, 10), seed), (0.0, 0.0)),
        spells("exactly at the limit", |seed| aborted(Spells(0.05), 1, (300, 10), seed), (0.02, 0.0)),
        spells("twice as many slow as allowed", |seed| aborted(Spells(0.10), 1, (300, 10), seed), (1.0, 0.5)),
    ]
}

#[test]
fn early_aborts_are_wrong_as_rarely_as_documented() {
    let mut lines = Vec::new();
    for (number, (looks, row)) in (100..).zip(abort_rows()) {
        let mut ended: Vec<u32> =
            (0..runs()).filter_map(|run| (row.run)(number << 32 | u64::from(run))).collect();
        ended.sort_unstable();
        let share = ended.len() as f64 / f64::from(runs());
        let label = row.label;
        assert!(share <= row.share.0 && share >= row.share.1, "{label}: {share}");
        let median = ended.get(ended.len() / 2).copied();
        if let Some((low, high)) = row.median {
            assert!(median.is_some_and(|median| (low..=high).contains(&median)), "{label}: {median:?}");
        }
        let when = match median {
            Some(median) if share >= 0.5 => median.to_string(),
            _ => "–".to_owned(),
        };
        lines.push(vec![label.to_owned(), looks.to_owned(), percent(share), when]);
    }
    publish("aborts", &table(&["truth", "looked at", "ended early", "median sample"], lines));
}
