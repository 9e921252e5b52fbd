//! The structure of `src`: imports between rooms as the table of `ARCHITECTURE.md` permits, pure rooms, file lengths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Not permitted in pure rooms: clocks, files, sockets, threads, the environment and `await`.
const IMPURE: [&str; 16] = [
    "std::fs",
    "File::",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "io::stdin",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "async fn",
    ".await",
    "thread_rng",
    "rand::random",
];
const PRINTS: [&str; 6] = ["print!(", "println!(", "dbg!(", "io::stdout", "io::stderr", "Term::"];
/// Module names that do not describe their content.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "types", "misc", "errors"];
const LONGEST_FILE: usize = 450;
const LONGEST_FUNCTION: usize = 60;

/// A row of the table in `ARCHITECTURE.md`.
struct Room {
    name: String,
    /// `None` permits all rooms.
    may_import: Option<Vec<String>>,
    pure: bool,
}

/// A file under `src`.
struct File {
    path: PathBuf,
    /// Its room; `lib` or `main` for the two files outside of the rooms.
    room: String,
    text: String,
    /// Its lines without comments and tests, with line numbers from 1.
    code: Vec<(usize, String)>,
}

impl File {
    fn read(path: PathBuf) -> Self {
        let inside = path.strip_prefix("src").expect("only files under src are read");
        let first = inside.iter().next().and_then(|first| first.to_str()).expect("names are UTF-8");
        let room = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).expect("a source file can be read");
        let code = if is_test(&path) { Vec::new() } else { without_tests(&text) };
        Self { path, room, text, code }
    }

    /// Place and text of every line of code that contains one of these.
    fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let found = self.code.iter().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.map(|(number, line)| format!("{}:{number}: {}", self.path.display(), line.trim())).collect()
    }

    /// Line number and room of every `crate::` path in its code.
    fn imports(&self) -> impl Iterator<Item = (usize, String)> {
        self.code.iter().flat_map(|(number, line)| {
            line.split("crate::").skip(1).map(|rest| {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (*number, rest[..end].to_owned())
            })
        })
    }
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.iter().any(|part| part == "tests")
}

fn files() -> Vec<File> {
    let mut folders = vec![PathBuf::from("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of src can be listed") {
            let path = entry.expect("an entry of src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(File::read(path));
            }
        }
    }
    assert!(files.len() > 50, "the test looks at the wrong folder");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines without comments and without items behind `#[cfg(test)]`. Relies on formatting by rustfmt.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let mut code = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let begins = |line: &str| line.trim_end().ends_with('{');
            let item = lines.by_ref().find(|(_, line)| !line.trim_start().starts_with("#["));
            if item.is_some_and(|(_, line)| begins(line)) {
                let _ = lines
                    .by_ref()
                    .find(|(_, end)| indent(end) == indent(line) && end.trim().starts_with('}'));
            }
        } else if !line.trim_start().starts_with("//") && !line.trim().is_empty() {
            code.push((number, line.to_owned()));
        }
    }
    code
}

/// The rows of the table of rooms, in their order.
fn rooms() -> Vec<Room> {
    let page = std::fs::read_to_string("ARCHITECTURE.md").expect("the page can be read");
    let table = page.lines().skip_while(|line| !line.starts_with("| room ")).skip(2);
    let rows = table.map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rooms: Vec<Room> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
            let [name, _, may_import, pure] = cells[..] else { panic!("not a row of four: {row}") };
            let names = may_import.split(", ").filter(|name| *name != "–");
            Room {
                name: name.trim_matches('`').to_owned(),
                may_import: (may_import != "all").then(|| names.map(str::to_owned).collect()),
                pure: match pure {
                    "pure" => true,
                    "edge" => false,
                    other => panic!("`{other}` is neither `pure` nor `edge`"),
                },
            }
        })
        .collect();
    assert!(!rooms.is_empty(), "ARCHITECTURE.md has no table of rooms");
    rooms
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn the_table_lists_exactly_the_rooms() {
    let lib = std::fs::read_to_string("src/lib.rs").expect("src/lib.rs can be read");
    let mut declared: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let rooms = rooms();
    let mut drawn: Vec<&str> = rooms.iter().map(|room| room.name.as_str()).collect();
    declared.sort_unstable();
    drawn.sort_unstable();
    assert_eq!(declared, drawn);
}

#[test]
fn the_table_allows_imports_only_from_rows_above() {
    let rooms = rooms();
    for (index, room) in rooms.iter().enumerate() {
        for wanted in room.may_import.iter().flatten() {
            let below = rooms[..index].iter().any(|lower| lower.name == *wanted);
            assert!(below, "`{}` may not import `{wanted}`, which is not below it", room.name);
        }
    }
    let top = rooms.iter().filter(|room| room.may_import.is_none()).map(|room| room.name.as_str());
    assert_eq!(top.collect::<Vec<_>>(), ["app"]);
}

#[test]
fn rooms_import_only_rooms_allowed_by_the_table() {
    let rooms: BTreeMap<String, Room> = rooms().into_iter().map(|room| (room.name.clone(), room)).collect();
    let mut found = Vec::new();
    for file in files() {
        let Some(room) = rooms.get(&file.room) else { continue };
        let Some(allowed) = &room.may_import else { continue };
        for (number, wanted) in file.imports() {
            if wanted != room.name && !allowed.contains(&wanted) {
                found.push(format!("{}:{number}: `{}` imports `{wanted}`", file.path.display(), room.name));
            }
        }
        // `super::` in the `mod.rs` of a room would bypass the check of `crate::` paths.
        if file.path.iter().count() == 3 && file.path.ends_with("mod.rs") {
            found.extend(file.lines_with(&["super::"]));
        }
        found.extend(file.lines_with(&["super::super"]));
    }
    assert_none(&found, "not in the table of ARCHITECTURE.md");
}

#[test]
fn pure_rooms_use_no_clock_file_socket_or_await() {
    let pure: Vec<String> = rooms().into_iter().filter(|room| room.pure).map(|room| room.name).collect();
    let files = files();
    let of_pure = files.iter().filter(|file| pure.contains(&file.room));
    let found: Vec<String> = of_pure.flat_map(|file| file.lines_with(&IMPURE)).collect();
    assert_none(&found, "pass it in, or move it to a room at the edge");
}

#[test]
fn only_app_prints() {
    let files = files();
    let others = files.iter().filter(|file| file.room != "app");
    let found: Vec<String> = others.flat_map(|file| file.lines_with(&PRINTS)).collect();
    assert_none(&found, "return text, or notify an observer");
}

#[test]
fn the_library_root_only_names_the_rooms() {
    let lib = std::fs::read_to_string("src/lib.rs").expect("src/lib.rs can be read");
    for line in lib.lines().filter(|line| !line.is_empty() && !line.starts_with("//!")) {
        let name = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
        assert!(name.is_some_and(|name| !name.contains(' ')), "src/lib.rs: {line}");
    }
}

#[test]
fn every_module_name_describes_its_content() {
    for file in files() {
        let parts = file.path.with_extension("");
        let empty = parts.iter().filter_map(|part| part.to_str()).find(|part| EMPTY_NAMES.contains(part));
        assert_eq!(empty, None, "{}", file.path.display());
    }
    assert!(!Path::new("src/error.rs").exists(), "put an error type next to the code that raises it");
}

#[test]
fn lints_are_never_switched_off_without_a_reason() {
    let found: Vec<String> = files()
        .iter()
        .flat_map(|file| (1..).zip(file.text.lines()).map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| ["#[allow(", "#![allow("].iter().any(|word| line.contains(word)))
        .map(|(file, number, _)| format!("{}:{number}", file.path.display()))
        .collect();
    assert_none(&found, "write `#[expect(…, reason = \"…\")]`");
}

#[test]
fn files_and_functions_stay_short() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| !is_test(&file.path)) {
        let length = file.text.lines().count();
        if length > LONGEST_FILE {
            found.push(format!("{}: {length} lines", file.path.display()));
        }
        for (name, number, length) in functions(&file.code) {
            if length > LONGEST_FUNCTION {
                found.push(format!("{}:{number}: `{name}` has {length} lines", file.path.display()));
            }
        }
    }
    assert_none(&found, "split it where a reader would");
}

/// Name, line and length of every function that has a body.
fn functions(code: &[(usize, String)]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (index, (number, line)) in code.iter().enumerate() {
        let before = ["pub", "const", "async", "unsafe"];
        let mut words = line.trim_start().split(' ');
        let word = words.find(|word| !before.iter().any(|known| word.starts_with(known)));
        let Some(name) = words.next().filter(|_| word == Some("fn")) else { continue };
        let name = name.split(['(', '<']).next().unwrap_or(name);
        let end = code[index..].iter().find(|(_, end)| {
            let closes = indent(end) == indent(line) && end.trim() == "}";
            closes || (end == line && (line.ends_with(';') || line.ends_with('}')))
        });
        if let Some((end, _)) = end {
            found.push((name.to_owned(), *number, end - number + 1));
        }
    }
    found
}
