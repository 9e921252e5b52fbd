//! A number of bytes, written with a decimal or binary unit.

use std::fmt;
use std::str::FromStr;

use crate::units::{UnitError, plain, split_number};

/// A number of bytes: `"64KiB"`, `"1MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

const HELP: &str = "write a size with its unit: \"512B\", \"64KiB\", \"1MiB\", \"10MB\"";
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl Size {
    pub fn of_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_number(text.trim(), HELP)?;
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError { problem: format!("`{text}` has no known unit of size"), help: HELP });
        };
        let bytes = number * *bytes as f64;
        if bytes > 1e15 {
            return Err(UnitError { problem: format!("`{text}` is larger than 1000000GB"), help: HELP });
        }
        Ok(Self(bytes.round() as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().take(3).find(|(_, bytes)| self.0 >= *bytes);
        let (name, bytes) = binary.unwrap_or(&("B", 1));
        let value = self.0 as f64 / *bytes as f64;
        // Rounded for people: one decimal is enough.
        write!(f, "{}{name}", plain((value * 10.0).round() / 10.0))
    }
}

/// A number of bytes in the largest unit that gives it back with at most two decimals.
pub(super) fn exact(bytes: u64) -> String {
    let fits = |unit: &(&str, u64)| {
        let hundredths = bytes as f64 / unit.1 as f64 * 100.0;
        (100.0..1e6).contains(&hundredths) && (hundredths - hundredths.round()).abs() < 1e-6
    };
    let (name, unit) = UNITS.iter().copied().find(|unit| fits(unit)).unwrap_or(("B", 1));
    format!("{}{name}", plain(bytes as f64 / unit as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!("1MiB".parse::<Size>().unwrap().bytes(), 1 << 20);
        assert_eq!("1.5kB".parse::<Size>().unwrap().bytes(), 1500);
        assert_eq!(Size::of_bytes(64 << 20).to_string(), "64MiB");
        for text in ["1", "1 mb", "-1B", "MiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}
