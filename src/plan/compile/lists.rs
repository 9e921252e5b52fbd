//! Compiles lists: values in the plan, and tables from files.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Code, Span};
use crate::document::{Node, PlainOrTable, Spanned, Value};
use crate::plan::compile::Compiler;
use crate::plan::compile::table::{Column, ColumnTypes, TableFormat};
use crate::plan::document::{ListFileDocument, RestartDocument};
use crate::plan::encoding::Encoding;
use crate::plan::packed_strings::PackedStrings;

/// Maximum number of items or rows of a list.
pub(super) const MAX_LIST_ROWS: usize = 1_000_000;
const MAX_LIST_BYTES: usize = 256 << 20;

/// All lists of a plan. A list is escaped once for each kind of place, regardless of the number of holes.
#[derive(Debug, Default)]
pub(super) struct Lists {
    by_name: HashMap<String, List>,
    escaped: HashMap<(String, Option<usize>, Encoding), Arc<PackedStrings>>,
}

/// The values of a list, by the kind of place that may take them.
#[derive(Debug)]
pub(super) enum List {
    /// Plain values for `${pick(list)}`.
    Items(Vec<Json>),
    /// Rows of a file.
    Table(Table),
}

/// A list with columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    /// By column: the text of every row.
    texts: Vec<Arc<PackedStrings>>,
    /// By column: every row as a JSON value, if not all of them are strings.
    values: Vec<Option<Arc<PackedStrings>>>,
    /// Whether the arrivals of each open phase begin with the first row again.
    pub(super) restarts: bool,
}

impl Table {
    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.texts.first().map_or(0, |column| column.len())
    }
}

impl Lists {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&List> {
        self.by_name.get(name)
    }

    /// Whether a column has values that are no strings.
    pub(super) fn is_typed(&self, name: &str, column: usize) -> bool {
        let Some(List::Table(table)) = self.by_name.get(name) else { return false };
        table.values.get(column).is_some_and(Option::is_some)
    }

    /// The items of a list, or the rows of one of its columns, escaped for a place. `None` if it does not exist.
    pub(super) fn escaped(
        &mut self,
        name: &str,
        column: Option<usize>,
        encoding: Encoding,
    ) -> Option<Arc<PackedStrings>> {
        let key = (name.to_owned(), column, encoding);
        if let Some(known) = self.escaped.get(&key) {
            return Some(Arc::clone(known));
        }
        let escaped = match (self.by_name.get(name)?, column) {
            (List::Items(items), _) => Arc::new(items.iter().map(|item| encoding.value(item)).collect()),
            (List::Table(table), Some(column)) if encoding == Encoding::JsonValue => {
                table.values.get(column)?.clone()?
            }
            (List::Table(table), Some(column)) => escape_column(table.texts.get(column)?, encoding),
            (List::Table(_), None) => return None,
        };
        self.escaped.insert(key, Arc::clone(&escaped));
        Some(escaped)
    }
}

/// Escapes a column. Most columns need no escaping and are shared instead of copied.
fn escape_column(rows: &Arc<PackedStrings>, encoding: Encoding) -> Arc<PackedStrings> {
    let text = |row| encoding.text(std::str::from_utf8(row).expect("rows come from UTF-8 text"));
    match rows.iter().all(|row| text(row).as_bytes() == row) {
        true => Arc::clone(rows),
        false => Arc::new(rows.iter().map(text).collect()),
    }
}

impl Compiler<'_, '_> {
    pub(super) fn list(
        &mut self,
        name: &str,
        list: &Spanned<PlainOrTable<Vec<Spanned<Node>>, ListFileDocument>>,
    ) {
        if name == "row" {
            let help = "rename the list: `${row.column}` is the row of a user";
            self.report(Code::OutOfRange, "a list cannot be called `row`", list.span, help);
        }
        let read = match &list.value {
            PlainOrTable::Plain(items) => List::Items(self.items(name, items, list.span)),
            PlainOrTable::Table(document) => match self.table(document) {
                Some(table) => table,
                // The problem has been reported. With an empty list, its holes are not reported as unknown.
                None => List::Items(Vec::new()),
            },
        };
        self.lists.by_name.insert(name.to_owned(), read);
    }

    fn items(&mut self, name: &str, items: &[Spanned<Node>], span: Span) -> Vec<Json> {
        if items.is_empty() || items.len() > MAX_LIST_ROWS {
            let message = format!("list `{name}` must have 1 to {MAX_LIST_ROWS} items, not {}", items.len());
            let help = format!("write values, such as `{name} = [\"a\", \"b\"]`");
            self.report(Code::OutOfRange, message, span, help);
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            if self.problems.is_full() {
                break;
            }
            match scalar(&item.value.value) {
                Some(value) => values.push(value),
                None => {
                    let kind = item.value.value.kind();
                    let message =
                        format!("a list item must be a string, finite number or boolean, not {kind}");
                    let help = "write plain values, or read columns from a file with `{ file = \"….csv\" }`";
                    self.report(Code::WrongType, message, item.span, help);
                }
            }
        }
        values
    }

    /// Reads a list from a file.
    fn table(&mut self, document: &ListFileDocument) -> Option<List> {
        let ListFileDocument { file, types, restart } = document;
        let file = file.as_ref()?;
        let Some(format) = TableFormat::of(&file.value) else {
            let help = "name it `….csv`, with a header row, or `….jsonl`, with an object in each line";
            let message =
                format!("the name of a list file must end in `.csv` or `.jsonl`, not `{}`", file.value);
            self.report(Code::BadList, message, file.span, help);
            return None;
        };
        if let Some(types) = types.as_ref().filter(|_| format == TableFormat::JsonLines) {
            let message = "`types` is for CSV only";
            self.report(
                Code::OutOfRange,
                message,
                types.span,
                "remove it: values in JSON have their own types",
            );
        }
        let written = types.iter().flat_map(|types| &types.value.0);
        let types: ColumnTypes = written.map(|(key, kind)| (key.name.clone(), kind.value)).collect();
        let bytes = self.files.bytes(file, MAX_LIST_BYTES, self.problems)?;
        match format.read(&bytes, &types) {
            Ok(columns) => {
                let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                self.files.keep(file, format.without_rows(&names, &types), self.problems);
                let (texts, values) = columns
                    .into_iter()
                    .map(|Column { texts, values, .. }| (Arc::new(texts), values.map(Arc::new)))
                    .unzip();
                let restarts = restart.as_ref()?.value == RestartDocument::Phase;
                Some(List::Table(Table { columns: names, texts, values, restarts }))
            }
            Err(why) => {
                let help = "correct the file: it needs named columns and, in every row, a value for each";
                let message = format!("`{}` cannot be used as a list: {why}", file.value);
                self.report(Code::BadList, message, file.span, help);
                None
            }
        }
    }
}

/// The JSON value of a string, a finite number or a boolean; `None` for any other value.
pub(super) fn scalar(value: &Value) -> Option<Json> {
    match value {
        Value::Text(text) => Some(Json::from(text.as_str())),
        Value::Integer(number) => Some(Json::from(*number)),
        Value::Float(number) => serde_json::Number::from_f64(*number).map(Json::Number),
        Value::Boolean(flag) => Some(Json::from(*flag)),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
