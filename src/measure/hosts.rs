//! Readings of hosts over the judged periods of a phase.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use crate::measure::reading::Reading;
use crate::measure::rollup::{Rollup, RollupItem};
use crate::plan::model::{HostId, JudgedPeriod, Monitor, Phase};
use crate::resources::metric::Metric;
use crate::resources::reading::CounterReset;
use crate::resources::ticks::Ticks;

/// Readings are averaged over this time, in seconds, before a percentile is taken.
pub const MINUTE_S: f64 = 60.0;
/// A trend is fitted to at most this many slices, each with its lowest reading.
const MAX_LOW_SLICES: usize = 1920;
/// A metric over time has at most this many slices.
const MAX_SLICES: usize = 900;
/// At most this many troubles of a host are kept.
const MAX_TROUBLES: usize = 100;

/// Why a rate at the start of a judged period is unknown.
const NO_BASELINE: &str = "the previous snapshot failed";

/// The readings of a phase.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhaseReadings {
    /// The start of the phase.
    pub started_at: Option<Timestamp>,
    /// The ticks at which hosts are read. `None` without hosts.
    pub ticks: Option<Ticks>,
    /// The ticks whose readings are judged: a range for each judged period.
    pub expected: Vec<Range<u32>>,
    /// By host.
    pub hosts: Vec<HostSummary>,
}

/// The readings of a host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostSummary {
    /// The measured metrics, over the judged periods.
    pub series: BTreeMap<Metric, Series>,
    /// The metrics before the first judged reading, as long as there is none.
    pub lead_in: BTreeMap<Metric, Series>,
    /// By metric: the number of readings at the start of each judged period that look back to before it.
    pub early: BTreeMap<Metric, u32>,
    /// Why a metric is missing, as of the last time.
    pub missing: BTreeMap<Metric, String>,
    /// The ticks with a reading of any metric.
    pub read_ticks: TickRanges,
    /// The time that these readings cover, in seconds.
    pub seconds: f64,
    /// The first hundred troubles.
    pub troubles: Vec<Trouble>,
    /// The ticks with a counter reset since the first judged period began, and the kind of reset.
    pub counter_resets: Vec<(u32, CounterReset)>,
    /// The metrics over the whole phase.
    pub timelines: BTreeMap<Metric, Rollup<ReadingSlice>>,
    /// The last tick with a measurement. The next reading covers the time since then.
    last: u32,
}

/// A trouble of a host, such as a failed snapshot or a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The ticks at which it lasted.
    pub ticks: Range<u32>,
    pub message: String,
}

/// One metric of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The ticks with a reading of this metric.
    pub seen: TickRanges,
    /// The time that the readings cover, in seconds.
    pub seconds: f64,
    pub lowest: f64,
    /// The highest. Readings that were cut short do not count.
    pub highest: f64,
    pub last: f64,
    /// The capacity, as of the last reading.
    pub most: Option<f64>,
    /// The sum of reading × seconds covered: of a rate, the total amount.
    pub total: f64,
    /// Minutes of the judged periods, counted from the start of each period.
    pub minutes: Vec<Minute>,
    /// The lowest reading of each slice, with its second in the phase.
    pub lows: Rollup<Low>,
}

/// A minute of readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minute {
    /// The index of the judged period.
    pub stretch: u16,
    /// The index of the minute in that period.
    pub place: u32,
    /// The time that its readings cover, in seconds.
    pub seconds: f64,
    /// The sum of reading × seconds covered.
    pub total: f64,
    /// The highest. Readings that were cut short do not count.
    pub highest: f64,
}

/// The lowest reading of a slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Low {
    /// Seconds from the start of the phase.
    pub at: f64,
    /// In the metric's unit.
    pub value: f64,
}

impl RollupItem for Low {
    fn join(&mut self, later: Self) {
        if later.value < self.value {
            *self = later;
        }
    }
}

/// The readings of a metric in a slice of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadingSlice {
    pub lowest: f64,
    pub highest: f64,
    pub sum: f64,
    pub count: u32,
}

impl ReadingSlice {
    fn of(value: f64) -> Self {
        Self { lowest: value, highest: value, sum: value, count: 1 }
    }

    /// The mean of its readings.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

impl RollupItem for ReadingSlice {
    fn join(&mut self, later: Self) {
        self.lowest = self.lowest.min(later.lowest);
        self.highest = self.highest.max(later.highest);
        self.sum += later.sum;
        self.count += later.count;
    }
}

/// A set of ticks, stored as ranges because most of them are consecutive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickRanges(Vec<Range<u32>>);

/// The expected readings that exist, and those that are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The number of expected readings.
    pub expected: u32,
    /// The number of expected readings that exist.
    pub seen: u32,
    /// The missing ticks, as ranges.
    pub holes: Vec<Range<u32>>,
}

impl TickRanges {
    fn push(&mut self, number: u32) {
        match self.0.last_mut().filter(|last| last.end == number) {
            Some(last) => last.end += 1,
            None => self.0.push(number..number + 1),
        }
    }

    /// The last tick.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|run| run.end - 1)
    }

    /// The last tick before another one.
    pub fn last_before(&self, tick: u32) -> Option<u32> {
        let before = self.0.iter().filter(|run| run.start < tick);
        before.map(|run| run.end.min(tick) - 1).next_back()
    }

    /// The coverage of the expected ticks.
    pub fn coverage(&self, expected: &[Range<u32>]) -> Coverage {
        let mut coverage = Coverage::default();
        for range in expected {
            let mut next = range.start;
            for run in self.0.iter().filter(|run| run.end > range.start && run.start < range.end) {
                let inside = run.start.max(range.start)..run.end.min(range.end);
                coverage.seen += inside.end - inside.start;
                coverage.holes.extend((next < inside.start).then_some(next..inside.start));
                next = inside.end;
            }
            coverage.expected += range.end - range.start;
            coverage.holes.extend((next < range.end).then_some(next..range.end));
        }
        coverage
    }
}

impl PhaseReadings {
    /// An empty record for the hosts of a phase.
    pub fn of(monitor: &Monitor, phase: &Phase) -> Self {
        Self {
            started_at: None,
            ticks: Some(monitor.ticks(phase)),
            expected: monitor.expected(phase),
            hosts: (0..)
                .map(HostId)
                .take(monitor.hosts.len())
                .map(|id| HostSummary::of(monitor, id))
                .collect(),
        }
    }

    /// The ticks whose readings of a metric are judged.
    pub fn expected_of(&self, host: &HostSummary, metric: Metric) -> Vec<Range<u32>> {
        let early = host.early.get(&metric).copied().unwrap_or(0);
        self.expected.iter().map(|range| (range.start + early).min(range.end)..range.end).collect()
    }

    /// Adds a reading. Outside the judged periods its values do not count, but its troubles do.
    pub fn add(&mut self, reading: &Reading) {
        let Some(ticks) = self.ticks else { return };
        let Some(host) = self.hosts.get_mut(reading.host.index()) else { return };
        let stretch = self.expected.iter().position(|range| range.contains(&reading.tick));
        let values = &reading.values;
        values.troubles.iter().for_each(|message| host.trouble(reading.tick, message));
        let has_begun = self.expected.first().is_some_and(|range| reading.tick >= range.start);
        host.counter_resets
            .extend(values.counter_reset.filter(|_| has_begun).map(|what| (reading.tick, what)));
        host.missing.extend(values.missing.iter().cloned());
        if values.measured.is_empty() {
            return;
        }
        let last = std::mem::replace(&mut host.last, reading.tick);
        for (metric, value) in &values.measured {
            let new = || Rollup::new(ticks.every, MAX_SLICES);
            let timeline = host.timelines.entry(*metric).or_insert_with(new);
            timeline.push(ticks.at(reading.tick), ReadingSlice::of(*value));
        }
        let Some(stretch) = stretch else {
            if host.series.is_empty() {
                host.read_lead_in(reading, ticks);
            }
            return;
        };
        host.lead_in.clear();
        let begins = self.expected[stretch].start;
        let place = (f64::from(reading.tick - begins) * ticks.every / MINUTE_S) as u32;
        // A rate that covers much time before the judged period would report that time, too.
        let early = reading.covered_s > 0.0 && last + 1 < begins;
        let covered_s = if reading.covered_s > 0.0 && !early { reading.covered_s } else { ticks.every };
        host.read_ticks.push(reading.tick);
        host.seconds += covered_s;
        let at = ReadingPosition {
            tick: reading.tick,
            second: ticks.at(reading.tick),
            stretch: stretch as u16,
            place,
            covered_s,
        };
        for (metric, value) in &values.measured {
            if reading.tick < begins + host.early.get(metric).copied().unwrap_or(0) {
                continue;
            }
            if early && metric.is_rate() {
                host.missing.insert(*metric, NO_BASELINE.to_owned());
                continue;
            }
            let new = || Series::new(ticks.every);
            let series = host.series.entry(*metric).or_insert_with(new);
            series.add(at, *value, covered_s >= ticks.every / 2.0);
            let most = values.most.iter().find(|(known, _)| known == metric);
            series.most = most.map(|(_, most)| *most).or(series.most);
        }
    }

    /// Ends the phase. Only these periods of it are judged.
    pub fn finish(&mut self, judged: &[JudgedPeriod]) {
        let Some(ticks) = self.ticks else { return };
        for (range, judged) in self.expected.iter_mut().zip(judged) {
            let within = ticks.within(f64::from(judged.from), judged.to);
            range.end = range.end.min(within.end).max(range.start);
        }
    }

    /// The wall-clock time of a tick.
    pub fn time_of(&self, tick: u32) -> Option<Timestamp> {
        let offset = jiff::SignedDuration::from_secs_f64(self.ticks?.at(tick));
        self.started_at?.checked_add(offset).ok()
    }

    /// Whether all of a minute is judged.
    pub fn whole(&self, minute: &Minute) -> bool {
        let Some(ticks) = self.ticks else { return false };
        let Some(range) = self.expected.get(usize::from(minute.stretch)) else { return false };
        f64::from(range.end - range.start) * ticks.every + 1e-6 >= f64::from(minute.place + 1) * MINUTE_S
    }
}

impl HostSummary {
    fn of(monitor: &Monitor, id: HostId) -> Self {
        let early = Metric::ALL.iter().map(|metric| (*metric, monitor.early_readings(id, *metric)));
        Self { early: early.filter(|(_, early)| *early > 0).collect(), ..Self::default() }
    }

    /// The metrics to show: those of the judged periods, or of the whole phase if it ended before them.
    pub fn shown(&self) -> &BTreeMap<Metric, Series> {
        if self.series.is_empty() { &self.lead_in } else { &self.series }
    }

    /// Adds a reading from before the judged periods.
    fn read_lead_in(&mut self, reading: &Reading, ticks: Ticks) {
        let covered_s = if reading.covered_s > 0.0 { reading.covered_s } else { ticks.every };
        let second = ticks.at(reading.tick);
        let place = (second / MINUTE_S) as u32;
        let at = ReadingPosition { tick: reading.tick, second, stretch: 0, place, covered_s };
        for (metric, value) in &reading.values.measured {
            let series = self.lead_in.entry(*metric).or_insert_with(|| Series::new(ticks.every));
            series.add(at, *value, covered_s >= ticks.every / 2.0);
        }
    }

    /// Adds a trouble. A trouble that continues extends its entry.
    fn trouble(&mut self, tick: u32, message: &str) {
        let is_ongoing = |before: &Trouble| before.ticks.end == tick && before.message == message;
        if let Some(place) = self.troubles.iter().rposition(is_ongoing) {
            self.troubles[place].ticks.end += 1;
        } else if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(Trouble { ticks: tick..tick + 1, message: message.to_owned() });
        }
    }
}

/// The position of a reading in the phase.
#[derive(Clone, Copy)]
struct ReadingPosition {
    tick: u32,
    second: f64,
    stretch: u16,
    place: u32,
    covered_s: f64,
}

impl Series {
    fn new(every: f64) -> Self {
        Self {
            seen: TickRanges::default(),
            seconds: 0.0,
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            last: 0.0,
            most: None,
            total: 0.0,
            minutes: Vec::new(),
            lows: Rollup::new(every, MAX_LOW_SLICES),
        }
    }

    /// Adds a reading. If `whole` is false, a late snapshot cut it short: it counts in the mean with its own
    /// weight, but not as a peak.
    fn add(&mut self, at: ReadingPosition, value: f64, whole: bool) {
        self.seen.push(at.tick);
        self.seconds += at.covered_s;
        self.total += value * at.covered_s;
        self.lowest = self.lowest.min(value);
        self.last = value;
        self.lows.push(at.second, Low { at: at.second, value });
        let highest = if whole { value } else { f64::NEG_INFINITY };
        self.highest = self.highest.max(highest);
        let (seconds, total) = (at.covered_s, value * at.covered_s);
        let same = |minute: &&mut Minute| (minute.stretch, minute.place) == (at.stretch, at.place);
        match self.minutes.last_mut().filter(same) {
            Some(minute) => {
                minute.seconds += seconds;
                minute.total += total;
                minute.highest = minute.highest.max(highest);
            }
            None => {
                self.minutes.push(Minute { stretch: at.stretch, place: at.place, seconds, total, highest });
            }
        }
    }

    /// The number of readings.
    pub fn count(&self) -> u32 {
        self.seen.0.iter().map(|run| run.end - run.start).sum()
    }

    /// The mean of all readings, weighted by the time that each covers.
    pub fn mean(&self) -> f64 {
        self.total / self.seconds
    }
}

impl Minute {
    /// The mean of its readings, weighted by the time that each covers.
    pub fn mean(&self) -> f64 {
        self.total / self.seconds
    }
}

/// The quantile of a `part` from 0 to 1: the smallest value that at least this share of the values does not
/// exceed. `None` without values.
pub fn quantile(values: &mut [f64], part: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (part * values.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests;
