//! TOML values with their places, and the parser that reports all syntax errors of a file.

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Diagnostic, FileId, Problems, Span};

/// A TOML value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub span: Span,
}

/// A TOML value; tables keep the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Integer(i64),
    /// May be infinite or not a number.
    Float(f64),
    Boolean(bool),
    /// A date or time, as written.
    Datetime(String),
    Array(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub name: String,
    pub span: Span,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

impl Value {
    /// The name of the TOML type, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a datetime",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// A long file is first probed up to this size: with more than [`MAX_SYNTAX_ERRORS`] errors there it is not TOML.
const PROBE_BYTES: usize = 64 << 10;
const MAX_SYNTAX_ERRORS: usize = 100;

/// Reads a TOML text. Reports all syntax errors and returns the readable part of the file.
pub fn parse(file: FileId, problems: &mut Problems) -> Node {
    let text = problems.source(file).text.clone();
    let probe = &text[..text.floor_char_boundary(PROBE_BYTES)];
    let (mut table, mut errors) = DeTable::parse_recoverable(probe);
    if errors.len() <= MAX_SYNTAX_ERRORS && probe.len() < text.len() {
        (table, errors) = DeTable::parse_recoverable(&text);
    }
    for error in &errors {
        if problems.is_full() {
            break;
        }
        problems.report(syntax_error(file, &text, error));
    }
    let span = table.span();
    let mut builder = NodeBuilder { file, problems };
    Node { value: builder.table(table.into_inner()), span: Span { file, start: span.start, end: span.end } }
}

/// A parser error as a diagnostic, in words that a plan author knows.
fn syntax_error(file: FileId, text: &str, error: &toml::de::Error) -> Diagnostic {
    let range = error.span().unwrap_or(0..0);
    let span = Span { file, start: range.start, end: range.end.max(range.start) };
    let written = text.get(range).unwrap_or_default();
    let first_line = error.message().lines().next().unwrap_or("not TOML");
    let no_value =
        first_line.starts_with("string values must be quoted") || first_line.starts_with("invalid boolean");
    let (message, help) = if first_line.starts_with("duplicate key") {
        let help = "a table can have a key only once; remove one of them";
        (format!("`{written}` is written twice"), help.to_owned())
    } else if no_value && written.is_empty() {
        ("the value is missing".to_owned(), "write a value after the `=`".to_owned())
    } else if no_value {
        let help = format!("put text, and numbers with a unit, in quotes: `\"{written}\"`");
        (format!("`{written}` is not a value"), help)
    } else if ["basic string, expected `\"`", "literal string, expected `'`"]
        .iter()
        .any(|end| first_line.ends_with(end))
    {
        ("the string is not closed".to_owned(), "end it with the quote that it starts with".to_owned())
    } else {
        let help = "write TOML: `key = value` lines under `[table]` headers";
        (first_line.to_owned(), help.to_owned())
    };
    Diagnostic::new(Code::Syntax, message).at(span, "here").help(help)
}

/// Reads one TOML value; `None` if the text is not exactly one value.
pub fn parse_value(text: &str, span: Span, problems: &mut Problems) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let node = NodeBuilder { file: span.file, problems }.value(value.into_inner(), span);
    Some(relocate(node, span))
}

/// Gives every node of a tree the same span.
fn relocate(mut node: Node, span: Span) -> Node {
    node.span = span;
    node.value = match node.value {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| relocate(item, span)).collect()),
        Value::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, item)| (Key { name: key.name, span }, relocate(item, span)))
                .collect(),
        ),
        other => other,
    };
    node
}

/// Converts the parser's borrowed tree into [`Node`]s.
struct NodeBuilder<'p> {
    file: FileId,
    problems: &'p mut Problems,
}

impl NodeBuilder<'_> {
    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span { file: self.file, start: range.start, end: range.end }
    }

    fn node(&mut self, value: TomlSpanned<DeValue<'_>>) -> Node {
        let span = self.span(value.span());
        self.value(value.into_inner(), span)
    }

    fn value(&mut self, value: DeValue<'_>, span: Span) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    Err(_) => self.too_large(span),
                }
            }
            DeValue::Float(number) => {
                Value::Float(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN))
            }
            DeValue::Boolean(flag) => Value::Boolean(flag),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Array(items) => Value::Array(items.into_iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => self.table(table),
        };
        Node { value, span }
    }

    fn table(&mut self, table: DeTable<'_>) -> Value {
        let entries = table.into_iter().map(|(key, value)| {
            let span = self.span(key.span());
            (Key { name: key.into_inner().into_owned(), span }, self.node(value))
        });
        Value::Table(entries.collect())
    }

    fn too_large(&mut self, span: Span) -> Value {
        let help = "write a number up to 9223372036854775807";
        let diagnostic = Diagnostic::new(Code::OutOfRange, "the number is too large").at(span, "here");
        self.problems.report(diagnostic.help(help));
        Value::Integer(0)
    }
}
