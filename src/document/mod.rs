//! TOML as written: every value with its place, every mistake reported, no key ignored.
//!
//! [`parse`] reads a text into [`Node`]s and reports all syntax errors; `document!` declares a table once, with the
//! type and the meaning of each key, and reads it from a node, reporting unknown keys, wrong types and missing keys;
//! [`schema_of`] exports the same table as a JSON Schema, and [`EffectiveValues`] lists the values in effect in a file.
//! The meaning of a document is checked elsewhere: here every key is optional and no value is checked against another.
//! Only the default of an absent key is known here; the table is the only place that states it.

mod effective;
mod node;
mod read;
mod schema;
mod table;

pub use effective::{EffectiveValue, EffectiveValues, Origin};
pub use node::{Key, Node, Value, parse, parse_value};
pub use read::{Choice, FromNode, Map, Quantity, read_root};
pub use schema::{Definitions, TableRule, schema_of};
pub use table::{Field, Fields, PlainOrTable};

pub(crate) use read::read_choice;
pub(crate) use read::wrong_type as wrong_table;
pub(crate) use schema::words_schema;
pub(crate) use table::document;

use crate::diagnostic::Span;

/// A value and the place where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Whether the value was written. A default has an empty span at the start of its table.
    pub fn is_written(&self) -> bool {
        self.span.start < self.span.end
    }
}
