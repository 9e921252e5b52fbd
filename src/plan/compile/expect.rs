//! Compiles conditions on responses.

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use crate::diagnostic::{Code, Span};
use crate::document::{Map, Spanned};
use crate::plan::compile::Compiler;
use crate::plan::document::{ExpectDocument, StatusDocument};
use crate::plan::encoding::Encoding;
use crate::plan::expect::{Expectation, StatusRange, Wanted};
use crate::plan::template::Pointer;

impl Compiler<'_, '_> {
    /// Compiles an expectation. Without a `status` it accepts the `usual` ones.
    pub(super) fn expect(
        &mut self,
        expect: Option<&Spanned<ExpectDocument>>,
        usual: Vec<StatusRange>,
    ) -> Option<Expectation> {
        let usual = Expectation::of_status(usual);
        let Some(expect) = expect else { return Some(usual) };
        self.check_expectation(expect);
        let ExpectDocument { status, json, absent, null, contains, headers, max_bytes } = &expect.value;
        let status = status.as_ref().map_or(usual.status, |status| self.statuses(&status.value));
        let mut wanted = Some(Vec::new());
        for (key, value) in json.iter().flat_map(|json| &json.value.0) {
            let value = self.constant_json(&value.value).map(Wanted::Value);
            self.want(&mut wanted, (&key.name, key.span), value);
        }
        for (pointers, value) in [(null, Wanted::Value(Json::Null)), (absent, Wanted::Nothing)] {
            for pointer in pointers.iter().flat_map(|pointers| &pointers.value) {
                self.want(&mut wanted, (&pointer.value, pointer.span), Some(value.clone()));
            }
        }
        let texts = contains.iter().flat_map(|contains| &contains.value.0);
        let contains: Vec<_> = texts.map(|text| self.constant(text, Encoding::Raw)).collect();
        let headers = self.wanted_headers(headers.as_ref());
        Some(Expectation {
            status,
            json: wanted?,
            contains: contains.into_iter().collect::<Option<_>>()?,
            headers: headers?,
            max_bytes: max_bytes.as_ref().map(|size| size.value.bytes()),
        })
    }

    fn want(
        &mut self,
        all: &mut Option<Vec<(Pointer, Wanted)>>,
        (pointer, span): (&str, Span),
        wanted: Option<Wanted>,
    ) {
        match (self.pointer(pointer, span), wanted, all.as_mut()) {
            (Some(pointer), Some(wanted), Some(all)) => all.push((pointer, wanted)),
            _ => *all = None,
        }
    }

    fn wanted_headers(
        &mut self,
        headers: Option<&Spanned<Map<String>>>,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let mut wanted = Some(Vec::new());
        for (key, value) in headers.into_iter().flat_map(|headers| &headers.value.0) {
            let text = self.constant(value, Encoding::Header);
            let fitting = text.as_ref().and_then(|text| HeaderValue::from_str(text).ok());
            let name = HeaderName::from_bytes(key.name.as_bytes()).ok();
            if name.is_none() {
                let message = format!("`{}` is not a header name", key.name.escape_debug());
                self.report(Code::BadRequest, message, key.span, "use letters, digits and `-`");
            }
            if text.is_some() && fitting.is_none() {
                self.bad_header_value(&key.name, value.span);
            }
            match (name, fitting, &mut wanted) {
                (Some(name), Some(value), Some(wanted)) => wanted.push((name, value)),
                _ => wanted = None,
            }
        }
        wanted
    }

    /// Reports an expectation that checks nothing.
    fn check_expectation(&mut self, expect: &Spanned<ExpectDocument>) {
        let ExpectDocument { status, json, absent, null, contains, headers, max_bytes } = &expect.value;
        let has_texts = absent.is_some() || null.is_some() || contains.is_some() || headers.is_some();
        if status.is_none() && json.is_none() && max_bytes.is_none() && !has_texts {
            let help = "write a condition, such as `expect = { status = [200], contains = \"ok\" }`";
            self.report(Code::OutOfRange, "`expect` is empty", expect.span, help);
        }
        let contained = contains.as_ref().map(|contains| (contains.span, contains.value.0.is_empty()));
        let pointers = |list: &Option<Spanned<Vec<Spanned<String>>>>| {
            list.as_ref().map(|list| (list.span, list.value.is_empty()))
        };
        let status = status.as_ref().map(|status| (status.span, status.value.is_empty()));
        let lists = [
            ("status", status, "so no response could succeed"),
            ("contains", contained, "so every body would match"),
            ("absent", pointers(absent), "so it checks nothing"),
            ("null", pointers(null), "so it checks nothing"),
        ];
        for (key, list, effect) in lists {
            if let Some((span, true)) = list {
                let help = format!("write an item, or remove `{key}`");
                self.report(Code::OutOfRange, format!("`{key}` is empty, {effect}"), span, &help);
            }
        }
        let texts = contains.iter().flat_map(|contains| &contains.value.0);
        for empty in texts.filter(|text| text.value.is_empty()) {
            let help = "write a text that every correct response contains, or remove the key";
            let message = "this text is empty, so every body would match";
            self.report(Code::OutOfRange, message, empty.span, help);
        }
    }

    pub(super) fn pointer(&mut self, text: &str, span: Span) -> Option<Pointer> {
        let pointer = Pointer::new(text);
        if pointer.is_none() {
            let help = "start it with `/`, as in `/results/0/case_id`; `~0` stands for `~` and `~1` for `/`";
            self.report(Code::BadPointer, format!("`{text}` is not a JSON pointer"), span, help);
        }
        pointer
    }

    fn statuses(&mut self, statuses: &[Spanned<StatusDocument>]) -> Vec<StatusRange> {
        let mut accepted = Vec::new();
        for status in statuses {
            match status.value {
                StatusDocument::Class(digit) => accepted.push(StatusRange::class(digit)),
                StatusDocument::Code(code) if (100..600).contains(&code) => {
                    accepted.push(StatusRange::of(code));
                }
                StatusDocument::Code(code) => {
                    let message = format!("a status must be between 100 and 599, not `{code}`");
                    self.report(Code::OutOfRange, message, status.span, "write a status such as `200`");
                }
            }
        }
        accepted
    }
}
