//! A reading of the monitor, rendered as a JSON object and as a line of the table.

use jiff::ZonedDateTime;
use serde_json::{Value, json};

use crate::app::commands::monitor::sampled_host::IntervalReading;
use crate::app::commands::monitor::totals::BytesSoFar;
use crate::resources::metric::Metric;

const MIB: f64 = (1 << 20) as f64;
const GIB: f64 = (1 << 30) as f64;
/// Placeholder in the table for a value that is not available.
const MISSING: &str = "–";

/// A reading of the machine and, with `--process`, of a process.
pub(super) struct MonitorReading {
    pub(super) at: ZonedDateTime,
    pub(super) machine: IntervalReading,
    pub(super) so_far: BytesSoFar,
    pub(super) process: Option<ProcessReading>,
    /// Messages about restarts, failures and missing values since the previous reading.
    pub(super) events: Vec<String>,
}

/// The part of a reading about the process and its children.
pub(super) struct ProcessReading {
    pub(super) interval: IntervalReading,
    pub(super) so_far: BytesSoFar,
}

impl MonitorReading {
    /// The JSON object of the array. Values that are not available are `null`, never 0.
    pub(super) fn object(&self) -> Value {
        let of = |metric| self.machine.values.of(metric);
        let covered_s = Some(self.machine.covered_s).filter(|covered_s| *covered_s > 0.0);
        let mut object = json!({
            "timestamp": self.at.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
            "cpu_percent": number(of(Metric::Cpu)),
            "memory_percent": number(of(Metric::Memory)),
            "memory_used_gb": size(of(Metric::MemoryUsed), GIB),
            "disk_read_mb": size(self.so_far.read, MIB),
            "disk_write_mb": size(self.so_far.written, MIB),
            "network_sent_mb": size(self.so_far.sent, MIB),
            "network_recv_mb": size(self.so_far.received, MIB),
            "interval_s": number(covered_s),
            "steal_percent": number(of(Metric::Steal)),
            "swap_percent": number(of(Metric::Swap)),
            "disk_io_percent": number(of(Metric::DiskIo)),
            "disk_pressure_percent": number(of(Metric::DiskPressure)),
            "disk_queue": number(of(Metric::DiskQueue)),
            "disk_used_percent": number(of(Metric::DiskUsed)),
            "open_files": count(of(Metric::OpenFiles)),
            "threads": count(of(Metric::Threads)),
            "connections": count(of(Metric::Connections)),
        });
        if let Some(process) = &self.process {
            object["process"] = process.object();
        }
        if !self.events.is_empty() {
            object["events"] = json!(self.events);
        }
        object
    }

    /// The line under the columns of [`header`].
    pub(super) fn line(&self) -> String {
        let of = |metric| self.machine.values.of(metric);
        let rate = |metric| rate(of(metric));
        let mut line = format!(
            "{}{:>8}{:>8}{:>8}{:>9}{:>8}{:>9}{:>8}",
            self.at.strftime("%H:%M:%S"),
            percent(of(Metric::Cpu)),
            percent(of(Metric::Memory)),
            percent(of(Metric::DiskIo)),
            rate(Metric::DiskRead),
            rate(Metric::DiskWrite),
            rate(Metric::NetworkIn),
            rate(Metric::NetworkOut),
        );
        if let Some(process) = &self.process {
            let cpu = percent(process.interval.values.of(Metric::Cpu));
            let memory = process.interval.values.of(Metric::ProcessMemory);
            line += &format!("{cpu:>8}{:>6}", text(memory.map(|bytes| format!("{:.0}", bytes / MIB))));
        }
        line + "\n"
    }
}

impl ProcessReading {
    fn object(&self) -> Value {
        let of = |metric| self.interval.values.of(metric);
        json!({
            "cpu_percent": number(of(Metric::Cpu)),
            "memory_percent": number(of(Metric::Memory)),
            "memory_used_gb": size(of(Metric::ProcessMemory), GIB),
            "disk_read_mb": size(self.so_far.read, MIB),
            "disk_write_mb": size(self.so_far.written, MIB),
            "open_files": count(of(Metric::OpenFiles)),
            "threads": count(of(Metric::Threads)),
            "connections": count(of(Metric::Connections)),
        })
    }
}

/// The two header lines of the table.
pub(super) fn header(with_process: bool) -> String {
    let process = |text| if with_process { text } else { "" };
    format!(
        "             CPU  memory    disk   disk, MiB/s     net, MiB/s{}\n\
         time           %       %  busy %     read   write       in     out{}\n",
        process("       process"),
        process("   CPU %   MiB"),
    )
}

/// Rounds to three decimals; `None` becomes `null`.
fn number(value: Option<f64>) -> Value {
    json!(value.map(|value| (value * 1e3).round() / 1e3))
}

/// Converts bytes to a larger unit and rounds to six decimals, which is about 1 kB in GiB.
fn size(bytes: Option<f64>, unit: f64) -> Value {
    json!(bytes.map(|bytes| (bytes / unit * 1e6).round() / 1e6))
}

fn count(value: Option<f64>) -> Value {
    json!(value.map(|value| value.round() as u64))
}

fn percent(value: Option<f64>) -> String {
    text(value.map(|value| format!("{value:.1}")))
}

fn rate(bytes: Option<f64>) -> String {
    text(bytes.map(|bytes| match bytes / MIB {
        mib if mib < 9.995 => format!("{mib:.2}"),
        mib if mib < 99.95 => format!("{mib:.1}"),
        mib => format!("{mib:.0}"),
    }))
}

fn text(value: Option<String>) -> String {
    value.unwrap_or_else(|| MISSING.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::reading::Values;

    fn reading(values: Values, covered_s: f64) -> MonitorReading {
        let of_process = IntervalReading { covered_s, values: Values::default(), events: Vec::new() };
        MonitorReading {
            at: "2026-03-01T09:05:07.25+01:00[+01:00]".parse().unwrap(),
            machine: IntervalReading { covered_s, values, events: Vec::new() },
            so_far: BytesSoFar { read: Some(3.0 * MIB), ..BytesSoFar::default() },
            process: Some(ProcessReading { interval: of_process, so_far: BytesSoFar::default() }),
            events: Vec::new(),
        }
    }

    #[test]
    fn a_missing_value_is_null_and_never_zero() {
        let mut failed = reading(Values::failed("gone"), 0.0);
        failed.so_far = BytesSoFar::default();
        failed.events = vec!["gone".to_owned()];
        let object = failed.object();
        for (key, value) in object.as_object().unwrap() {
            match key.as_str() {
                "timestamp" => assert_eq!(*value, "2026-03-01T09:05:07.250+01:00"),
                "events" => assert_eq!(*value, json!(["gone"])),
                "process" => assert!(value.as_object().unwrap().values().all(Value::is_null), "{value}"),
                _ => assert!(value.is_null(), "{key}: {value}"),
            }
        }
    }

    #[test]
    fn a_line_stands_under_its_columns_and_fits_a_terminal() {
        let measured = vec![
            (Metric::Cpu, 100.0),
            (Metric::Memory, 45.67),
            (Metric::MemoryUsed, 1.5 * GIB),
            (Metric::DiskRead, 2500.0 * MIB),
            (Metric::NetworkIn, 0.004 * MIB),
            (Metric::Threads, 99.0),
        ];
        let reading = reading(Values { measured, ..Values::default() }, 10.0);
        let shown = header(true) + &reading.line();
        let expected = "             CPU  memory    disk   disk, MiB/s     net, MiB/s       process\n\
                        time           %       %  busy %     read   write       in     out   CPU %   MiB\n\
                        09:05:07   100.0    45.7       –     2500       –     0.00       –       –     –\n";
        assert_eq!(shown, expected);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let object = reading.object();
        assert_eq!((&object["memory_used_gb"], &object["threads"]), (&json!(1.5), &json!(99)));
        assert_eq!((&object["disk_read_mb"], &object["interval_s"]), (&json!(3.0), &json!(10.0)));
    }
}
