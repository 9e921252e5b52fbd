//! Charts of response times: over time, by percentile, and as a heat map.

use std::time::Duration;

use crate::measure::histogram::DenseHistogram;
use crate::report::chart::{Chart, ChartPoint, ChartSeries, HeatMap, LineChart, Scale};
use crate::report::format::charts::{ChartedPhase, thinned};
use crate::slo::objective::ObjectiveKind;
use crate::units::{Unit, format_limit};

/// The most operations of the percentile plot.
const MAX_OPERATIONS: usize = 7;
/// Points of the percentile plot for each nine.
const POINTS_PER_NINE: u32 = 25;

/// Percentiles over time, with the limits of the phase as lines.
pub(super) fn over_time(charted: &ChartedPhase<'_>) -> Chart {
    let mut lines = [const { Vec::new() }; 4];
    for (x, slice) in charted.slices() {
        let response = slice.response();
        let at = |part: f64| response.quantile(part).map(|micros| ChartPoint::new(x, millis_of(micros)));
        let p95 = at(0.95).zip(slice.p95.get()).map(|(point, (low, high))| ChartPoint {
            low: millis_of(low).min(point.value),
            high: millis_of(high).max(point.value),
            ..point
        });
        for (line, point) in lines.iter_mut().zip([at(0.5), p95, at(0.99), at(1.0)]) {
            line.push(point);
        }
    }
    let names = ["p50", "p95 (band: seconds)", "p99", "maximum"];
    let series = names.into_iter().zip(&lines);
    Chart::Lines(LineChart {
        title: "Response times, ms".to_owned(),
        description: "Percentiles of the response times of all operations over the phase, on a logarithmic scale, with \
                      the limits of the objectives of response time."
            .to_owned(),
        x: charted.time(),
        y: Scale::Logarithmic(Unit::Milliseconds),
        series: series.map(|(name, points)| ChartSeries { name: name.to_owned(), points: thinned(points) }).collect(),
        limits: limits(charted),
        shaded: charted.unjudged(),
        is_stacked: false,
    })
}

/// The strictest limits of each tier among the gated objectives of response time.
fn limits(charted: &ChartedPhase<'_>) -> Vec<(String, f64)> {
    let of_phase = charted.full.report.objectives.iter().filter(|objective| {
        objective.kind == ObjectiveKind::ResponseTime && objective.phase == charted.phase.name
    });
    let strictest = of_phase.min_by(|one, other| {
        let least = |limits: Vec<&f64>| limits.into_iter().copied().fold(f64::INFINITY, f64::min);
        least(one.limits.values().collect()).total_cmp(&least(other.limits.values().collect()))
    });
    let Some(objective) = strictest else { return Vec::new() };
    let named = |(name, limit): (&crate::report::model::LimitName, &f64)| {
        (format!("{}, {} {}", objective.name, name.as_str(), format_limit(*limit, objective.unit)), *limit)
    };
    objective.limits.iter().map(named).collect()
}

/// The response time by percentile, on a scale of nines, of each operation.
pub(super) fn percentiles(charted: &ChartedPhase<'_>) -> Chart {
    let mut operations: Vec<_> =
        charted.details.operations.iter().filter(|(_, operation)| operation.response.count() > 0).collect();
    operations.sort_by_key(|(_, operation)| std::cmp::Reverse(operation.response.count()));
    let shown = operations.iter().take(MAX_OPERATIONS);
    let series = shown.map(|(id, operation)| ChartSeries {
        name: charted.details.name(**id).to_owned(),
        points: curve(&operation.response),
    });
    let left_out = operations.len().saturating_sub(MAX_OPERATIONS);
    let rest = if left_out > 0 {
        format!(" {left_out} operations with fewer requests are left out.")
    } else {
        String::new()
    };
    Chart::Lines(LineChart {
        title: "Response time by percentile, ms".to_owned(),
        description: format!(
            "The response time that a share of the requests of each operation did not exceed, over the judged period.{rest}"
        ),
        x: Scale::Nines,
        y: Scale::Logarithmic(Unit::Milliseconds),
        series: series.collect(),
        limits: Vec::new(),
        shaded: Vec::new(),
        is_stacked: false,
    })
}

/// The times of a distribution by share, up to the last that its count can show.
fn curve(times: &DenseHistogram) -> Vec<Option<ChartPoint>> {
    let count = times.count() as f64;
    let shares = (0..=7 * POINTS_PER_NINE)
        .map(|step| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(POINTS_PER_NINE)));
    let mut shares = shares.take_while(|share| (1.0 - share) * count >= 1.0).peekable();
    let mut points = Vec::new();
    let mut below = 0.0;
    for (time, bucket) in times.buckets() {
        below += bucket as f64;
        while let Some(share) = shares.next_if(|share| share * count <= below) {
            points.push(Some(ChartPoint::new(share, millis(time))));
        }
    }
    points
}

fn millis_of(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// How many requests took how long, over time.
pub(super) fn heat_map(charted: &ChartedPhase<'_>) -> Chart {
    let width = charted.details.timeline.width();
    let columns = charted.details.timeline.slices().map(|(from, slice)| {
        let cells = slice.response().buckets().map(|(micros, count)| (millis_of(micros), count)).collect();
        (from, cells)
    });
    Chart::Heat(HeatMap {
        title: "Response times, ms: how many".to_owned(),
        description: "The number of requests by time and response time: the darker, the more.".to_owned(),
        y: Scale::Logarithmic(Unit::Milliseconds),
        columns: columns.collect(),
        until: charted.phase.ran_s,
        interval: width,
    })
}
