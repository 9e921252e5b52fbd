//! Conditions on responses, and values that are kept from them.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::document::{Definitions, FromNode, Map, Node, Spanned, TableRule, Value, document};
use crate::units::Size;

document! {
    /// Conditions on a response. A request whose response does not meet them fails.
    pub(in crate::plan) struct ExpectDocument ("a table") {
        /// Accepted status codes, from 100 to 599, or classes such as `"2xx"`.
        status: Vec<Spanned<StatusDocument>> = otherwise("2xx and 3xx"),
        /// JSON pointers (RFC 6901) and the value required at each.
        json: Map<Node>,
        /// JSON pointers (RFC 6901) that lead to no value.
        absent: Vec<Spanned<String>>,
        /// JSON pointers (RFC 6901) that lead to `null`.
        null: Vec<Spanned<String>>,
        /// Text that the body contains, or several.
        contains: TextsDocument,
        /// Headers and the value required of each.
        headers: Map<String>,
        /// Maximum size of the body.
        max_bytes: Size,
        rules [TableRule::NotEmpty(&["status", "absent", "null", "contains"])]
    }
}

document! {
    /// A readiness probe with conditions on its response.
    pub(in crate::plan) struct ReadyDocument ("a table such as `{ request = \"GET /health\", expect = { … } }`") {
        /// Method and path.
        request: String = required,
        /// Conditions on the response.
        expect: ExpectDocument = otherwise("a status of 2xx"),
    }
}

document! {
    /// The place of a captured value. It has exactly one of its keys.
    pub(in crate::plan) struct CaptureDocument ("a table such as `{ header = \"location\" }`") {
        /// JSON pointer (RFC 6901) into the body; a step `*` stands for a random element of an array.
        json: String,
        /// Name of a header.
        header: String,
        /// Regular expression that the body matches; its first group is kept, or the whole match.
        regex: String,
        /// Name of a hidden input in a form of the HTML body.
        field: String,
        /// With `true` the status code.
        status: bool,
        rules [TableRule::ExactlyOne(&[&["json"], &["header"], &["regex"], &["field"], &["status"]])]
    }
}

/// An accepted status code, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) enum StatusDocument {
    Code(u16),
    /// Its first digit.
    Class(u16),
}

impl FromNode for StatusDocument {
    fn expected() -> String {
        "a status such as `200` or `\"2xx\"`".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Text(text) = &node.value else { return u16::read(node, problems).map(Self::Code) };
        let class = text.strip_suffix("xx").and_then(|digit| digit.parse().ok());
        let class = class.filter(|digit| (1..=5).contains(digit));
        if class.is_none() {
            let message = format!("`{text}` is not a class of statuses");
            let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(node.span, "here");
            problems.report(diagnostic.help(format!("write {}", Self::expected())));
        }
        class.map(Self::Class)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "anyOf": [u16::schema(definitions), { "type": "string", "pattern": "^[1-5]xx$" }] })
    }
}

/// One text or several.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::plan) struct TextsDocument(pub(in crate::plan) Vec<Spanned<String>>);

impl FromNode for TextsDocument {
    fn expected() -> String {
        "a string or an array of strings".into()
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Array(_) => Vec::read(node, problems).map(Self),
            _ => String::read(node, problems).map(|one| Self(vec![Spanned::new(one, node.span)])),
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1 } },
        ] })
    }
}
