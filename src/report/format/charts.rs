//! The charts of a run: what happened over time in each phase, how response times are spread, and the resources of hosts.

mod load;
mod resources;
mod times;

use std::path::PathBuf;

use crate::measure::timeline::Slice;
use crate::report::chart::{self, Chart, ChartPoint, Scale};
use crate::report::full::{FullReport, PhaseDetails};
use crate::report::model::PhaseReport;

/// The most places of a line. More slices share a place, with the lowest and the highest of them.
const MAX_PLACES: usize = 420;

/// A chart with the name of its file.
pub(super) struct NamedChart {
    pub(super) name: String,
    pub(super) chart: Chart,
}

/// A phase whose charts are drawn.
#[derive(Clone, Copy)]
struct ChartedPhase<'r> {
    full: &'r FullReport<'r>,
    phase: &'r PhaseReport,
    details: &'r PhaseDetails<'r>,
}

impl ChartedPhase<'_> {
    /// The slices of the phase, each with the middle of its time.
    fn slices(&self) -> impl Iterator<Item = (f64, &Slice)> {
        let timeline = self.details.timeline;
        timeline
            .slices()
            .map(|(from, slice)| (from + f64::from(slice.seconds.min(timeline.width() as u32)) / 2.0, slice))
    }

    /// The time axis of the phase.
    fn time(&self) -> Scale {
        Scale::Time(self.phase.ran_s)
    }

    /// The parts of the phase that are not judged.
    fn unjudged(&self) -> Vec<(f64, f64)> {
        let mut unjudged = Vec::new();
        let mut since = 0.0;
        for judged in self.details.judged {
            unjudged.push((since, f64::from(judged.from)));
            since = judged.to;
        }
        unjudged.push((since, self.phase.ran_s));
        unjudged.retain(|(from, to)| from < to);
        unjudged
    }

    /// A line with a point for each slice; without one where `value` gives none.
    fn line(&self, value: impl Fn(&Slice) -> Option<ChartPoint>) -> Vec<Option<ChartPoint>> {
        let points: Vec<_> =
            self.slices().map(|(x, slice)| value(slice).map(|point| ChartPoint { x, ..point })).collect();
        thinned(&points)
    }
}

/// The charts of a phase, in their order on the page.
pub(super) fn of_phase(full: &FullReport<'_>, index: usize) -> Vec<NamedChart> {
    let (Some(phase), Some(details)) = (full.report.phases.get(index), full.details.get(index)) else {
        return Vec::new();
    };
    let charted = ChartedPhase { full, phase, details };
    let named = |name: &str, chart: Chart| NamedChart { name: name.to_owned(), chart };
    let mut charts = vec![
        named("throughput", load::throughput(&charted)),
        named("response-times", times::over_time(&charted)),
        named("errors", load::errors(&charted)),
        named("users", load::users(&charted)),
        named("percentiles", times::percentiles(&charted)),
        named("heat-map", times::heat_map(&charted)),
        named("generator-cpu", load::busiest_worker(&charted)),
        named("send-lag", load::send_lag(&charted)),
    ];
    charts.extend(resources::of_hosts(&charted));
    charts
}

/// The files of the folder: each chart of each phase, and the four charts of resources in one.
pub(super) fn files(full: &FullReport<'_>) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for (index, phase) in full.report.phases.iter().enumerate() {
        let of_hosts = full
            .details
            .get(index)
            .map(|details| resources::of_hosts(&ChartedPhase { full, phase, details }));
        let of_hosts = of_hosts.unwrap_or_default();
        let phase = file_name(&phase.name);
        for NamedChart { name, chart } in of_phase(full, index) {
            let path = format!("{:02}-{phase}-{name}.svg", index + 1);
            files.push((path.into(), chart.file().into_bytes()));
        }
        let sheet: Vec<Chart> = of_hosts.into_iter().map(|named| named.chart).collect();
        if !sheet.is_empty() {
            let path = format!("{:02}-{phase}-load_test_analysis.svg", index + 1);
            files.push((path.into(), chart::sheet(&sheet).into_bytes()));
        }
    }
    files
}

/// A name of a plan as a part of a file's name.
fn file_name(name: &str) -> String {
    name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '-' }).collect()
}

/// A line of at most [`MAX_PLACES`] points. Where several share a place, their lowest and highest values stay, and the value
/// is the highest of them.
fn thinned(points: &[Option<ChartPoint>]) -> Vec<Option<ChartPoint>> {
    let together = points.len().div_ceil(MAX_PLACES).max(1);
    let join = |points: &[Option<ChartPoint>]| {
        let known = points.iter().copied().flatten();
        known.reduce(|one, other| ChartPoint {
            x: one.x,
            value: one.value.max(other.value),
            low: one.low.min(other.low),
            high: one.high.max(other.high),
        })
    };
    points.chunks(together).map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_line_keeps_its_lowest_and_highest_values() {
        let mut points: Vec<_> = (0..1800).map(|at| Some(ChartPoint::new(f64::from(at), 10.0))).collect();
        points[777] = Some(ChartPoint::new(777.0, 99.0));
        points[1200] = Some(ChartPoint::new(1200.0, 1.0));
        let thinned = thinned(&points);
        assert!(thinned.len() <= MAX_PLACES);
        let known = || thinned.iter().flatten();
        assert_eq!(known().map(|it| it.high).fold(0.0, f64::max), 99.0);
        assert_eq!(known().map(|it| it.low).fold(f64::INFINITY, f64::min), 1.0);
    }
}
