//! Overrides: `--set KEY=VALUE` changes one value of a plan before its documents are read.

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::{Key, Node, Value, parse_value};

/// Applies every override to the first document that has the parent of its key, or else to the plan, which is the first
/// document.
pub(super) fn apply(overrides: &[String], documents: &mut [&mut Node], problems: &mut Problems) {
    for text in overrides {
        let span = problems.add_option("--set", text);
        let Some((path, value)) = text.split_once('=') else {
            let message = format!("`{text}` is not of the form `KEY=VALUE`");
            let diagnostic = Diagnostic::new(Code::BadOverride, message).at(span, "here");
            problems.report(diagnostic.help("write, for example, `--set phases.morning.duration=30s`"));
            continue;
        };
        let keys = split(path.trim());
        let place = Span { end: path.len(), ..span };
        let value_span = Span { start: path.len() + 1, ..span };
        let text_value = || Node { value: Value::Text(value.to_owned()), span: value_span };
        let node = parse_value(value, value_span, problems).unwrap_or_else(text_value);
        let found = documents.iter().position(|document| has_parent(document, &keys)).unwrap_or(0);
        if let Err(missing) = set(documents[found], &keys, node, place) {
            let message = format!("the plan has no `{missing}`");
            let diagnostic = Diagnostic::new(Code::BadOverride, message).at(place, "not found");
            let help =
                "select an item of an array by its `name` or its index from 0, as in `phases.peak.users`";
            problems.report(diagnostic.help(help));
        }
    }
}

/// Splits a key at its dots, except within quotes: `phases."a.b".users`.
pub fn split(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut quoted = false;
    for letter in path.chars() {
        match letter {
            '"' => quoted = !quoted,
            '.' if !quoted => keys.push(String::new()),
            other => keys.last_mut().expect("the list starts with one key").push(other),
        }
    }
    keys
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Table(entries) => entries.iter().find(|(k, _)| k.name == key).map(|(_, node)| node),
        Value::Array(items) => items.get(item_index(items, key)?),
        _ => None,
    }
}

fn item_index(items: &[Node], key: &str) -> Option<usize> {
    let named = |item: &Node| child(item, "name").is_some_and(|n| n.value == Value::Text(key.to_owned()));
    items.iter().position(named).or_else(|| key.parse().ok().filter(|index| *index < items.len()))
}

fn has_parent(document: &Node, keys: &[String]) -> bool {
    let Some((_, parents)) = keys.split_last() else { return false };
    !parents.is_empty() && parents.iter().try_fold(document, |node, key| child(node, key)).is_some()
}

/// Sets a value at a path and creates missing tables. The error is the part of the path that was not found.
fn set(node: &mut Node, keys: &[String], value: Node, span: Span) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        *node = value;
        return Ok(());
    };
    match &mut node.value {
        Value::Table(entries) => {
            let at = entries.iter().position(|(known, _)| known.name == *key).unwrap_or_else(|| {
                let empty = Node { value: Value::Table(Vec::new()), span };
                entries.push((Key { name: key.clone(), span }, empty));
                entries.len() - 1
            });
            set(&mut entries[at].1, rest, value, span)
        }
        Value::Array(items) => {
            let at = item_index(items, key).ok_or_else(|| key.clone())?;
            set(&mut items[at], rest, value, span)
        }
        _ => Err(key.clone()),
    }
}
