use serde_json::{Value as Json, json};

use crate::diagnostic::{Code, Diagnostic, Problems, Span, did_you_mean};
use crate::document::{Definitions, EffectiveValues, FromNode, Key, Node, Spanned, Value};

/// A key that a table can have.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The schema of its value.
    pub schema: fn(&mut Definitions) -> Json,
    /// What to write, where the table is incomplete without it.
    pub required: Option<fn() -> String>,
    /// The key that may stand there instead, where it is required.
    pub unless: Option<&'static str>,
    /// The value that it has where it is not there.
    pub default: Option<fn() -> Value>,
    /// What happens where it is not there, in words, if that is no value.
    pub otherwise: Option<&'static str>,
    /// The key that must be there for the default to count.
    pub with: Option<&'static str>,
    /// Tells what of its value is in effect.
    pub explain: fn(&Node, &mut EffectiveValues),
    /// Whether it belongs to the language but is not built yet.
    pub reserved: bool,
}

impl Field {
    /// Whether it means something among these keys when it is not there itself.
    pub fn applies(&self, entries: &[(Key, Node)]) -> bool {
        self.with.is_none_or(|with| entries.iter().any(|(key, _)| key.name == with))
    }

    /// The value that it has among these keys, where it is not one of them.
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
    /// Opens a table, reporting the keys it cannot have, those not built yet, and those missing.
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
        // What is not built yet may stand for what is missing, and so may what is misspelt.
        let near = if problems.is_full() { &[] } else { unknown.as_slice() };
        let misspelt = |name| near.iter().any(|key| did_you_mean(&key.name, [name]).is_some());
        let there = |name| entries.iter().any(|(key, _)| key.name == name);
        let missing = |field: &&Field| !there(field.name) && !field.unless.is_some_and(there);
        let required = fields.iter().filter(|field| field.required.is_some() && not_built.is_empty());
        for field in required.filter(missing).filter(|field| !misspelt(field.name)) {
            report_missing(field, node, problems);
        }
        Some(Self { entries, span: node.span })
    }

    /// The value of a key, if it is there and can be read, or its default.
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

    /// The `name` of a table that has one.
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
    // The table that is the whole file has no place of its own.
    let label = if node.span.start == node.span.end { "at the top of the file" } else { "in this table" };
    let diagnostic = Diagnostic::new(Code::MissingKey, message).at(node.span, label);
    problems.report(diagnostic.help(format!("add `{}`, {}", field.name, expected())));
}

fn report_not_built(key: &Key, problems: &mut Problems) {
    let message = format!("`{}` is not built yet", key.name);
    let diagnostic = Diagnostic::new(Code::NotImplemented, message).at(key.span, "not built yet");
    problems.report(diagnostic.help("this version cannot do it; take the key out"));
}

/// A value that may also be given by a table.
#[derive(Debug, Clone, PartialEq)]
pub enum PlainOrTable<T, D> {
    /// The short form.
    Plain(T),
    /// The table.
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

/// Declares a table of a document: its keys with their types and meaning, once.
///
/// Every key becomes an `Option<Spanned<T>>`; `= required` reports a missing one, with what to write in its place,
/// but not where the key after `unless` is there; `= default(…)` is the value of one that is not there, `= implied` makes
/// that an empty table, whose keys may have defaults, and `= otherwise("…")` says in words what happens then; `with` makes
/// that so only beside another key. The keys listed under `reserved` are refused as not built yet. Everything else is an
/// unknown key. `rules` tell the schema what keys mean to each other.
macro_rules! document {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident ($expected:literal) {
        $( $(#[doc = $doc:literal])+ $field:ident : $kind:ty $( = $absent:ident $( ($how:literal) )? $( unless $unless:ident )? $( with $with:ident )? )? ,)*
        $( reserved { $( $reserved:ident ),+ $(,)? } )?
        $( rules [ $( $rule:expr ),+ $(,)? ] )?
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])+ $vis $field: Option<$crate::document::Spanned<$kind>>, )*
        }

        impl $name {
            /// The keys that this table can have.
            $vis const FIELDS: &'static [$crate::document::Field] = &[
                $( $crate::document::Field {
                    name: stringify!($field),
                    about: concat!($( $doc ),+),
                    schema: <$kind as $crate::document::FromNode>::schema,
                    required: $crate::document::document!(@required $kind $(, $absent $( ($how) )? )?),
                    unless: $crate::document::document!(@key $( $( $unless )? )?),
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
                    unless: None,
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
                let mut next = || known.next().expect("there is a field for each key");
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
