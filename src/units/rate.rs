//! A rate: a count per second, minute, hour or day.

use std::fmt;
use std::str::FromStr;

use crate::units::{UnitError, plain, split_number};

/// A count per period: `"25/s"`, `"90/min"`, `"3000/day"`.
///
/// Count and period are stored separately, so that `"3000/day"` over a day is 3000 and not 3000.0000000004.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    count: f64,
    period: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

const HELP: &str = "write a rate as a count per `s`, `min`, `h` or `day`: \"25/s\", \"90/min\", \"3000/day\"";

impl Period {
    fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3600.0,
            Self::Day => 86_400.0,
        }
    }
}

impl Rate {
    pub fn per_second(self) -> f64 {
        self.count / self.period.seconds()
    }

    /// The count in this number of seconds.
    pub fn times(self, seconds: f64) -> f64 {
        self.count * seconds / self.period.seconds()
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (count, rest) = split_number(text.trim(), HELP)?;
        let Some(period) = rest.strip_prefix('/') else {
            return Err(UnitError { problem: format!("`{text}` has no period"), help: HELP });
        };
        let period = match period.trim() {
            "s" | "sec" | "second" => Period::Second,
            "m" | "min" | "minute" => Period::Minute,
            "h" | "hour" => Period::Hour,
            "d" | "day" => Period::Day,
            other => {
                return Err(UnitError { problem: format!("`{other}` is not a period"), help: HELP });
            }
        };
        if count > 1e9 {
            return Err(UnitError {
                problem: format!("`{text}` is above the largest count, 1000000000"),
                help: HELP,
            });
        }
        Ok(Self { count, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Second => "s",
            Period::Minute => "min",
            Period::Hour => "h",
            Period::Day => "day",
        };
        write!(f, "{}/{period}", plain(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_keeps_its_period() {
        let rate: Rate = "3000/day".parse().unwrap();
        assert_eq!(rate.times(86_400.0), 3000.0);
        assert_eq!(rate.to_string(), "3000/day");
        assert_eq!("90/min".parse::<Rate>().unwrap().per_second(), 1.5);
    }

    #[test]
    fn a_bare_number_is_no_rate() {
        for text in ["25", "25/", "/s", "-1/s", "25/fortnight", ""] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
    }
}
