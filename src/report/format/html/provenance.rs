//! Where the numbers come from: what ran, where and when, and the plan and thresholds as they ran.

use maud::{Markup, html};

use crate::report::format::html::scrolling;
use crate::report::full::FullReport;
use crate::report::neutral::visible;
use crate::units::format_number;

/// The most bytes of a file of the plan that are shown.
const MAX_FILE_BYTES: usize = 64 << 10;

/// The facts about the run, and the files of its plan.
pub(super) fn sections(full: &FullReport<'_>) -> Markup {
    let report = &full.report;
    let machine = report.machine.as_ref().map(|machine| {
        format!("{}, Linux {}, {} cores", machine.host, machine.kernel, format_number(machine.cores))
    });
    let mut facts = vec![
        ("Runner", report.runner.clone()),
        ("Plan", report.plan.path.clone()),
        ("Plan digest (SHA-256)", report.plan.digest.clone()),
        ("Target", report.target.clone()),
        ("Seed", report.seed.to_string()),
        ("Started", report.started_at.clone()),
        ("Ended", report.ended_at.clone()),
        ("Decided by", format!("{}, tier {}", report.decision, report.gate)),
    ];
    facts.extend(machine.map(|machine| ("Generator's machine", machine)));
    let labels = report.labels.iter().map(|(key, value)| (key.as_str(), value.clone()));
    let table = html! {
        table {
            tbody {
                @for (name, value) in facts.into_iter().chain(labels) {
                    tr { th scope="row" { (visible(name)) } td.text { (visible(&value)) } }
                }
            }
        }
    };
    html! {
        section aria-labelledby="provenance" {
            h2 id="provenance" { "Provenance" }
            (scrolling("provenance", &table))
            @if !full.files.is_empty() {
                h3 { "Plan and thresholds as they ran" }
                p { "Secrets are masked." }
                @for file in full.files.iter().filter(|file| !file.text.is_empty()) {
                    details {
                        summary { (visible(&file.path)) }
                        pre { (shown(&file.text)) }
                    }
                }
            }
        }
    }
}

/// The begin of a file.
fn shown(text: &str) -> String {
    let end = (0..=MAX_FILE_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let rest = if end < text.len() {
        format!("\n{} more bytes are left out", text.len() - end)
    } else {
        String::new()
    };
    visible(&text[..end]).into_owned() + &rest
}
