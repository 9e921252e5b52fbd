//! A problem in a file: where it is, what is wrong and what to do about it.
//!
//! Every check reports into one [`Problems`], so that a user sees all mistakes of all files in one go.

mod code;
mod render;
mod suggest;

pub use code::Code;
pub use render::{render, to_json};
pub use suggest::did_you_mean;

/// A file as it was read, for showing its lines. The name is what the user is shown.
#[derive(Debug, Clone)]
pub struct SourceText {
    /// The path as the user would write it, or the command-line option the text came from.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Whether it is an option and not a file.
    pub is_option: bool,
}

/// Which of the [`Problems`]' sources a span lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileId(u32);

/// A range of bytes in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A text within a file, for pointing at its parts.
#[derive(Debug, Clone, Copy)]
pub struct TextLocation {
    span: Span,
    /// Where it stands as it is; nowhere if it was written with escapes.
    text: Option<usize>,
}

impl TextLocation {
    /// The place of a part of the text, or of all of it where it does not stand in the file as it is.
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
    /// The plan is accepted; the user should know.
    Warning,
}

/// One problem. Messages are lower case, literals in backticks, no full stop.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Which problem it is; documented in `docs/diagnostics.md`.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where, with what to say there; empty only for problems without a place.
    pub places: Vec<(Span, String)>,
    /// What to do.
    pub help: Vec<String>,
}

/// With so many problems a file is garbage.
const MAX_DIAGNOSTICS: usize = 1000;
/// A text longer than this, which quotes something endless, is cut.
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
    /// A problem of this kind; places and help are added by the methods below.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: truncated(message), places: Vec::new(), help: Vec::new() }
    }

    /// Where; the first place is the one shown as the location.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.places.push((span, truncated(label)));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(truncated(help));
        self
    }

    /// Adds a "did you mean" where one of the known words is close to the written one.
    #[must_use]
    pub fn suggest<'k>(self, written: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        match did_you_mean(written, known) {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// The files read so far and everything found wrong in them.
#[derive(Debug, Default)]
pub struct Problems {
    sources: Vec<SourceText>,
    found: Vec<Diagnostic>,
}

impl Problems {
    /// Remembers a file, so that diagnostics can show its lines.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.add(name.into(), text.into(), false)
    }

    fn add(&mut self, name: String, text: String, is_option: bool) -> FileId {
        self.sources.push(SourceText { name, text, is_option });
        FileId(u32::try_from(self.sources.len() - 1).expect("fewer than 2^32 files"))
    }

    /// Remembers an option of the command line as if it were a file, and gives the place of its value.
    pub fn add_option(&mut self, option: &str, value: &str) -> Span {
        let file = self.add(option.to_owned(), value.to_owned(), true);
        Span { file, start: 0, end: value.len() }
    }

    /// The file a span points into.
    pub fn source(&self, file: FileId) -> &SourceText {
        &self.sources[file.0 as usize]
    }

    /// `path:line` of a place, for words like "defined at".
    pub fn place(&self, span: Span) -> String {
        format!("{}:{}", self.source(span.file).name, self.line(span))
    }

    /// The line in which a place starts, from 1.
    pub fn line(&self, span: Span) -> usize {
        let text = &self.source(span.file).text;
        text[..span.start.min(text.len())].matches('\n').count() + 1
    }

    /// Adds a problem, but not an echo: where the syntax is wrong, nothing else is said of the place.
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

    /// Adds problems.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.report(diagnostic));
    }

    /// All problems, in the order found.
    pub fn all(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Whether there are so many that no one reads more; what checks many things alike may stop here.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_DIAGNOSTICS
    }

    /// Runs a check and drops what it finds of these kinds: they follow from what has been reported.
    pub fn suppressing<T>(&mut self, codes: &[Code], check: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.found.len();
        let result = check(self);
        let found = self.found.split_off(before);
        self.found.extend(found.into_iter().filter(|diagnostic| !codes.contains(&diagnostic.code)));
        result
    }

    /// Whether the syntax of a file is wrong.
    pub fn has_syntax_error(&self, file: FileId) -> bool {
        let wrong = self.found.iter().filter(|found| found.code == Code::Syntax);
        wrong.filter_map(|found| found.places.first()).any(|(span, _)| span.file == file)
    }

    /// The place of a text that was read from a quoted one.
    pub fn locate_text(&self, span: Span, text: &str) -> TextLocation {
        let written = self.source(span.file).text.get(span.start..span.end).unwrap_or_default();
        // Between its quotes, as almost always, it need not be searched for.
        let quoted = written.get(1..).is_some_and(|rest| rest.starts_with(text)).then_some(1);
        let found = quoted.or_else(|| written.find(text)).filter(|_| !text.is_empty());
        TextLocation { span, text: found.map(|at| span.start + at) }
    }

    /// Whether any of them refuses the plan.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|d| d.code.severity() == Severity::Error)
    }
}
