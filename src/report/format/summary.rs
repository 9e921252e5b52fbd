//! Markdown for the summary of a CI job or a comment: short, and harmless whatever names and messages hold.

use crate::generator::CheckVerdict;
use crate::report::console;
use crate::report::model::{ObjectiveReport, PhaseReport, Report};
use crate::report::table::number;
use crate::slo::judge::Verdict;

/// The most bytes. GitHub cuts comments at 65 536 characters.
const MAX_BYTES: usize = 60_000;
/// The most bytes of a name or message.
const MAX_TEXT_BYTES: usize = 1000;

/// The report as Markdown.
pub(super) fn render(report: &Report) -> String {
    let mut text = head(report);
    let sections = [
        ("Not met", unmet(report)),
        ("Objectives", objectives(report)),
        ("Phases", phases(report)),
        ("Likely causes", listed(report.phases.iter().flat_map(|phase| &phase.causes))),
        ("Load generator", generator(report)),
        ("Notices", listed(report.notices.iter())),
    ];
    let end = provenance(report);
    for (title, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        add(&mut text, MAX_BYTES - end.len(), title, &lines);
    }
    text + &end
}

/// Adds a section as far as it fits, and says how many of its lines do not.
fn add(text: &mut String, most: usize, title: &str, lines: &[String]) {
    let heading = format!("\n### {title}\n\n");
    let rest = |left: usize| format!("\n… and {left} more, see the report of the run\n");
    // Room for the remark is kept until the last line.
    let room = most.saturating_sub(rest(lines.len()).len());
    if text.len() + heading.len() > room {
        return;
    }
    text.push_str(&heading);
    for (index, line) in lines.iter().enumerate() {
        if text.len() + line.len() + 1 > room {
            text.push_str(&rest(lines.len() - index));
            return;
        }
        text.push_str(line);
        text.push('\n');
    }
}

fn head(report: &Report) -> String {
    let gated = report.objectives.iter().filter(|objective| objective.gated);
    let met = gated.clone().filter(|objective| objective.verdict == Verdict::Met).count();
    let mut text = format!(
        "## {}: **{}**\n\n{met} of {} gated objectives met at tier {}, exit code {}.\n",
        escaped(&report.plan.name),
        report.verdict,
        gated.count(),
        report.gate,
        report.exit_code
    );
    if report.rehearsal {
        text.push_str("\nThis was a rehearsal: the plan was shortened.\n");
    }
    if let Some(reason) = &report.reason {
        text.push_str(&format!("\n{}.\n", escaped(reason)));
    }
    if let Some(ended) = &report.ended_early {
        text.push_str(&format!("\nEnded early in {}: {}.\n", escaped(&ended.phase), escaped(&ended.why)));
    }
    if !report.not_run.is_empty() {
        let names: Vec<String> = report.not_run.iter().map(|phase| escaped(&phase.name)).collect();
        text.push_str(&format!("\nDid not run: {}.\n", names.join(", ")));
    }
    text
}

/// One line for each gated objective that was not met.
fn unmet(report: &Report) -> Vec<String> {
    let unmet = |verdict| report.objectives.iter().filter(move |it| it.gated && it.verdict == verdict);
    let all = [Verdict::Missed, Verdict::Inconclusive, Verdict::NoData].into_iter().flat_map(unmet);
    let line = |it: &ObjectiveReport| {
        let (name, phase) = (escaped(&it.name), escaped(&it.phase));
        format!("- **{name}**, {phase}, {}: {}", it.verdict, escaped(&it.why))
    };
    all.map(line).collect()
}

fn objectives(report: &Report) -> Vec<String> {
    let mut lines = table(&["objective", "phase", "observed", "limits", "samples", "verdict"]);
    let start = lines.len();
    lines.extend(report.objectives.iter().map(|it| {
        let verdict = if it.gated { it.verdict.to_string() } else { format!("({})", it.verdict) };
        let (observed, limits) = (console::observed(it), console::limits(it));
        row([&it.name, &it.phase, &observed, &limits, &it.samples.to_string(), &verdict])
    }));
    if lines.len() == start { Vec::new() } else { lines }
}

fn phases(report: &Report) -> Vec<String> {
    let mut lines =
        table(&["phase", "operation", "sent", "failed", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms"]);
    let start = lines.len();
    for phase in &report.phases {
        lines.extend(phase.operations.iter().map(|operation| {
            let times = operation.response_ms;
            let [rate, p50, p95, p99, max] =
                [operation.throughput_per_s, times.p50, times.p95, times.p99, times.max].map(number);
            let (sent, failed) = (operation.requests.to_string(), operation.errors.to_string());
            row([&phase.name, &operation.name, &sent, &failed, &rate, &p50, &p95, &p99, &max])
        }));
    }
    if lines.len() == start { Vec::new() } else { lines }
}

/// The checks of the generator that are not ok.
fn generator(report: &Report) -> Vec<String> {
    let of_phase = |phase: &PhaseReport| {
        let found = phase.generator.checks.iter().filter(|check| check.verdict != CheckVerdict::Ok);
        let line = |check: &crate::report::model::CheckReport| {
            let (name, verdict) = (&check.name, check.verdict);
            format!("- {name} in {}, {verdict}: {}", escaped(&phase.name), escaped(&check.why))
        };
        found.map(line).collect::<Vec<_>>()
    };
    report.phases.iter().flat_map(of_phase).collect()
}

fn listed<'r>(texts: impl Iterator<Item = &'r String>) -> Vec<String> {
    texts.map(|text| format!("- {}", escaped(text))).collect()
}

fn provenance(report: &Report) -> String {
    let labels = report.labels.iter().map(|(key, value)| format!(", {}: {}", escaped(key), escaped(value)));
    format!(
        "\n---\n\nrunner {}, plan {} (sha256 `{}`), seed {}, target {}, {} to {}{}\n",
        report.runner,
        escaped(&report.plan.path),
        &report.plan.digest[..report.plan.digest.len().min(12)],
        report.seed,
        escaped(&report.target),
        report.started_at,
        report.ended_at,
        labels.collect::<String>()
    )
}

fn table(headers: &[&str]) -> Vec<String> {
    vec![format!("| {} |", headers.join(" | ")), format!("|{}", "---|".repeat(headers.len()))]
}

fn row<const N: usize>(cells: [&str; N]) -> String {
    format!("| {} |", cells.map(escaped).join(" | "))
}

/// A foreign text, so that none of it is Markdown or HTML: also no link, no mention and no column.
fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for (place, character) in text.char_indices() {
        if shown.len() > MAX_TEXT_BYTES {
            shown.push('…');
            break;
        }
        match character {
            '|' => shown.push_str("&#124;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            // A mention would notify somebody, and a number would refer to an issue.
            '@' => shown.push_str("&#64;"),
            '#' => shown.push_str("&#35;"),
            // A URL would become a link.
            ':' if text[place..].starts_with("://") => shown.push_str("&#58;"),
            '\\' | '*' | '_' | '[' | ']' | '~' | '`' | '!' => shown.extend(['\\', character]),
            '\n' | '\r' | '\t' => shown.push(' '),
            other if other.is_control() => shown.extend(other.escape_unicode()),
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::format::tests::{HOSTILE, sample};

    #[test]
    fn hostile_names_and_messages_are_neither_markdown_nor_columns() {
        let columns = |text: &str| text.lines().map(|line| line.matches('|').count()).collect::<Vec<_>>();
        let usual = columns(&render(&sample()));
        for hostile in HOSTILE {
            let mut report = sample();
            report.objectives[0].name = (*hostile).to_owned();
            report.objectives[0].why = (*hostile).to_owned();
            report.phases[0].operations[0].name = (*hostile).to_owned();
            report.plan.name = (*hostile).to_owned();
            let text = render(&report);
            assert_eq!(columns(&text), usual, "{hostile}");
            let raw = ["<script", "<img", "[click](", "://", "@team", "\u{1b}"];
            assert!(raw.iter().all(|part| !text.contains(part)), "{hostile}: {text}");
        }
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut report = sample();
        let more = std::iter::repeat_n(report.objectives[0].clone(), 5000);
        report.objectives.extend(more);
        let text = render(&report);
        assert!(text.len() < MAX_BYTES, "{} bytes", text.len());
        assert!(text.contains("more, see the report of the run"), "{text}");
        assert!(text.ends_with('\n') && text.contains("seed 7"), "the end is there");
    }
}
