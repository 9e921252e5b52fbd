//! JSON Schemas for editors: the shipped schemas equal those of the code, and every shipped file names its schema.
//! `UPDATE_EXPECTED=1` updates them. `tests/schemas/validate.py` checks their content.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use runner::diagnostic::Problems;
use runner::document::{FromNode, Map, Spanned, parse};
use runner::units::{Rate, Share, Size, TimeSpan, UnitError};

const SCHEMAS: [(&str, &str); 4] = [
    ("plan", "plans/plan.schema.json"),
    ("users", "plans/users.schema.json"),
    ("thresholds", "thresholds/thresholds.schema.json"),
    ("report", "docs/reference/report.schema.json"),
];
/// The folders of shipped files, and the schema in their first lines.
const SHIPPED: [(&str, &str); 3] = [
    ("plans", "plan.schema.json"),
    ("plans/users", "../users.schema.json"),
    ("thresholds", "thresholds.schema.json"),
];

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn shipped_schemas_equal_the_output_of_the_command() {
    for (kind, path) in SCHEMAS {
        let ran = Command::new(env!("CARGO_BIN_EXE_runner")).args(["schema", kind]).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
        let printed = String::from_utf8(ran.stdout).unwrap();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(path, &printed).unwrap();
        }
        let shipped = std::fs::read_to_string(path).unwrap_or_default();
        assert!(printed == shipped, "{path} is out of date: run with `UPDATE_EXPECTED=1` to update it");
    }
}

#[test]
fn every_shipped_file_names_its_schema_in_the_first_line() {
    for (folder, schema) in SHIPPED {
        assert!(Path::new(folder).join(schema).is_file(), "{folder}: {schema}");
        for path in toml_files(folder) {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().next(), Some(&*format!("#:schema {schema}")), "{}", path.display());
        }
    }
}

/// Asserts that every right text parses and every wrong one is refused.
fn assert_reads<Q: FromStr<Err = UnitError>>(right: &[Spanned<String>], wrong: &[Spanned<String>]) {
    for text in right {
        assert!(text.value.parse::<Q>().is_ok(), "`{}` is refused", text.value);
    }
    for text in wrong {
        assert!(text.value.parse::<Q>().is_err(), "`{}` is taken", text.value);
    }
}

#[test]
fn quantities_parse_as_the_schema_patterns_expect() {
    let path = "tests/schemas/quantities.toml";
    let mut problems = Problems::default();
    let file = problems.add_source(path, std::fs::read_to_string(path).unwrap());
    let root = parse(file, &mut problems);
    let Map(kinds) = Map::<Map<Vec<Spanned<String>>>>::read(&root, &mut problems).unwrap();
    for (kind, Spanned { value: Map(texts), .. }) in &kinds {
        let [(_, right), (_, wrong)] = texts.as_slice() else { panic!("{} has not two lists", kind.name) };
        assert!(!right.value.is_empty() && !wrong.value.is_empty());
        match kind.name.as_str() {
            "duration" => assert_reads::<TimeSpan>(&right.value, &wrong.value),
            "rate" => assert_reads::<Rate>(&right.value, &wrong.value),
            "share" => assert_reads::<Share>(&right.value, &wrong.value),
            "size" => assert_reads::<Size>(&right.value, &wrong.value),
            other => panic!("`{other}` is no quantity"),
        }
    }
    assert_eq!(kinds.len(), 4);
}
