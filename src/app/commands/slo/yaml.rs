//! Writes plain data as YAML documents in block style.

use serde_json::Value;

/// The documents one after another, each behind `---`.
pub(super) fn documents(documents: &[Value]) -> String {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        add(&mut text, document, 0);
    }
    text
}

/// Adds a table or a list, each of its lines indented by at least `indent` spaces.
fn add(text: &mut String, value: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                text.push_str(&format!("{margin}{key}:"));
                add_behind(text, value, indent + 2);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inside = String::new();
                add(&mut inside, item, indent + 2);
                text.push_str(&format!("{margin}- {}", inside.trim_start()));
            }
        }
        scalar => text.push_str(&format!("{margin}{}\n", written(scalar))),
    }
}

/// Adds a value behind its key: on the same line, or below it.
fn add_behind(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(_) | Value::Array(_) => {
            text.push('\n');
            add(text, value, indent);
        }
        scalar => text.push_str(&format!(" {}\n", written(scalar))),
    }
}

/// A scalar. Words that no YAML reader can take for anything else stay plain. All other strings are in double quotes with
/// the escapes of JSON, which YAML shares; characters that YAML does not permit are escaped too.
fn written(scalar: &Value) -> String {
    let Value::String(text) = scalar else { return scalar.to_string() };
    let is_word = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '-');
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts && text.chars().all(is_word) && !reserved.contains(&text.to_lowercase().as_str()) {
        return text.clone();
    }
    let quoted = scalar.to_string();
    let is_printable = |c: char| {
        !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
    };
    let shown = quoted
        .chars()
        .map(|c| if is_printable(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_lists_and_texts_have_the_form_of_yaml() {
        let document = json!({
            "kind": "SLO",
            "metadata": { "name": "a-1" },
            "list": [{ "duration": "28d", "isRolling": true }, "no"],
            "target": 0.95,
        });
        let text = "---\nkind: SLO\nmetadata:\n  name: \"a-1\"\nlist:\n  - duration: \"28d\"\n    isRolling: true\n  \
                    - \"no\"\ntarget: 0.95\n";
        assert_eq!(documents(&[document]), text);
    }

    #[test]
    fn a_text_stays_one_scalar() {
        let written = |text: &str| written(&text.into());
        assert_eq!(written("a: b # c"), "\"a: b # c\"");
        assert_eq!(written("a\n\"b\"\\"), "\"a\\n\\\"b\\\"\\\\\"");
        assert_eq!(written("\u{85}\u{7f}\u{2028}\u{1b}"), "\"\\u0085\\u007f\\u2028\\u001b\"");
    }
}
