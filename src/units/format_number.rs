//! Numbers as text: rounded for people, exact, or with the digits that tell a value from a limit.

use std::cmp::Ordering;

/// The most significant digits that a number is shown with; a limit in a plan has fewer.
const MAX_DIGITS: usize = 12;

/// A number in as many digits as people read: three, at most two after the point, and of small ones two that are not 0.
pub fn format_number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2,
        v => (1.0 - v.log10().floor()).min(12.0) as usize,
    };
    trimmed(&format!("{value:.digits$}"))
}

/// A number as a plan has it: in as few digits as give it back. A converted rate such as 3000 a day has six digits.
pub fn format_exact(value: f64) -> String {
    let mut texts = (1..=9).map(|digits| significant(value, digits));
    texts
        .find(|text| read(text).is_some_and(|read| compare(read, value).is_eq()))
        .unwrap_or_else(|| significant(value, 6))
}

/// A number that is compared with limits: with enough digits to show on which side of each limit it is, and as equal to a
/// limit only if it is.
pub fn format_against(value: f64, limits: &[f64]) -> String {
    let text = format_number(value);
    if is_on_its_side(value, limits, &text) {
        return text;
    }
    let mut longer = (3..=MAX_DIGITS).map(|digits| significant(value, digits));
    longer.find(|text| is_on_its_side(value, limits, text)).unwrap_or(text)
}

/// Whether the text of a value compares with each limit, as shown, like the value itself.
fn is_on_its_side(value: f64, limits: &[f64], text: &str) -> bool {
    let Some(shown) = read(text) else { return true };
    limits.iter().all(|limit| {
        let limit_shown = read(&format_exact(*limit)).unwrap_or(*limit);
        compare(shown, limit_shown) == compare(value, *limit)
    })
}

/// Compares two numbers; a difference in the last bits of a computation is none.
fn compare(one: f64, other: f64) -> Ordering {
    if (one - other).abs() <= 1e-11 * one.abs().max(other.abs()) {
        return Ordering::Equal;
    }
    one.total_cmp(&other)
}

fn read(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A number with this many significant digits, without zeros at its end.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format_number(value);
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(digits as i32 - 1 - magnitude).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

fn trimmed(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// A count in groups of three digits.
pub struct Count(pub f64);

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:.0}", self.0);
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| std::str::from_utf8(group).unwrap_or_default())
            .collect();
        f.write_str(&groups.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_small_ones_are_not_zero() {
        let formatted =
            [50.0 / 35.0, 200.0 / 5.5, 10.0, 1234.0, 0.5, 0.0, 300.0 / 86_400.0, 0.004].map(format_number);
        assert_eq!(formatted, ["1.43", "36.4", "10", "1234", "0.5", "0", "0.0035", "0.004"]);
    }

    #[test]
    fn a_limit_is_shown_as_written() {
        let formatted = [82.95, 0.1, 200.0, 1_234_567.0, 0.07 * 100.0, 99.99, 1.0 / 3.0].map(format_exact);
        assert_eq!(formatted, ["82.95", "0.1", "200", "1234567", "7", "99.99", "0.333333"]);
        assert_eq!(format_exact(3000.0 / 86_400.0), "0.0347222");
    }

    #[test]
    fn a_value_is_never_shown_as_the_limit_that_it_is_not() {
        for (value, limit, shown) in [
            (100.0 / 996.0, 0.1, "0.1004"),
            (82.96, 83.0, "82.96"),
            (149.6, 149.7, "149.6"),
            (0.0999, 0.1, "0.0999"),
            (200.0, 200.0, "200"),
            (187.4, 200.0, "187"),
            (200.000_04, 200.0, "200.00004"),
        ] {
            assert_eq!(format_against(value, &[limit]), shown, "{value} against {limit}");
        }
        assert_eq!(format_against(0.1 + 0.2, &[0.3]), "0.3");
    }
}
