//! Compiles holes `${…}`: finds them in a text, checks them, and escapes everything for its place.

use serde_json::Value as Json;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::document::Spanned;
use crate::plan::compile::Compiler;
use crate::plan::compile::lists::List;
use crate::plan::encoding::Encoding;
use crate::plan::model::{RowSource, RowTaker};
use crate::plan::template::{CapturedValue, Hole, ListColumn, Segment, Template};

/// The functions of holes, and how each is written.
const FUNCTION_FORMS: [(&str, &str); 7] = [
    ("pick", "`${pick(list)}` with the name of a list"),
    ("int", "`${int(1, 9)}` with two whole numbers, the lower one first"),
    ("float", "`${float(0.5, 0.9)}` with two numbers, the lower one first"),
    ("uuid", "`${uuid()}`"),
    ("seq", "`${seq()}`"),
    ("user", "`${user()}`"),
    ("now", "`${now()}`"),
];
const HOLES_HELP: &str = "write one of `${pick(list)}`, `${int(a, b)}`, `${float(a, b)}`, `${uuid()}`, `${seq()}`, `${user()}`, `${now()}`, `${list.column}`, `${row.column}`, `${name}` with a name from a `capture` of the same class, `${env:NAME}`, `${secret:NAME}`; for a literal `${` write `$${`";

/// A part of a text: literal, or the inside of a hole with the byte range of the hole.
pub(in crate::plan) enum RawSegment<'t> {
    Text(&'t str),
    Hole(&'t str, std::ops::Range<usize>),
}

/// The end of the hole that starts a text, after its closing bracket. A default may contain holes itself.
fn end_of_hole(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("${") {
            (depth, at) = (depth + 1, at + 2);
            continue;
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
        if rest.starts_with('}') {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// Splits a text at its holes. The error is the start of a hole that is not closed.
pub(in crate::plan) fn split_holes(text: &str) -> Result<Vec<RawSegment<'_>>, usize> {
    let mut raw_segments = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        if text[from..at].ends_with('$') {
            raw_segments.push(RawSegment::Text(&text[from..at - 1]));
            raw_segments.push(RawSegment::Text("${"));
            from = at + 2;
            continue;
        }
        raw_segments.push(RawSegment::Text(&text[from..at]));
        let end = at + end_of_hole(&text[at..]).ok_or(at)?;
        raw_segments.push(RawSegment::Hole(&text[at + 2..end - 1], at..end));
        from = end;
    }
    raw_segments.push(RawSegment::Text(&text[from..]));
    raw_segments.retain(|part| !matches!(part, RawSegment::Text("")));
    Ok(raw_segments)
}

/// A variable of the environment, and the advice if it is not set.
struct Variable<'v> {
    name: &'v str,
    help: String,
}

impl Compiler<'_, '_> {
    /// Compiles a text with holes. Returns `None` after reporting a problem.
    pub(super) fn template(&mut self, text: &Spanned<String>, encoding: Encoding) -> Option<Template> {
        let place = self.problems.locate_text(text.span, &text.value);
        let raw_segments = match split_holes(&text.value) {
            Ok(raw_segments) => raw_segments,
            Err(at) => {
                let span = place.part(at..at + 2);
                self.report(
                    Code::BadHole,
                    "the hole has no closing `}`",
                    span,
                    "add `}`, or write `$${` for a literal `${`",
                );
                return None;
            }
        };
        let mut template = Template::default();
        let alone = matches!(raw_segments.as_slice(), [RawSegment::Hole(..)]);
        let quoted = encoding == Encoding::JsonValue && !alone;
        let inner = if quoted { Encoding::JsonText } else { encoding };
        let mut complete = true;
        if quoted {
            template.push_text(b"\"");
        }
        for part in raw_segments {
            if self.problems.is_full() {
                return None;
            }
            match part {
                RawSegment::Text(text) => template.push_text(inner.literal(text).as_bytes()),
                RawSegment::Hole(hole, range) => {
                    complete &= self.hole(hole, place.part(range), inner, &mut template).is_some();
                }
            }
        }
        if quoted {
            template.push_text(b"\"");
        }
        complete.then_some(template)
    }

    /// Compiles a text whose holes are known before the run: those of the environment.
    pub(super) fn constant(&mut self, text: &Spanned<String>, encoding: Encoding) -> Option<String> {
        let template = self.template(text, encoding)?;
        let constant = template.constant();
        if constant.is_none() {
            let help =
                "write plain text, `${env:NAME}` or `${secret:NAME}`: this value is needed before the run";
            self.report(
                Code::BadHole,
                "a hole that is filled for every task is not allowed here",
                text.span,
                help,
            );
        }
        String::from_utf8(constant?.to_vec()).ok()
    }

    fn hole(&mut self, hole: &str, span: Span, encoding: Encoding, template: &mut Template) -> Option<()> {
        match self.segment(hole.trim(), span, encoding)? {
            Segment::Text(text) => template.push_text(&text),
            Segment::Hole(hole) => {
                // JSON has no type for these values, so they are strings.
                let quote: &[u8] = match hole {
                    Hole::Uuid | Hole::Now | Hole::Column(ListColumn { is_json: false, .. })
                        if encoding == Encoding::JsonValue =>
                    {
                        b"\""
                    }
                    _ => b"",
                };
                template.push_text(quote);
                template.push_hole(hole);
                template.push_text(quote);
            }
        }
        Some(())
    }

    fn segment(&mut self, hole: &str, span: Span, encoding: Encoding) -> Option<Segment> {
        if let Some(name) = hole.strip_prefix("env:") {
            let (name, default) = name.split_once(":-").map_or((name, None), |(n, d)| (n, Some(d)));
            // As in a shell, a default replaces an empty value too: CI sets inputs that nobody gave to an empty text.
            let value = self.files.variable(name).filter(|value| default.is_none() || !value.is_empty());
            let value = match (value, default) {
                (None, Some(default)) => Some(self.default_value(default, span)?),
                (value, _) => value,
            };
            let help = format!("set it before the run, or write a default: `${{env:{name}:-default}}`");
            return self.known(value, Variable { name, help }, span, encoding);
        }
        if let Some(name) = hole.strip_prefix("secret:") {
            let value = self.files.secret(name).filter(|value| !value.is_empty());
            self.remember_secret(value.as_deref());
            let help = "set it to a value that is not empty before the run".to_owned();
            return self.known(value, Variable { name, help }, span, encoding);
        }
        let call = hole.strip_suffix(')').and_then(|call| call.split_once('('));
        let Some((name, arguments)) = call else {
            return self.named(hole, span, encoding).map(Segment::Hole);
        };
        let arguments: Vec<&str> = match arguments.trim() {
            "" => Vec::new(),
            some => some.split(',').map(str::trim).collect(),
        };
        self.call(name.trim(), &arguments, span, encoding).map(Segment::Hole)
    }

    /// A default with its holes filled. They must be known before the run.
    fn default_value(&mut self, default: &str, span: Span) -> Option<String> {
        if !default.contains("${") {
            return Some(default.to_owned());
        }
        let mut filled = String::new();
        for part in split_holes(default).unwrap_or_default() {
            match part {
                RawSegment::Text(text) => filled += text,
                RawSegment::Hole(hole, _) => match self.segment(hole.trim(), span, Encoding::Raw)? {
                    Segment::Text(text) => filled += &String::from_utf8_lossy(&text),
                    Segment::Hole(_) => {
                        let message = format!("`${{{hole}}}` is not allowed in a default");
                        let help = "write plain text, `${env:NAME}` or `${secret:NAME}`";
                        self.report(Code::BadHole, message, span, help);
                        return None;
                    }
                },
            }
        }
        Some(filled)
    }

    fn known(
        &mut self,
        value: Option<String>,
        Variable { name, help }: Variable<'_>,
        span: Span,
        encoding: Encoding,
    ) -> Option<Segment> {
        if value.is_none() {
            let diagnostic =
                Diagnostic::new(Code::MissingVariable, format!("environment variable `{name}` is not set"))
                    .at(span, "requires this variable");
            self.problems.report(diagnostic.help(help));
        }
        Some(Segment::Text(encoding.text(&value?).into()))
    }

    /// Keeps a secret in every form in which it is sent, so that no output shows any of them.
    fn remember_secret(&mut self, value: Option<&str>) {
        let Some(value) = value else { return };
        // The target may return the secret, and a captured value may carry it to any place.
        for encoding in [Encoding::Raw, Encoding::Path, Encoding::Form, Encoding::JsonText] {
            let form = encoding.text(value);
            if !self.secrets.contains(&form) {
                self.secrets.push(form);
            }
        }
    }

    /// A hole that is a name: a captured value or a column of a list.
    fn named(&mut self, hole: &str, span: Span, encoding: Encoding) -> Option<Hole> {
        if let Some(slot) = self.captures.iter().position(|name| name == hole) {
            return Some(Hole::Captured(CapturedValue { name: hole.to_owned(), slot, encoding }));
        }
        if let Some(column) = hole.strip_prefix("row.") {
            return self.column_of_user(column, span, encoding);
        }
        let listed =
            hole.split_once('.').and_then(|(list, column)| Some((list, column, self.lists.get(list)?)));
        let diagnostic = match listed {
            // Reported where the list is defined.
            Some((_, _, List::Items(items))) if items.is_empty() => return None,
            Some((list, _, List::Items(_))) => {
                Diagnostic::new(Code::BadHole, format!("list `{list}` has plain values and no columns"))
                    .help(format!("pick one of its items with `${{pick({list})}}`"))
            }
            Some((list, column, List::Table(table))) => {
                let columns = &table.columns;
                if let Some(at) = columns.iter().position(|name| name == column) {
                    let list = list.to_owned();
                    return self.column(&list, at, RowTaker::Task, encoding);
                }
                let known = columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Diagnostic::new(Code::BadHole, format!("list `{list}` has no column `{column}`"))
                    .suggest(column, columns.iter().map(String::as_str))
                    .help(format!("its columns are {known}"))
            }
            None => self.unknown_name(hole),
        };
        self.problems.report(diagnostic.at(span, "here"));
        None
    }

    /// A column of the list whose rows belong to the users of the class.
    fn column_of_user(&mut self, column: &str, span: Span, encoding: Encoding) -> Option<Hole> {
        let diagnostic = match (self.bound_list.clone(), self.bound_columns()) {
            (Some(list), Some(columns)) => {
                if let Some(at) = columns.iter().position(|name| name == column) {
                    return self.column(&list, at, RowTaker::User, encoding);
                }
                let known = columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                Diagnostic::new(Code::BadHole, format!("list `{list}` has no column `{column}`"))
                    .suggest(column, columns.iter().map(String::as_str))
                    .help(format!("its columns are {known}"))
            }
            // The list of `row` is reported where the class names it.
            (Some(_), None) => return None,
            (None, _) => Diagnostic::new(Code::BadHole, "the users of this class have no row").help(
                "name a list with `row = \"…\"` in the class, or write `${list.column}` for the task's row",
            ),
        };
        self.problems.report(diagnostic.at(span, "here"));
        None
    }

    fn bound_columns(&self) -> Option<Vec<String>> {
        match self.lists.get(self.bound_list.as_deref()?)? {
            List::Table(table) => Some(table.columns.clone()),
            List::Items(_) => None,
        }
    }

    fn column(&mut self, list: &str, column: usize, taken_by: RowTaker, encoding: Encoding) -> Option<Hole> {
        let source = self.row_source(list, taken_by)?;
        let is_json = encoding == Encoding::JsonValue && self.lists.is_typed(list, column);
        // The caller adds the quotes around a whole JSON value, unless the column has values of other types.
        let encoding = match encoding {
            Encoding::JsonValue if !is_json => Encoding::JsonText,
            encoding => encoding,
        };
        let values = self.lists.escaped(list, Some(column), encoding)?;
        Some(Hole::Column(ListColumn { values, source, is_json }))
    }

    /// The row source of a list, from which the current class now takes rows.
    pub(super) fn row_source(&mut self, list: &str, taken_by: RowTaker) -> Option<usize> {
        let List::Table(table) = self.lists.get(list)? else { return None };
        let (restarts, rows) = (table.restarts, table.rows());
        let known =
            self.row_sources.iter().position(|source| source.list == list && source.taken_by == taken_by);
        let index = known.unwrap_or_else(|| {
            let list = list.to_owned();
            self.row_sources.push(RowSource { list, taken_by, restarts, rows, classes: Vec::new() });
            self.row_sources.len() - 1
        });
        let classes = &mut self.row_sources[index].classes;
        if !classes.contains(&self.class) {
            classes.push(self.class);
        }
        Some(index)
    }

    fn unknown_name(&self, hole: &str) -> Diagnostic {
        match self.lists.get(hole) {
            Some(List::Items(_)) => {
                Diagnostic::new(Code::BadHole, format!("`{hole}` is a list and not a value"))
                    .help(format!("pick one of its items with `${{pick({hole})}}`"))
            }
            Some(List::Table(table)) => {
                let first = table.columns.first().map_or("column", String::as_str);
                Diagnostic::new(Code::BadHole, format!("`{hole}` is a list and not a value"))
                    .help(format!("write a column such as `${{{hole}.{first}}}`"))
            }
            None => {
                let functions = FUNCTION_FORMS.iter().map(|(name, _)| *name);
                let known = self.captures.iter().map(String::as_str).chain(functions);
                Diagnostic::new(Code::BadHole, format!("unknown hole `{hole}`"))
                    .suggest(hole, known)
                    .help(HOLES_HELP)
            }
        }
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
                ends.filter(|(low, high)| low <= high && (high - low).is_finite())
                    .map(|(low, high)| Hole::Float(low, high))
            }
            ("uuid", []) => Some(Hole::Uuid),
            ("seq", []) => Some(Hole::Sequence(0)),
            ("user", []) => Some(Hole::User),
            ("now", []) => Some(Hole::Now),
            _ => None,
        };
        if hole.is_none() {
            let form = FUNCTION_FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| form);
            let diagnostic = match form {
                Some(form) => {
                    let arguments = arguments.join(", ");
                    Diagnostic::new(Code::BadHole, format!("`{name}` does not accept `({arguments})`"))
                        .help(format!("write {form}"))
                }
                None => Diagnostic::new(Code::BadHole, format!("unknown function `{name}`"))
                    .suggest(name, FUNCTION_FORMS.iter().map(|(name, _)| *name))
                    .help(HOLES_HELP),
            };
            self.problems.report(diagnostic.at(span, "here"));
        }
        hole
    }

    fn pick(&mut self, list: &str, span: Span, encoding: Encoding) -> Option<Hole> {
        let diagnostic = match self.lists.get(list) {
            // An empty list has been reported where it is defined.
            Some(List::Items(items)) if items.is_empty() => return None,
            Some(List::Items(_)) => return self.lists.escaped(list, None, encoding).map(Hole::Pick),
            Some(List::Table(table)) => {
                let first = table.columns.first().map_or("column", String::as_str);
                Diagnostic::new(Code::BadHole, format!("list `{list}` has columns and no plain values"))
                    .at(span, "here")
                    .help(format!(
                        "write a column such as `${{{list}.{first}}}`, the value in the task's row"
                    ))
            }
            None => Diagnostic::new(Code::UnknownList, format!("unknown list `{list}`"))
                .at(span, "no file of the plan defines this list")
                .suggest(list, self.lists.names())
                .help(format!("define it under `[lists]`: `{list} = [\"…\"]`")),
        };
        self.problems.report(diagnostic);
        None
    }

    /// Compiles a constant JSON value: its texts have only holes that are known before the run. Returns `None` after
    /// reporting a problem.
    pub(super) fn constant_json(&mut self, node: &crate::document::Node) -> Option<Json> {
        use crate::document::Value;
        match &node.value {
            Value::Text(text) => {
                let text = Spanned::new(text.clone(), node.span);
                self.constant(&text, Encoding::Raw).map(Json::String)
            }
            Value::Array(items) => items.iter().map(|item| self.constant_json(item)).collect(),
            Value::Table(entries) => {
                let members =
                    entries.iter().map(|(key, item)| Some((key.name.clone(), self.constant_json(item)?)));
                members.collect::<Option<serde_json::Map<_, _>>>().map(Json::Object)
            }
            Value::Datetime(time) => Some(Json::String(time.clone())),
            Value::Float(number) if !number.is_finite() => {
                let message = "JSON has no infinite numbers and no NaN";
                self.report(Code::OutOfRange, message, node.span, "write a finite number");
                None
            }
            other => crate::plan::compile::lists::scalar(other),
        }
    }
}
