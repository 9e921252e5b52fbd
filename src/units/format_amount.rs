use crate::units::{Size, format_number};

/// A value with its unit, in as many digits as people read: `ms`, `%`, `/s`, `B`, `B/s`; of any other unit nothing is
/// said.
pub fn format_amount(value: f64, unit: &str) -> String {
    let size = |value: f64| Size::of_bytes(value.abs().round() as u64).to_string();
    let sign = if value < 0.0 { "−" } else { "" };
    match unit {
        "ms" | "%" => format!("{} {unit}", format_number(value)),
        "/s" => format!("{}/s", format_number(value)),
        "B" => format!("{sign}{}", size(value)),
        "B/s" => format!("{sign}{}/s", size(value)),
        _ => format_number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::format_amount;

    #[test]
    fn a_value_is_formatted_in_its_unit() {
        let formatted = [
            (187.4, "ms"),
            (97.26, "%"),
            (1.5e9, "B"),
            (2_097_152.0, "B/s"),
            (12.0, "count"),
            (-2048.0, "B"),
        ];
        let formatted = formatted.map(|(value, unit)| format_amount(value, unit));
        assert_eq!(formatted, ["187 ms", "97.3 %", "1.4GiB", "2MiB/s", "12", "−2KiB"]);
    }
}
