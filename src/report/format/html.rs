//! The page for people: one file that needs no network and no scripts. Styles and scripts are an addition: under a content
//! policy that forbids both, the tables and the charts still show everything.

mod objectives;
mod phase;
mod provenance;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::gate::RunVerdict;
use crate::report::full::FullReport;
use crate::report::model::{ObjectiveReport, Report};
use crate::report::neutral::visible;
use crate::slo::judge::Verdict;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/enhance.js");

/// The report as a page.
pub(super) fn render(full: &FullReport<'_>) -> String {
    let report = &full.report;
    let title = format!("{}: {}", report.plan.name, report.verdict);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(format!("runner {}", report.runner));
                title { (visible(&title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (verdict(report)) }
                main {
                    (objectives::not_met(report))
                    (objectives::all(report))
                    @for index in 0..report.phases.len() { (phase::section(full, index)) }
                    (notices(report))
                    (provenance::sections(full))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string() + "\n"
}

/// The verdict in words, and where to find the rest.
fn verdict(report: &Report) -> Markup {
    html! {
        h1 { (visible(&report.plan.name)) ": " span.verdict.(class_of_run(report.verdict)) { (report.verdict) } }
        p { (in_words(report)) }
        @if let Some(reason) = &report.reason { p { strong { (sentence(reason)) } } }
        @if let Some(ended) = &report.ended_early {
            p { "The run ended early, in " (visible(&ended.phase)) " at " (visible(&ended.at)) ": " (visible(&ended.why)) "." }
        }
        @if report.rehearsal { p { "This was a rehearsal: the plan was shortened." } }
        @for phase in &report.not_run {
            p { "The phase " (visible(&phase.name)) " did not run (" (phase.gated_objectives) " gated objectives)." }
        }
        nav aria-label="Sections" {
            ul {
                li { a href="#objectives" { "Objectives" } }
                @for (index, phase) in report.phases.iter().enumerate() {
                    li { a href=(format!("#phase-{}", index + 1)) { (visible(&phase.name)) } }
                }
                li { a href="#provenance" { "Provenance" } }
            }
        }
    }
}

/// "2 of 5 gated objectives were met at tier maximum; exit code 1."
fn in_words(report: &Report) -> String {
    let gated = report.objectives.iter().filter(|objective| objective.gated);
    let count = |verdict: Verdict| gated.clone().filter(|objective| objective.verdict == verdict).count();
    let open = [
        (count(Verdict::Missed), "missed"),
        (count(Verdict::Inconclusive), "inconclusive"),
        (count(Verdict::NoData), "without data"),
        (count(Verdict::NotAssessed), "not assessed"),
        (count(Verdict::NotJudged), "not judged"),
    ];
    let open =
        open.iter().filter(|(count, _)| *count > 0).map(|(count, verdict)| format!(", {count} {verdict}"));
    format!(
        "{} of {} gated objectives were met at tier {}{}; exit code {}.",
        count(Verdict::Met),
        gated.clone().count(),
        report.gate,
        open.collect::<String>(),
        report.exit_code
    )
}

fn notices(report: &Report) -> Markup {
    html! {
        @if !report.notices.is_empty() {
            section aria-labelledby="notices" {
                h2 id="notices" { "Notices" }
                ul { @for notice in &report.notices { li { (visible(notice)) } } }
            }
        }
    }
}

/// A text as a sentence: with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let shown = visible(text);
    let mut characters = shown.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if shown.ends_with(['.', '!', '?']) { "" } else { "." };
    first + characters.as_str() + stop
}

/// The class of a run's verdict. Classes choose only colours, because the verdict is written too.
fn class_of_run(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Passed | RunVerdict::Rehearsed => "good",
        RunVerdict::Breached => "bad",
        _ => "unknown",
    }
}

/// The class of an objective's verdict.
fn class_of(objective: &ObjectiveReport) -> &'static str {
    match objective.verdict {
        Verdict::Met => "good",
        Verdict::Missed if objective.gated => "bad",
        _ => "unknown",
    }
}

/// The headers of a table: of texts, then of numbers.
fn headers(texts: &[&str], numbers: &[&str]) -> Markup {
    html! {
        @for name in texts { th scope="col" { (name) } }
        @for name in numbers { th.number scope="col" { (name) } }
    }
}

/// A wide table in a frame of its own that scrolls, also by keyboard. The element `label` names it.
fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" aria-labelledby=(label) tabindex="0" { (table) } }
}

#[cfg(test)]
mod tests;
