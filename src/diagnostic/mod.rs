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
pub struct Source {
    /// The path as the user would write it, or the command-line option the text came from.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Which of the [`Problems`]' sources a span lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Diagnostic {
    /// A problem of this kind; places and help are added by the methods below.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), places: Vec::new(), help: Vec::new() }
    }

    /// Where; the first place is the one shown as the location.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.places.push((span, label.into()));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
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
    sources: Vec<Source>,
    found: Vec<Diagnostic>,
}

impl Problems {
    /// Remembers a file, so that diagnostics can show its lines.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.sources.push(Source { name: name.into(), text: text.into() });
        FileId(u32::try_from(self.sources.len() - 1).expect("fewer than 2^32 files"))
    }

    /// The file a span points into.
    pub fn source(&self, file: FileId) -> &Source {
        &self.sources[file.0 as usize]
    }

    /// `path:line` of a place, for words like "defined at".
    pub fn place(&self, span: Span) -> String {
        let source = self.source(span.file);
        let line = source.text[..span.start.min(source.text.len())].matches('\n').count() + 1;
        format!("{}:{line}", source.name)
    }

    /// Adds a problem.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// All problems, in the order found.
    pub fn all(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Runs a check; where `broken`, missing keys it finds are dropped: a syntax error swallowed them.
    pub fn without_missing_keys<T>(&mut self, broken: bool, check: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.found.len();
        let result = check(self);
        if broken {
            let found = self.found.split_off(before);
            self.found.extend(found.into_iter().filter(|d| d.code != Code::MissingKey));
        }
        result
    }

    /// The place of a part of a quoted text, where the text stands in the file as it is; else the place of all of it.
    pub fn within(&self, span: Span, text: &str, part: std::ops::Range<usize>) -> Span {
        let written = self.source(span.file).text.get(span.start..span.end).unwrap_or_default();
        match written.find(text).filter(|_| !text.is_empty()) {
            Some(at) => Span { start: span.start + at + part.start, end: span.start + at + part.end, ..span },
            None => span,
        }
    }

    /// Whether any of them refuses the plan.
    pub fn refused(&self) -> bool {
        self.found.iter().any(|d| d.code.severity() == Severity::Error)
    }
}
