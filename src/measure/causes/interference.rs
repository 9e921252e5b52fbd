//! Interference: compares the response times of the other operations while one operation is in flight with
//! their times while it is not.

use std::collections::BTreeMap;

use crate::measure::mean::Mean;
use crate::measure::window::Window;
use crate::plan::model::OperationId;

/// Only this many operations of a plan, the first ones, are compared with each other: memory grows with the
/// square of their number.
pub const MAX_OPERATIONS: u16 = 24;
/// The fewest seconds on each side, and the fewest changes from one side to the other.
const MIN_SECONDS: u64 = 5;
/// The others must take at least this many times as long, and this many milliseconds longer.
const MIN_RATIO: f64 = 2.0;
const MIN_EXTRA_MS: f64 = 5.0;
/// From this ratio on, a single other operation counts as slowed.
const MIN_RATIO_OF_EACH: f64 = 1.5;
const MIN_CORRELATION: f64 = 0.5;
/// Standard errors of the correlation, and of the mean change.
const MIN_T: f64 = 4.0;
const MIN_T_OF_CHANGE: f64 = 3.0;
/// If the next operation correlates nearly as well, both follow another cause.
const MIN_CORRELATION_LEAD: f64 = 0.1;

/// For each operation, the others' times in the seconds with and without it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InterferenceDetector {
    sources: BTreeMap<OperationId, InterferenceSource>,
    /// By operation: its own times in all seconds.
    each: BTreeMap<OperationId, SecondSums>,
    /// The times of all operations in all seconds.
    all: SecondSums,
}

/// An operation that may slow the others.
#[derive(Debug, Clone, Default, PartialEq)]
struct InterferenceSource {
    others: PresenceSplit,
    each: BTreeMap<OperationId, PresenceSplit>,
    changes: PresenceChanges,
    /// Whether it was in flight in the previous second, and the others' mean time then, in milliseconds.
    before: Option<(bool, f64)>,
}

/// The seconds in which a source was in flight, and those in which it was not.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct PresenceSplit {
    with: SecondSums,
    without: SecondSums,
}

/// Seconds with response times, and the sums of their mean times in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct SecondSums {
    seconds: u64,
    times: Mean,
    y: f64,
    yy: f64,
}

/// Pairs of consecutive seconds of which only one has the source in flight: the sums of the others' mean time
/// with it minus that without it, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct PresenceChanges {
    n: f64,
    d: f64,
    dd: f64,
}

/// An operation in whose presence the others are slower.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interference {
    pub operation: OperationId,
    /// Seconds with it in flight, and the mean time of the others in them, in ms.
    pub with: (u64, f64),
    /// Seconds without it in flight, and the mean time of the others in them, in ms.
    pub without: (u64, f64),
    /// Pearson's correlation of its presence with the others' mean time, second by second.
    pub correlation: f64,
}

impl SecondSums {
    fn push(&mut self, times: Mean) {
        let Some(mean) = times.ms() else { return };
        self.seconds += 1;
        self.times.add(times);
        self.y += mean;
        self.yy += mean * mean;
    }

    /// The mean of the seconds' means.
    fn level(self) -> f64 {
        self.y / self.seconds.max(1) as f64
    }
}

impl PresenceSplit {
    fn push(&mut self, is_active: bool, times: Mean) {
        if is_active { self.with.push(times) } else { self.without.push(times) }
    }

    fn ratio(self) -> Option<f64> {
        Some(self.with.times.ms()? / self.without.times.ms()?.max(1e-3))
    }

    /// Pearson's correlation of its presence (1 or 0) with the mean time of a second.
    fn correlation(self) -> f64 {
        let (with, without) = (self.with.seconds as f64, self.without.seconds as f64);
        let n = with + without;
        let mean = (self.with.y + self.without.y) / n;
        let squares = self.with.yy + self.without.yy - n * mean * mean;
        let apart = self.with.level() - self.without.level();
        if squares > 0.0 { apart * (with * without / n / squares).sqrt() } else { 0.0 }
    }
}

impl PresenceChanges {
    fn push(&mut self, longer: f64) {
        self.n += 1.0;
        self.d += longer;
        self.dd += longer * longer;
    }

    /// The mean change, and its ratio to its standard error.
    fn mean_and_t(self) -> Option<(f64, f64)> {
        let mean = self.d / self.n;
        let variance = (self.dd - self.n * mean * mean).max(0.0) / (self.n - 1.0);
        (self.n >= MIN_SECONDS as f64).then(|| (mean, mean / (variance / self.n).sqrt().max(1e-9)))
    }
}

impl InterferenceDetector {
    /// Adds the next judged second, with the operations in flight in it.
    pub fn add_second(&mut self, active: &[OperationId], window: &Window) {
        let known = |operation: &OperationId| operation.0 < MAX_OPERATIONS;
        let times: BTreeMap<OperationId, Mean> = window
            .cells
            .iter()
            .filter(|(operation, cell)| known(operation) && cell.response.count() > 0)
            .map(|(operation, cell)| {
                let sum_ms = cell.response.sum() as f64 / 1000.0;
                (*operation, Mean { requests: cell.response.count(), sum_ms })
            })
            .collect();
        for operation in active.iter().filter(|operation| known(operation)) {
            // It was not in flight in any earlier second.
            self.sources
                .entry(*operation)
                .or_insert_with(|| InterferenceSource::absent(self.all, &self.each));
        }
        for (operation, source) in &mut self.sources {
            let others = times.iter().filter(|(other, _)| *other != operation);
            source.add_second(active.contains(operation), others);
        }
        self.all.push(sum(times.values()));
        for (operation, times) in &times {
            self.each.entry(*operation).or_default().push(*times);
        }
    }

    /// Marks a break in time: the next judged second does not directly follow the previous one.
    pub fn cut(&mut self) {
        self.sources.values_mut().for_each(|source| source.before = None);
    }

    /// The operation that slows the others, if the data show one and no other is nearly as likely.
    pub fn detect(&self) -> Option<Interference> {
        let mut likely: Vec<(f64, OperationId, &InterferenceSource)> = self
            .sources
            .iter()
            .filter(|(_, source)| source.is_slower())
            .map(|(operation, source)| (source.others.correlation(), *operation, source))
            .collect();
        likely.sort_by(|one, other| other.0.total_cmp(&one.0));
        let (correlation, operation, source) = *likely.first()?;
        let ahead = likely.get(1).is_none_or(|(next, ..)| correlation - next >= MIN_CORRELATION_LEAD);
        let PresenceSplit { with, without } = source.others;
        (ahead && source.is_certain()).then_some(Interference {
            operation,
            with: (with.seconds, with.times.ms()?),
            without: (without.seconds, without.times.ms()?),
            correlation,
        })
    }
}

fn sum<'m>(means: impl Iterator<Item = &'m Mean>) -> Mean {
    means.fold(Mean::default(), |mut sum, mean| {
        sum.add(*mean);
        sum
    })
}

impl InterferenceSource {
    /// A source that was not in flight in any second so far.
    fn absent(all: SecondSums, each: &BTreeMap<OperationId, SecondSums>) -> Self {
        let sides = |without: &SecondSums| PresenceSplit { without: *without, ..PresenceSplit::default() };
        let each = each.iter().map(|(operation, seconds)| (*operation, sides(seconds))).collect();
        Self { others: sides(&all), each, ..Self::default() }
    }

    fn add_second<'o>(
        &mut self,
        is_active: bool,
        others: impl Iterator<Item = (&'o OperationId, &'o Mean)> + Clone,
    ) {
        for (other, times) in others.clone() {
            self.each.entry(*other).or_default().push(is_active, *times);
        }
        let times = sum(others.map(|(_, times)| times));
        self.others.push(is_active, times);
        let now = times.ms().map(|mean| (is_active, mean));
        match (self.before, now) {
            (Some((true, with)), Some((false, without))) | (Some((false, without)), Some((true, with))) => {
                self.changes.push(with - without);
            }
            _ => {}
        }
        self.before = now;
    }

    /// Whether the others take much longer in the seconds with it.
    fn is_slower(&self) -> bool {
        let PresenceSplit { with, without } = self.others;
        let enough = with.seconds >= MIN_SECONDS && without.seconds >= MIN_SECONDS;
        let more = with
            .times
            .ms()
            .zip(without.times.ms())
            .is_some_and(|(with, without)| with >= MIN_RATIO * without && with - without >= MIN_EXTRA_MS);
        enough && more
    }

    /// Whether the slowdown is not explained by chance, by a load that changes slowly, or by a different mix
    /// of the other operations.
    fn is_certain(&self) -> bool {
        let PresenceSplit { with, without } = self.others;
        let r = self.others.correlation();
        let t = r * ((with.seconds + without.seconds - 2) as f64 / (1.0 - r * r).max(1e-9)).sqrt();
        let apart = with.level() - without.level();
        let comes_with_it =
            self.changes.mean_and_t().is_some_and(|(mean, t)| mean >= apart / 2.0 && t >= MIN_T_OF_CHANGE);
        let requests = |sides: &PresenceSplit| sides.with.times.requests;
        let slowed =
            self.each.values().filter(|sides| sides.ratio().is_some_and(|ratio| ratio >= MIN_RATIO_OF_EACH));
        let most = 2 * slowed.map(requests).sum::<u64>() >= with.times.requests;
        r >= MIN_CORRELATION && t >= MIN_T && comes_with_it && most
    }
}
