//! Lists: values that stand in the plan, and tables that stand in files.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Code, Span};
use crate::document::{Node, PlainOrTable, Spanned, Value};
use crate::plan::compile::Compiler;
use crate::plan::document::ListFileDocument;
use crate::plan::encoding::Encoding;
use crate::plan::packed_strings::PackedStrings;

/// The most items or rows of one list.
const MAX_LIST_ROWS: usize = 1_000_000;
/// The largest file with a list.
const MAX_LIST_BYTES: usize = 256 << 20;
/// The most columns of a list.
const MAX_COLUMNS: usize = 1000;

/// All lists of a plan. What holes need of them is escaped once per list and place, however many holes there are.
#[derive(Debug, Default)]
pub(super) struct Lists {
    by_name: HashMap<String, List>,
    escaped: HashMap<(String, Option<usize>, Encoding), Arc<PackedStrings>>,
}

/// A list.
#[derive(Debug)]
pub(super) enum List {
    /// Values to pick from.
    Items(Vec<Json>),
    /// Columns, and for each the text of every row.
    Table(Vec<String>, Vec<Arc<PackedStrings>>),
}

impl Lists {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&List> {
        self.by_name.get(name)
    }

    /// The items of a list, or the rows of one of its columns, escaped for a place; `None` where there is no such list.
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
            (List::Table(_, rows), Some(column)) => escape_column(rows.get(column)?, encoding),
            (List::Table(..), None) => return None,
        };
        self.escaped.insert(key, Arc::clone(&escaped));
        Some(escaped)
    }
}

/// Most columns need no escaping, and then are not copied.
fn escape_column(rows: &Arc<PackedStrings>, encoding: Encoding) -> Arc<PackedStrings> {
    let text = |row| encoding.text(std::str::from_utf8(row).expect("rows are read from text"));
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
        let read = match &list.value {
            PlainOrTable::Plain(items) => List::Items(self.items(name, items, list.span)),
            PlainOrTable::Table(document) => match document.file.as_ref().and_then(|file| self.table(file)) {
                Some(table) => table,
                // What is wrong has been reported; holes must not be told that the list is unknown.
                None => List::Items(Vec::new()),
            },
        };
        self.lists.by_name.insert(name.to_owned(), read);
    }

    fn items(&mut self, name: &str, items: &[Spanned<Node>], span: Span) -> Vec<Json> {
        if items.is_empty() || items.len() > MAX_LIST_ROWS {
            let message = format!("the list `{name}` has {} items", items.len());
            self.report(Code::OutOfRange, message, span, format!("a list has 1 to {MAX_LIST_ROWS} items"));
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            if self.problems.is_full() {
                break;
            }
            match scalar(&item.value.value) {
                Some(value) => values.push(value),
                None => {
                    let message = format!("an item of a list cannot be {}", item.value.value.kind());
                    self.report(Code::WrongType, message, item.span, "write strings, numbers or booleans");
                }
            }
        }
        values
    }

    /// A list from a file.
    fn table(&mut self, file: &Spanned<String>) -> Option<List> {
        let format = match file.value.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => read_csv,
            Some("jsonl") => read_json_lines,
            _ => {
                let help = "name it `….csv`, with a header row, or `….jsonl`, with an object in each line";
                let message = format!("`{}` does not say what it is", file.value);
                self.report(Code::BadList, message, file.span, help);
                return None;
            }
        };
        let bytes = self.files.bytes(file, MAX_LIST_BYTES, self.problems)?;
        match format(&bytes) {
            Ok((columns, rows)) => {
                let rows = rows.into_iter().map(Arc::new).collect();
                Some(List::Table(columns, rows))
            }
            Err(why) => {
                let help = "a list has columns with names, and in every row a value for each of them";
                let message = format!("`{}` cannot be used as a list: {why}", file.value);
                self.report(Code::BadList, message, file.span, help);
                None
            }
        }
    }
}

/// A value that is one text, number or truth; `None` for any other.
pub(super) fn scalar(value: &Value) -> Option<Json> {
    match value {
        Value::Text(text) => Some(Json::from(text.as_str())),
        Value::Integer(number) => Some(Json::from(*number)),
        Value::Float(number) => serde_json::Number::from_f64(*number).map(Json::Number),
        Value::Boolean(flag) => Some(Json::from(*flag)),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

type Columns = (Vec<String>, Vec<PackedStrings>);

/// CSV with a header row, as RFC 4180 has it.
fn read_csv(bytes: &[u8]) -> Result<Columns, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let columns: Vec<String> =
        reader.headers().map_err(|error| csv_error(&error))?.iter().map(str::to_owned).collect();
    check_columns(&columns)?;
    let mut rows = vec![PackedStrings::default(); columns.len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(&error))? {
        let line = record.position().map_or(0, csv::Position::line);
        check_count(rows[0].len() + 1, line)?;
        rows.iter_mut().zip(&record).for_each(|(column, field)| column.push(field.as_bytes()));
    }
    non_empty(columns, rows)
}

/// What the reader of CSV says, with the line of the file.
fn csv_error(error: &csv::Error) -> String {
    let line = error.position().map_or_else(String::new, |at| format!("line {}: ", at.line()));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}it has {len} fields, and the header row has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{line}it is not UTF-8"),
        _ => format!("{line}{error}"),
    }
}

/// JSON lines: an object in each, with the columns of the first one.
fn read_json_lines(bytes: &[u8]) -> Result<Columns, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut columns = Vec::new();
    let mut rows: Vec<PackedStrings> = Vec::new();
    let lines = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in lines {
        let object: serde_json::Map<String, Json> = serde_json::from_str(line)
            .map_err(|error| format!("line {number}: it is not a JSON object: {error}"))?;
        if rows.is_empty() {
            columns = object.keys().cloned().collect();
            check_columns(&columns)?;
            rows = vec![PackedStrings::default(); columns.len()];
        }
        check_count(rows[0].len() + 1, number)?;
        for (name, column) in columns.iter().zip(&mut rows) {
            match object.get(name) {
                Some(Json::String(text)) => column.push(text.as_bytes()),
                Some(value @ (Json::Number(_) | Json::Bool(_))) => column.push(value.to_string().as_bytes()),
                Some(_) => {
                    return Err(format!("line {number}: `{name}` is not a string, number or boolean"));
                }
                None => return Err(format!("line {number}: it has no `{name}`, which line 1 has")),
            }
        }
    }
    non_empty(columns, rows)
}

fn check_columns(columns: &[String]) -> Result<(), String> {
    let mut names: Vec<&str> = columns.iter().map(String::as_str).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    match (twice, names.first()) {
        (Some(pair), _) => Err(format!("two columns are called `{}`", pair[0])),
        (_, None | Some(&"")) => Err("a column has no name".to_owned()),
        _ if names.len() > MAX_COLUMNS => Err(format!("it has more than {MAX_COLUMNS} columns")),
        _ => Ok(()),
    }
}

fn check_count(rows: usize, line: u64) -> Result<(), String> {
    match rows <= MAX_LIST_ROWS {
        true => Ok(()),
        false => Err(format!("line {line}: a list has at most {MAX_LIST_ROWS} rows")),
    }
}

fn non_empty(columns: Vec<String>, rows: Vec<PackedStrings>) -> Result<Columns, String> {
    match rows.first().is_none_or(PackedStrings::is_empty) {
        true => Err("it has no rows".to_owned()),
        false => Ok((columns, rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(read: Result<Columns, String>, name: &str) -> Vec<String> {
        let (columns, rows) = read.unwrap();
        let at = columns.iter().position(|column| column == name).unwrap();
        rows[at].iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn csv_has_quotes_commas_and_line_breaks_in_its_fields() {
        let text = "\u{feff}id,title\n1,\"a, \"\"b\"\"\nc\"\n2,\n";
        assert_eq!(column(read_csv(text.as_bytes()), "title"), ["a, \"b\"\nc", ""]);
        assert_eq!(column(read_csv(text.as_bytes()), "id"), ["1", "2"]);
    }

    #[test]
    fn problems_of_a_list_are_reported_with_their_line() {
        let why = |text: &str| read_csv(text.as_bytes()).unwrap_err();
        assert_eq!(why("a,b\n1,2\n3\n"), "line 3: it has 1 fields, and the header row has 2");
        assert_eq!(why("a,a\n1,2\n"), "two columns are called `a`");
        assert_eq!(why("a\n"), "it has no rows");
        assert_eq!(why(""), "a column has no name");
    }

    #[test]
    fn json_lines_need_every_column_of_the_first_one() {
        let text = "{\"id\": 1, \"ok\": true}\n\n{\"ok\": false, \"id\": \"x\"}\n";
        assert_eq!(column(read_json_lines(text.as_bytes()), "id"), ["1", "x"]);
        let why = |text: &str| read_json_lines(text.as_bytes()).unwrap_err();
        assert_eq!(why("{\"a\": 1}\n{\"b\": 1}"), "line 2: it has no `a`, which line 1 has");
        assert_eq!(why("{\"a\": [1]}"), "line 1: `a` is not a string, number or boolean");
    }
}
