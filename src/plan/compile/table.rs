//! Reads files of lists: CSV with a header row, and JSON lines.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::plan::compile::lists::MAX_LIST_ROWS;
use crate::plan::document::ColumnTypeDocument;
use crate::plan::packed_strings::PackedStrings;

const MAX_COLUMNS: usize = 1000;
/// The mark that some programs put at the begin of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The types of columns of a CSV file, where they are no strings.
pub(super) type ColumnTypes = BTreeMap<String, ColumnTypeDocument>;

/// A column of a file.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// By row: the value as text.
    pub(super) texts: PackedStrings,
    /// By row: the value in JSON, as soon as one is no string.
    pub(super) values: Option<PackedStrings>,
}

impl Column {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), texts: PackedStrings::default(), values: None }
    }

    fn push_text(&mut self, text: &str) {
        if let Some(values) = &mut self.values {
            values.push(Json::from(text).to_string().as_bytes());
        }
        self.texts.push(text.as_bytes());
    }

    fn push_value(&mut self, value: &Json, text: &str) {
        let texts = &self.texts;
        let quoted = |text: &[u8]| Json::from(String::from_utf8_lossy(text)).to_string();
        let values = self.values.get_or_insert_with(|| texts.iter().map(quoted).collect());
        values.push(value.to_string().as_bytes());
        self.texts.push(text.as_bytes());
    }
}

/// The format of a list file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableFormat {
    Csv,
    JsonLines,
}

impl TableFormat {
    /// The format by the end of the file's name.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Names the line and what is wrong with it.
    pub(super) fn read(self, bytes: &[u8], types: &ColumnTypes) -> Result<Vec<Column>, String> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        match self {
            Self::Csv => read_csv(bytes, types),
            Self::JsonLines => read_json_lines(bytes),
        }
    }

    /// A file with these columns and one row, whose values are left out.
    pub(super) fn without_rows(self, columns: &[String], types: &ColumnTypes) -> String {
        match self {
            Self::Csv => csv_of_columns(columns, types),
            Self::JsonLines => json_line_of_columns(columns),
        }
    }
}

/// The value of every column of strings in a list that is stored without its rows.
const LEFT_OUT: &str = "-";

fn csv_of_columns(columns: &[String], types: &ColumnTypes) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let row = columns.iter().map(|column| match types.get(column) {
        None | Some(ColumnTypeDocument::String) => LEFT_OUT,
        Some(ColumnTypeDocument::Number) => "0",
        Some(ColumnTypeDocument::Boolean) => "false",
        Some(ColumnTypeDocument::Json) => "null",
    });
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

/// Reads CSV with a header row (RFC 4180).
fn read_csv(bytes: &[u8], types: &ColumnTypes) -> Result<Vec<Column>, String> {
    if let Some(line) = unclosed_quote(bytes) {
        return Err(format!("line {line}: the quote that opens a field is never closed"));
    }
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let headers = reader.headers().map_err(|error| csv_error(&error))?;
    let mut columns: Vec<Column> = headers.iter().map(Column::new).collect();
    check_columns(&columns)?;
    if let Some(name) = types.keys().find(|name| !columns.iter().any(|column| column.name == **name)) {
        return Err(format!("`types` names the column `{name}`, which it does not have"));
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(&error))? {
        let line = record.position().map_or(0, csv::Position::line);
        check_count(columns[0].texts.len() + 1, line)?;
        for (column, field) in columns.iter_mut().zip(&record) {
            match types.get(&column.name) {
                None | Some(ColumnTypeDocument::String) => column.push_text(field),
                Some(kind) => {
                    let value = typed(*kind, field).ok_or_else(|| {
                        format!("line {line}: `{field}` of column `{}` is no {kind}", column.name)
                    })?;
                    column.push_value(&value, field);
                }
            }
        }
    }
    non_empty(columns)
}

/// A field as a value of a type.
fn typed(kind: ColumnTypeDocument, field: &str) -> Option<Json> {
    let value: Json = serde_json::from_str(field.trim()).ok()?;
    let fits = match kind {
        ColumnTypeDocument::String => false,
        ColumnTypeDocument::Number => value.is_number(),
        ColumnTypeDocument::Boolean => value.is_boolean(),
        ColumnTypeDocument::Json => true,
    };
    fits.then_some(value)
}

/// The line of a quote that opens a field and is never closed. The reader takes the rest of the file for that field.
fn unclosed_quote(bytes: &[u8]) -> Option<usize> {
    let (mut line, mut open, mut is_start) = (1, None, true);
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        line += usize::from(*byte == b'\n');
        match (open, byte) {
            // Two quotes in a quoted field are one of its text.
            (Some(_), b'"') if rest.peek() == Some(&&b'"') => drop(rest.next()),
            (Some(_), b'"') => (open, is_start) = (None, false),
            (Some(_), _) => {}
            (None, b'"') if is_start => open = Some(line),
            (None, byte) => is_start = matches!(byte, b',' | b'\n' | b'\r'),
        }
    }
    open
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
fn read_json_lines(bytes: &[u8]) -> Result<Vec<Column>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let mut columns: Vec<Column> = Vec::new();
    let lines = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    for (number, line) in lines {
        let object: serde_json::Map<String, Json> = serde_json::from_str(line)
            .map_err(|error| format!("line {number}: not a JSON object: {error}"))?;
        if columns.is_empty() {
            columns = object.keys().map(|name| Column::new(name)).collect();
            check_columns(&columns)?;
        }
        check_count(columns[0].texts.len() + 1, number)?;
        for column in &mut columns {
            match object.get(&column.name) {
                Some(Json::String(text)) => column.push_text(text),
                Some(value) => column.push_value(value, &value.to_string()),
                None => {
                    let name = &column.name;
                    return Err(format!("line {number}: `{name}` is missing, a key of the first object"));
                }
            }
        }
    }
    non_empty(columns)
}

fn check_columns(columns: &[Column]) -> Result<(), String> {
    let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
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

fn non_empty(columns: Vec<Column>) -> Result<Vec<Column>, String> {
    match columns.first().is_none_or(|column| column.texts.is_empty()) {
        true => Err("it has no rows".to_owned()),
        false => Ok(columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type ReadResult = Result<Vec<Column>, String>;

    fn csv(text: &str) -> ReadResult {
        TableFormat::Csv.read(text.as_bytes(), &ColumnTypes::new())
    }

    fn json_lines(text: &str) -> ReadResult {
        TableFormat::JsonLines.read(text.as_bytes(), &ColumnTypes::new())
    }

    fn rows(packed: &PackedStrings) -> Vec<String> {
        packed.iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    fn column(read: ReadResult, name: &str) -> Column {
        read.unwrap().into_iter().find(|column| column.name == name).unwrap()
    }

    #[test]
    fn csv_has_quotes_commas_and_line_breaks_in_its_fields() {
        let text = "\u{feff}id,title\n1,\"a, \"\"b\"\"\nc\"\n2,\n";
        assert_eq!(rows(&column(csv(text), "title").texts), ["a, \"b\"\nc", ""]);
        assert_eq!(rows(&column(csv(text), "id").texts), ["1", "2"]);
        assert!(column(csv(text), "id").values.is_none());
    }

    #[test]
    fn problems_of_a_list_are_reported_with_their_line() {
        let why = |text: &str| csv(text).unwrap_err();
        assert_eq!(why("a,b\n1,2\n3\n"), "line 3: expected 2 fields, as in the header row, found 1");
        assert_eq!(why("a,a\n1,2\n"), "two columns are named `a`");
        assert_eq!(why("a\n"), "it has no rows");
        assert_eq!(why(""), "the first row or object must name every column");
        let unclosed = "line 3: the quote that opens a field is never closed";
        assert_eq!(why("a,b\n1,\"x\ny,2"), "line 2: the quote that opens a field is never closed");
        assert_eq!(why("a,b\n1,\"x\"\n\"\"\"y,2\n3,4\n"), unclosed);
        assert!(csv("a,b\n1,x\"y\n").is_ok());
    }

    #[test]
    fn json_lines_need_every_column_of_the_first_one() {
        let text = "\u{feff}{\"id\": 1, \"ok\": true}\n\n{\"ok\": false, \"id\": \"x\"}\n";
        assert_eq!(rows(&column(json_lines(text), "id").texts), ["1", "x"]);
        let why = |text: &str| json_lines(text).unwrap_err();
        assert_eq!(why("{\"a\": 1}\n{\"b\": 1}"), "line 2: `a` is missing, a key of the first object");
    }

    #[test]
    fn values_that_are_no_strings_keep_their_types() {
        let text = "{\"a\": \"x\", \"b\": \"y\"}\n{\"a\": [1], \"b\": \"z\"}\n{\"a\": \"w\", \"b\": \"\"}\n";
        let mixed = column(json_lines(text), "a");
        assert_eq!(rows(&mixed.texts), ["x", "[1]", "w"]);
        assert_eq!(rows(&mixed.values.unwrap()), ["\"x\"", "[1]", "\"w\""]);
        assert!(column(json_lines(text), "b").values.is_none());
        let types = ColumnTypes::from([("id".to_owned(), ColumnTypeDocument::Number)]);
        let typed = |text: &str| TableFormat::Csv.read(text.as_bytes(), &types);
        assert_eq!(rows(&column(typed("id\n17\n2.50\n"), "id").values.unwrap()), ["17", "2.50"]);
        assert_eq!(typed("id\n17\nx\n").unwrap_err(), "line 3: `x` of column `id` is no number");
        assert_eq!(typed("a\n1\n").unwrap_err(), "`types` names the column `id`, which it does not have");
        let stored = TableFormat::Csv.without_rows(&["id".to_owned()], &types);
        assert!(typed(&stored).is_ok(), "{stored}");
    }
}
