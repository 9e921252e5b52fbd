/// A number in as many digits as people read: three, two after the point at most, and of small ones two that are not 0.
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
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::format_number;

    #[test]
    fn numbers_have_three_digits_and_small_ones_are_not_zero() {
        let formatted =
            [50.0 / 35.0, 200.0 / 5.5, 10.0, 1234.0, 0.5, 0.0, 300.0 / 86_400.0, 0.004].map(format_number);
        assert_eq!(formatted, ["1.43", "36.4", "10", "1234", "0.5", "0", "0.0035", "0.004"]);
    }
}
