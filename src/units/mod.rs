//! Quantities with their units, as plans write them: `"8h"`, `"25/s"`, `"0.5%"`, `"1MiB"`.
//!
//! Each is a newtype that holds only valid values. `FromStr` parses it; `Display` writes it in a short form.

mod format_amount;
mod format_number;
mod rate;
mod share;
mod size;
mod text_enum;
mod time_span;
mod unit;

use std::fmt;

pub use format_amount::{format_amount, format_amount_against, format_limit};
pub use format_number::{Count, format_against, format_exact, format_number};
pub use rate::Rate;
pub use share::Share;
pub use size::Size;
pub(crate) use text_enum::text_enum;
pub use time_span::TimeSpan;
pub use unit::Unit;

/// The reason why a text is not a quantity, and the expected form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitError {
    /// The mistake; lower case, no full stop.
    pub problem: String,
    /// The expected form.
    pub help: &'static str,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.help)
    }
}

impl std::error::Error for UnitError {}

/// Splits `"250ms"` into its number and the rest.
///
/// Only plain decimal notation is a number here: no sign, no exponent, no `inf`.
fn split_number<'t>(text: &'t str, help: &'static str) -> Result<(f64, &'t str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if text.starts_with('-') {
        return Err(UnitError { problem: format!("`{text}` is negative"), help });
    }
    if has_comma(text) {
        let problem = format!(
            "`{text}` has a comma; write a point before decimals, and no separator between thousands"
        );
        return Err(UnitError { problem, help });
    }
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((value, rest.trim_start())),
        _ => Err(UnitError { problem: format!("`{text}` does not start with a number"), help }),
    }
}

/// Whether a number has a comma, as before decimals or between thousands.
pub fn has_comma(text: &str) -> bool {
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let after = number.strip_prefix(',').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    after && text.starts_with(|c: char| c.is_ascii_digit())
}

/// Writes a number without a trailing `.0`.
fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
