//! Tables for terminals: one line under the header, no other.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// No line is longer, whatever names the plan has.
pub const WIDTH: u16 = 80;

/// An empty table; the first column is text, the others are aligned right.
pub fn light(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(headers.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        if index == 0 {
            column.set_padding((2, 1));
        } else {
            column.set_padding((1, 0));
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A number in about three digits; a dash where there is none.
pub fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}
