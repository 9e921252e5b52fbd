//! Heat maps: how many values fell into each cell of time and size.

use maud::{Markup, html};

use crate::report::chart::axis::{Axis, Scale};
use crate::report::chart::{AXIS, COLOURS, LEFT, PLOT_HEIGHT, RIGHT, TOP, WIDTH, coordinate, frame};

/// The most columns and rows.
const COLUMNS: usize = 90;
const ROWS: usize = 28;

/// Counts of values over time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct HeatMap {
    pub(in crate::report) title: String,
    pub(in crate::report) description: String,
    /// The scale of the values.
    pub(in crate::report) y: Scale,
    /// For each time, ascending: values and their counts.
    pub(in crate::report) columns: Vec<(f64, Vec<(f64, u64)>)>,
    /// The end of the time axis, at least.
    pub(in crate::report) until: f64,
    /// How much time each of them covers.
    pub(in crate::report) interval: f64,
}

impl HeatMap {
    /// The chart as an SVG element.
    pub(super) fn svg(&self) -> Markup {
        let end = self.columns.last().map_or(1.0, |(at, _)| at + self.interval).max(self.until);
        let x = Axis::over(Scale::Time(end), std::iter::empty());
        let values = self.columns.iter().flat_map(|(_, cells)| cells.iter().map(|(value, _)| *value));
        let y = Axis::over(self.y, values);
        let (cells, columns) = self.cells(&y, end);
        let most = cells.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
        let (width, height) = ((WIDTH - LEFT - RIGHT) / columns as f64, PLOT_HEIGHT / ROWS as f64);
        let bottom = TOP + PLOT_HEIGHT;
        let content = html! {
            @for (column, rows) in cells.iter().enumerate() {
                @for (row, count) in rows.iter().enumerate().filter(|(_, count)| **count > 0) {
                    // The square root keeps rare values visible.
                    @let opacity = 0.12 + 0.88 * (*count as f64 / most).sqrt();
                    rect x=(coordinate(LEFT + column as f64 * width)) y=(coordinate(bottom - (row + 1) as f64 * height))
                        width=(coordinate(width)) height=(coordinate(height)) fill=(COLOURS[0])
                        fill-opacity=(format!("{opacity:.2}")) {}
                }
            }
            @for (value, label) in y.ticks() {
                @let place = bottom - y.place(value) * PLOT_HEIGHT;
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(coordinate(place)) y2=(coordinate(place)) stroke="currentColor"
                    stroke-opacity="0.18" {}
                text x=(LEFT - 6.0) y=(coordinate(place + 4.5)) text-anchor="end" { (label) }
            }
            @for (value, label) in x.ticks() {
                @let place = LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
                text x=(coordinate(place)) y=(bottom + 19.0)
                    text-anchor=(if place > WIDTH - RIGHT - 20.0 { "end" } else { "middle" }) { (label) }
            }
            @if self.columns.iter().all(|(_, cells)| cells.is_empty()) {
                text x=(LEFT + 12.0) y=(TOP + PLOT_HEIGHT / 2.0) fill-opacity="0.7" { "no data" }
            }
        };
        frame(&self.title, &self.description, TOP + PLOT_HEIGHT + AXIS + 4.0, &content)
    }

    /// The counts by column and row, and the number of columns.
    fn cells(&self, y: &Axis, end: f64) -> (Vec<[u64; ROWS]>, usize) {
        let columns = ((end / self.interval).ceil() as usize).clamp(1, COLUMNS);
        let mut cells = vec![[0; ROWS]; columns];
        for (at, values) in &self.columns {
            let column = ((at / end * columns as f64) as usize).min(columns - 1);
            for (value, count) in values {
                let row = ((y.place(*value) * ROWS as f64) as usize).min(ROWS - 1);
                cells[column][row] += count;
            }
        }
        (cells, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;

    #[test]
    fn every_value_is_in_a_cell() {
        let columns: Vec<_> = (0..500_u32).map(|at| (f64::from(at), vec![(1.0, 3), (100.0, 1)])).collect();
        let map = HeatMap {
            title: String::new(),
            description: String::new(),
            y: Scale::Logarithmic(Unit::Milliseconds),
            columns,
            until: 0.0,
            interval: 1.0,
        };
        let axis = Axis::over(map.y, [1.0, 100.0].into_iter());
        let (cells, columns) = map.cells(&axis, 500.0);
        assert_eq!((columns, cells.iter().flatten().sum::<u64>()), (COLUMNS, 2000));
        assert_eq!(map.svg().into_string().matches("<rect").count(), 2 * COLUMNS);
    }
}
