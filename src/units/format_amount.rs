//! Values with their unit: rounded, exact, or with the digits that tell a value from a limit.

use crate::units::format_number::{format_against, format_exact, format_number};
use crate::units::{Size, Unit, size};

/// A value with its unit, rounded for people. Counts and ratios are plain numbers.
pub fn format_amount(value: f64, unit: Unit) -> String {
    with_unit(value, unit, format_number, |bytes| Size::of_bytes(bytes).to_string())
}

/// A limit with its unit, as the plan has it.
pub fn format_limit(limit: f64, unit: Unit) -> String {
    with_unit(limit, unit, format_exact, size::exact)
}

/// A value with its unit that is compared with limits of the same unit: with enough digits to show on which side of each it is.
pub fn format_amount_against(value: f64, limits: &[f64], unit: Unit) -> String {
    let sized = |bytes: u64| {
        let short = Size::of_bytes(bytes).to_string();
        let shown = short.parse::<Size>().map_or(bytes, Size::bytes);
        let mut limits = limits.iter().map(|limit| limit.abs().round() as u64);
        if limits.all(|limit| shown.cmp(&limit) == bytes.cmp(&limit)) { short } else { size::exact(bytes) }
    };
    with_unit(value, unit, |value| format_against(value, limits), sized)
}

fn with_unit(value: f64, unit: Unit, number: impl Fn(f64) -> String, size: impl Fn(u64) -> String) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    let bytes = value.abs().round() as u64;
    match unit {
        Unit::Milliseconds | Unit::Seconds | Unit::Percent => format!("{} {unit}", number(value)),
        Unit::PerSecond => format!("{}/s", number(value)),
        Unit::Bytes => format!("{sign}{}", size(bytes)),
        Unit::BytesPerSecond => format!("{sign}{}/s", size(bytes)),
        Unit::Count | Unit::Ratio => number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_formatted_in_its_unit() {
        let formatted = [
            (187.4, Unit::Milliseconds),
            (97.26, Unit::Percent),
            (1.5e9, Unit::Bytes),
            (2_097_152.0, Unit::BytesPerSecond),
            (12.0, Unit::Count),
            (-2048.0, Unit::Bytes),
        ];
        let formatted = formatted.map(|(value, unit)| format_amount(value, unit));
        assert_eq!(formatted, ["187 ms", "97.3 %", "1.4GiB", "2MiB/s", "12", "−2KiB"]);
    }

    #[test]
    fn a_limit_keeps_its_digits_and_sizes_their_unit() {
        let formatted = [
            (82.95, Unit::PerSecond),
            (1.5e9, Unit::Bytes),
            (1_572_864.0, Unit::Bytes),
            (1025.0, Unit::BytesPerSecond),
            (200.0, Unit::Milliseconds),
        ];
        let formatted = formatted.map(|(limit, unit)| format_limit(limit, unit));
        assert_eq!(formatted, ["82.95/s", "1.5GB", "1.5MiB", "1025B/s", "200 ms"]);
    }

    #[test]
    fn a_size_is_shown_on_its_side_of_a_limit() {
        let mib = f64::from(1 << 20);
        assert_eq!(format_amount_against(mib + 1.0, &[mib], Unit::Bytes), "1048577B");
        assert_eq!(format_amount_against(mib, &[mib], Unit::Bytes), "1MiB");
        assert_eq!(format_amount_against(1.99e9, &[2e9], Unit::Bytes), "1.99GB");
        assert_eq!(format_amount_against(4.01e9, &[4e9], Unit::Bytes), "4.01GB");
        assert_eq!(format_amount_against(1.5e9, &[2e9], Unit::Bytes), "1.4GiB");
        assert_eq!(format_amount_against(0.1004, &[0.1], Unit::Percent), "0.1004 %");
    }
}
