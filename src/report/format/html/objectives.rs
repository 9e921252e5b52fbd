//! The objectives: what was not met and why, and all of them with their limits.

use maud::{Markup, html};

use crate::report::chart::bullet;
use crate::report::console;
use crate::report::format::html::{class_of, headers, scrolling};
use crate::report::model::{LimitName, ObjectiveReport, Report};
use crate::report::neutral::visible;
use crate::slo::judge::Verdict;
use crate::units::format_limit;

/// The headers of numbers.
const HEADERS: [&str; 6] = ["Observed", "Among its limits", "Target", "Acceptable", "Last", "Samples"];

/// The gated objectives that were not met, with the reasons.
pub(super) fn not_met(report: &Report) -> Markup {
    let gated = || report.objectives.iter().filter(|objective| objective.gated);
    let of = |verdict: Verdict| gated().filter(move |objective| objective.verdict == verdict);
    let unmet: Vec<_> =
        [Verdict::Missed, Verdict::Inconclusive, Verdict::NoData].into_iter().flat_map(of).collect();
    html! {
        @if !unmet.is_empty() {
            section aria-labelledby="not-met" {
                h2 id="not-met" { "Not met" }
                dl {
                    @for objective in unmet {
                        dt {
                            (visible(&objective.name)) ", " (visible(&objective.phase)) ": "
                            span.verdict.(class_of(objective)) { (objective.verdict) }
                        }
                        dd { (visible(&objective.why)) }
                    }
                }
                (causes(report))
            }
        }
    }
}

fn causes(report: &Report) -> Markup {
    html! {
        @if report.phases.iter().any(|phase| !phase.causes.is_empty()) {
            h3 { "Likely causes" }
            ul {
                @for phase in &report.phases {
                    @for cause in &phase.causes { li { (visible(&phase.name)) ": " (visible(cause)) } }
                }
            }
        }
    }
}

/// All objectives, each with its observed value among its limits.
pub(super) fn all(report: &Report) -> Markup {
    let table = html! {
        table.sortable {
            caption {
                "The bar is the observed value, the thin line its interval at " (report.confidence_percent)
                " % confidence, and each mark a limit."
            }
            thead { tr { (headers(&["Objective", "Phase", "Verdict"], &HEADERS)) } }
            tbody { @for objective in &report.objectives { (row(objective)) } }
        }
    };
    html! {
        section aria-labelledby="objectives" {
            h2 id="objectives" { "Objectives" }
            @if report.objectives.is_empty() { p { "The plan has no objectives." } }
            @else { (scrolling("objectives", &table)) }
        }
    }
}

fn row(objective: &ObjectiveReport) -> Markup {
    let limit = |names: &[LimitName]| {
        let found = names.iter().find_map(|name| objective.limits.get(name));
        found.map_or_else(|| "–".to_owned(), |limit| format_limit(*limit, objective.unit))
    };
    let limits: Vec<f64> = objective.limits.values().copied().collect();
    let described = console::objective_line(objective);
    html! {
        tr {
            th scope="row" { (visible(&objective.name)) @if !objective.gated { " (not gated)" } }
            td { (visible(&objective.phase)) }
            td { span.verdict.(class_of(objective)) { (objective.verdict) } }
            td.number { (console::observed(objective)) }
            td { (bullet(objective.observed, objective.interval, &limits, &visible(&described))) }
            td.number { (limit(&[LimitName::Target])) }
            td.number { (limit(&[LimitName::Acceptable])) }
            td.number { (limit(&[LimitName::Maximum, LimitName::Minimum])) }
            td.number { (objective.samples) }
        }
    }
}
