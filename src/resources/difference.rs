//! Two looks at a host, one after the other, as what was used between them.

use std::collections::BTreeMap;

use crate::resources::look::{Cpu, Disk, Level, Look, Traffic};
use crate::resources::metric::Metric;
use crate::resources::reading::Values;

/// The kernel counts the milliseconds of a disk in 32 bits: after so many seconds it begins at 0.
const SECONDS_OF_A_DISK: f64 = 4_294_967.296;
/// Old kernels count bytes of network devices in 32 bits.
const BYTES_OF_A_DEVICE: f64 = 4_294_967_296.0;
/// Old kernels count a disk's sectors of 512 bytes in 32 bits.
const BYTES_OF_A_DISK: f64 = BYTES_OF_A_DEVICE * 512.0;
/// A counter that went back has wrapped if it then went on by less than this share of its range; else it was reset.
const WRAPPED: f64 = 0.25;
/// Sums of ticks may differ by so many seconds without anything having gone back.
const ROUNDING: f64 = 0.05;
/// An age is told by two clocks of whole seconds: it shrank where it did so by more, in seconds.
const SHRANK: f64 = 1.0;
/// A clock was set where it and the age went on by times that differ by more, in seconds.
const SET: f64 = 1.5;

/// The time between two looks, in seconds; of a clock that was set in between, as the host's age tells it. A clock that
/// began anew tells of none.
pub fn covers(before: &Look, now: &Look) -> f64 {
    let elapsed = now.at - before.at;
    if is_new_life(before, now) {
        return elapsed.max(0.0);
    }
    match (before.life.age, now.life.age) {
        (Some(earlier), Some(later))
            if !is_new_life(before, now) && (later - earlier - elapsed).abs() > SET =>
        {
            later - earlier
        }
        _ => elapsed,
    }
}

/// What was used between two looks at the same host, and what is so at the second of them.
///
/// After a reboot or a restart there are only levels. Where no time has passed by the host's clock there is nothing at
/// all: whoever answers tells what was so before. A counter that went back makes its metrics missing, unless it has only
/// wrapped.
pub fn between(before: &Look, now: &Look) -> Values {
    let mut difference = Difference { elapsed: covers(before, now), ..Difference::default() };
    if is_new_life(before, now) {
        difference.values.anew = true;
        difference.values.troubles.push(began(now));
    } else if difference.elapsed <= 0.0 || !difference.elapsed.is_finite() {
        return Values::nothing("no time has passed between two looks by the host's clock");
    } else {
        difference.processor(before.cpu, now.cpu);
        difference.pressure(before.pressure, now.pressure);
        difference.disks(before.disks.as_ref(), now.disks.as_ref());
        difference.network(before.network.as_ref(), now.network.as_ref());
    }
    difference.levels(&now.levels);
    difference.finish(now)
}

fn is_new_life(before: &Look, now: &Look) -> bool {
    let shrank = match (before.life.age, now.life.age) {
        (Some(earlier), Some(later)) => later + SHRANK < earlier,
        _ => false,
    };
    before.life.began != now.life.began || shrank
}

fn began(now: &Look) -> String {
    match now.life.age {
        Some(age) => format!("{} {age:.0} s ago", now.life.began),
        None => now.life.began.clone(),
    }
}

/// How far a counter went on; of one that went back, only if `range` tells where it begins anew.
fn advance(before: f64, now: f64, range: Option<f64>) -> Option<f64> {
    if now >= before {
        return Some(now - before);
    }
    let range = range.filter(|range| before < *range)?;
    let wrapped = now + range - before;
    (wrapped < range * WRAPPED).then_some(wrapped)
}

/// What has been found out about the time between two looks.
#[derive(Default)]
struct Difference {
    /// Seconds; more than 0 wherever a rate is made of it.
    elapsed: f64,
    values: Values,
}

impl Difference {
    fn measured(&mut self, metric: Metric, value: f64) {
        if value.is_finite() && value >= 0.0 {
            self.values.measured.push((metric, value));
        } else {
            self.missing(metric, format!("{value} cannot be"));
        }
    }

    fn missing(&mut self, metric: Metric, why: impl Into<String>) {
        self.values.missing.push((metric, why.into()));
    }

    /// A share of the time, in percent; clocks that are read one after another may make it a little more than all.
    fn percent(&mut self, metric: Metric, part: f64, whole: f64) {
        self.measured(metric, (part / whole * 100.0).clamp(0.0, 100.0));
    }

    fn processor(&mut self, before: Option<Cpu>, now: Option<Cpu>) {
        match (before, now) {
            (_, None) => {}
            (Some(before @ Cpu::Machine { .. }), Some(now @ Cpu::Machine { .. })) => {
                self.machine(before, now);
            }
            (Some(before @ Cpu::Part { .. }), Some(now @ Cpu::Part { .. })) => {
                self.part(before, now);
            }
            _ => self.missing(Metric::Cpu, NOT_BEFORE),
        }
    }

    fn machine(&mut self, before: Cpu, now: Cpu) {
        let (Cpu::Machine { cores: earlier, .. }, Cpu::Machine { cores: later, .. }) = (before, now) else {
            return;
        };
        let why = if earlier == later {
            let [busy, idle, iowait] =
                [Part::Busy, Part::Idle, Part::Iowait].map(|part| part.of(now) - part.of(before));
            let (once, steal) = (stolen(before), stolen(now));
            if once.is_some() != steal.is_some() {
                "what a hypervisor stole was not counted at both looks".to_owned()
            } else if busy >= -ROUNDING && steal >= once.map(|once| once - ROUNDING) {
                let busy = busy.max(0.0);
                // The kernel lets idle and iowait go back; that must not make the rest look larger or smaller.
                let total = busy + idle.max(0.0) + iowait.max(0.0);
                if total > 0.0 {
                    self.percent(Metric::Cpu, busy, total);
                    if let Some((once, steal)) = once.zip(steal) {
                        self.percent(Metric::Steal, steal - once, total);
                    }
                    return;
                }
                "no processor time was counted between two looks".to_owned()
            } else {
                "the processor's counters were reset".to_owned()
            }
        } else {
            format!("the number of cores changed from {earlier} to {later}")
        };
        self.missing(Metric::Cpu, why.clone());
        self.missing(Metric::Steal, why);
    }

    fn part(&mut self, before: Cpu, now: Cpu) {
        let (Cpu::Part { used: earlier, limited: once, .. }, Cpu::Part { used: later, cores, limited }) =
            (before, now)
        else {
            return;
        };
        if later - earlier >= -ROUNDING {
            self.percent(Metric::Cpu, later - earlier, cores * self.elapsed);
        } else {
            self.missing(Metric::Cpu, "the counted processor time went back: a part of it ended uncounted");
        }
        let Some((periods, reached)) = limited else { return };
        let (earlier, once) = once.unwrap_or((periods, reached));
        match (advance(earlier, periods, None), advance(once, reached, None)) {
            // Periods pass only while there is something to do.
            (Some(0.0), Some(_)) => self.measured(Metric::Throttled, 0.0),
            (Some(periods), Some(reached)) => self.percent(Metric::Throttled, reached, periods),
            _ => self.missing(Metric::Throttled, "the counted periods were reset"),
        }
    }

    fn pressure(&mut self, before: Option<f64>, now: Option<f64>) {
        let Some(now) = now else { return };
        match before.map(|before| advance(before, now, None)) {
            Some(Some(waited)) => self.percent(Metric::DiskPressure, waited, self.elapsed),
            Some(None) => self.missing(Metric::DiskPressure, "the counted waiting was reset"),
            None => self.missing(Metric::DiskPressure, NOT_BEFORE),
        }
    }

    fn disks(&mut self, before: Option<&BTreeMap<String, Disk>>, now: Option<&BTreeMap<String, Disk>>) {
        let Some(now) = now else { return };
        // Where only bytes are counted, they are counted in 64 bits.
        let timed = now.values().any(|disk| disk.busy.is_some());
        let bytes = timed.then_some(BYTES_OF_A_DISK);
        let all = Devices { what: "disk", before, now, elapsed: self.elapsed };
        if timed {
            let busiest = all.largest(|disk| disk.busy, Some(SECONDS_OF_A_DISK));
            self.known(Metric::DiskIo, busiest.map(|share| (share * 100.0).min(100.0)));
            let longest = all.largest(|disk| disk.queued, Some(SECONDS_OF_A_DISK));
            self.known(Metric::DiskQueue, longest);
        }
        let read = all.sum(|disk| disk.read, bytes);
        self.known(Metric::DiskRead, read);
        let written = all.sum(|disk| disk.written, bytes);
        self.known(Metric::DiskWrite, written);
    }

    fn network(
        &mut self,
        before: Option<&BTreeMap<String, Traffic>>,
        now: Option<&BTreeMap<String, Traffic>>,
    ) {
        let Some(now) = now else { return };
        let all = Devices { what: "network device", before, now, elapsed: self.elapsed };
        let received = all.sum(|device| device.received, Some(BYTES_OF_A_DEVICE));
        self.known(Metric::NetworkIn, received);
        let sent = all.sum(|device| device.sent, Some(BYTES_OF_A_DEVICE));
        self.known(Metric::NetworkOut, sent);
    }

    fn known(&mut self, metric: Metric, rate: Result<f64, String>) {
        match rate {
            Ok(rate) => self.measured(metric, rate),
            Err(why) => self.missing(metric, why),
        }
    }

    fn levels(&mut self, levels: &BTreeMap<Metric, Level>) {
        for (metric, level) in levels {
            // Not even a zero has a sign.
            self.measured(*metric, level.value + 0.0);
            self.values.most.extend(level.most.map(|most| (*metric, most)));
        }
    }

    /// Adds what the second look says is missing, whose reasons are the better ones, and puts all in order.
    fn finish(self, now: &Look) -> Values {
        let mut values = self.values;
        values.missing.retain(|(metric, _)| !now.missing.contains_key(metric));
        for (metric, why) in &now.missing {
            if values.of(*metric).is_none() {
                values.missing.push((*metric, why.clone()));
            }
        }
        values.measured.sort_by_key(|(metric, _)| *metric);
        values.missing.sort_by_key(|(metric, _)| *metric);
        values
    }
}

const NOT_BEFORE: &str = "it was not counted at the look before";

/// What a machine's processor time is divided into here.
#[derive(Clone, Copy)]
enum Part {
    /// All that is not waiting, with what was stolen.
    Busy,
    Idle,
    Iowait,
}

fn stolen(cpu: Cpu) -> Option<f64> {
    match cpu {
        Cpu::Machine { steal, .. } => steal,
        Cpu::Part { .. } => None,
    }
}

impl Part {
    fn of(self, cpu: Cpu) -> f64 {
        match (cpu, self) {
            (Cpu::Machine { total, idle, iowait, .. }, Self::Busy) => total - idle - iowait,
            (Cpu::Machine { idle, .. }, Self::Idle) => idle,
            (Cpu::Machine { iowait, .. }, Self::Iowait) => iowait,
            (Cpu::Part { used, .. }, _) => used,
        }
    }
}

/// The same kind of devices at two looks.
struct Devices<'a, T> {
    what: &'static str,
    before: Option<&'a BTreeMap<String, T>>,
    now: &'a BTreeMap<String, T>,
    elapsed: f64,
}

impl<T> Devices<'_, T> {
    /// The rates per second of all devices that were there at both looks.
    fn rates(&self, counter: fn(&T) -> Option<f64>, range: Option<f64>) -> Result<Vec<f64>, String> {
        let Some(before) = self.before else { return Err(NOT_BEFORE.to_owned()) };
        let mut rates = Vec::new();
        for (name, now) in self.now {
            let Some(before) = before.get(name) else { continue };
            let Some(now) = counter(now) else {
                return Err(format!("{} `{name}` does not count it", self.what));
            };
            let Some(before) = counter(before) else { return Err(NOT_BEFORE.to_owned()) };
            let reset = || format!("the counters of {} `{name}` were reset", self.what);
            rates.push(advance(before, now, range).ok_or_else(reset)? / self.elapsed);
        }
        if rates.is_empty() { Err(format!("no {} was there at both looks", self.what)) } else { Ok(rates) }
    }

    fn sum(&self, counter: fn(&T) -> Option<f64>, range: Option<f64>) -> Result<f64, String> {
        Ok(self.rates(counter, range)?.iter().sum())
    }

    fn largest(&self, counter: fn(&T) -> Option<f64>, range: Option<f64>) -> Result<f64, String> {
        Ok(self.rates(counter, range)?.into_iter().fold(0.0, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::look::Life;

    fn look(at: f64, age: f64) -> Look {
        let life = Life { began: "the machine was booted".to_owned(), age: Some(age) };
        let disk = Disk { busy: Some(at), queued: Some(at * 2.0), read: Some(at), written: Some(0.0) };
        Look { at, life, disks: Some([("vda".to_owned(), disk)].into()), ..Look::default() }
    }

    #[test]
    fn a_counter_that_went_back_has_wrapped_or_was_reset() {
        assert_eq!(advance(5.0, 7.0, None), Some(2.0));
        assert_eq!(advance(7.0, 5.0, None), None);
        assert_eq!(advance(4_294_967_000.0, 704.0, Some(BYTES_OF_A_DEVICE)), Some(1000.0));
        assert_eq!(advance(2_000_000_000.0, 704.0, Some(BYTES_OF_A_DEVICE)), None);
        assert_eq!(advance(5e9, 704.0, Some(BYTES_OF_A_DEVICE)), None);
    }

    #[test]
    fn a_clock_that_was_set_is_no_reboot_and_does_not_stretch_the_time() {
        let (before, mut now) = (look(1000.0, 500.0), look(1010.0, 510.0));
        now.at += 3600.0;
        assert_eq!(covers(&before, &now), 10.0);
        let values = between(&before, &now);
        assert!(!values.anew && values.troubles.is_empty(), "{values:?}");
        assert_eq!(values.of(Metric::DiskIo), Some(100.0));
        now.at -= 7200.0;
        assert_eq!(covers(&before, &now), 10.0);
    }

    #[test]
    fn a_boot_time_that_flickers_by_a_second_is_no_reboot() {
        let values = between(&look(1000.0, 500.0), &look(1000.9, 499.9));
        assert!(!values.anew, "{values:?}");
    }

    #[test]
    fn a_reboot_leaves_levels_only_and_says_when_it_was() {
        let mut now = look(1010.0, 3.2);
        now.levels.insert(Metric::Threads, Level { value: 7.0, most: None });
        let values = between(&look(1000.0, 500.0), &now);
        assert!(values.anew);
        assert_eq!(values.troubles, ["the machine was booted 3 s ago"]);
        assert_eq!(values.measured, [(Metric::Threads, 7.0)]);
    }

    #[test]
    fn where_no_time_has_passed_nothing_is_a_reading_and_levels_are_none_either() {
        let mut now = look(1000.0, 500.0);
        now.levels.insert(Metric::Threads, Level { value: 7.0, most: Some(9.0) });
        let values = between(&look(1000.0, 500.0), &now);
        assert_eq!((values.measured.len(), values.most.len(), values.anew), (0, 0, false));
        assert_eq!(values.troubles, ["no time has passed between two looks by the host's clock"]);
    }

    #[test]
    fn a_device_that_lacks_a_counter_makes_its_metric_missing_and_no_other() {
        let (mut before, mut now) = (look(1000.0, 500.0), look(1010.0, 510.0));
        let lacks = |look: &mut Look| {
            let disk = Disk { read: None, ..look.disks.as_ref().unwrap()["vda"] };
            look.disks.as_mut().unwrap().insert("vdb".to_owned(), disk);
        };
        lacks(&mut now);
        assert_eq!(between(&before, &now).of(Metric::DiskRead), Some(1.0), "a disk that comes counts later");
        lacks(&mut before);
        let values = between(&before, &now);
        assert_eq!(values.missing, [(Metric::DiskRead, "disk `vdb` does not count it".to_owned())]);
        assert_eq!(values.of(Metric::DiskIo), Some(100.0));
    }

    #[test]
    fn cores_that_come_do_not_count_as_idle_time() {
        let cpu = |total, idle, cores| Cpu::Machine { total, idle, iowait: 0.0, steal: Some(0.0), cores };
        let with = |mut look: Look, cpu| {
            look.cpu = Some(cpu);
            look
        };
        let before = with(look(0.0, 5.0), cpu(100.0, 50.0, 2));
        let same = between(&before, &with(look(1.0, 6.0), cpu(102.0, 50.5, 2)));
        assert_eq!(same.of(Metric::Cpu), Some(75.0));
        let more = between(&before, &with(look(1.0, 6.0), cpu(5000.0, 4900.0, 4)));
        assert_eq!(more.of(Metric::Cpu), None);
        assert!(more.missing[0].1.contains("from 2 to 4"), "{more:?}");
    }
}
