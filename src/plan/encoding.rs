//! How a text is escaped for where it will stand.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Where a text will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// A header's value: as it is.
    Header,
    /// A path with its query: what a hole brings is percent-encoded.
    Path,
    /// A form: names and values are encoded as `application/x-www-form-urlencoded`.
    Form,
    /// Within the quotes of a JSON string.
    JsonText,
    /// In the place of a JSON value.
    JsonValue,
}

/// What a written path keeps: all that a URL may hold, but nothing that would end the request line.
const LITERAL_PATH_SET: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'#');
/// What a hole brings into a path keeps: the unreserved characters of RFC 3986.
const VALUE_PATH_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Encoding {
    /// Escapes what a hole brings: a text, or a JSON value that is not one.
    pub fn value(self, value: &Value) -> String {
        match (self, value) {
            (Self::JsonValue, other) => other.to_string(),
            (_, Value::String(text)) => self.text(text),
            (_, other) => self.text(&other.to_string()),
        }
    }

    /// Escapes a text that a hole brings.
    pub fn text(self, text: &str) -> String {
        match self {
            Self::Raw | Self::Header => text.to_owned(),
            Self::Path => utf8_percent_encode(text, VALUE_PATH_SET).to_string(),
            Self::Form => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::JsonText => json_text(text),
            Self::JsonValue => format!("\"{}\"", json_text(text)),
        }
    }

    /// Escapes text that stands in the plan as it is.
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
