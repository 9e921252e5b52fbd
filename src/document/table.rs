//! Tables of a document: the fields that they declare, and the macro that declares them.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Code, Diagnostic, Problems, Span, did_you_mean};
use crate::document::{Definitions, EffectiveValues, FromNode, Key, Node, Spanned, Value};

/// A key that a table can have.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    /// The description for the JSON Schema.
    pub about: &'static str,
    /// The JSON Schema of its value.
    pub schema: fn(&mut Definitions) -> Json,
    /// The expected value for messages, if the key is required.
    pub required: Option<fn() -> String>,
    /// The keys of which each may replace a required one.
    pub unless: &'static [&'static str],
    /// The value of an absent key.
    pub default: Option<fn() -> Value>,
    /// The effect of an absent key in words, if it has no default value.
    pub otherwise: Option<&'static str>,
    /// The key that must be present for the default to apply.
    pub with: Option<&'static str>,
    /// Records the effective values of its node.
    pub explain: fn(&Node, &mut EffectiveValues),
    /// Whether the key is reserved for a later version.
    pub reserved: bool,
}

impl Field {
    /// Whether the default applies among these keys.
    pub fn applies(&self, entries: &[(Key, Node)]) -> bool {
        self.with.is_none_or(|with| entries.iter().any(|(key, _)| key.name == with))
    }

    /// The default among these keys, if the key is absent.
    pub fn absent(&self, entries: &[(Key, Node)]) -> Option<Value> {
        self.default.filter(|_| self.applies(entries)).map(|default| default())
    }
}

/// Reads the keys of one table.
#[derive(Debug)]
pub struct Fields<'n> {
    entries: &'n [(Key, Node)],
    span: Span,
}

impl<'n> Fields<'n> {
    /// Opens a table. Reports unknown, reserved and missing keys.
    pub fn open(node: &'n Node, fields: &[Field], problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return None;
        };
        let (mut unknown, mut not_built) = (Vec::new(), Vec::new());
        for (key, _) in entries {
            match fields.iter().find(|field| field.name == key.name) {
                None => unknown.push(key),
                Some(field) if field.reserved => not_built.push(key),
                Some(_) => {}
            }
        }
        report_unknown(&unknown, fields, problems);
        not_built.iter().for_each(|key| report_not_built(key, problems));
        // A reserved or misspelt key may stand for a missing one, which is not reported then.
        let near = if problems.is_full() { &[] } else { unknown.as_slice() };
        let misspelt = |name| near.iter().any(|key| did_you_mean(&key.name, [name]).is_some());
        let there = |name| entries.iter().any(|(key, _)| key.name == name);
        let missing = |field: &&Field| !there(field.name) && !field.unless.iter().any(|key| there(key));
        let required = fields.iter().filter(|field| field.required.is_some() && not_built.is_empty());
        for field in required.filter(missing).filter(|field| !misspelt(field.name)) {
            report_missing(field, node, problems);
        }
        Some(Self { entries, span: node.span })
    }

    /// The value of a key, or its default; `None` if it is absent without a default or cannot be read.
    pub fn take<T: FromNode>(&self, field: &Field, problems: &mut Problems) -> Option<Spanned<T>> {
        match self.entries.iter().find(|(key, _)| key.name == field.name) {
            Some((_, node)) => Some(Spanned::new(T::read(node, problems)?, node.span)),
            None => {
                let span = Span { end: self.span.start, ..self.span };
                let node = Node { value: field.absent(self.entries)?, span };
                Some(Spanned::new(T::read(&node, problems)?, node.span))
            }
        }
    }

    /// The value of the key `name` of a table.
    pub fn name_of(node: &Node) -> Option<&str> {
        let Value::Table(entries) = &node.value else { return None };
        match &entries.iter().find(|(key, _)| key.name == "name")?.1.value {
            Value::Text(name) => Some(name),
            _ => None,
        }
    }
}

fn report_unknown(keys: &[&Key], fields: &[Field], problems: &mut Problems) {
    let built = fields.iter().filter(|field| !field.reserved);
    let known = built.map(|field| format!("`{}`", field.name)).collect::<Vec<_>>().join(", ");
    let known = match known.as_str() {
        "" => "this table has no keys".to_owned(),
        _ => format!("the keys here are {known}"),
    };
    for key in keys {
        if problems.is_full() {
            return;
        }
        let diagnostic = Diagnostic::new(Code::UnknownKey, format!("unknown key `{}`", key.name))
            .at(key.span, "not a key of this table")
            .suggest(&key.name, fields.iter().map(|field| field.name));
        problems.report(diagnostic.help(&known));
    }
}

fn report_missing(field: &Field, node: &Node, problems: &mut Problems) {
    let Some(expected) = field.required else { return };
    let message = format!("`{}` is missing", field.name);
    // The root table of a file has an empty span.
    let label = if node.span.start == node.span.end { "at the top of the file" } else { "in this table" };
    let diagnostic = Diagnostic::new(Code::MissingKey, message).at(node.span, label);
    problems.report(diagnostic.help(format!("add `{}`, {}", field.name, expected())));
}

fn report_not_built(key: &Key, problems: &mut Problems) {
    let message = format!("`{}` is not supported yet", key.name);
    let diagnostic = Diagnostic::new(Code::NotImplemented, message).at(key.span, "not supported yet");
    problems.report(diagnostic.help("remove the key; it is reserved for a later version"));
}

/// A value with a short form and a table form.
#[derive(Debug, Clone, PartialEq)]
pub enum PlainOrTable<T, D> {
    Plain(T),
    Table(D),
}

impl<T: FromNode, D: FromNode> FromNode for PlainOrTable<T, D> {
    fn expected() -> String {
        format!("{} or {}", T::expected(), D::expected())
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Table(_) => D::read(node, problems).map(Self::Table),
            _ => T::read(node, problems).map(Self::Plain),
        }
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({ "anyOf": [T::schema(definitions), D::schema(definitions)] })
    }

    const HAS_KEYS: bool = D::HAS_KEYS;

    fn explain(node: &Node, values: &mut EffectiveValues) {
        match &node.value {
            Value::Table(_) => D::explain(node, values),
            _ => T::explain(node, values),
        }
    }
}

/// Declares a table of a document: its keys with their types and descriptions, in one place.
///
/// Every key becomes an `Option<Spanned<T>>`.
///
/// - `= required` reports a missing key, with an optional text of the expected value. `unless` names the keys of
///   which each may replace it.
/// - `= default(…)` is the value of an absent key.
/// - `= implied` makes an absent key an empty table, whose keys may have defaults.
/// - `= otherwise("…")` describes the effect of an absent key in words.
/// - `with` limits the default to tables that have another key.
/// - The keys under `reserved` are refused because a later version will use them. Any other key is unknown.
/// - `rules` are the rules about several keys, for the schema.
macro_rules! document {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident ($expected:literal) {
        $( $(#[doc = $doc:literal])+ $field:ident : $kind:ty $( = $absent:ident $( ($how:literal) )? $( unless $( $unless:ident )|+ )? $( with $with:ident )? )? ,)*
        $( reserved { $( $reserved:ident ),+ $(,)? } )?
        $( rules [ $( $rule:expr ),+ $(,)? ] )?
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])+ $vis $field: Option<$crate::document::Spanned<$kind>>, )*
        }

        impl $name {
            /// The keys of this table.
            $vis const FIELDS: &'static [$crate::document::Field] = &[
                $( $crate::document::Field {
                    name: stringify!($field),
                    about: concat!($( $doc ),+),
                    schema: <$kind as $crate::document::FromNode>::schema,
                    required: $crate::document::document!(@required $kind $(, $absent $( ($how) )? )?),
                    unless: &[$( $( $( stringify!($unless) ),+ )? )?],
                    default: $crate::document::document!(@default $( $absent $( ($how) )? )?),
                    otherwise: $crate::document::document!(@otherwise $( $absent $( ($how) )? )?),
                    with: $crate::document::document!(@key $( $( $with )? )?),
                    explain: <$kind as $crate::document::FromNode>::explain,
                    reserved: false,
                }, )*
                $( $( $crate::document::Field {
                    name: stringify!($reserved),
                    about: "",
                    schema: <$crate::document::Node as $crate::document::FromNode>::schema,
                    required: None,
                    unless: &[],
                    default: None,
                    otherwise: None,
                    with: None,
                    explain: <$crate::document::Node as $crate::document::FromNode>::explain,
                    reserved: true,
                }, )+ )?
            ];
        }

        impl $crate::document::FromNode for $name {
            fn expected() -> String {
                $expected.into()
            }

            fn read(
                node: &$crate::document::Node,
                problems: &mut $crate::diagnostic::Problems,
            ) -> Option<Self> {
                let Some(fields) = $crate::document::Fields::open(node, Self::FIELDS, problems) else {
                    $crate::document::wrong_table::<Self>(node, problems);
                    return None;
                };
                let mut known = Self::FIELDS.iter();
                let mut next = || known.next().expect("each key has a field");
                Some(Self { $( $field: fields.take(next(), problems), )* })
            }

            fn schema(definitions: &mut $crate::document::Definitions) -> serde_json::Value {
                let rules: &[$crate::document::TableRule] = &[$( $( $rule ),+ )?];
                definitions.table(stringify!($name), concat!($( $about ),+), Self::FIELDS, rules)
            }

            const HAS_KEYS: bool = true;

            fn explain(node: &$crate::document::Node, values: &mut $crate::document::EffectiveValues) {
                values.table(node, Self::FIELDS);
            }
        }
    };
    (@required $kind:ty, required) => { Some(<$kind as $crate::document::FromNode>::expected) };
    (@required $kind:ty, required ($how:literal)) => { Some(|| $how.into()) };
    (@required $kind:ty $(, $other:ident $( ($how:literal) )? )?) => { None };
    (@default default ($value:literal)) => { Some(|| $value.into()) };
    (@default implied) => { Some(|| $crate::document::Value::Table(Vec::new())) };
    (@default $( $other:ident $( ($how:literal) )? )?) => { None };
    (@otherwise otherwise ($words:literal)) => { Some($words) };
    (@otherwise $( $other:ident $( ($how:literal) )? )?) => { None };
    (@key $key:ident) => { Some(stringify!($key)) };
    (@key) => { None };
}
pub(crate) use document;
