//! Compiles lists: values in the plan, and tables from files.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::diagnostic::{Code, Span};
use crate::document::{Node, PlainOrTable, Spanned, Value};
use crate::plan::compile::Compiler;
use crate::plan::document::ListFileDocument;
use crate::plan::encoding::Encoding;
use crate::plan::packed_strings::PackedStrings;

/// Maximum number of items or rows of a list.
const MAX_LIST_ROWS: usize = 1_000_000;
const MAX_LIST_BYTES: usize = 256 << 20;
const MAX_COLUMNS: usize = 1000;

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
    /// Names of the columns, and for each column the text of every row.
    Table(Vec<String>, Vec<Arc<PackedStrings>>),
}

impl Lists {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&List> {
        self.by_name.get(name)
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
            (List::Table(_, rows), Some(column)) => escape_column(rows.get(column)?, encoding),
            (List::Table(..), None) => return None,
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
        let read = match &list.value {
            PlainOrTable::Plain(items) => List::Items(self.items(name, items, list.span)),
            PlainOrTable::Table(document) => match document.file.as_ref().and_then(|file| self.table(file)) {
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
    fn table(&mut self, file: &Spanned<String>) -> Option<List> {
        let Some(format) = TableFormat::of(&file.value) else {
            let help = "name it `….csv`, with a header row, or `….jsonl`, with an object in each line";
            let message =
                format!("the name of a list file must end in `.csv` or `.jsonl`, not `{}`", file.value);
            self.report(Code::BadList, message, file.span, help);
            return None;
        };
        let bytes = self.files.bytes(file, MAX_LIST_BYTES, self.problems)?;
        match (format.read)(&bytes) {
            Ok((columns, rows)) => {
                self.files.keep(file, (format.without_rows)(&columns), self.problems);
                let rows = rows.into_iter().map(Arc::new).collect();
                Some(List::Table(columns, rows))
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

/// The format of a list file.
struct TableFormat {
    read: fn(&[u8]) -> Result<Columns, String>,
    /// A file with these columns and one row, whose values are left out.
    without_rows: fn(&[String]) -> String,
}

impl TableFormat {
    /// The format by the end of the file's name.
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self { read: read_csv, without_rows: csv_of_columns }),
            "jsonl" => Some(Self { read: read_json_lines, without_rows: json_line_of_columns }),
            _ => None,
        }
    }
}

/// The value of every column in a list that is stored without its rows.
const LEFT_OUT: &str = "-";

fn csv_of_columns(columns: &[String]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let row = vec![LEFT_OUT; columns.len()];
    let written = writer.write_record(columns).and_then(|()| writer.write_record(row));
    written.expect("writing to memory cannot fail");
    let bytes = writer.into_inner().expect("writing to memory cannot fail");
    String::from_utf8(bytes).expect("the columns are UTF-8")
}

fn json_line_of_columns(columns: &[String]) -> String {
    let object: serde_json::Map<_, _> =
        columns.iter().map(|column| (column.clone(), Json::from(LEFT_OUT))).collect();
    Json::Object(object).to_string() + "\n"
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

type Columns = (Vec<String>, Vec<PackedStrings>);

/// Reads CSV with a header row (RFC 4180).
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

/// The message of a CSV error, with the line of the file.
fn csv_error(error: &csv::Error) -> String {
    let line = error.position().map_or_else(String::new, |at| format!("line {}: ", at.line()));
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{line}expected {expected_len} fields, as in the header row, found {len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("{line}not UTF-8"),
        _ => format!("{line}{error}"),
    }
}

/// Reads JSON lines: an object in each line, with the columns of the first one.
fn read_json_lines(bytes: &[u8]) -> Result<Columns, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let mut columns = Vec::new();
    let mut rows: Vec<PackedStrings> = Vec::new();
    let lines = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in lines {
        let object: serde_json::Map<String, Json> = serde_json::from_str(line)
            .map_err(|error| format!("line {number}: not a JSON object: {error}"))?;
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
                    return Err(format!("line {number}: `{name}` must be a string, a number or a boolean"));
                }
                None => return Err(format!("line {number}: `{name}` is missing, a key of the first object")),
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
        (Some(pair), _) => Err(format!("two columns are named `{}`", pair[0])),
        (_, None | Some(&"")) => Err("the first row or object must name every column".to_owned()),
        _ if names.len() > MAX_COLUMNS => Err(format!("it has more than {MAX_COLUMNS} columns")),
        _ => Ok(()),
    }
}

fn check_count(rows: usize, line: u64) -> Result<(), String> {
    match rows <= MAX_LIST_ROWS {
        true => Ok(()),
        false => Err(format!("line {line}: a list can have at most {MAX_LIST_ROWS} rows")),
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
        assert_eq!(why("a,b\n1,2\n3\n"), "line 3: expected 2 fields, as in the header row, found 1");
        assert_eq!(why("a,a\n1,2\n"), "two columns are named `a`");
        assert_eq!(why("a\n"), "it has no rows");
        assert_eq!(why(""), "the first row or object must name every column");
    }

    #[test]
    fn json_lines_need_every_column_of_the_first_one() {
        let text = "{\"id\": 1, \"ok\": true}\n\n{\"ok\": false, \"id\": \"x\"}\n";
        assert_eq!(column(read_json_lines(text.as_bytes()), "id"), ["1", "x"]);
        let why = |text: &str| read_json_lines(text.as_bytes()).unwrap_err();
        assert_eq!(why("{\"a\": 1}\n{\"b\": 1}"), "line 2: `a` is missing, a key of the first object");
        assert_eq!(why("{\"a\": [1]}"), "line 1: `a` must be a string, a number or a boolean");
    }
}
