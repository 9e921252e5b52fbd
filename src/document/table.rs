use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::read::wrong_type;
use crate::document::{Key, Node, Read, Spanned, Value};

/// A key that a table can have.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// Whether the table is incomplete without it.
    pub required: bool,
    /// Whether it belongs to the language but is not built yet.
    pub reserved: bool,
}

/// Reads the keys of one table.
#[derive(Debug)]
pub struct Fields<'n> {
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// Opens a table, reporting the keys it cannot have, those not built yet, and those missing.
    pub fn open(node: &'n Node, fields: &[Field], problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return None;
        };
        for (key, _) in entries {
            match fields.iter().find(|field| field.name == key.name) {
                None => report_unknown(key, fields, problems),
                Some(field) if field.reserved => report_not_built(key, problems),
                Some(_) => {}
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if !entries.iter().any(|(key, _)| key.name == field.name) {
                let message = format!("`{}` is missing", field.name);
                let place = Span { end: node.span.end.min(node.span.start + 1), ..node.span };
                let diagnostic = Diagnostic::new(Code::MissingKey, message).at(place, "in this table");
                problems.report(diagnostic.help(format!("add `{} = …`", field.name)));
            }
        }
        Some(Self { entries })
    }

    /// The value of a key, if it is there and can be read.
    pub fn take<T: Read>(&self, name: &str, problems: &mut Problems) -> Option<Spanned<T>> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Spanned::new(T::read(node, problems)?, node.span))
    }
}

fn report_unknown(key: &Key, fields: &[Field], problems: &mut Problems) {
    let names = || fields.iter().map(|field| field.name);
    let diagnostic = Diagnostic::new(Code::UnknownKey, format!("unknown key `{}`", key.name))
        .at(key.span, "not a key of this table")
        .suggest(&key.name, names());
    let known = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    problems.report(diagnostic.help(format!("the keys here are {known}")));
}

fn report_not_built(key: &Key, problems: &mut Problems) {
    let message = format!("`{}` is not built yet", key.name);
    let diagnostic = Diagnostic::new(Code::NotBuilt, message).at(key.span, "not built yet");
    problems.report(diagnostic.help("this version cannot do it; take the key out"));
}

/// A value that may also be given by a table.
#[derive(Debug, Clone, PartialEq)]
pub enum FileOr<T, D> {
    /// The short form.
    Plain(T),
    /// The table.
    Table(D),
}

impl<T: Read, D: Read> Read for FileOr<T, D> {
    fn expected() -> String {
        format!("{} or {}", T::expected(), D::expected())
    }

    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Table(_) => D::read(node, problems).map(Self::Table),
            Value::Text(_) | Value::Array(_) => T::read(node, problems).map(Self::Plain),
            _ => {
                wrong_type::<Self>(node, problems);
                None
            }
        }
    }
}

/// Declares a table of a document: its keys with their types and meaning, once.
///
/// Every key becomes an `Option<Spanned<T>>`; `(required)` reports a missing one, and the keys listed under
/// `reserved` are refused as not built yet. Everything else is an unknown key.
macro_rules! document {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident ($expected:literal) {
        $( $(#[doc = $doc:literal])+ $field:ident : $kind:ty $( = $required:ident )? ,)*
        $( reserved { $( $reserved:ident ),+ $(,)? } )?
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
                    required: $crate::document::document!(@required $($required)?),
                    reserved: false,
                }, )*
                $( $( $crate::document::Field {
                    name: stringify!($reserved),
                    required: false,
                    reserved: true,
                }, )+ )?
            ];
        }

        impl $crate::document::Read for $name {
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
                let _ = &fields;
                Some(Self { $( $field: fields.take(stringify!($field), problems), )* })
            }
        }
    };
    (@required required) => { true };
    (@required) => { false };
}
pub(crate) use document;
