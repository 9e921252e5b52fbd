//! Diagnostics: a problem in a file, with its place and a fix.
//!
//! Every check reports into one [`Problems`], so that a user sees all mistakes of all files at once.

mod code;
mod render;
mod suggest;

pub use code::Code;
pub use render::{render, to_json};
pub use suggest::did_you_mean;

/// The text of a file or a command-line option, from which diagnostics show lines.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// The name for messages: a path as the user would write it, or a command-line option.
    pub name: String,
    pub text: String,
    /// Whether the text comes from a command-line option.
    pub is_option: bool,
}

/// The index of a source in [`Problems`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileId(u32);

/// A range of bytes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: FileId,
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The place of a string value in a file, from which the places of its parts follow.
#[derive(Debug, Clone, Copy)]
pub struct TextLocation {
    span: Span,
    /// The offset of the text; `None` if it was written with escapes.
    text: Option<usize>,
}

impl TextLocation {
    /// The place of a part of the text; the whole value if it was written with escapes.
    pub fn part(&self, part: std::ops::Range<usize>) -> Span {
        match self.text {
            Some(at) => Span { start: at + part.start, end: at + part.end, ..self.span },
            None => self.span,
        }
    }
}

/// Whether a diagnostic refuses the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The plan is refused.
    Error,
    /// The plan is accepted.
    Warning,
}

/// One problem. Messages are lower case, literals in backticks, no full stop.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// The kind of problem; documented in `docs/reference/diagnostics.md`.
    pub code: Code,
    /// The mistake.
    pub message: String,
    /// The places with their labels, the main one first; empty only for problems without a place.
    pub places: Vec<(Span, String)>,
    /// The next steps.
    pub help: Vec<String>,
}

/// Checks of many similar items stop at this number of problems: the file is garbage.
const MAX_DIAGNOSTICS: usize = 1000;
/// A longer text is cut; it quotes a very long value.
const MAX_TEXT_BYTES: usize = 1000;

fn truncated(text: impl Into<String>) -> String {
    let mut text = text.into();
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push('…');
    }
    text
}

impl Diagnostic {
    /// A problem without places and help, which [`at`](Self::at) and [`help`](Self::help) add.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: truncated(message), places: Vec::new(), help: Vec::new() }
    }

    /// Adds a place with its label; the first place is the location of the problem.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.places.push((span, truncated(label)));
        self
    }

    /// Adds a next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(truncated(help));
        self
    }

    /// Adds "did you mean …" if one of the known words is close to the written one.
    #[must_use]
    pub fn suggest<'k>(self, written: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        match did_you_mean(written, known) {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// The files read so far and the problems found in them.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    sources: Vec<SourceText>,
    found: Vec<Diagnostic>,
}

impl Problems {
    /// Adds a file, so that diagnostics can show its lines.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.add(name.into(), text.into(), false)
    }

    fn add(&mut self, name: String, text: String, is_option: bool) -> FileId {
        self.sources.push(SourceText { name, text, is_option });
        FileId(u32::try_from(self.sources.len() - 1).expect("fewer than 2^32 files"))
    }

    /// Adds a command-line option as a source and returns the place of its value.
    pub fn add_option(&mut self, option: &str, value: &str) -> Span {
        let file = self.add(option.to_owned(), value.to_owned(), true);
        Span { file, start: 0, end: value.len() }
    }

    /// The source with this id.
    pub fn source(&self, file: FileId) -> &SourceText {
        &self.sources[file.0 as usize]
    }

    /// A place as `path:line`.
    pub fn place(&self, span: Span) -> String {
        format!("{}:{}", self.source(span.file).name, self.line(span))
    }

    /// The line in which a place starts, from 1.
    pub fn line(&self, span: Span) -> usize {
        let text = &self.source(span.file).text;
        text[..span.start.min(text.len())].matches('\n').count() + 1
    }

    /// Adds a problem, unless its place overlaps a syntax error, of which it is a consequence.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.places.first().map(|(span, _)| *span);
        if !place.is_some_and(|span| self.overlaps_syntax_error(span)) {
            self.found.push(diagnostic);
        }
    }

    fn overlaps_syntax_error(&self, span: Span) -> bool {
        let wrong = self.found.iter().filter(|found| found.code == Code::Syntax);
        let mut places = wrong.filter_map(|found| found.places.first());
        places.any(|(other, _)| other.file == span.file && other.start <= span.end && span.start <= other.end)
    }

    /// Reports each of these problems.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.report(diagnostic));
    }

    /// All problems, in the order found.
    pub fn all(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Whether there are too many problems to read; a check of many similar items may stop then.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_DIAGNOSTICS
    }

    /// Runs a check and drops its problems of these kinds, which are consequences of reported ones.
    pub fn suppressing<T>(&mut self, codes: &[Code], check: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.found.len();
        let result = check(self);
        let found = self.found.split_off(before);
        self.found.extend(found.into_iter().filter(|diagnostic| !codes.contains(&diagnostic.code)));
        result
    }

    pub fn has_syntax_error(&self, file: FileId) -> bool {
        let wrong = self.found.iter().filter(|found| found.code == Code::Syntax);
        wrong.filter_map(|found| found.places.first()).any(|(span, _)| span.file == file)
    }

    /// The place of a text inside the quoted value from which it was read.
    pub fn locate_text(&self, span: Span, text: &str) -> TextLocation {
        let written = self.source(span.file).text.get(span.start..span.end).unwrap_or_default();
        // Almost always the text follows the opening quote, and no search is needed.
        let quoted = written.get(1..).is_some_and(|rest| rest.starts_with(text)).then_some(1);
        let found = quoted.or_else(|| written.find(text)).filter(|_| !text.is_empty());
        TextLocation { span, text: found.map(|at| span.start + at) }
    }

    /// Whether any problem refuses the plan.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|d| d.code.severity() == Severity::Error)
    }
}
