//! `${…}`: finds the holes of a text, checks them, and escapes everything for where it will stand.

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::{Spanned, Value};
use crate::plan::compile::Compiler;
use crate::plan::template::{Hole, Piece, Template};

/// Where a text will stand, and so how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Raw,
    /// A header's value: as it is.
    Header,
    /// A path with its query: what a hole brings is percent-encoded.
    Path,
    /// Within the quotes of a JSON string.
    JsonText,
    /// In the place of a JSON value.
    JsonValue,
}

/// What a written path keeps: all that a URL may hold, but nothing that would end the request line.
const WRITTEN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'#');
/// What a hole brings into a path keeps: the unreserved characters of RFC 3986.
const FILLED_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The functions, and how each is written.
const FORMS: [(&str, &str); 7] = [
    ("pick", "`${pick(list)}` with the name of a list"),
    ("int", "`${int(1, 9)}` with two whole numbers, the lower one first"),
    ("float", "`${float(0.5, 0.9)}` with two numbers, the lower one first"),
    ("uuid", "`${uuid()}`"),
    ("seq", "`${seq()}`"),
    ("user", "`${user()}`"),
    ("now", "`${now()}`"),
];
const HOLES: &str = "the holes are `${pick(list)}`, `${int(a, b)}`, `${float(a, b)}`, `${uuid()}`, `${seq()}`, `${user()}`, `${now()}`, `${env:NAME}`, `${secret:NAME}`; a literal `${` is written `$${`";

/// A text taken apart: literal, or the inside of a hole and where it is in the text.
enum Part<'t> {
    Text(&'t str),
    Hole(&'t str, std::ops::Range<usize>),
}

impl Encoding {
    /// Escapes a value for this place.
    fn value(self, value: &Value) -> Bytes {
        let text = match value {
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            other => other.kind().to_owned(),
        };
        let escaped = match self {
            Self::Raw | Self::Header => text,
            Self::Path => utf8_percent_encode(&text, FILLED_PATH).to_string(),
            Self::JsonText => json_text(&text),
            Self::JsonValue if matches!(value, Value::Text(_)) => format!("\"{}\"", json_text(&text)),
            Self::JsonValue => text,
        };
        escaped.into()
    }

    /// Escapes text that stands in the plan as it is.
    fn written(self, text: &str) -> String {
        match self {
            Self::Raw | Self::Header => text.to_owned(),
            Self::Path => utf8_percent_encode(text, WRITTEN_PATH).to_string(),
            Self::JsonText | Self::JsonValue => json_text(text),
        }
    }
}

/// Escapes text for the inside of a JSON string.
pub(super) fn json_text(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a string is always JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Takes a text apart; an unclosed hole is given back as the error, with where it starts.
fn parts(text: &str) -> Result<Vec<Part<'_>>, usize> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        if text[from..at].ends_with('$') {
            parts.push(Part::Text(&text[from..at - 1]));
            parts.push(Part::Text("${"));
            from = at + 2;
            continue;
        }
        parts.push(Part::Text(&text[from..at]));
        let end = text[at..].find('}').map(|end| at + end).ok_or(at)?;
        parts.push(Part::Hole(&text[at + 2..end], at..end + 1));
        from = end + 1;
    }
    parts.push(Part::Text(&text[from..]));
    parts.retain(|part| !matches!(part, Part::Text("")));
    Ok(parts)
}

impl Compiler<'_> {
    /// Compiles a text with holes; `None` means that what is wrong has been reported.
    pub(super) fn template(&mut self, text: &Spanned<String>, encoding: Encoding) -> Option<Template> {
        let place = self.problems.within(text.span, &text.value);
        let parts = match parts(&text.value) {
            Ok(parts) => parts,
            Err(at) => {
                let span = place.part(at..at + 2);
                self.report(
                    Code::BadHole,
                    "the hole is not closed",
                    span,
                    "close it with `}`, or write `$${` for a literal `${`",
                );
                return None;
            }
        };
        let mut template = Template::default();
        let alone = matches!(parts.as_slice(), [Part::Hole(..)]);
        let quoted = encoding == Encoding::JsonValue && !alone;
        let inner = if quoted { Encoding::JsonText } else { encoding };
        let mut complete = true;
        if quoted {
            template.push_text(b"\"");
        }
        for part in parts {
            if self.problems.full() {
                return None;
            }
            match part {
                Part::Text(text) => template.push_text(inner.written(text).as_bytes()),
                Part::Hole(hole, range) => {
                    complete &= self.hole(hole, place.part(range), inner, &mut template).is_some();
                }
            }
        }
        if quoted {
            template.push_text(b"\"");
        }
        complete.then_some(template)
    }

    /// A text whose holes are known before the run: those of the environment.
    pub(super) fn constant(&mut self, text: &Spanned<String>, encoding: Encoding) -> Option<String> {
        let template = self.template(text, encoding)?;
        let constant = template.constant();
        if constant.is_none() {
            let help =
                "only `${env:NAME}` and `${secret:NAME}` can stand here, which are known before the run";
            self.report(
                Code::BadHole,
                "a hole that is drawn for every request cannot stand here",
                text.span,
                help,
            );
        }
        String::from_utf8(constant?.to_vec()).ok()
    }

    fn hole(&mut self, hole: &str, span: Span, encoding: Encoding, template: &mut Template) -> Option<()> {
        match self.piece(hole.trim(), span, encoding)? {
            Piece::Text(text) => template.push_text(&text),
            Piece::Hole(hole) => {
                // A value that JSON knows no type for stands there as a string.
                let quote: &[u8] = match hole {
                    Hole::Uuid | Hole::Now if encoding == Encoding::JsonValue => b"\"",
                    _ => b"",
                };
                template.push_text(quote);
                template.push_hole(hole);
                template.push_text(quote);
            }
        }
        Some(())
    }

    fn piece(&mut self, hole: &str, span: Span, encoding: Encoding) -> Option<Piece> {
        if let Some(name) = hole.strip_prefix("env:") {
            let (name, default) = name.split_once(":-").map_or((name, None), |(n, d)| (n, Some(d)));
            let value = (self.variable)(name).or(default.map(str::to_owned));
            let help = format!("set it before the run, or give a default: `${{env:{name}:-default}}`");
            return self.known(value, (name, help), span, encoding);
        }
        if let Some(name) = hole.strip_prefix("secret:") {
            let value = (self.variable)(name).filter(|value| !value.is_empty());
            self.remember_secret(value.as_deref(), encoding);
            let help = "set it before the run; a secret that is empty counts as missing".to_owned();
            return self.known(value, (name, help), span, encoding);
        }
        let call = hole.strip_suffix(')').and_then(|call| call.split_once('('));
        let Some((name, arguments)) = call else {
            self.unknown_name(hole, span);
            return None;
        };
        let arguments: Vec<&str> = match arguments.trim() {
            "" => Vec::new(),
            some => some.split(',').map(str::trim).collect(),
        };
        self.call(name.trim(), &arguments, span, encoding).map(Piece::Hole)
    }

    fn known(
        &mut self,
        value: Option<String>,
        (name, help): (&str, String),
        span: Span,
        encoding: Encoding,
    ) -> Option<Piece> {
        if value.is_none() {
            let diagnostic =
                Diagnostic::new(Code::MissingVariable, format!("the environment has no `{name}`"))
                    .at(span, "needs this variable");
            self.problems.report(diagnostic.help(help));
        }
        Some(Piece::Text(encoding.value(&Value::Text(value?))))
    }

    /// A secret is hidden as it is and in every form in which it is sent.
    fn remember_secret(&mut self, value: Option<&str>, encoding: Encoding) {
        let Some(value) = value else { return };
        let sent = encoding.value(&Value::Text(value.to_owned()));
        let sent = String::from_utf8_lossy(&sent).trim_matches('"').to_owned();
        for form in [value.to_owned(), sent] {
            if !self.secrets.contains(&form) {
                self.secrets.push(form);
            }
        }
    }

    fn unknown_name(&mut self, hole: &str, span: Span) {
        let list = hole.split_once('.').and_then(|(list, _)| self.lists.get(list));
        if list.is_some_and(Vec::is_empty) {
            // Reported where the list is defined.
            return;
        }
        let diagnostic = if list.is_some() {
            Diagnostic::new(Code::BadHole, format!("`{hole}` is a column, but this list has none"))
                .help("pick from a list of plain values with `${pick(list)}`")
        } else if self.lists.contains_key(hole) {
            Diagnostic::new(Code::BadHole, format!("`{hole}` is a list, not a value"))
                .help(format!("pick one of its items with `${{pick({hole})}}`"))
        } else {
            let function = FORMS.iter().map(|(name, _)| *name);
            let diagnostic =
                Diagnostic::new(Code::BadHole, format!("unknown hole `{hole}`")).suggest(hole, function);
            diagnostic.help(HOLES)
        };
        self.problems.report(diagnostic.at(span, "here"));
    }

    fn call(&mut self, name: &str, arguments: &[&str], span: Span, encoding: Encoding) -> Option<Hole> {
        let hole = match (name, arguments) {
            ("pick", [list]) => return self.pick(list, span, encoding),
            ("int", [low, high]) => {
                let (low, high) = (low.parse::<i64>().ok(), high.parse::<i64>().ok());
                low.zip(high).filter(|(low, high)| low <= high).map(|(low, high)| Hole::Integer(low, high))
            }
            ("float", [low, high]) => {
                let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
                let ends = number(low).zip(number(high));
                ends.filter(|(low, high)| low <= high).map(|(low, high)| Hole::Float(low, high))
            }
            ("uuid", []) => Some(Hole::Uuid),
            ("seq", []) => Some(Hole::Sequence(0)),
            ("user", []) => Some(Hole::User),
            ("now", []) => Some(Hole::Now),
            _ => None,
        };
        if hole.is_none() {
            let form = FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| form);
            let diagnostic = match form {
                Some(form) => {
                    Diagnostic::new(Code::BadHole, format!("`{name}` cannot take `{}`", arguments.join(", ")))
                        .help(format!("write {form}"))
                }
                None => Diagnostic::new(Code::BadHole, format!("unknown function `{name}`"))
                    .suggest(name, FORMS.iter().map(|(name, _)| *name))
                    .help(HOLES),
            };
            self.problems.report(diagnostic.at(span, "here"));
        }
        hole
    }

    fn pick(&mut self, list: &str, span: Span, encoding: Encoding) -> Option<Hole> {
        let Some(items) = self.lists.get(list) else {
            let known: Vec<&str> = self.lists.keys().map(String::as_str).collect();
            let diagnostic = Diagnostic::new(Code::UnknownList, format!("unknown list `{list}`"))
                .at(span, "no file of the plan defines this list")
                .suggest(list, known)
                .help(format!("define it: `[lists]` with `{list} = [\"…\"]`"));
            self.problems.report(diagnostic);
            return None;
        };
        let items: Vec<Bytes> = items.iter().map(|item| encoding.value(item)).collect();
        // An empty list has been reported where it is defined.
        (!items.is_empty()).then_some(Hole::Pick(items))
    }
}
