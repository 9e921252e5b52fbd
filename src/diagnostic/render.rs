//! Renders diagnostics as text for a terminal and as JSON.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Problems, Severity, Span};

/// A longer source line is cut around the place, so that any file renders quickly.
const MAX_LINE_BYTES: usize = 2000;
/// Further diagnostics are only counted: a garbage file has a mistake in every line.
const MAX_SHOWN_DIAGNOSTICS: usize = 40;

/// The source line of a place, cut if it is long, and the position of the place in it.
struct Excerpt {
    line: usize,
    column: usize,
    text: String,
    start: usize,
    end: usize,
}

/// All problems as text: each with file, line, column, source line, caret, code and help.
pub fn render(problems: &Problems, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let all = problems.all();
    let mut text = String::new();
    for diagnostic in all.iter().take(MAX_SHOWN_DIAGNOSTICS) {
        text.push_str(&renderer.render(&[group(problems, diagnostic)]));
        text.push_str("\n\n");
    }
    if all.len() > MAX_SHOWN_DIAGNOSTICS {
        let at_least = if problems.is_full() { "at least " } else { "" };
        text.push_str(&format!("… and {at_least}{} more problems\n", all.len() - MAX_SHOWN_DIAGNOSTICS));
    }
    text
}

fn group<'p>(problems: &'p Problems, diagnostic: &'p Diagnostic) -> Group<'p> {
    let level = match diagnostic.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code.as_str());
    let snippets = diagnostic.places.iter().enumerate().map(|(index, (span, label))| {
        let excerpt = excerpt(problems, *span);
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        Snippet::source(excerpt.text)
            .path(&problems.source(span.file).name)
            .line_start(excerpt.line)
            .annotation(kind.span(excerpt.start..excerpt.end).label(label))
    });
    let group = Group::with_title(title).elements(snippets);
    group.elements(diagnostic.help.iter().map(|help| Level::HELP.message(help)))
}

fn excerpt(problems: &Problems, span: Span) -> Excerpt {
    let text = &problems.source(span.file).text;
    let place = floor_boundary(text, span.start);
    let line_start = text[..place].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[place..].find('\n').map_or(text.len(), |at| place + at);
    let from = if place - line_start > MAX_LINE_BYTES / 2 { place - MAX_LINE_BYTES / 2 } else { line_start };
    let from = floor_boundary(text, from);
    let to = floor_boundary(text, line_end.min(from + MAX_LINE_BYTES)).max(place);
    let end = floor_boundary(text, span.end).clamp(place, to);
    Excerpt {
        line: text[..line_start].matches('\n').count() + 1,
        column: text[line_start..place].chars().count() + 1,
        text: text[from..to].to_owned(),
        start: place - from,
        end: end - from,
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// All problems as JSON: `{"diagnostics": [{code, severity, message, places: [{file, line, column, label}], help}]}`.
pub fn to_json(problems: &Problems) -> Value {
    let diagnostics: Vec<Value> = problems.all().iter().map(|d| diagnostic_to_json(problems, d)).collect();
    json!({ "diagnostics": diagnostics })
}

fn diagnostic_to_json(problems: &Problems, diagnostic: &Diagnostic) -> Value {
    let severity = match diagnostic.code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let places: Vec<Value> = diagnostic
        .places
        .iter()
        .map(|(span, label)| {
            let Excerpt { line, column, .. } = excerpt(problems, *span);
            let file = &problems.source(span.file).name;
            json!({ "file": file, "line": line, "column": column, "label": label })
        })
        .collect();
    json!({
        "code": diagnostic.code.as_str(),
        "severity": severity,
        "message": diagnostic.message,
        "places": places,
        "help": diagnostic.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    #[test]
    fn a_problem_is_shown_with_its_place_line_and_help() {
        let mut problems = Problems::default();
        let text = "[[response_time]]\nname = \"quick\"\noperations = [\"helth\"]\n";
        let file = problems.add_source("limits.toml", text);
        let start = text.find("\"helth\"").unwrap();
        let span = Span { file, start, end: start + 7 };
        let diagnostic = Diagnostic::new(Code::UnknownOperation, "unknown operation `helth`")
            .at(span, "no task of the plan has this operation")
            .suggest("helth", ["health"]);
        problems.report(diagnostic);
        let expected = "\
error[P014]: unknown operation `helth`
 --> limits.toml:3:15
  |
3 | operations = [\"helth\"]
  |               ^^^^^^^ no task of the plan has this operation
  |
  = help: did you mean `health`?";
        assert_eq!(render(&problems, false).trim_end(), expected);
        assert_eq!(to_json(&problems)["diagnostics"][0]["places"][0]["line"], 3);
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_place() {
        let mut problems = Problems::default();
        let text = format!("x = \"{}ä{}", "é".repeat(100_000), "[".repeat(100_000));
        let file = problems.add_source("plan.toml", text);
        for start in [0, 4, 100_001, 200_005, 300_000, 900_000] {
            let span = Span { file, start, end: start + 2 };
            problems.report(Diagnostic::new(Code::Syntax, "wrong").at(span, "here"));
        }
        assert!(render(&problems, false).lines().all(|line| line.chars().count() < 200));
    }
}
