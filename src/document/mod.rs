//! TOML as it was written: every value with its place, every mistake reported, nothing ignored.
//!
//! [`parse`] reads a text into [`Node`]s and reports all syntax errors; `document!` declares a table once, with the
//! type and the meaning of each key, and reads it from a node, reporting unknown keys, wrong types and missing keys;
//! [`schema_of`] tells the same table as a JSON Schema, and [`Explanation`] what of it is in effect in a file.
//! What a document *means* is decided elsewhere: here everything is optional and nothing is checked against anything.
//! The one thing that is known of a key that is not there is its default, which is stated in the table and nowhere else.

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
    /// The value.
    pub value: T,
    /// Where it is.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Whether it was written; a default has a place without extent, at the start of its table.
    pub fn is_written(&self) -> bool {
        self.span.start < self.span.end
    }
}
