//! Charts of the load: requests, failures, users, and the generator itself.

use std::collections::BTreeSet;

use crate::measure::sample::ErrorKind;
use crate::measure::timeline::Slice;
use crate::report::chart::{Chart, ChartPoint, ChartSeries, LineChart, Scale};
use crate::report::format::charts::{ChartedPhase, MAX_PLACES};
use crate::units::{Unit, format_number};

/// Requests per second: asked by the schedule, and ended.
pub(super) fn throughput(charted: &ChartedPhase<'_>) -> Chart {
    let per_second = |count: u64, slice: &Slice| count as f64 / f64::from(slice.seconds.max(1));
    let ended = charted.line(|slice| {
        let completed = slice.operations.values().map(|operation| operation.completed).sum();
        let (low, high) = slice.ended.get()?;
        let value = per_second(completed, slice);
        Some(ChartPoint { x: 0.0, value, low: (low as f64).min(value), high: (high as f64).max(value) })
    });
    let mut series = vec![ChartSeries { name: "delivered (band: seconds)".to_owned(), points: ended }];
    if charted.phase.arrivals.is_some() {
        let asked = charted.line(|slice| {
            let asked = per_second(slice.scheduled, slice);
            slice.ended.get().map(|_| ChartPoint::new(0.0, asked))
        });
        series.push(ChartSeries { name: "asked".to_owned(), points: asked });
    }
    let mean = charted.phase.throughput_per_s.map_or_else(|| "unknown".to_owned(), format_number);
    Chart::Lines(LineChart {
        title: "Requests per second".to_owned(),
        description: format!(
            "Successful tasks per second over the phase, with the lowest and the highest second of each interval; \
             {mean} per second over the judged period."
        ),
        x: charted.time(),
        y: Scale::Linear(Unit::PerSecond),
        series,
        limits: Vec::new(),
        shaded: charted.unjudged(),
        is_stacked: false,
    })
}

/// Failures over time, by kind, and arrivals that were dropped.
pub(super) fn errors(charted: &ChartedPhase<'_>) -> Chart {
    let operations = || charted.slices().flat_map(|(_, slice)| slice.operations.values());
    let kinds: BTreeSet<ErrorKind> = operations().flat_map(|it| it.errors.keys().copied()).collect();
    let of_kind = |kind: ErrorKind| {
        let count = move |slice: &Slice| -> u64 {
            slice.operations.values().filter_map(|operation| operation.errors.get(&kind)).sum()
        };
        ChartSeries { name: kind.to_string(), points: sums(charted, count) }
    };
    let mut series: Vec<ChartSeries> = kinds.into_iter().map(of_kind).collect();
    if charted.phase.dropped > 0 {
        let dropped = |slice: &Slice| slice.operations.values().map(|operation| operation.dropped).sum();
        series.push(ChartSeries { name: "dropped arrivals".to_owned(), points: sums(charted, dropped) });
    }
    let (errors, dropped) = (charted.phase.errors, charted.phase.dropped);
    Chart::Lines(LineChart {
        title: "Failures".to_owned(),
        description: format!(
            "Failed requests in each interval by kind: {errors}; dropped arrivals: {dropped}."
        ),
        x: charted.time(),
        y: Scale::Linear(Unit::Count),
        series,
        limits: Vec::new(),
        shaded: charted.unjudged(),
        is_stacked: true,
    })
}

/// The sums of a count over equal parts of the phase.
fn sums(charted: &ChartedPhase<'_>, count: impl Fn(&Slice) -> u64) -> Vec<Option<ChartPoint>> {
    let slices: Vec<_> = charted.slices().map(|(x, slice)| (x, count(slice) as f64)).collect();
    let together = slices.len().div_ceil(MAX_PLACES / 3).max(1);
    let sum = |part: &[(f64, f64)]| {
        let at = part.first().map_or(0.0, |(x, _)| *x);
        Some(ChartPoint::new(at, part.iter().map(|(_, count)| count).sum()))
    };
    slices.chunks(together).map(sum).collect()
}

/// The users, and the requests in flight.
pub(super) fn users(charted: &ChartedPhase<'_>) -> Chart {
    let steps = &charted.details.users;
    let users = |at: f64| steps.iter().rev().find(|(since, _)| *since <= at).map_or(0, |(_, users)| *users);
    let points: Vec<_> =
        charted.slices().map(|(x, _)| Some(ChartPoint::new(x, f64::from(users(x))))).collect();
    let in_flight = charted.line(|slice| {
        let (low, high) = slice.in_flight.get()?;
        let (low, high) = (low as f64, high as f64);
        Some(ChartPoint { x: 0.0, value: high, low, high })
    });
    Chart::Lines(LineChart {
        title: "Users and requests in flight".to_owned(),
        description: format!(
            "Virtual users, at most {}, and the requests that had begun and not ended, at the end of each second.",
            charted.phase.users
        ),
        x: charted.time(),
        y: Scale::Linear(Unit::Count),
        series: vec![
            ChartSeries { name: "users".to_owned(), points: super::thinned(&points) },
            ChartSeries { name: "in flight".to_owned(), points: in_flight },
        ],
        limits: Vec::new(),
        shaded: charted.unjudged(),
        is_stacked: false,
    })
}

/// The processor time of the generator's busiest worker.
pub(super) fn busiest_worker(charted: &ChartedPhase<'_>) -> Chart {
    let points = charted.line(|slice| Some(ChartPoint::new(0.0, f64::from(slice.busiest_worker) / 10.0)));
    Chart::Lines(LineChart {
        title: "Load generator: CPU, %".to_owned(),
        description: "The processor time of the busiest worker of the load generator, in percent of a core."
            .to_owned(),
        x: charted.time(),
        y: Scale::Linear(Unit::Percent),
        series: vec![ChartSeries { name: "busiest worker".to_owned(), points }],
        limits: Vec::new(),
        shaded: charted.unjudged(),
        is_stacked: false,
    })
}

/// The generator's own delay before sending.
pub(super) fn send_lag(charted: &ChartedPhase<'_>) -> Chart {
    let points = charted.line(|slice| {
        (slice.longest_send_lag > 0).then(|| ChartPoint::new(0.0, slice.longest_send_lag as f64 / 1000.0))
    });
    Chart::Lines(LineChart {
        title: "Load generator: send lag, ms".to_owned(),
        description: "The longest delay before sending that the load generator caused, in each interval."
            .to_owned(),
        x: charted.time(),
        y: Scale::Logarithmic(Unit::Milliseconds),
        series: vec![ChartSeries { name: "longest send lag".to_owned(), points }],
        limits: Vec::new(),
        shaded: charted.unjudged(),
        is_stacked: false,
    })
}
