//! A phase: its charts, its operations, its failures, its hosts and the checks of the generator.

use std::time::Duration;

use maud::{Markup, html};

use crate::report::format::charts;
use crate::report::format::html::{headers, scrolling};
use crate::report::full::FullReport;
use crate::report::model::{ErrorReport, OperationReport, PhaseReport, Report};
use crate::report::neutral::visible;
use crate::report::table::number;
use crate::units::{TimeSpan, format_amount};

/// The most messages of failures of one kind, and the most bodies, that are shown.
const MAX_MESSAGES: usize = 20;

/// The section of a phase.
pub(super) fn section(full: &FullReport<'_>, index: usize) -> Markup {
    let (phase, id) = (&full.report.phases[index], format!("phase-{}", index + 1));
    let width = full.details.get(index).map_or(1.0, |details| details.timeline.width());
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { "Phase " (visible(&phase.name)) }
            p { (facts(phase)) }
            div.charts {
                @for chart in charts::of_phase(full, index) { figure { (chart.chart.svg()) } }
            }
            p.remark { "Each point of a chart stands for " (seconds(width)) " or more; bands reach from the lowest to the highest second. Shaded time is not judged." }
            h3 id=(format!("{id}-operations")) { "Operations" }
            (scrolling(&format!("{id}-operations"), &operations(phase)))
            (failures(phase))
            (hosts(&full.report, phase, &id))
            h3 id=(format!("{id}-generator")) { "Load generator" }
            (scrolling(&format!("{id}-generator"), &generator(phase)))
        }
    }
}

fn facts(phase: &PhaseReport) -> String {
    let arrivals = phase.arrivals.as_ref().map_or(String::new(), |arrivals| {
        format!(
            " {} of {} arrivals were started, {} dropped.",
            arrivals.started, arrivals.scheduled, arrivals.dropped
        )
    });
    format!(
        "Started at {}, ran for {}, of which {} are judged, with {} users. {} requests, {} of them failed.{arrivals}",
        phase.started_at,
        seconds(phase.ran_s),
        seconds(phase.judged_s),
        phase.users,
        phase.requests,
        phase.errors
    )
}

fn seconds(value: f64) -> String {
    let rounded = Duration::from_secs_f64((value * 1000.0).round().max(0.0) / 1000.0);
    TimeSpan::from(rounded).to_string()
}

fn operations(phase: &PhaseReport) -> Markup {
    let row = |operation: &OperationReport| {
        let times = operation.response_ms;
        let numbers = [times.mean, times.p50, times.p90, times.p95, times.p99, times.p999, times.max];
        html! {
            tr {
                th scope="row" { (visible(&operation.name)) }
                td.number { (operation.requests) }
                td.number { (operation.errors) }
                td.number { (operation.dropped) }
                td.number { (number(operation.throughput_per_s)) }
                @for value in numbers { td.number { (number(value)) } }
            }
        }
    };
    let numbers =
        ["Sent", "Failed", "Dropped", "Per second", "Mean, ms", "p50", "p90", "p95", "p99", "p99.9", "Max"];
    html! {
        table.sortable {
            caption { "Response times and throughput over the judged period, counts over the whole phase." }
            thead { tr { (headers(&["Operation"], &numbers)) } }
            tbody { @for operation in &phase.operations { (row(operation)) } }
        }
    }
}

fn failures(phase: &PhaseReport) -> Markup {
    html! {
        @if !phase.errors_by_kind.is_empty() {
            h3 { "Failures" }
            @for error in &phase.errors_by_kind { (failure(error)) }
        }
    }
}

/// Failures of one kind of one operation, with their most frequent messages.
fn failure(error: &ErrorReport) -> Markup {
    let more = error.messages.len().saturating_sub(MAX_MESSAGES);
    html! {
        details {
            summary {
                (error.count) " × " (error.kind) " of " (visible(&error.operation)) ": " (visible(&error.example))
            }
            ul {
                @for message in error.messages.iter().take(MAX_MESSAGES) {
                    li { (message.count) " × " (visible(&message.message)) }
                }
                @if more > 0 { li { "and " (more) " other messages, see " code { "report.json" } } }
            }
            @for body in &error.bodies { pre { (visible(body)) } }
        }
    }
}

fn hosts(report: &Report, phase: &PhaseReport, id: &str) -> Markup {
    let of_phase = report.resources.iter().filter(|host| host.phase == phase.name);
    let rows =
        of_phase.flat_map(|host| host.metrics.iter().map(move |(metric, values)| (host, metric, values)));
    let rows: Vec<_> = rows.collect();
    let table = html! {
        table.sortable {
            caption { "Readings of hosts over the judged period; percentiles are of means over whole minutes." }
            thead { tr { (headers(&["Host", "Metric"], &["Mean", "Lowest", "p95", "Highest"])) } }
            tbody {
                @for (host, metric, values) in &rows {
                    @let shown = |value: f64| format_amount(value, values.unit);
                    tr {
                        th scope="row" { (visible(&host.host)) }
                        td { (metric) }
                        td.number { (shown(values.mean)) }
                        td.number { (shown(values.min)) }
                        td.number { (values.p95.map_or_else(|| "–".to_owned(), shown)) }
                        td.number { (shown(values.max)) }
                    }
                }
            }
        }
    };
    html! {
        @if !rows.is_empty() {
            h3 id=(format!("{id}-resources")) { "Resources" }
            details {
                summary { (rows.len()) " metrics of the hosts over the judged period" }
                (scrolling(&format!("{id}-resources"), &table))
            }
        }
    }
}

fn generator(phase: &PhaseReport) -> Markup {
    html! {
        table {
            caption { "Whether the numbers describe the target: the checks that the load generator makes of itself." }
            thead { tr { (headers(&["Check", "Value", "Verdict", "Why"], &[])) } }
            tbody {
                @for check in &phase.generator.checks {
                    tr {
                        th scope="row" { (visible(&check.name)) }
                        td { (visible(&check.value)) }
                        td { (check.verdict) }
                        td { (visible(&check.why)) }
                    }
                }
            }
        }
    }
}
