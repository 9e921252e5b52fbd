//! A share of a whole, written in percent.

use std::fmt;
use std::str::FromStr;

use crate::units::{UnitError, plain, split_number};

/// A fraction from 0 to 1, written in percent: `"0.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

const HELP: &str = "write a share in percent, from 0 to 100: \"0.5%\", \"5%\"";

impl Share {
    /// A computed fraction, rounded to 8 decimals so that it prints without floating-point noise.
    pub fn of_fraction(fraction: f64) -> Self {
        Self((fraction.clamp(0.0, 1.0) * 1e8).round() / 1e8)
    }

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        self.0
    }

    /// From 0 to 100.
    pub fn percent(self) -> f64 {
        // 0.07 · 100 is 7 only after rounding.
        (self.0 * 1e10).round() / 1e8
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (percent, rest) = split_number(text.trim(), HELP)?;
        if rest != "%" {
            return Err(UnitError { problem: format!("`{text}` has no `%`"), help: HELP });
        }
        if percent > 100.0 {
            return Err(UnitError { problem: format!("`{text}` is above 100%"), help: HELP });
        }
        Ok(Self(percent / 100.0))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", plain(self.percent()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_percent() {
        let share: Share = "0.5%".parse().unwrap();
        assert_eq!(share.fraction(), 0.005);
        assert_eq!(share.to_string(), "0.5%");
        for text in ["0.5", "101%", "-1%", "%", "5 percent"] {
            assert!(text.parse::<Share>().is_err(), "{text:?}");
        }
    }
}
