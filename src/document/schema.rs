//! What documents take, told as a JSON Schema: an editor then completes keys and marks mistakes as they are typed.

use serde_json::{Map as Object, Value as Json, json};

use crate::document::{Choice, Field, FromNode, Value};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The tables of a schema, each described once however often it is used.
#[derive(Debug, Default)]
pub struct Definitions {
    tables: Object<String, Json>,
}

/// What a table asks of its keys together. Only the schema reads it: reading a document takes any keys together, and
/// compiling refuses, in words of its own, what does not fit.
#[derive(Debug, Clone, Copy)]
pub enum TableRule {
    /// Of exactly one of these groups all keys are there.
    ExactlyOne(&'static [&'static [&'static str]]),
    /// At most one of these keys is there.
    AtMostOne(&'static [&'static str]),
    /// Beside the first key none of the others is there.
    Alone(&'static str, &'static [&'static str]),
    /// With the first key the second is there too.
    Needs(&'static str, &'static str),
    /// None of these arrays and maps is empty.
    NotEmpty(&'static [&'static str]),
    /// The text of this key matches a regular expression, as ECMA-262 has it.
    Matches(&'static str, &'static str),
}

/// The schema of files whose root is this, in draft 2020-12.
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
    /// Describes a table under its name, unless that was done before; a reference to it.
    pub fn table(&mut self, document: &str, about: &str, fields: &[Field], rules: &[TableRule]) -> Json {
        let name = document.strip_suffix("Document").unwrap_or(document);
        if !self.tables.contains_key(name) {
            // Keeps the place, and ends a table that holds itself.
            self.tables.insert(name.to_owned(), Json::Null);
            let table = self.describe(about, fields, rules);
            self.tables.insert(name.to_owned(), table);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    fn describe(&mut self, about: &str, fields: &[Field], rules: &[TableRule]) -> Json {
        let built = || fields.iter().filter(|field| !field.reserved);
        let known = |key| built().any(|field| field.name == key);
        debug_assert!(
            rules.iter().flat_map(TableRule::keys).all(known),
            "a rule names a key that is not there"
        );
        let properties = built().map(|field| (field.name.to_owned(), self.property(field, rules)));
        let properties: Object<String, Json> = properties.collect();
        let required: Vec<&str> = built()
            .filter(|field| field.required.is_some() && field.unless.is_none())
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
    /// What the table as a whole must match; nothing where the rule is about single keys.
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

/// One of a closed set of words.
pub(crate) fn words_schema<C: Choice>() -> Json {
    let words: Vec<&str> = C::WORDS.iter().map(|(word, _)| *word).collect();
    json!({ "enum": words })
}

fn object<const N: usize>(entries: [(&str, Json); N]) -> Object<String, Json> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
