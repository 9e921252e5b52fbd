//! The summary at the end of `runner monitor`: averages, peaks and totals of all readings.

use std::fmt::Write;

use crate::app::commands::monitor::reading::{MonitorReading, ProcessReading};
use crate::app::commands::monitor::totals::{ByteTotal, ByteTotals};
use crate::resources::metric::Metric;
use crate::units::{Unit, format_amount, format_number};

/// Aggregates of all readings so far.
#[derive(Default)]
pub(super) struct MonitorSummary {
    readings: u64,
    seconds: f64,
    cpu: Average,
    memory: Average,
    /// Totals of the machine; the caller adds to them.
    pub(super) totals: ByteTotals,
    process: ProcessAverages,
}

/// Aggregates of the process and its children.
#[derive(Default)]
struct ProcessAverages {
    cpu: Average,
    memory: Average,
}

/// Unweighted average and peak of the readings that have a value.
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

    fn text(&self, unit: Unit) -> String {
        if self.count == 0.0 {
            return "not available".to_owned();
        }
        format!(
            "average {}, peak {}",
            format_amount(self.sum / self.count, unit),
            format_amount(self.peak, unit)
        )
    }
}

impl MonitorSummary {
    pub(super) fn add(&mut self, reading: &MonitorReading) {
        let of = |metric| reading.machine.values.of(metric);
        self.readings += 1;
        self.seconds += reading.machine.covered_s;
        self.cpu.add(of(Metric::Cpu));
        self.memory.add(of(Metric::Memory));
        if let Some(ProcessReading { interval, .. }) = &reading.process {
            self.process.cpu.add(interval.values.of(Metric::Cpu));
            self.process.memory.add(interval.values.of(Metric::ProcessMemory));
        }
    }

    /// The summary as text. `process` describes the process of `--process`.
    pub(super) fn render(&self, process: Option<&str>) -> String {
        if self.readings == 0 {
            return "no reading was made, so there is no summary\n".to_owned();
        }
        let ByteTotals { read, written, sent, received } = self.totals;
        let readings = if self.readings == 1 { "1 reading" } else { &format!("{} readings", self.readings) };
        let mut text = format!("duration   {} hours, {readings}\n", format_number(self.seconds / 3600.0));
        let rows = [
            ("CPU", self.cpu.text(Unit::Percent)),
            ("memory", self.memory.text(Unit::Percent)),
            ("disk", format!("{} read, {} written", total(read), total(written))),
            ("network", format!("{} received, {} sent", total(received), total(sent))),
        ];
        for (label, value) in rows {
            writeln!(text, "{label:<11}{value}").expect("writing to a string cannot fail");
        }
        if let Some(process) = process {
            let ProcessAverages { cpu, memory } = &self.process;
            text += &format!(
                "{process}\n  CPU      {}\n  memory   {}\n",
                cpu.text(Unit::Percent),
                memory.text(Unit::Bytes)
            );
        }
        text
    }
}

fn total(total: ByteTotal) -> String {
    match (total.bytes(), total.is_partial) {
        (None, _) => "unknown".to_owned(),
        (Some(bytes), false) => format_amount(bytes, Unit::Bytes),
        (Some(bytes), true) => format!("at least {}", format_amount(bytes, Unit::Bytes)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::ZonedDateTime;

    use super::*;
    use crate::app::commands::monitor::sampled_host::IntervalReading;
    use crate::app::commands::monitor::totals::BytesSoFar;
    use crate::resources::reading::Values;

    fn reading(measured: Vec<(Metric, f64)>) -> MonitorReading {
        let values = Values { measured, ..Values::default() };
        let machine = IntervalReading { covered_s: 3600.0, values, events: Vec::new() };
        MonitorReading {
            at: ZonedDateTime::UNIX_EPOCH,
            machine,
            so_far: BytesSoFar::default(),
            process: None,
            events: Vec::new(),
        }
    }

    #[test]
    fn averages_are_of_the_readings_that_have_a_value() {
        let mut summary = MonitorSummary::default();
        for cpu in [Some(10.0), None, Some(30.0)] {
            let cpu = cpu.map(|cpu| (Metric::Cpu, cpu));
            let reading = reading(cpu.into_iter().chain([(Metric::DiskRead, 1e6)]).collect());
            summary.totals.add(&reading.machine);
            summary.add(&reading);
        }
        let expected = "duration   3 hours, 3 readings\n\
                        CPU        average 20 %, peak 30 %\n\
                        memory     not available\n\
                        disk       10.1GiB read, unknown written\n\
                        network    unknown received, unknown sent\n";
        assert_eq!(summary.render(None), expected);
    }

    #[test]
    fn without_a_reading_there_is_no_summary() {
        assert!(MonitorSummary::default().render(None).starts_with("no reading was made"));
    }
}
