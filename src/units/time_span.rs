//! A length of time, written with its units.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{UnitError, plain, split_number};

/// A length of time: `"250ms"`, `"8h"`, `"1h30m"`; at most 3660 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeSpan(Duration);

const HELP: &str = "write a duration with its unit: \"250ms\", \"30s\", \"10m\", \"8h\", \"1h30m\", \"7d\"";
const MAX_TIME_SPAN: Duration = Duration::from_secs(3660 * 86_400);
const UNITS: [(&str, f64); 8] = [
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];

impl TimeSpan {
    pub fn duration(self) -> Duration {
        self.0
    }

    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Whole microseconds, the unit in which times are counted.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).expect("3660 days in microseconds fit into 64 bits")
    }

    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for TimeSpan {
    fn from(duration: Duration) -> Self {
        Self(duration.min(MAX_TIME_SPAN))
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut rest = text.trim();
        let mut seconds = 0.0;
        loop {
            let (number, tail) = split_number(rest, HELP)?;
            let end = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            seconds += number * unit_seconds(text, unit)?;
            rest = tail.trim_start();
            if rest.is_empty() {
                break;
            }
        }
        // Rounded to the nanosecond, so that 0.1 + 0.2 shows no floating-point noise.
        let nanos = (seconds * 1e9).round();
        if nanos > MAX_TIME_SPAN.as_nanos() as f64 {
            return Err(UnitError { problem: format!("`{text}` is longer than 3660 days"), help: HELP });
        }
        Ok(Self(Duration::from_nanos(nanos as u64)))
    }
}

fn unit_seconds(text: &str, unit: &str) -> Result<f64, UnitError> {
    if unit.is_empty() {
        return Err(UnitError { problem: format!("`{text}` has no unit"), help: HELP });
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known
        .map(|(_, seconds)| *seconds)
        .ok_or_else(|| UnitError { problem: format!("`{unit}` is not a unit of time"), help: HELP })
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < 1_000_000 {
            return write!(f, "{}us", plain(nanos as f64 / 1e3));
        }
        if nanos < 1_000_000_000 {
            return write!(f, "{}ms", plain(nanos as f64 / 1e6));
        }
        let whole = self.0.as_secs();
        let (hours, minutes) = (whole / 3600, whole % 3600 / 60);
        let seconds = self.0.as_secs_f64() - (whole - whole % 60) as f64;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if seconds > 0.0 {
            write!(f, "{}s", plain(seconds))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Duration {
        text.parse::<TimeSpan>().unwrap().duration()
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(read("250ms"), Duration::from_millis(250));
        assert_eq!(read("1h30m"), Duration::from_secs(5400));
        assert_eq!(read("1h 30m"), Duration::from_secs(5400));
        assert_eq!(read("0.5s"), Duration::from_millis(500));
        assert_eq!(read("7d"), Duration::from_secs(604_800));
        assert_eq!(read("15us"), Duration::from_micros(15));
    }

    #[test]
    fn a_duration_without_a_unit_or_with_a_sign_is_refused() {
        for text in ["30", "", "-1s", "1x", "s", "1h30", "1e3s", "inf s", "9999999d", "NaN"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_written_duration_reads_back() {
        for text in ["8h", "1h30m", "250ms", "1m40s", "15us", "1m0.5s", "0s", "16.7s"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
    }
}
