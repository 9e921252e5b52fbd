//! Line charts, with bands from the lowest to the highest value, limits as lines, and stacks.

use maud::{Markup, html};

use crate::report::chart::axis::{Axis, Scale};
use crate::report::chart::{
    AXIS, CHARACTER, LEFT, LEGEND_ROW, LIMIT_COLOUR, PLOT_HEIGHT, RIGHT, TOP, WIDTH, colour, coordinate,
    frame,
};

/// The dashes of the first series, the second and so on, so that they differ without colours too.
const DASHES: [&str; 4] = ["none", "6 3", "2 2", "8 3 2 3"];

/// A chart of values over one axis.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct LineChart {
    pub(in crate::report) title: String,
    pub(in crate::report) description: String,
    pub(in crate::report) x: Scale,
    pub(in crate::report) y: Scale,
    pub(in crate::report) series: Vec<ChartSeries>,
    /// Values that are shown as lines, with their names.
    pub(in crate::report) limits: Vec<(String, f64)>,
    /// Parts of the x axis that are shaded.
    pub(in crate::report) shaded: Vec<(f64, f64)>,
    /// Whether the series are stacked as bars.
    pub(in crate::report) is_stacked: bool,
}

/// The values of one name.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct ChartSeries {
    pub(in crate::report) name: String,
    /// Ascending. `None` is a gap.
    pub(in crate::report) points: Vec<Option<ChartPoint>>,
}

/// A value, and the lowest and the highest that it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct ChartPoint {
    pub(in crate::report) x: f64,
    pub(in crate::report) value: f64,
    pub(in crate::report) low: f64,
    pub(in crate::report) high: f64,
}

impl ChartPoint {
    /// A value that stands for itself.
    pub(in crate::report) fn new(x: f64, value: f64) -> Self {
        Self { x, value, low: value, high: value }
    }
}

/// The axes of a chart, with the places of values on it.
struct Grid {
    x: Axis,
    y: Axis,
}

impl Grid {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - self.y.place(value)) * PLOT_HEIGHT
    }

    /// Lines and labels at the ticks of both axes.
    fn svg(&self) -> Markup {
        let bottom = TOP + PLOT_HEIGHT;
        html! {
            @for (value, label) in self.y.ticks() {
                @let y = coordinate(self.y(value));
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) stroke="currentColor" stroke-opacity="0.18" {}
                text x=(LEFT - 6.0) y=(coordinate(self.y(value) + 4.5)) text-anchor="end" { (label) }
            }
            @for (value, label) in self.x.ticks() {
                @let x = coordinate(self.x(value));
                line x1=(x) x2=(x) y1=(bottom) y2=(bottom + 5.0) stroke="currentColor" stroke-opacity="0.5" {}
                @let at_end = self.x(value) > WIDTH - RIGHT - 20.0;
                text x=(x) y=(bottom + 19.0) text-anchor=(if at_end { "end" } else { "middle" }) { (label) }
            }
            line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(bottom) y2=(bottom) stroke="currentColor" stroke-opacity="0.5" {}
        }
    }
}

impl LineChart {
    /// The chart as an SVG element.
    pub(super) fn svg(&self) -> Markup {
        let grid = self.grid();
        let rows = legend_rows(self.series.iter().map(|series| series.name.as_str()));
        let height = TOP + PLOT_HEIGHT + AXIS + rows.len() as f64 * LEGEND_ROW + 4.0;
        let scales = format!("{};{};{}", grid.x.inverse(), grid.y.inverse(), grid.y.unit());
        let content = html! {
            (self.shades(&grid))
            (grid.svg())
            @if self.is_stacked { (self.stacks(&grid)) } @else { (self.lines(&grid)) }
            (self.limit_lines(&grid))
            (legend(&rows, self.is_stacked))
            @if !self.has_points() {
                text x=(LEFT + 12.0) y=(TOP + PLOT_HEIGHT / 2.0) fill-opacity="0.7" { @if self.is_stacked { "none" } @else { "no data" } }
            }
            // The read-out of scripts inverts the places of the lines.
            g data-scales=(scales) data-plot=(format!("{LEFT} {TOP} {} {PLOT_HEIGHT}", WIDTH - LEFT - RIGHT)) {}
        };
        frame(&self.title, &self.description, height, &content)
    }

    /// Whether there is something to draw.
    pub(in crate::report) fn has_points(&self) -> bool {
        self.series.iter().any(|series| series.points.iter().any(Option::is_some))
    }

    fn grid(&self) -> Grid {
        let points = || self.series.iter().flat_map(|series| series.points.iter().flatten());
        let x = Axis::over(self.x, points().map(|point| point.x));
        let limits = self.limits.iter().map(|(_, limit)| *limit);
        let y = match self.is_stacked {
            true => Axis::over(self.y, self.stack_heights().into_iter()),
            false => {
                let values = points().flat_map(|point| [point.low, point.value, point.high]);
                Axis::over(self.y, values.chain(limits))
            }
        };
        Grid { x, y }
    }

    fn stack_heights(&self) -> Vec<f64> {
        let columns = self.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
        let value = |series: &ChartSeries, column: usize| {
            series.points.get(column).copied().flatten().map_or(0.0, |it| it.value)
        };
        (0..columns).map(|column| self.series.iter().map(|series| value(series, column)).sum()).collect()
    }

    fn shades(&self, grid: &Grid) -> Markup {
        html! {
            @for (from, to) in &self.shaded {
                rect x=(coordinate(grid.x(*from))) y=(TOP) width=(coordinate(grid.x(*to) - grid.x(*from)))
                    height=(PLOT_HEIGHT) fill="currentColor" fill-opacity="0.07" {}
            }
        }
    }

    fn lines(&self, grid: &Grid) -> Markup {
        html! {
            @for (index, series) in self.series.iter().enumerate() {
                @let (stroke, dash) = (colour(index), DASHES[index % DASHES.len()]);
                @for piece in series.points.split(Option::is_none).filter(|piece| !piece.is_empty()) {
                    @let points: Vec<ChartPoint> = piece.iter().copied().flatten().collect();
                    @if points.iter().any(|point| point.low < point.high) {
                        path d=(band(grid, &points)) fill=(stroke) fill-opacity="0.2" {}
                    }
                    @if let [only] = points[..] {
                        circle cx=(coordinate(grid.x(only.x))) cy=(coordinate(grid.y(only.value))) r="2.5" fill=(stroke) {}
                    } @else {
                        path d=(line(points.iter().map(|it| (grid.x(it.x), grid.y(it.value))))) fill="none"
                            stroke=(stroke) stroke-width="1.8" stroke-dasharray=(dash) stroke-linejoin="round"
                            data-series=(index) {}
                    }
                }
            }
        }
    }

    /// Bars on top of one another, one for each point.
    fn stacks(&self, grid: &Grid) -> Markup {
        let columns = self.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
        let width = ((WIDTH - LEFT - RIGHT) / columns.max(1) as f64).max(1.0);
        let mut below = vec![0.0; columns];
        html! {
            @for (index, series) in self.series.iter().enumerate() {
                @let path = bars(grid, series, &mut below, width);
                path d=(path) fill=(colour(index)) {}
            }
        }
    }

    fn limit_lines(&self, grid: &Grid) -> Markup {
        html! {
            @for (index, (name, limit)) in self.limits.iter().enumerate() {
                @let y = grid.y(*limit);
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(coordinate(y)) y2=(coordinate(y)) stroke=(LIMIT_COLOUR)
                    stroke-width="1.3" stroke-dasharray=(DASHES[1 + index % 3]) {}
                text x=(WIDTH - RIGHT - 3.0) y=(coordinate(y - 3.5)) text-anchor="end" font-size="11.5"
                    fill=(LIMIT_COLOUR) stroke="Canvas" stroke-width="3" paint-order="stroke" { (name) }
            }
        }
    }
}

fn line(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in places {
        let command = if path.is_empty() { 'M' } else { 'L' };
        path.push_str(&format!("{command}{} {}", coordinate(x), coordinate(y)));
    }
    path
}

fn band(grid: &Grid, points: &[ChartPoint]) -> String {
    let upper = points.iter().map(|point| (grid.x(point.x), grid.y(point.high)));
    let lower = points.iter().rev().map(|point| (grid.x(point.x), grid.y(point.low)));
    line(upper.chain(lower)) + "Z"
}

/// The bars of a series on top of those below it.
fn bars(grid: &Grid, series: &ChartSeries, below: &mut [f64], width: f64) -> String {
    let mut path = String::new();
    for (point, below) in series.points.iter().zip(below) {
        let Some(point) = point.filter(|point| point.value > 0.0) else { continue };
        let (from, to) = (grid.y(*below), grid.y(*below + point.value));
        *below += point.value;
        let x = grid.x(point.x).min(WIDTH - RIGHT - width);
        let [x, from, height, width] = [x, from, to - from, width].map(coordinate);
        path.push_str(&format!("M{x} {from}v{height}h{width}V{from}Z"));
    }
    path
}

/// The names of series in rows that fit, each with its number and its place.
fn legend_rows<'n>(names: impl Iterator<Item = &'n str>) -> Vec<Vec<(usize, f64, &'n str)>> {
    let mut rows: Vec<Vec<(usize, f64, &str)>> = Vec::new();
    let mut x = WIDTH;
    for (index, name) in names.enumerate() {
        let width = 30.0 + name.chars().count() as f64 * CHARACTER + 14.0;
        if x + width > WIDTH {
            rows.push(Vec::new());
            x = LEFT;
        }
        rows.last_mut().expect("a row was just added").push((index, x, name));
        x += width;
    }
    rows
}

fn legend(rows: &[Vec<(usize, f64, &str)>], is_stacked: bool) -> Markup {
    let first = TOP + PLOT_HEIGHT + AXIS + 12.0;
    html! {
        @for (row, names) in rows.iter().enumerate() {
            @let y = first + row as f64 * LEGEND_ROW;
            @for (index, x, name) in names {
                @if is_stacked {
                    rect x=(coordinate(*x)) y=(y - 9.0) width="22" height="9" fill=(colour(*index)) {}
                } @else {
                    line x1=(coordinate(*x)) x2=(coordinate(x + 22.0)) y1=(y - 4.0) y2=(y - 4.0) stroke=(colour(*index))
                        stroke-width="2.5" stroke-dasharray=(DASHES[index % DASHES.len()]) {}
                }
                text x=(coordinate(x + 28.0)) y=(y) data-name=(index) { (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;

    fn chart(points: Vec<Option<ChartPoint>>) -> LineChart {
        LineChart {
            title: "Requests per second".to_owned(),
            description: "A line.".to_owned(),
            x: Scale::Time(0.0),
            y: Scale::Linear(Unit::PerSecond),
            series: vec![ChartSeries { name: "delivered".to_owned(), points }],
            limits: vec![("maximum 20".to_owned(), 20.0)],
            shaded: vec![(0.0, 1.0)],
            is_stacked: false,
        }
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_lone_value_is_a_dot() {
        let at = |x: f64| Some(ChartPoint::new(x, 10.0));
        let drawn = chart(vec![at(0.0), at(1.0), None, at(3.0), None, at(5.0), at(6.0)]).svg().into_string();
        assert_eq!(drawn.matches("data-series=\"0\"").count(), 2, "{drawn}");
        assert_eq!(drawn.matches("<circle").count(), 1);
        assert!(drawn.contains("maximum 20") && !drawn.contains("no data"));
        assert!(chart(vec![None]).svg().into_string().contains("no data"));
    }

    #[test]
    fn peaks_stay_in_the_band() {
        let peak = ChartPoint { x: 1.0, value: 10.0, low: 2.0, high: 18.0 };
        let drawn =
            chart(vec![Some(ChartPoint::new(0.0, 10.0)), Some(peak), Some(ChartPoint::new(2.0, 10.0))]).svg();
        // 18 of 21.6 at the top of the axis is 28.3 below the upper edge of the plot.
        assert!(drawn.into_string().contains("L262 58.3"));
    }

    #[test]
    fn stacks_stand_on_one_another() {
        let of = |value: f64| vec![Some(ChartPoint::new(0.0, value)), Some(ChartPoint::new(1.0, 0.0))];
        let series = ["a", "b"].map(|name| ChartSeries { name: name.to_owned(), points: of(5.0) });
        let chart =
            LineChart { series: series.into(), limits: Vec::new(), is_stacked: true, ..chart(Vec::new()) };
        assert_eq!(chart.stack_heights(), [10.0, 0.0]);
        let drawn = chart.svg().into_string();
        assert!(drawn.contains("M58 200v") && drawn.contains("M58 121.3v"), "{drawn}");
    }
}
