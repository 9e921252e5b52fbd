//! Drift: simulated readings over three days, and response times at the start and the end of a run, with known growth.
//! For comparison, readings are also judged by ordinary least squares.

use std::f64::consts::TAU;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use runner::statistics::{MeanRatio, mean_ratio, trend};

use crate::page::{ALPHA, exponential, percent, publish, runs, table};

/// One reading a minute for three days.
const READINGS: u32 = 72 * 60;
const MINUTE: f64 = 60.0;
const LENGTH: f64 = READINGS as f64 * MINUTE;
/// The allowed growth over the whole length, in percent.
const ALLOWED: f64 = 5.0;
/// The one-sided 5 % quantile of the standard normal distribution.
const Z: f64 = 1.645;

/// The number of series per row; smaller than that of other runs, because a series has thousands of readings.
fn series() -> u32 {
    runs() / 4
}

fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    (2.0 * exponential(random)).sqrt() * (TAU * random.random::<f64>()).cos()
}

/// Autocorrelated noise: an autoregressive process of order 1 with this coefficient and mean 0.
struct Noise {
    coefficient: f64,
    deviation: f64,
    at: f64,
}

impl Noise {
    fn new(coefficient: f64, deviation: f64, random: &mut Xoshiro256PlusPlus) -> Self {
        Self { coefficient, deviation, at: deviation * normal(random) }
    }

    fn next(&mut self, random: &mut Xoshiro256PlusPlus) -> f64 {
        let fresh = self.deviation * (1.0 - self.coefficient.powi(2)).sqrt();
        self.at = self.coefficient * self.at + fresh * normal(random);
        self.at
    }
}

/// The behaviour of a quantity without growth, with a level of 100.
#[derive(Clone, Copy)]
enum Quantity {
    /// Noise with a coefficient and a deviation.
    Noise(f64, f64),
    /// Noise that is rounded to multiples of this step.
    Steps(f64, f64, f64),
    /// Noise in which this number of single readings are 40 lower.
    Dips(f64, f64, u32),
    /// A saw-tooth above noise, with a height of 20 to 50 and a log-uniform period between these minutes.
    Saw(f64, f64),
    /// A saw-tooth in which each tooth has its own height, and a length of 0.5 to 1.5 periods.
    Uneven(f64, f64),
    /// A sine wave with a period of a day and this amplitude, and noise.
    Day(f64),
}

/// A saw-tooth, minute by minute.
struct Teeth {
    period: f64,
    uneven: bool,
    /// The elapsed part of the current tooth, from 0 to 1; its length in minutes, and its height.
    over: f64,
    length: f64,
    height: f64,
}

impl Teeth {
    fn new(quantity: Quantity, random: &mut Xoshiro256PlusPlus) -> Self {
        let (Quantity::Saw(shortest, longest) | Quantity::Uneven(shortest, longest)) = quantity else {
            return Self { period: 1.0, uneven: false, over: 0.0, length: 1.0, height: 0.0 };
        };
        let period = shortest * (longest / shortest).powf(random.random::<f64>());
        let height = 20.0 + 30.0 * random.random::<f64>();
        let uneven = matches!(quantity, Quantity::Uneven(..));
        Self { period, uneven, over: random.random::<f64>(), length: period, height }
    }

    fn next(&mut self, random: &mut Xoshiro256PlusPlus) -> f64 {
        self.over += 1.0 / self.length;
        if self.over >= 1.0 {
            self.over -= 1.0;
            if self.uneven {
                self.length = self.period * (0.5 + random.random::<f64>());
                self.height = 20.0 + 30.0 * random.random::<f64>();
            }
        }
        self.height * self.over
    }
}

/// The readings of a quantity that grows by this percentage over the whole length, as time in seconds and value.
fn readings(quantity: Quantity, percent: f64, random: &mut Xoshiro256PlusPlus) -> Vec<(f64, f64)> {
    let (coefficient, deviation) = match quantity {
        Quantity::Noise(c, d) | Quantity::Steps(c, d, _) | Quantity::Dips(c, d, _) => (c, d),
        Quantity::Saw(..) | Quantity::Uneven(..) => (0.5, 1.0),
        Quantity::Day(_) => (0.9, 2.0),
    };
    let mut noise = Noise::new(coefficient, deviation, random);
    let mut teeth = Teeth::new(quantity, random);
    let phase = random.random::<f64>();
    let mut value = |minute: f64, random: &mut Xoshiro256PlusPlus| {
        let value = 100.0 + noise.next(random);
        match quantity {
            Quantity::Noise(..) | Quantity::Dips(..) => value,
            Quantity::Steps(_, _, step) => (value / step).round() * step,
            Quantity::Saw(..) | Quantity::Uneven(..) => value + teeth.next(random),
            Quantity::Day(wave) => value + wave * (TAU * (minute / 1440.0 + phase)).sin(),
        }
    };
    let minutes = (0..READINGS).map(f64::from);
    let mut values: Vec<f64> = minutes.map(|minute| value(minute, random)).collect();
    if let Quantity::Dips(_, _, dips) = quantity {
        (0..dips).for_each(|_| values[random.random_range(0..READINGS as usize)] -= 40.0);
    }
    let grown = |minute: f64| 1.0 + percent / 100.0 * minute * MINUTE / LENGTH;
    (0..).map(f64::from).zip(values).map(|(minute, value)| (minute * MINUTE, value * grown(minute))).collect()
}

/// The lower bound of the growth over the whole length in percent, at risk α, by least squares through all readings as
/// if they were independent.
fn by_least_squares(readings: &[(f64, f64)]) -> f64 {
    let n = readings.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| readings.iter().map(of).sum::<f64>() / n;
    let (time, value) = (mean(|reading| reading.0), mean(|reading| reading.1));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| readings.iter().map(|(t, v)| of(t - time, v - value)).sum::<f64>();
    let squares = sum(&|t, _| t * t);
    let slope = sum(&|t, v| t * v) / squares;
    let error = (sum(&|t, v| (v - slope * t).powi(2)) / (n - 2.0) / squares).sqrt();
    100.0 * (slope - Z * error) * LENGTH / (value - slope * time)
}

/// The share of series in which each of these results occurred.
fn parts<const N: usize>(of: impl Fn(Xoshiro256PlusPlus) -> [bool; N], number: u64) -> [f64; N] {
    let mut counts = [0_u32; N];
    for series in 0..series() {
        let came_out = of(Xoshiro256PlusPlus::seed_from_u64(number << 32 | u64::from(series)));
        counts.iter_mut().zip(came_out).for_each(|(count, is)| *count += u32::from(is));
    }
    counts.map(|count| f64::from(count) / f64::from(series()))
}

/// The shares of series judged as no leak and as a leak, and those in which least squares finds growth and a leak.
fn judged(row: &Row, number: u64) -> [f64; 4] {
    let of = |mut random| {
        let readings = readings(row.quantity, row.percent, &mut random);
        let [low, _, high] = trend(&readings, (0.0, LENGTH), ALPHA).unwrap().over(LENGTH);
        let compared = by_least_squares(&readings);
        [high < ALLOWED, low > ALLOWED, compared > 0.0, compared > ALLOWED]
    };
    parts(of, number)
}

/// A row of the table: the simulated quantity and the permitted results.
struct Row {
    label: &'static str,
    quantity: Quantity,
    percent: f64,
    /// The smallest and the largest share of leaks.
    leaks: (f64, f64),
    /// The largest share judged as no leak.
    stays: f64,
}

fn rows() -> Vec<Row> {
    // The number is the smallest share of series in which a leak of 20 % must be found.
    let kinds = [
        ("noise of 3 %, coefficient 0.9", Quantity::Noise(0.9, 3.0), 0.98),
        ("noise of 3 %, coefficient 0.99", Quantity::Noise(0.99, 3.0), 0.98),
        ("the same in steps of 4 %", Quantity::Steps(0.99, 3.0, 4.0), 0.98),
        ("the same with two dips", Quantity::Dips(0.99, 3.0, 2), 0.97),
        ("saw-tooth of 5 min to 2 h", Quantity::Saw(5.0, 120.0), 0.98),
        ("the same, teeth uneven", Quantity::Uneven(5.0, 120.0), 0.98),
        ("saw-tooth of 2 h to 4 h", Quantity::Saw(120.0, 240.0), 0.98),
        ("daily wave of ±3 %", Quantity::Day(3.0), 0.97),
    ];
    let rows = |(label, quantity, found)| {
        let row = |percent, leaks, stays| Row { label, quantity, percent, leaks, stays };
        [row(0.0, (0.0, 0.005), 1.0), row(ALLOWED, (0.0, 0.08), 0.08), row(20.0, (found, 1.0), 0.0)]
    };
    kinds.into_iter().flat_map(rows).collect()
}

#[test]
fn drift_verdicts_are_wrong_as_rarely_as_documented() {
    let mut lines = Vec::new();
    for (number, row) in (300..).zip(rows()) {
        let [stays, leaks, line_grows, line_leaks] = judged(&row, number);
        let label = format!("{}, {} %: {leaks} {stays}", row.label, row.percent);
        assert!(leaks >= row.leaks.0, "too few leaks: {label}");
        assert!(leaks <= row.leaks.1 && stays <= row.stays, "too many: {label}");
        let undecided = (1.0 - leaks - stays).max(0.0);
        let rates = [stays, undecided, leaks, line_grows, line_leaks].map(percent);
        lines.push([vec![row.label.to_owned(), format!("{} %", row.percent)], rates.to_vec()].concat());
    }
    let head = ["truth", "grows by", "no leak", "inconclusive", "leak", "compared: grows", "compared: leak"];
    publish("drift", &table(&head, lines));
}

/// Response times of the first and the last tenth of a run.
struct RatioRow {
    label: &'static str,
    /// The number of segments of 10 s in a tenth.
    stretches: u32,
    /// Requests per segment, on average.
    requests: f64,
    /// The autoregressive coefficient between segments of the noise whose exponential scales the times.
    spells: f64,
    /// The largest share of wrong verdicts at the limit, in each direction.
    most: f64,
    /// The smallest share judged as kept at a ratio of 1, and as exceeded at 1.3.
    fewest: (f64, f64),
}

/// The limit of the ratio.
const LIMIT: f64 = 1.10;

/// A number of requests and the sum of their exponential times; for many requests the sum is drawn as normal.
fn requests(mean: f64, random: &mut Xoshiro256PlusPlus) -> (f64, f64) {
    if mean >= 100.0 {
        return (mean, (mean + mean.sqrt() * normal(random)).max(0.0));
    }
    let (mut n, mut sum, mut at) = (0.0, 0.0, exponential(random));
    while at < mean {
        n += 1.0;
        sum += exponential(random);
        at += exponential(random);
    }
    (n, sum)
}

fn stretches(row: &RatioRow, mean: f64, random: &mut Xoshiro256PlusPlus) -> Vec<(f64, f64)> {
    let deviation = if row.spells > 0.0 { 0.1 } else { 0.0 };
    let mut spells = Noise::new(row.spells, deviation, random);
    let stretch = |_| {
        let (n, sum) = requests(row.requests, random);
        (n, sum * mean * spells.next(random).exp())
    };
    (0..row.stretches).map(stretch).collect()
}

/// The shares of runs in which the ratio is judged as kept and as exceeded.
fn ratios(row: &RatioRow, truth: f64, number: u64) -> [f64; 2] {
    let of = |mut random| {
        let first = stretches(row, 1.0, &mut random);
        let last = stretches(row, truth, &mut random);
        let MeanRatio { low, high, .. } = mean_ratio(&first, &last, ALPHA).unwrap();
        [high < LIMIT, low > LIMIT]
    };
    parts(of, number)
}

fn ratio_rows() -> [RatioRow; 5] {
    let row = |label, stretches, requests, spells| {
        move |most, fewest| RatioRow { label, stretches, requests, spells, most, fewest }
    };
    [
        row("an hour, 10 requests a second", 36, 100.0, 0.0)(0.06, (0.98, 0.99)),
        row("an hour, one request in 5 s", 36, 2.0, 0.0)(0.06, (0.1, 0.1)),
        row("an hour, 10 a second, slow spells of 30 s", 36, 100.0, 0.7)(0.14, (0.5, 0.9)),
        row("eight hours, slow spells of 30 s", 288, 100.0, 0.7)(0.08, (0.98, 0.99)),
        row("three days, slow spells of 5 min", 2592, 100.0, 0.967)(0.08, (0.98, 0.99)),
    ]
}

#[test]
fn ratio_verdicts_are_wrong_as_rarely_as_documented() {
    let mut lines = Vec::new();
    for (number, row) in (400..).step_by(3).zip(ratio_rows()) {
        let rates = [(0, 1.0), (1, LIMIT), (2, 1.3)].map(|(at, truth)| ratios(&row, truth, number + at));
        let [same, limit, slower] = rates;
        let label = format!("{}: {rates:?}", row.label);
        assert!(limit[0] <= row.most && limit[1] <= row.most, "too many: {label}");
        assert!(same[1] <= 0.02 && slower[0] <= 0.02, "too many: {label}");
        assert!(same[0] >= row.fewest.0 && slower[1] >= row.fewest.1, "too few: {label}");
        for (truth, [kept, exceeded]) in ["1.00", "1.10", "1.30"].into_iter().zip(rates) {
            let rates = [kept, 1.0 - kept - exceeded, exceeded].map(|rate| percent(rate.max(0.0)));
            lines.push([vec![row.label.to_owned(), truth.to_owned()], rates.to_vec()].concat());
        }
    }
    publish("ratio", &table(&["truth", "ratio", "kept", "inconclusive", "exceeded"], lines));
}
