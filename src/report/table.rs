//! Plain tables for terminals: one rule under the header and no other lines.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::units::format_number;

/// The maximum width of a line in columns. Long names are wrapped to keep it.
pub const WIDTH: u16 = 80;

/// An empty table. The first column is aligned left, the others right.
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

/// A number formatted for people; a dash for `None`.
pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), format_number)
}
