//! Computes a reading, the rates and gauges between two consecutive snapshots of a host.

pub mod counter_reset;
pub mod cpu_time;
pub mod device_counters;

use std::collections::BTreeMap;

use crate::resources::metric::Metric;
use crate::resources::rates::counter_reset::{Continuity, continuity};
use crate::resources::rates::cpu_time::{CpuUsage, TICK_ROUNDING_S, cpu_usage, impossible_cpu_time};
use crate::resources::rates::device_counters::{
    DISK_BUSY_TIME, DISK_BYTES_READ, DISK_BYTES_WRITTEN, DISK_QUEUE_TIME, Devices, NETWORK_BYTES_RECEIVED,
    NETWORK_BYTES_SENT, NOT_COUNTED_BEFORE, RateError, gone, increase,
};
use crate::resources::reading::{CounterReset, Values};
use crate::resources::snapshot::{ClockSource, Cpu, Disk, Gauge, Snapshot, Traffic};

/// If the host does not report when it counted, rates require that the response took at most this share of the time.
const MAX_ANSWER_SHARE: f64 = 0.1;

/// Seconds between two snapshots: by the host's clock, or by the runner's after a counter reset; 0 if nothing advanced.
pub fn covered_s(before: &Snapshot, now: &Snapshot) -> f64 {
    match continuity(before, now) {
        Continuity::Elapsed(seconds) | Continuity::CounterReset { seconds, .. } => seconds,
        Continuity::Stalled(_) => 0.0,
    }
}

/// The values between two consecutive snapshots of a host: rates over the time between them, gauges of the second one.
///
/// After a counter reset there are only gauges. If no time passed by the host's clock there are no values at all,
/// because the response repeats an earlier one. A counter that decreased makes its metrics missing, unless it wrapped.
pub fn between(before: &Snapshot, now: &Snapshot) -> Values {
    let mut rates = RateBuilder::default();
    match continuity(before, now) {
        Continuity::Stalled(message) => return Values::failed(message),
        Continuity::CounterReset { kind, message, .. } => {
            match kind {
                CounterReset::Restart => rates.restarts(before, now, true),
                // Processes that joined or left were not restarted.
                CounterReset::Changed if !now.incarnation.processes.is_empty() => {
                    rates.restarts(before, now, false);
                }
                CounterReset::Changed | CounterReset::OtherHost => {}
            }
            rates.values.counter_reset = Some(kind);
            rates.values.troubles.push(message);
        }
        Continuity::Elapsed(elapsed) => {
            rates.elapsed = elapsed;
            rates.restarts(before, now, false);
            rates.cpu_time(before, now);
            let disks = gone("disk", before.disks.as_ref(), now.disks.as_ref());
            let devices = gone("network device", before.network.as_ref(), now.network.as_ref());
            disks.iter().chain(&devices).for_each(|message| rates.trouble(message));
            // Without a clock of the host, only processor time can show that the elapsed time is wrong for all rates.
            let ours = before.clock == ClockSource::Runner && now.clock == ClockSource::Runner;
            let other = || impossible_cpu_time(before, now, elapsed).filter(|_| ours);
            match imprecise(before, now, elapsed).or_else(other) {
                Some(why) => rates.no_rates(now, &why),
                None => {
                    rates.pressure(before.pressure, now.pressure);
                    rates.disks(before.disks.as_ref(), now.disks.as_ref());
                    rates.network(before.network.as_ref(), now.network.as_ref());
                }
            }
        }
    }
    rates.gauges(&now.gauges);
    rates.finish(now)
}

/// The values of the first snapshot of a host: its gauges, and its start event as a trouble.
pub fn initial(now: &Snapshot) -> Values {
    let mut rates = RateBuilder::default();
    rates.trouble(&now.incarnation.start_event);
    rates.gauges(&now.gauges);
    rates.finish(now)
}

/// The reason why the elapsed time is too imprecise for rates; `None` if it is precise enough.
fn imprecise(before: &Snapshot, now: &Snapshot, elapsed: f64) -> Option<String> {
    let took_s = before.took_s.max(now.took_s);
    let ours = before.clock == ClockSource::Runner || now.clock == ClockSource::Runner;
    (ours && took_s > elapsed * MAX_ANSWER_SHARE).then(|| {
        format!(
            "the host reports no time of its counters, and its response took {took_s:.1} s of {elapsed:.1} s"
        )
    })
}

/// Collects the values between two snapshots.
#[derive(Default)]
struct RateBuilder {
    /// Seconds; more than 0 if a rate is computed.
    elapsed: f64,
    values: Values,
}

impl RateBuilder {
    fn measured(&mut self, metric: Metric, value: f64) {
        if value.is_finite() && value >= 0.0 {
            self.values.measured.push((metric, value));
        } else {
            self.missing(metric, format!("impossible value {value}"));
        }
    }

    fn missing(&mut self, metric: Metric, why: impl Into<String>) {
        self.values.missing.push((metric, why.into()));
    }

    /// Reports a counter reset and marks its metrics as missing.
    fn reset(&mut self, metrics: &[Metric], why: &str) {
        metrics.iter().for_each(|metric| self.missing(*metric, why));
        self.trouble(why);
    }

    fn trouble(&mut self, message: &str) {
        if !self.values.troubles.iter().any(|known| known == message) {
            self.values.troubles.push(message.to_owned());
        }
    }

    /// Marks the metrics that need a precise elapsed time as missing.
    fn no_rates(&mut self, now: &Snapshot, why: &str) {
        let of_disks = [Metric::DiskIo, Metric::DiskQueue, Metric::DiskRead, Metric::DiskWrite];
        let of_network = [Metric::NetworkIn, Metric::NetworkOut];
        let pressure = now.pressure.is_some().then_some(Metric::DiskPressure);
        let disks = of_disks.into_iter().filter(|_| now.disks.is_some());
        let network = of_network.into_iter().filter(|_| now.network.is_some());
        pressure.into_iter().chain(disks).chain(network).for_each(|metric| self.missing(metric, why));
    }

    fn restarts(&mut self, before: &Snapshot, now: &Snapshot, is_restart: bool) {
        if before.incarnation.shows_restarts && now.incarnation.shows_restarts {
            self.measured(Metric::Restarts, f64::from(u8::from(is_restart)));
        }
    }

    /// A share of the time, in percent; clocks that are read one after another may put it slightly above 100.
    fn percent(&mut self, metric: Metric, part: f64, whole: f64) {
        self.measured(metric, (part / whole * 100.0).clamp(0.0, 100.0));
    }

    fn cpu_time(&mut self, before: &Snapshot, now: &Snapshot) {
        match (before.cpu, now.cpu) {
            (_, None) => {}
            (Some(earlier @ Cpu::Whole { .. }), Some(later @ Cpu::Whole { .. })) => {
                let used = cpu_usage(earlier, later);
                self.machine(used.and_then(|used| match impossible_cpu_time(before, now, self.elapsed) {
                    Some(why) => Err(RateError::Uncounted(why)),
                    None => Ok(used),
                }));
            }
            (Some(before @ Cpu::Part { .. }), Some(now @ Cpu::Part { .. })) => {
                self.part(before, now);
            }
            _ => self.missing(Metric::Cpu, NOT_COUNTED_BEFORE),
        }
    }

    fn machine(&mut self, used: Result<CpuUsage, RateError>) {
        match used {
            Ok(CpuUsage { busy, steal, total }) => {
                self.percent(Metric::Cpu, busy, total);
                if let Some(steal) = steal {
                    self.percent(Metric::Steal, steal, total);
                }
            }
            Err(RateError::Reset(message)) => self.reset(&[Metric::Cpu, Metric::Steal], &message.join("; ")),
            Err(RateError::Uncounted(why)) => {
                self.missing(Metric::Cpu, why.clone());
                self.missing(Metric::Steal, why);
            }
        }
    }

    fn part(&mut self, before: Cpu, now: Cpu) {
        let (Cpu::Part { used: earlier, limited: once, .. }, Cpu::Part { used: later, cores, limited }) =
            (before, now)
        else {
            return;
        };
        if later - earlier >= -TICK_ROUNDING_S {
            self.percent(Metric::Cpu, later - earlier, cores * self.elapsed);
        } else {
            self.missing(Metric::Cpu, "processor time decreased: a process ended and its usage was lost");
        }
        let Some((periods, reached)) = limited else { return };
        let (earlier, once) = once.unwrap_or((periods, reached));
        let passed = |before, now| increase(before, now, self.elapsed, None);
        match (passed(earlier, periods), passed(once, reached)) {
            // The kernel counts periods only while the group has work.
            (Some(0.0), Some(_)) => self.measured(Metric::Throttled, 0.0),
            (Some(periods), Some(reached)) => self.percent(Metric::Throttled, reached, periods),
            _ => self.reset(&[Metric::Throttled], "the counter of quota periods was reset"),
        }
    }

    fn pressure(&mut self, before: Option<f64>, now: Option<f64>) {
        let Some(now) = now else { return };
        match before.map(|before| increase(before, now, self.elapsed, None)) {
            Some(Some(waited)) => self.percent(Metric::DiskPressure, waited, self.elapsed),
            Some(None) => self.reset(&[Metric::DiskPressure], "the counter of disk pressure was reset"),
            None => self.missing(Metric::DiskPressure, NOT_COUNTED_BEFORE),
        }
    }

    fn disks(&mut self, before: Option<&BTreeMap<String, Disk>>, now: Option<&BTreeMap<String, Disk>>) {
        let Some(now) = now else { return };
        // Processes and control groups have only byte counters, which have 64 bits.
        let wide = !now.values().any(|disk| disk.busy.is_some() || disk.queued.is_some());
        let lost = gone("disk", before, Some(now));
        if !lost.is_empty() {
            return self.lost(&lost, wide);
        }
        let all = Devices { before, now, elapsed: self.elapsed, wide };
        if !wide {
            let busiest = all.largest(&DISK_BUSY_TIME);
            // A reset affects all counters of a disk, so only its busy time reports it.
            let longest = match &busiest {
                Err(RateError::Reset(message)) => Err(RateError::Reset(message.clone())),
                _ => all.largest(&DISK_QUEUE_TIME),
            };
            self.known(Metric::DiskIo, busiest.map(|share| (share * 100.0).min(100.0)));
            self.known(Metric::DiskQueue, longest);
        }
        self.known(Metric::DiskRead, all.sum(&DISK_BYTES_READ));
        self.known(Metric::DiskWrite, all.sum(&DISK_BYTES_WRITTEN));
    }

    /// The activity of a disk before it disappeared is unknown, and so is that of all disks together.
    fn lost(&mut self, disks: &[String], wide: bool) {
        let metrics: &[Metric] = match wide {
            true => &[Metric::DiskRead, Metric::DiskWrite],
            false => &[Metric::DiskIo, Metric::DiskQueue, Metric::DiskRead, Metric::DiskWrite],
        };
        metrics.iter().for_each(|metric| self.missing(*metric, disks.join("; ")));
    }

    fn network(
        &mut self,
        before: Option<&BTreeMap<String, Traffic>>,
        now: Option<&BTreeMap<String, Traffic>>,
    ) {
        let Some(now) = now else { return };
        let all = Devices { before, now, elapsed: self.elapsed, wide: false };
        self.known(Metric::NetworkIn, all.sum(&NETWORK_BYTES_RECEIVED));
        self.known(Metric::NetworkOut, all.sum(&NETWORK_BYTES_SENT));
    }

    fn known(&mut self, metric: Metric, rate: Result<f64, RateError>) {
        match rate {
            Ok(rate) => self.measured(metric, rate),
            Err(RateError::Uncounted(why)) => self.missing(metric, why),
            Err(RateError::Reset(message)) => {
                self.missing(metric, message.join("; "));
                message.iter().for_each(|message| self.trouble(message));
            }
        }
    }

    fn gauges(&mut self, gauges: &BTreeMap<Metric, Gauge>) {
        for (metric, gauge) in gauges {
            // Turns −0 into 0.
            self.measured(*metric, gauge.value + 0.0);
            self.values.most.extend(gauge.most.map(|most| (*metric, most)));
        }
    }

    /// Adds the missing metrics of the second snapshot, whose reasons are more precise, and sorts everything.
    fn finish(self, now: &Snapshot) -> Values {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::snapshot::Incarnation;

    fn snapshot(at: f64, age: f64) -> Snapshot {
        let start_event = "the machine was booted".to_owned();
        let incarnation =
            Incarnation { start_event, age: Some(age), shows_restarts: true, processes: Vec::new() };
        let disk = Disk { busy: Some(at), queued: Some(at * 2.0), read: Some(at), written: Some(0.0) };
        Snapshot {
            at,
            observed_at: at,
            incarnation,
            disks: Some([("vda".to_owned(), disk)].into()),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_clock_change_is_no_reboot_and_adds_no_time() {
        let (before, mut now) = (snapshot(1000.0, 500.0), snapshot(1010.0, 510.0));
        now.at += 3600.0;
        assert_eq!(covered_s(&before, &now), 10.0);
        let values = between(&before, &now);
        assert!(values.counter_reset.is_none() && values.troubles.is_empty(), "{values:?}");
        assert_eq!(values.of(Metric::DiskIo), Some(100.0));
        now.at -= 7200.0;
        assert_eq!(covered_s(&before, &now), 10.0);
    }

    #[test]
    fn a_boot_time_that_flickers_by_a_second_is_no_reboot() {
        let values = between(&snapshot(1000.0, 500.0), &snapshot(1000.9, 499.9));
        assert!(values.counter_reset.is_none(), "{values:?}");
    }

    #[test]
    fn a_reboot_leaves_only_gauges_and_its_time() {
        let mut now = snapshot(1010.0, 3.2);
        now.gauges.insert(Metric::Threads, Gauge { value: 7.0, most: None });
        let values = between(&snapshot(1000.0, 500.0), &now);
        assert_eq!(values.counter_reset, Some(CounterReset::Restart));
        assert_eq!(values.troubles, ["the machine was booted 3 s ago"]);
        assert_eq!(values.measured, [(Metric::Threads, 7.0), (Metric::Restarts, 1.0)]);
    }

    #[test]
    fn a_stalled_clock_gives_neither_rates_nor_gauges() {
        let mut now = snapshot(1000.0, 500.0);
        now.gauges.insert(Metric::Threads, Gauge { value: 7.0, most: Some(9.0) });
        let values = between(&snapshot(1000.0, 500.0), &now);
        assert_eq!((values.measured.len(), values.most.len(), values.counter_reset), (0, 0, None));
        assert_eq!(values.troubles, ["the host's clock did not advance between two snapshots"]);
    }

    #[test]
    fn a_missing_device_counter_affects_only_its_own_metric() {
        let (mut before, mut now) = (snapshot(1000.0, 500.0), snapshot(1010.0, 510.0));
        let lacks = |snapshot: &mut Snapshot| {
            let disk = Disk { read: None, ..snapshot.disks.as_ref().unwrap()["vda"] };
            snapshot.disks.as_mut().unwrap().insert("vdb".to_owned(), disk);
        };
        lacks(&mut now);
        assert_eq!(between(&before, &now).of(Metric::DiskRead), Some(1.0), "a new disk counts later");
        lacks(&mut before);
        let values = between(&before, &now);
        assert_eq!(values.missing, [(Metric::DiskRead, "disk `vdb` has no such counter".to_owned())]);
        assert_eq!(values.of(Metric::DiskIo), Some(100.0));
    }

    #[test]
    fn a_reset_is_missing_and_names_its_device_and_counter() {
        let (before, mut now) = (snapshot(1000.0, 500.0), snapshot(1010.0, 510.0));
        let disk = Disk { busy: Some(0.0), queued: Some(0.0), read: Some(0.0), written: Some(5.0) };
        now.disks.as_mut().unwrap().insert("vda".to_owned(), disk);
        let values = between(&before, &now);
        let busy = "disk `vda`: the counter of busy time was reset";
        let read = "disk `vda`: the counter of bytes read was reset";
        assert_eq!(values.troubles, [busy, read]);
        let missing: Vec<_> = values.missing.iter().map(|(metric, why)| (*metric, &**why)).collect();
        assert_eq!(missing, [(Metric::DiskIo, busy), (Metric::DiskQueue, busy), (Metric::DiskRead, read)]);
        assert!(values.counter_reset.is_none() && values.of(Metric::DiskWrite) == Some(0.5), "{values:?}");
    }

    #[test]
    fn a_slow_response_without_a_time_gives_no_rates() {
        let cpu = |total| Cpu::Whole { total, idle: 0.0, iowait: 0.0, steal: Some(0.0), cores: 1 };
        let at = |at: f64, took_s| {
            let mut snapshot =
                Snapshot { clock: ClockSource::Runner, took_s, cpu: Some(cpu(at)), ..snapshot(at, at) };
            snapshot.incarnation.age = None;
            snapshot.gauges.insert(Metric::Threads, Gauge { value: 7.0, most: None });
            snapshot
        };
        let values = between(&at(1000.0, 0.1), &at(1010.0, 1.1));
        assert_eq!((values.of(Metric::Cpu), values.of(Metric::Threads)), (Some(100.0), Some(7.0)));
        assert_eq!(values.missing.len(), 4, "{values:?}");
        let message = "the host reports no time of its counters, and its response took 1.1 s of 10.0 s";
        assert!(values.missing.iter().all(|(_, why)| why == message), "{values:?}");
        assert_eq!(between(&at(1000.0, 0.1), &at(1010.0, 0.9)).of(Metric::DiskIo), Some(100.0));
    }

    #[test]
    fn a_stalled_page_is_no_reading_and_its_backlog_no_rate() {
        let cpu = |total| Cpu::Whole { total, idle: 0.0, iowait: 0.0, steal: Some(0.0), cores: 1 };
        let at = |observed_at: f64, counted: f64| {
            let mut snapshot =
                Snapshot { clock: ClockSource::Runner, cpu: Some(cpu(counted)), ..snapshot(counted, 0.0) };
            snapshot.incarnation = Incarnation::default();
            (snapshot.at, snapshot.observed_at) = (observed_at, observed_at);
            snapshot.gauges.insert(Metric::Threads, Gauge { value: 7.0, most: None });
            snapshot
        };
        let still = between(&at(1000.0, 1000.0), &at(1010.0, 1000.0));
        let message = "stale response: the processor counted no time between two snapshots";
        assert_eq!(still, Values::failed(message));
        let fresh = between(&at(1010.0, 1000.0), &at(1020.0, 1020.0));
        let message = "impossible processor time: 20.0 s in 10.0 s (cores: 1)";
        assert_eq!(fresh.measured, [(Metric::Threads, 7.0)]);
        assert!(fresh.missing.len() == 6 && fresh.missing.iter().all(|(_, why)| why == message), "{fresh:?}");
    }

    #[test]
    fn added_cores_do_not_count_as_idle_time() {
        let cpu = |total, idle, cores| Cpu::Whole { total, idle, iowait: 0.0, steal: Some(0.0), cores };
        let with = |mut snapshot: Snapshot, cpu| {
            snapshot.cpu = Some(cpu);
            snapshot
        };
        let before = with(snapshot(0.0, 5.0), cpu(100.0, 50.0, 2));
        let same = between(&before, &with(snapshot(1.0, 6.0), cpu(102.0, 50.5, 2)));
        assert_eq!(same.of(Metric::Cpu), Some(75.0));
        let more = between(&before, &with(snapshot(1.0, 6.0), cpu(5000.0, 4900.0, 4)));
        assert_eq!(more.of(Metric::Cpu), None);
        assert!(more.missing[0].1.contains("from 2 to 4"), "{more:?}");
    }
}
