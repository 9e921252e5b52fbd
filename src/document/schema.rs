//! The JSON Schema of documents, with which an editor completes keys and marks mistakes while the user types.

use serde_json::{Map as Object, Value as Json, json};

use crate::document::{Choice, Field, FromNode, Value};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The tables of a schema. Each is described once, regardless of how often it is used.
#[derive(Debug, Default)]
pub struct Definitions {
    tables: Object<String, Json>,
}

/// A rule about several keys of a table. Only the schema uses it: reading a document accepts any combination of keys,
/// and compiling refuses wrong combinations with its own messages.
#[derive(Debug, Clone, Copy)]
pub enum TableRule {
    /// All keys of exactly one of these groups are present.
    ExactlyOne(&'static [&'static [&'static str]]),
    /// At most one of these keys is present.
    AtMostOne(&'static [&'static str]),
    /// If the first key is present, none of the others is.
    Alone(&'static str, &'static [&'static str]),
    /// If the first key is present, so is the second.
    Needs(&'static str, &'static str),
    /// None of these arrays and maps is empty.
    NotEmpty(&'static [&'static str]),
    /// The text of this key matches an ECMA-262 regular expression.
    Matches(&'static str, &'static str),
}

/// The schema of files with root type `T`, in JSON Schema draft 2020-12.
pub fn schema_of<T: FromNode>(title: &str) -> Json {
    let mut definitions = Definitions::default();
    let mut schema = object([("$schema", json!(DIALECT)), ("title", json!(title))]);
    if let Json::Object(root) = T::schema(&mut definitions) {
        schema.extend(root);
    }
    schema.insert("$defs".to_owned(), Json::Object(definitions.tables));
    Json::Object(schema)
}

impl Definitions {
    /// Returns a reference to a table; describes the table on its first use.
    pub fn table(&mut self, document: &str, about: &str, fields: &[Field], rules: &[TableRule]) -> Json {
        let name = document.strip_suffix("Document").unwrap_or(document);
        if !self.tables.contains_key(name) {
            // A placeholder ends the recursion of a table that contains itself.
            self.tables.insert(name.to_owned(), Json::Null);
            let table = self.describe(about, fields, rules);
            self.tables.insert(name.to_owned(), table);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    fn describe(&mut self, about: &str, fields: &[Field], rules: &[TableRule]) -> Json {
        let built = || fields.iter().filter(|field| !field.reserved);
        let known = |key| built().any(|field| field.name == key);
        debug_assert!(rules.iter().flat_map(TableRule::keys).all(known), "a rule names an unknown key");
        let properties = built().map(|field| (field.name.to_owned(), self.property(field, rules)));
        let properties: Object<String, Json> = properties.collect();
        let required: Vec<&str> = built()
            .filter(|field| field.required.is_some() && field.unless.is_empty())
            .map(|field| field.name)
            .collect();
        let together: Vec<Json> = rules.iter().filter_map(TableRule::schema).collect();
        let mut table = object([
            ("type", json!("object")),
            ("description", json!(about.trim())),
            ("properties", Json::Object(properties)),
        ]);
        if !required.is_empty() {
            table.insert("required".to_owned(), json!(required));
        }
        table.insert("additionalProperties".to_owned(), json!(false));
        if !together.is_empty() {
            table.insert("allOf".to_owned(), json!(together));
        }
        Json::Object(table)
    }

    fn property(&mut self, field: &Field, rules: &[TableRule]) -> Json {
        let mut property = object([("description", json!(field.about.trim()))]);
        if let Json::Object(value) = (field.schema)(self) {
            property.extend(value);
        }
        let default = field.default.and_then(|default| match default() {
            Value::Text(text) => Some(json!(text)),
            Value::Integer(number) => Some(json!(number)),
            Value::Boolean(flag) => Some(json!(flag)),
            _ => None,
        });
        property.extend(default.map(|default| ("default".to_owned(), default)));
        let is_array = property.get("type") == Some(&json!("array"));
        let of_key = rules.iter().filter(|rule| rule.keys().contains(&field.name));
        property.extend(of_key.filter_map(|rule| match rule {
            TableRule::NotEmpty(_) if is_array => Some(("minItems".to_owned(), json!(1))),
            TableRule::NotEmpty(_) => Some(("minProperties".to_owned(), json!(1))),
            TableRule::Matches(_, pattern) => Some(("pattern".to_owned(), json!(pattern))),
            _ => None,
        }));
        Json::Object(property)
    }
}

impl TableRule {
    /// The schema that the whole table must match; `None` if the rule is about single keys.
    fn schema(&self) -> Option<Json> {
        match self {
            Self::ExactlyOne(groups) => {
                let there: Vec<Json> = groups.iter().map(|keys| json!({ "required": keys })).collect();
                Some(json!({ "oneOf": there }))
            }
            Self::AtMostOne(keys) => {
                let pairs = keys.iter().enumerate().flat_map(|(index, one)| {
                    keys[index + 1..].iter().map(move |other| json!({ "required": [one, other] }))
                });
                Some(json!({ "not": { "anyOf": pairs.collect::<Vec<_>>() } }))
            }
            Self::Alone(key, others) => {
                let refused: Object<String, Json> =
                    others.iter().map(|other| ((*other).to_owned(), json!(false))).collect();
                Some(json!({ "if": { "required": [key] }, "then": { "properties": refused } }))
            }
            Self::Needs(key, other) => {
                Some(json!({ "if": { "required": [key] }, "then": { "required": [other] } }))
            }
            Self::NotEmpty(_) | Self::Matches(..) => None,
        }
    }

    fn keys(&self) -> Vec<&'static str> {
        match self {
            Self::ExactlyOne(groups) => groups.concat(),
            Self::AtMostOne(keys) | Self::NotEmpty(keys) => keys.to_vec(),
            Self::Alone(key, others) => [&[*key], *others].concat(),
            Self::Needs(key, other) => vec![key, other],
            Self::Matches(key, _) => vec![key],
        }
    }
}

/// The schema of a closed set of words.
pub(crate) fn words_schema<C: Choice>() -> Json {
    let words: Vec<&str> = C::VALUES.iter().map(|value| value.word()).collect();
    json!({ "enum": words })
}

fn object<const N: usize>(entries: [(&str, Json); N]) -> Object<String, Json> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
