//! The documentation of diagnostic codes.

use runner::diagnostic::Code;

#[test]
fn every_diagnostic_code_is_documented_with_an_example() {
    let page = std::fs::read_to_string("docs/reference/diagnostics.md").unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")).skip(1);
    let rows: Vec<Vec<&str>> = rows.map(|row| row.splitn(3, " | ").map(str::trim).collect()).collect();
    let documented: Vec<(&str, &str)> = rows.iter().map(|row| (row[0], row[1])).collect();
    let codes: Vec<(&str, &str)> = Code::ALL.iter().map(|code| (code.as_str(), code.meaning())).collect();
    assert_eq!(documented, codes);
    assert!(rows.iter().all(|row| !row[2].is_empty()));
}
