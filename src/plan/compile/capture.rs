//! Compiles captures: the places of the values that users keep from responses.

use http::HeaderName;
use regex::bytes::Regex;

use crate::diagnostic::{Code, Span};
use crate::document::{Map, PlainOrTable, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::CaptureDocument;
use crate::plan::model::{Capture, CaptureSource};

/// The place of a value: a JSON pointer, or a table.
type PlaceDocument = PlainOrTable<String, CaptureDocument>;

impl Compiler<'_, '_> {
    /// Compiles the captures of a request. Their names have been collected before.
    pub(super) fn captures(
        &mut self,
        captures: Option<&Spanned<Map<PlaceDocument>>>,
    ) -> Option<Vec<Capture>> {
        let mut compiled = Some(Vec::new());
        for (key, place) in captures.map_or(&[][..], |captures| &captures.value.0) {
            let slot = self.captures.iter().position(|name| *name == key.name);
            match (slot, self.capture_source(place), &mut compiled) {
                (Some(slot), Some(source), Some(all)) => {
                    all.push(Capture { name: key.name.clone(), slot, source });
                }
                _ => compiled = None,
            }
        }
        compiled
    }

    fn capture_source(&mut self, place: &Spanned<PlaceDocument>) -> Option<CaptureSource> {
        let table = match &place.value {
            PlainOrTable::Plain(pointer) => {
                return self.pointer(pointer, place.span).map(CaptureSource::Json);
            }
            PlainOrTable::Table(table) => table,
        };
        let CaptureDocument { json, header, regex, field, status } = table;
        let written = [json, header, regex, field].map(Option::is_some);
        let written = written.into_iter().chain([status.is_some()]);
        if written.filter(|written| *written).count() != 1 {
            let message = "a captured value has exactly one place";
            let help = "write one of `json`, `header`, `regex`, `field` and `status`";
            self.report(Code::ExactlyOne, message, place.span, help);
            return None;
        }
        if let Some(pointer) = json {
            self.pointer(&pointer.value, pointer.span).map(CaptureSource::Json)
        } else if let Some(name) = header {
            let parsed = HeaderName::from_bytes(name.value.as_bytes()).ok();
            if parsed.is_none() {
                let message = format!("`{}` is not a header name", name.value.escape_debug());
                self.report(Code::BadRequest, message, name.span, "use letters, digits and `-`");
            }
            parsed.map(CaptureSource::Header)
        } else if let Some(pattern) = regex {
            self.pattern(&pattern.value, pattern.span).map(CaptureSource::Regex)
        } else if let Some(name) = field {
            Some(CaptureSource::Field(name.value.clone()))
        } else {
            let status = status.as_ref()?;
            if !status.value {
                let help = "write `status = true`, or another place";
                self.report(Code::OutOfRange, "`status = false` captures nothing", status.span, help);
            }
            Some(CaptureSource::Status)
        }
    }

    fn pattern(&mut self, text: &str, span: Span) -> Option<Regex> {
        match Regex::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let message = format!("`{}` is not a regular expression: {why}", text.escape_debug());
                let help = "write it in the syntax of the `regex` crate, best in single quotes: '…', so that `\\` stays";
                self.report(Code::OutOfRange, message, span, help);
                None
            }
        }
    }
}
