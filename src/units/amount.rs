use crate::units::{Size, short};

/// A value with its unit, in as many digits as people read: `ms`, `%`, `/s`, `B`, `B/s`; of any other unit nothing is
/// said.
pub fn amount(value: f64, unit: &str) -> String {
    let size = |value: f64| Size::of_bytes(value.abs().round() as u64).to_string();
    let sign = if value < 0.0 { "−" } else { "" };
    match unit {
        "ms" | "%" => format!("{} {unit}", short(value)),
        "/s" => format!("{}/s", short(value)),
        "B" => format!("{sign}{}", size(value)),
        "B/s" => format!("{sign}{}/s", size(value)),
        _ => short(value),
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn a_value_is_told_in_its_unit() {
        let told = [
            (187.4, "ms"),
            (97.26, "%"),
            (1.5e9, "B"),
            (2_097_152.0, "B/s"),
            (12.0, "count"),
            (-2048.0, "B"),
        ];
        let told = told.map(|(value, unit)| amount(value, unit));
        assert_eq!(told, ["187 ms", "97.3 %", "1.4GiB", "2MiB/s", "12", "−2KiB"]);
    }
}
