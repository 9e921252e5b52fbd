//! Escaping of texts for their place in a request.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The place of a text, which decides how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Unchanged.
    Raw,
    /// Value of a header: unchanged.
    Header,
    /// Path with its query: the value of a hole is percent-encoded.
    Path,
    /// Name or value of a form field: encoded as `application/x-www-form-urlencoded`.
    Form,
    /// Inside the quotes of a JSON string.
    JsonText,
    /// A whole JSON value.
    JsonValue,
}

/// Encoded in a path as written: the characters that a URL cannot contain, or that would end the path.
const LITERAL_PATH_SET: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'#');
/// Encoded in the value of a hole in a path: all but the unreserved characters of RFC 3986.
const VALUE_PATH_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Encoding {
    /// Escapes the value of a hole: a text, or another JSON value.
    pub fn value(self, value: &Value) -> String {
        match (self, value) {
            (Self::JsonValue, other) => other.to_string(),
            (_, Value::String(text)) => self.text(text),
            (_, other) => self.text(&other.to_string()),
        }
    }

    /// Escapes the text of a hole.
    pub fn text(self, text: &str) -> String {
        match self {
            Self::Raw | Self::Header => text.to_owned(),
            Self::Path => utf8_percent_encode(text, VALUE_PATH_SET).to_string(),
            Self::Form => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::JsonText => json_text(text),
            Self::JsonValue => format!("\"{}\"", json_text(text)),
        }
    }

    /// Escapes literal text of the plan.
    pub fn literal(self, text: &str) -> String {
        match self {
            Self::Path => utf8_percent_encode(text, LITERAL_PATH_SET).to_string(),
            Self::JsonValue => json_text(text),
            other => other.text(text),
        }
    }
}

/// Escapes text for the inside of a JSON string.
pub fn json_text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
