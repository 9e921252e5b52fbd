//! Charts as SVG. All looks are presentation attributes and `currentColor`, so that a chart keeps them under a content
//! policy without styles, in the dark and on paper.

mod axis;
mod bullet;
mod heat_map;
mod plot;

use maud::{Markup, html};

pub(super) use axis::Scale;
pub(super) use bullet::bullet;
pub(super) use heat_map::HeatMap;
pub(super) use plot::{ChartPoint, ChartSeries, LineChart};

/// The width of a chart in its own units. Pages scale it.
const WIDTH: f64 = 480.0;
const PLOT_HEIGHT: f64 = 170.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
/// Above the plot: the title.
const TOP: f64 = 30.0;
/// Below the plot: the labels of the axis.
const AXIS: f64 = 24.0;
const LEGEND_ROW: f64 = 18.0;
/// The mean width of a character.
const CHARACTER: f64 = 6.6;

/// Colours that differ in hue and have a contrast of at least 3 : 1 with white and with black.
const COLOURS: [&str; 8] =
    ["#2f7fc1", "#c9711f", "#3d9150", "#cc4b5c", "#8b6bc7", "#a06a3c", "#c2559f", "#6d7f1c"];
/// The colour of limits.
const LIMIT_COLOUR: &str = "#cc4b5c";

/// A chart of any kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Chart {
    Lines(LineChart),
    Heat(HeatMap),
}

impl Chart {
    /// The chart as an SVG element.
    pub(super) fn svg(&self) -> Markup {
        match self {
            Self::Lines(chart) => chart.svg(),
            Self::Heat(chart) => chart.svg(),
        }
    }

    /// The chart as a file of its own, on a white ground.
    pub(super) fn file(&self) -> String {
        let drawn = self.svg().into_string();
        let (head, rest) = drawn.split_once('>').expect("an element ends its tag");
        format!("{head} color=\"#1b1f24\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{rest}\n")
    }
}

/// Charts in two columns, as a file of their own.
pub(super) fn sheet(charts: &[Chart]) -> String {
    const ROW: f64 = 270.0;
    let placed = charts.iter().enumerate().map(|(index, chart)| {
        let (column, row) = ((index % 2) as f64, (index / 2) as f64);
        let drawn = chart.svg().into_string();
        let place = format!("<svg x=\"{}\" y=\"{}\"", column * (WIDTH + 20.0), row * ROW);
        drawn.replacen("<svg", &place, 1)
    });
    let (width, height) = (2.0 * WIDTH + 20.0, charts.len().div_ceil(2) as f64 * ROW);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" color=\"#1b1f24\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>{}</svg>\n",
        placed.collect::<String>()
    )
}

/// An SVG element of this height with a title that people see, and a description for those who do not.
fn frame(title: &str, description: &str, height: f64, content: &Markup) -> Markup {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {height}")) width=(WIDTH) height=(height) role="img"
            font-family="system-ui, sans-serif" font-size="13" fill="currentColor" {
            title { (title) }
            desc { (description) }
            text x="2" y="17" font-weight="600" font-size="14" { (title) }
            (content)
        }
    }
}

/// The colour of a series.
fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// A coordinate with one decimal.
fn coordinate(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
