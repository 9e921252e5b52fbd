//! Tables for terminals: one line under the header, no other.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::units::format_number;

/// No line is longer, whatever names the plan has.
pub const WIDTH: u16 = 80;

/// An empty table; the first column is text, the others are aligned right.
pub fn plain_table(headers: &[&str]) -> Table {
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

/// A number as people read it; a dash where there is none.
pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), format_number)
}
