//! What a document comes to: every key that has a value in effect, and where that value comes from.

use crate::diagnostic::Span;
use crate::document::{Field, Fields, Node, Value};

/// A value in effect.
#[derive(Debug, Clone, PartialEq)]
pub struct InEffect {
    /// Its key, from the top of the file, as `--set` takes it.
    pub key: String,
    /// The value, as a person would write it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// The language says so where nothing is written.
    Default,
    /// It was written here.
    Written(Span),
}

/// Goes through a document and gathers what is in effect.
#[derive(Debug, Default)]
pub struct Explanation {
    path: Vec<String>,
    implied: bool,
    found: Vec<InEffect>,
}

impl Explanation {
    /// What was found.
    pub fn found(self) -> Vec<InEffect> {
        self.found
    }

    /// Goes one key deeper.
    pub fn below(&mut self, key: &str, tell: impl FnOnce(&mut Self)) {
        let key = if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() };
        self.path.push(key);
        tell(self);
        self.path.pop();
    }

    /// Tells a value that is not a table of keys.
    pub fn value(&mut self, node: &Node) {
        self.say(node.value.shown(), if self.implied { Origin::Default } else { Origin::Written(node.span) });
    }

    fn say(&mut self, value: String, origin: Origin) {
        self.found.push(InEffect { key: self.path.join("."), value, origin });
    }

    /// Tells the keys of a table: those that are there, and those that have a value without it.
    pub fn table(&mut self, node: &Node, fields: &[Field]) {
        let Value::Table(entries) = &node.value else { return };
        for field in fields.iter().filter(|field| !field.reserved) {
            let written = entries.iter().find(|(key, _)| key.name == field.name);
            self.below(field.name, |told| match (written, field.absent(entries), field.otherwise) {
                (Some((_, node)), ..) => (field.explain)(node, told),
                (None, Some(value), _) => {
                    let outer = std::mem::replace(&mut told.implied, true);
                    (field.explain)(&Node { value, span: node.span }, told);
                    told.implied = outer;
                }
                (None, None, Some(words)) if field.applies(entries) => {
                    told.say(words.to_owned(), Origin::Default);
                }
                _ => {}
            });
        }
    }

    /// Tells the items of an array, each by its `name` or its number.
    pub fn items(&mut self, items: &[Node], explain: fn(&Node, &mut Self)) {
        for (index, item) in items.iter().enumerate() {
            let name = Fields::name_of(item).map_or_else(|| index.to_string(), str::to_owned);
            self.below(&name, |told| explain(item, told));
        }
    }
}

impl Value {
    /// The value as a person would write it; a text that stands alone without its quotes.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.chars().flat_map(plain).collect(),
            other => other.within(),
        }
    }

    fn within(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Datetime(time) => time.clone(),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.within()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(entries) if entries.is_empty() => "{}".to_owned(),
            Self::Table(entries) => {
                let entry = |(key, item): &(crate::document::Key, Node)| {
                    format!("{} = {}", key.name, item.value.within())
                };
                format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A character, or its escape where it would break the line.
fn plain(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}
