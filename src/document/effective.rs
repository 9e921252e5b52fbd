//! The effective values of a document: every key that has one, and whether it was written or is a default.

use crate::diagnostic::Span;
use crate::document::{Field, Fields, Node, Value};

/// The value of a key, written or by default.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveValue {
    /// The path of the key from the top of the file, as `--set` takes it.
    pub key: String,
    /// The value in TOML notation; a string without its quotes.
    pub value: String,
    pub origin: Origin,
}

/// The source of an effective value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// The default of the plan language.
    Default,
    /// Written at this place.
    Written(Span),
}

/// A visitor that collects the effective values of a document.
#[derive(Debug, Default)]
pub struct EffectiveValues {
    path: Vec<String>,
    implied: bool,
    found: Vec<EffectiveValue>,
}

impl EffectiveValues {
    /// The collected values, in the order of the fields.
    pub fn found(self) -> Vec<EffectiveValue> {
        self.found
    }

    /// Runs `visit` one key deeper.
    pub fn descend(&mut self, key: &str, visit: impl FnOnce(&mut Self)) {
        let key = if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() };
        self.path.push(key);
        visit(self);
        self.path.pop();
    }

    /// Records a value that is not a table of keys.
    pub fn value(&mut self, node: &Node) {
        self.record(
            node.value.to_plain_text(),
            if self.implied { Origin::Default } else { Origin::Written(node.span) },
        );
    }

    fn record(&mut self, value: String, origin: Origin) {
        self.found.push(EffectiveValue { key: self.path.join("."), value, origin });
    }

    /// Records the keys of a table: the written ones and those with a default.
    pub fn table(&mut self, node: &Node, fields: &[Field]) {
        let Value::Table(entries) = &node.value else { return };
        for field in fields.iter().filter(|field| !field.reserved) {
            let written = entries.iter().find(|(key, _)| key.name == field.name);
            self.descend(field.name, |values| match (written, field.absent(entries), field.otherwise) {
                (Some((_, node)), ..) => (field.explain)(node, values),
                (None, Some(value), _) => {
                    let outer = std::mem::replace(&mut values.implied, true);
                    (field.explain)(&Node { value, span: node.span }, values);
                    values.implied = outer;
                }
                (None, None, Some(words)) if field.applies(entries) => {
                    values.record(words.to_owned(), Origin::Default);
                }
                _ => {}
            });
        }
    }

    /// Records the items of an array, each under its `name` or its index.
    pub fn items(&mut self, items: &[Node], explain: fn(&Node, &mut Self)) {
        for (index, item) in items.iter().enumerate() {
            let name = Fields::name_of(item).map_or_else(|| index.to_string(), str::to_owned);
            self.descend(&name, |values| explain(item, values));
        }
    }
}

impl Value {
    /// The value in TOML notation; a top-level string without its quotes.
    pub fn to_plain_text(&self) -> String {
        match self {
            Self::Text(text) => text.chars().flat_map(escape_control).collect(),
            other => other.to_toml_text(),
        }
    }

    fn to_toml_text(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Datetime(time) => time.clone(),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.to_toml_text()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(entries) if entries.is_empty() => "{}".to_owned(),
            Self::Table(entries) => {
                let entry = |(key, item): &(crate::document::Key, Node)| {
                    format!("{} = {}", key.name, item.value.to_toml_text())
                };
                format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// The character, or its escape if it is a control character that would break the line.
fn escape_control(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}
