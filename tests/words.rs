//! Names and sentences stay plain: one name for one thing, a first line in every file, and no private dialect in comments,
//! messages and pages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Words that hide the subject of a sentence.
const DIALECT: [&str; 18] = [
    "whoever",
    "whomever",
    "whom",
    "nobody",
    "no one",
    "somebody",
    "someone",
    "so many",
    "so long",
    "anew",
    "told",
    "tells",
    "likewise",
    "beside",
    "meanwhile",
    "whatever",
    "nothing ever",
    "what",
];
/// Of a thousand comment lines, this many may hold one of the words; messages may hold none.
const PER_MILLE: [(&str, usize); 2] = [("what", 30), ("any of the others", 3)];
/// Type names that are there twice, with the reason.
const TWICE: [(&str, &str); 4] = [
    ("Err", "the associated type of `FromStr`"),
    ("Item", "the associated type of `Iterator`"),
    ("SystemTimer", "one definition per operating system"),
    ("Target", "the associated type of `Deref`"),
];
/// Messages in which a word is right.
const MESSAGES: [(&str, &str); 0] = [];

struct File {
    path: PathBuf,
    text: String,
}

fn files(folders: &[&str], extension: &str) -> Vec<File> {
    let mut folders: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder exists") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
                files.push(File { path, text });
            }
        }
    }
    assert!(!files.is_empty(), "the test looks at the wrong folders");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// Whether a text holds a word or phrase as a whole.
fn holds(text: &str, word: &str) -> bool {
    let text = text.to_lowercase();
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    text.match_indices(word).any(|(at, _)| {
        is_edge(text[..at].chars().next_back()) && is_edge(text[at + word.len()..].chars().next())
    })
}

/// The comment of a line, without its marks.
fn comment(line: &str) -> Option<&str> {
    let (before, comment) = line.split_once("//")?;
    let starts = before.is_empty() || before.ends_with(' ');
    (starts && !before.contains('"')).then(|| comment.trim_start_matches(['/', '!']).trim())
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let found =
        files(&["src", "tests", "benches"], "rs").into_iter().filter(|file| !file.text.starts_with("//!"));
    let found: Vec<String> = found.map(|file| file.path.display().to_string()).collect();
    assert_none(&found, "a file starts with a line `//! …`");
}

/// The name of a type that a line defines.
fn defined_type(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|word| line.strip_prefix(word))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end])
}

#[test]
fn no_two_types_share_a_name() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    for file in files(&["src"], "rs") {
        let code = file.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        for name in code.lines().filter_map(defined_type) {
            places.entry(name.to_owned()).or_default().push(file.path.display().to_string());
        }
    }
    let allowed = |name: &str| TWICE.iter().any(|(known, _)| *known == name);
    let twice = places.iter().filter(|(name, places)| places.len() > 1 && !allowed(name));
    let twice: Vec<String> = twice.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect();
    assert_none(&twice, "a type has a name of its own, or an entry in `TWICE` with the reason");
}

/// The words of an identifier.
fn words_of(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in identifier.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn no_comment_only_repeats_the_name_below_it() {
    let mut found = Vec::new();
    for file in files(&["src"], "rs") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(doc) = line.trim_start().strip_prefix("/// ") else { continue };
            let below = lines[index + 1..].iter().map(|line| line.trim_start());
            let Some(code) = below
                .skip_while(|line| line.starts_with("#["))
                .map(|line| line.trim_start_matches("pub "))
                .next()
            else {
                continue;
            };
            let name = code.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| {
                !["pub", "fn", "struct", "enum", "const", "crate", "in", "super", "async", ""].contains(word)
            });
            let doc = doc.trim_end_matches('.').to_lowercase();
            let doc = ["the ", "its ", "a ", "an "]
                .iter()
                .find_map(|article| doc.strip_prefix(article))
                .unwrap_or(&doc);
            if name.is_some_and(|name| words_of(name).join(" ") == doc) {
                found.push(format!("{}:{}: {}", file.path.display(), index + 1, line.trim()));
            }
        }
    }
    assert_none(&found, "a doc comment says more than the name");
}

#[test]
fn comments_name_their_subject() {
    let (mut lines, mut what, mut others) = (0, Vec::new(), Vec::new());
    for file in files(&["src", "tests", "benches"], "rs").iter().filter(|file| !is_this(&file.path)) {
        for (number, text) in (1..).zip(file.text.lines()).filter_map(|(n, line)| Some((n, comment(line)?))) {
            lines += usize::from(!text.is_empty());
            let place = || format!("{}:{number}: {text}", file.path.display());
            if DIALECT[..17].iter().any(|word| holds(text, word)) {
                others.push(place());
            }
            if holds(text, DIALECT[17]) {
                what.push(place());
            }
        }
    }
    for ((word, allowed), found) in PER_MILLE.into_iter().zip([what, others]) {
        let most = lines * allowed / 1000;
        assert!(
            found.len() <= most,
            "{word} in {} of {lines} comment lines, at most {most}:\n{}",
            found.len(),
            found.join("\n")
        );
    }
}

fn is_this(path: &Path) -> bool {
    path == Path::new("tests/words.rs")
}

/// The string literals of a line, roughly: what stands between quotation marks outside of a comment.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    let code = if comment(line).is_some() { "" } else { line };
    code.split('"').skip(1).step_by(2)
}

#[test]
fn messages_name_their_subject() {
    let mut found = Vec::new();
    for file in files(&["src"], "rs") {
        let code = file.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        if file.path.ends_with("tests.rs") || file.path.iter().any(|part| part == "tests") {
            continue;
        }
        for (number, line) in (1..).zip(code.lines()) {
            let sentences = literals(line).filter(|text| text.split(' ').count() > 2);
            let wrong = sentences.filter(|text| DIALECT.iter().any(|word| holds(text, word)));
            let wrong = wrong.filter(|text| !MESSAGES.iter().any(|(known, _)| text.contains(known)));
            found.extend(wrong.map(|text| format!("{}:{number}: {text}", file.path.display())));
        }
    }
    assert_none(&found, "a message says who or which, by name");
}

/// A page without its code blocks.
fn prose(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn pages_name_their_subject() {
    let mut pages = files(&["docs"], "md");
    let more = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "benches/README.md",
        "reports/README.md",
        "tests/README.md",
    ];
    pages.extend(more.map(|path| File {
        path: path.into(),
        text: std::fs::read_to_string(path).expect("the page exists"),
    }));
    let (mut words, mut what, mut others) = (0, Vec::new(), Vec::new());
    for page in &pages {
        let prose = prose(&page.text);
        words += prose.split_whitespace().count();
        for line in prose.lines() {
            let place = || format!("{}: {line}", page.path.display());
            if DIALECT[..17].iter().any(|word| holds(line, word)) {
                others.push(place());
            }
            if holds(line, DIALECT[17]) {
                what.push(place());
            }
        }
    }
    assert!(what.len() * 1000 <= words * 3 / 2, "`what` in {} lines:\n{}", what.len(), what.join("\n"));
    assert!(others.len() * 1000 <= words * 3 / 10, "{} lines:\n{}", others.len(), others.join("\n"));
}
