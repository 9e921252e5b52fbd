//! Reading typed values from TOML nodes: strings, numbers, quantities, arrays, maps and words.

use std::str::FromStr;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::document::{Definitions, EffectiveValues, Key, Node, Spanned, Value};
use crate::units::{Rate, Share, Size, TimeSpan, UnitError};

/// A type that can be read from a TOML value.
pub trait FromNode: Sized {
    /// The expected value for messages, with its article: "a string", "a duration such as `\"30s\"`".
    fn expected() -> String;

    /// Reads the value. After `None` the mistake has been reported.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;

    /// The JSON Schema of the accepted values, as an object; its tables go into `definitions`. It accepts every value
    /// that `read` accepts, and as few others as a schema can exclude.
    fn schema(definitions: &mut Definitions) -> Json;

    /// Whether [`EffectiveValues`] lists the keys of such a value one by one, and not as one value.
    const HAS_KEYS: bool = false;

    /// Records the effective values of a node that was read.
    fn explain(node: &Node, values: &mut EffectiveValues) {
        values.value(node);
    }
}

/// Reads a whole file. If its syntax is wrong, no missing key is reported: the mistake may have hidden it.
pub fn read_root<T: FromNode>(root: &Node, problems: &mut Problems) -> Option<T> {
    let excused: &[Code] = if problems.has_syntax_error(root.span.file) { &[Code::MissingKey] } else { &[] };
    problems.suppressing(excused, |problems| T::read(root, problems))
}

/// Reports that a value has the wrong type for its key.
pub(crate) fn wrong_type<T: FromNode>(node: &Node, problems: &mut Problems) {
    let expected = T::expected();
    let message = format!("expected {expected}, found {}", node.value.kind());
    let short = expected.split(" such as ").next().and_then(|text| text.split(',').next());
    let label = format!("not {}", short.unwrap_or_default());
    let diagnostic = Diagnostic::new(Code::WrongType, message).at(node.span, label);
    problems.report(diagnostic.help(format!("write {expected}")));
}

impl FromNode for Node {
    fn expected() -> String {
        "a value".into()
    }

    fn read(node: &Node, _: &mut Problems) -> Option<Self> {
        Some(node.clone())
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({})
    }
}

impl FromNode for String {
    fn expected() -> String {
        "a string".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                wrong_type::<Self>(node, problems);
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string" })
    }
}

impl FromNode for bool {
    fn expected() -> String {
        "`true` or `false`".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Boolean(flag) => Some(flag),
            _ => {
                wrong_type::<Self>(node, problems);
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "boolean" })
    }
}

macro_rules! read_integer {
    ($($kind:ty),+) => { $(
        impl FromNode for $kind {
            fn expected() -> String {
                format!("a whole number from 0 to {}", i64::try_from(<$kind>::MAX).unwrap_or(i64::MAX))
            }

            fn schema(_: &mut Definitions) -> Json {
                let largest = i64::try_from(<$kind>::MAX).unwrap_or(i64::MAX);
                json!({ "type": "integer", "minimum": 0, "maximum": largest })
            }

            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                let Value::Integer(number) = node.value else {
                    wrong_type::<Self>(node, problems);
                    return None;
                };
                let read = <$kind>::try_from(number).ok();
                if read.is_none() {
                    let message = format!("`{number}` is out of range");
                    let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(node.span, "here");
                    problems.report(diagnostic.help(format!("write {}", Self::expected())));
                }
                read
            }
        }
    )+ };
}

read_integer!(u16, u32, u64);

impl FromNode for f64 {
    fn expected() -> String {
        "a number".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Integer(number) => Some(number as Self),
            Value::Float(number) if number.is_finite() => Some(number),
            Value::Float(number) => {
                let message = format!("`{number}` is not a finite number");
                let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(node.span, "here");
                problems.report(diagnostic.help("write a number such as `5` or `0.5`"));
                None
            }
            _ => {
                wrong_type::<Self>(node, problems);
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "number" })
    }
}

/// A quantity with a unit, written as a string.
pub trait Quantity: FromStr<Err = UnitError> {
    /// The expected value for messages, with its article.
    const EXPECTED: &'static str;

    /// An ECMA-262 regular expression of the accepted texts. It does not check the range.
    const PATTERN: &'static str;
}

/// Builds a pattern around the number that every quantity contains.
macro_rules! pattern {
    ($before:literal, number, $after:literal) => {
        concat!(r"^\s*", $before, r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*", $after, r"\s*$")
    };
}

impl Quantity for TimeSpan {
    const EXPECTED: &'static str = "a duration such as `\"30s\"`, `\"250ms\"` or `\"8h\"`";
    const PATTERN: &'static str = pattern!("(?:", number, r"(?:us|µs|ms|s|m|min|h|d)\s*)+");
}

impl Quantity for Rate {
    const EXPECTED: &'static str = "a rate such as `\"25/s\"`, `\"90/min\"` or `\"3000/day\"`";
    const PATTERN: &'static str = pattern!("", number, r"/\s*(?:s|sec|second|m|min|minute|h|hour|d|day)");
}

impl Quantity for Share {
    const EXPECTED: &'static str = "a share such as `\"0.5%\"`";
    const PATTERN: &'static str = r"^\s*(?:0*(?:100(?:\.0*)?|[0-9]{1,2}(?:\.[0-9]*)?)|\.[0-9]+)\s*%\s*$";
}

impl Quantity for Size {
    const EXPECTED: &'static str = "a size such as `\"64KiB\"` or `\"1MiB\"`";
    const PATTERN: &'static str = pattern!("", number, "(?:GiB|MiB|KiB|GB|MB|kB|B)");
}

impl<Q: Quantity> FromNode for Q {
    fn expected() -> String {
        Q::EXPECTED.into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Text(text) = &node.value else {
            let message = format!("expected {}, found {}", Q::EXPECTED, node.value.kind());
            let diagnostic = Diagnostic::new(Code::BadQuantity, message).at(node.span, "needs a unit");
            problems.report(diagnostic.help(format!("write {}", Q::EXPECTED)));
            return None;
        };
        match text.parse::<Q>() {
            Ok(quantity) => Some(quantity),
            Err(UnitError { problem, help }) => {
                let diagnostic = Diagnostic::new(Code::BadQuantity, problem).at(node.span, "here");
                problems.report(diagnostic.help(help));
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({ "type": "string", "pattern": Q::PATTERN })
    }
}

impl<T: FromNode> FromNode for Vec<Spanned<T>> {
    fn expected() -> String {
        format!("an array in `[…]`, each item {}", T::expected())
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            wrong_type::<Self>(node, problems);
            return None;
        };
        let read = items.iter().filter_map(|item| Some(Spanned::new(T::read(item, problems)?, item.span)));
        Some(read.collect())
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "type": "array", "items": T::schema(definitions) })
    }

    fn explain(node: &Node, values: &mut EffectiveValues) {
        match &node.value {
            Value::Array(items) if T::HAS_KEYS => values.items(items, T::explain),
            _ => values.value(node),
        }
    }
}

/// A table whose keys are names chosen by the user, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Map<T>(pub Vec<(Key, Spanned<T>)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: FromNode> FromNode for Map<T> {
    fn expected() -> String {
        format!("a table of names, each with {}", T::expected())
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            wrong_type::<Self>(node, problems);
            return None;
        };
        let read = entries
            .iter()
            .filter_map(|(key, item)| Some((key.clone(), Spanned::new(T::read(item, problems)?, item.span))));
        Some(Self(read.collect()))
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "type": "object", "additionalProperties": T::schema(definitions) })
    }

    const HAS_KEYS: bool = true;

    fn explain(node: &Node, values: &mut EffectiveValues) {
        let Value::Table(entries) = &node.value else { return };
        for (key, item) in entries {
            values.descend(&key.name, |values| T::explain(item, values));
        }
    }
}

/// A closed set of words, read by `read_choice`.
pub trait Choice: Sized + Copy + 'static {
    /// All values, in the order of messages.
    const VALUES: &'static [Self];

    /// The word of a value.
    fn word(self) -> &'static str;
}

/// Reads one of a closed set of words; suggests the closest one for any other word.
pub(crate) fn read_choice<C: Choice>(node: &Node, problems: &mut Problems) -> Option<C> {
    let words = || C::VALUES.iter().map(|value| value.word());
    let listed = words().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    let (text, shown) = match &node.value {
        Value::Text(text) => (text.as_str(), format!("`\"{text}\"`")),
        other => ("", other.kind().to_owned()),
    };
    let found = C::VALUES.iter().copied().find(|value| value.word() == text);
    if found.is_none() {
        let message = format!("expected one of {listed}, found {shown}");
        let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(node.span, "not one of them");
        problems.report(diagnostic.suggest(text, words()).help(format!("write one of {listed}")));
    }
    found
}
