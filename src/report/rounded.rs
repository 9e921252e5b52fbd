/// To a thousandth: no measurement here is finer, and a report is read by people too. Small ones, such as a limit of a few
/// a day, to a thousandth of that.
pub(super) fn rounded(value: f64) -> f64 {
    let parts = if value.abs() < 0.1 { 1e6 } else { 1e3 };
    (value * parts).round() / parts
}
