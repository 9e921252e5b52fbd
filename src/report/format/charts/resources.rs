//! Charts of resources: processor, memory, disk and network of each host.

use crate::report::chart::{Chart, ChartPoint, ChartSeries, LineChart, Scale};
use crate::report::format::charts::{ChartedPhase, NamedChart, thinned};
use crate::resources::metric::Metric;
use crate::slo::objective::ObjectiveKind;
use crate::units::{Unit, format_limit};

/// A chart of metrics with one unit.
struct Panel {
    name: &'static str,
    title: &'static str,
    unit: Unit,
    metrics: &'static [(Metric, &'static str)],
}

/// The four charts of the guide to load tests: processor, memory, disk and network.
const PANELS: [Panel; 4] = [
    Panel { name: "cpu", title: "CPU, %", unit: Unit::Percent, metrics: &[(Metric::Cpu, "")] },
    Panel { name: "memory", title: "Memory, %", unit: Unit::Percent, metrics: &[(Metric::Memory, "")] },
    Panel {
        name: "disk",
        title: "Disk, bytes per second",
        unit: Unit::BytesPerSecond,
        metrics: &[(Metric::DiskRead, " read"), (Metric::DiskWrite, " written")],
    },
    Panel {
        name: "network",
        title: "Network, bytes per second",
        unit: Unit::BytesPerSecond,
        metrics: &[(Metric::NetworkIn, " received"), (Metric::NetworkOut, " sent")],
    },
];

/// The charts of the hosts that were read in a phase.
pub(super) fn of_hosts(charted: &ChartedPhase<'_>) -> Vec<NamedChart> {
    if charted.details.hosts.iter().all(|(_, host)| host.timelines.is_empty()) {
        return Vec::new();
    }
    PANELS
        .iter()
        .map(|panel| NamedChart { name: panel.name.to_owned(), chart: panel.chart(charted) })
        .collect()
}

impl Panel {
    fn chart(&self, charted: &ChartedPhase<'_>) -> Chart {
        let lines = charted.details.hosts.iter().flat_map(|(host, readings)| {
            self.metrics.iter().filter_map(move |(metric, suffix)| {
                let timeline = readings.timelines.get(metric)?;
                let points: Vec<_> = timeline
                    .iter()
                    .map(|(at, slice)| {
                        let (low, high) = (slice.lowest, slice.highest);
                        Some(ChartPoint { x: at, value: slice.mean(), low, high })
                    })
                    .collect();
                Some(ChartSeries { name: format!("{host}{suffix}"), points: thinned(&points) })
            })
        });
        Chart::Lines(LineChart {
            title: self.title.to_owned(),
            description: format!(
                "{} of each host over the phase, with the limits of the objectives.",
                self.title
            ),
            x: charted.time(),
            y: Scale::Linear(self.unit),
            series: lines.collect(),
            limits: self.limits(charted),
            shaded: charted.unjudged(),
            is_stacked: false,
        })
    }

    /// The limits of the objectives on its metrics.
    fn limits(&self, charted: &ChartedPhase<'_>) -> Vec<(String, f64)> {
        let is_shown = |metric: Option<Metric>| self.metrics.iter().any(|(shown, _)| Some(*shown) == metric);
        let objectives = charted.full.report.objectives.iter().filter(|objective| {
            objective.kind == ObjectiveKind::Resource
                && objective.phase == charted.phase.name
                && objective.unit == self.unit
                && is_shown(objective.metric)
        });
        let mut limits: Vec<(String, f64)> = Vec::new();
        for objective in objectives {
            for (name, limit) in &objective.limits {
                let text = format!("{} {}", name.as_str(), format_limit(*limit, objective.unit));
                if !limits.iter().any(|(known, _)| *known == text) {
                    limits.push((text, *limit));
                }
            }
        }
        limits
    }
}
