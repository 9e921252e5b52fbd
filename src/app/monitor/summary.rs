//! What all readings come to.

use std::fmt::Write;

use crate::app::monitor::reading::{OfProcess, Reading};
use crate::app::monitor::totals::{Total, Totals};
use crate::resources::metric::Metric;
use crate::units::{amount, short};

/// All readings so far, added up.
#[derive(Default)]
pub(super) struct Course {
    readings: u64,
    seconds: f64,
    cpu: Average,
    memory: Average,
    /// Of the machine.
    pub(super) totals: Totals,
    process: OfOne,
}

/// The same of a process.
#[derive(Default)]
struct OfOne {
    cpu: Average,
    memory: Average,
}

/// Of the readings that have a value, each for as much as any other.
#[derive(Default)]
struct Average {
    sum: f64,
    count: f64,
    peak: f64,
}

impl Average {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1.0;
            self.peak = self.peak.max(value);
        }
    }

    fn told(&self, unit: &str) -> String {
        if self.count == 0.0 {
            return "none could be had".to_owned();
        }
        format!("average {}, peak {}", amount(self.sum / self.count, unit), amount(self.peak, unit))
    }
}

impl Course {
    pub(super) fn add(&mut self, reading: &Reading) {
        let of = |metric| reading.machine.values.of(metric);
        self.readings += 1;
        self.seconds += reading.machine.covers;
        self.cpu.add(of(Metric::Cpu));
        self.memory.add(of(Metric::Memory));
        if let Some(OfProcess { interval, .. }) = &reading.process {
            self.process.cpu.add(interval.values.of(Metric::Cpu));
            self.process.memory.add(interval.values.of(Metric::ProcessMemory));
        }
    }

    /// The summary, for people; `process` is what the watched one is called.
    pub(super) fn summary(&self, process: Option<&str>) -> String {
        if self.readings == 0 {
            return "no reading was made: there is nothing to sum up\n".to_owned();
        }
        let Totals { read, written, sent, received } = self.totals;
        let readings = if self.readings == 1 { "1 reading" } else { &format!("{} readings", self.readings) };
        let mut text = format!("duration   {} hours, {readings}\n", short(self.seconds / 3600.0));
        let rows = [
            ("CPU", self.cpu.told("%")),
            ("memory", self.memory.told("%")),
            ("disk", format!("{} read, {} written", total(read), total(written))),
            ("network", format!("{} received, {} sent", total(received), total(sent))),
        ];
        for (what, told) in rows {
            writeln!(text, "{what:<11}{told}").expect("a text takes all that is written to it");
        }
        if let Some(process) = process {
            let OfOne { cpu, memory } = &self.process;
            text += &format!("{process}\n  CPU      {}\n  memory   {}\n", cpu.told("%"), memory.told("B"));
        }
        text
    }
}

fn total(total: Total) -> String {
    match (total.bytes(), total.lost) {
        (None, _) => "unknown".to_owned(),
        (Some(bytes), false) => amount(bytes, "B"),
        (Some(bytes), true) => format!("at least {}", amount(bytes, "B")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ZonedDateTime;

    use super::*;
    use crate::app::monitor::totals::SoFar;
    use crate::app::monitor::watched::Interval;
    use crate::resources::reading::Values;

    fn reading(measured: Vec<(Metric, f64)>) -> Reading {
        let values = Values { measured, ..Values::default() };
        let machine = Interval { covers: 3600.0, values, events: Vec::new() };
        Reading {
            at: ZonedDateTime::UNIX_EPOCH,
            machine,
            so_far: SoFar::default(),
            process: None,
            events: Vec::new(),
        }
    }

    #[test]
    fn averages_are_of_the_readings_that_have_a_value() {
        let mut course = Course::default();
        for cpu in [Some(10.0), None, Some(30.0)] {
            let cpu = cpu.map(|cpu| (Metric::Cpu, cpu));
            let reading = reading(cpu.into_iter().chain([(Metric::DiskRead, 1e6)]).collect());
            course.totals.add(&reading.machine);
            course.add(&reading);
        }
        let expected = "duration   3 hours, 3 readings\n\
                        CPU        average 20 %, peak 30 %\n\
                        memory     none could be had\n\
                        disk       10.1GiB read, unknown written\n\
                        network    unknown received, unknown sent\n";
        assert_eq!(course.summary(None), expected);
    }

    #[test]
    fn without_a_reading_there_is_no_summary() {
        assert!(Course::default().summary(None).starts_with("no reading was made"));
    }
}
