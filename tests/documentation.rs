//! What README and docs say is so: their plans load, their tables are the code's, their links lead somewhere.

#![expect(clippy::unwrap_used, reason = "a page that cannot be read as it should be has failed")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use runner::diagnostic::{Problems, render};
use runner::exit::Ending;
use runner::plan::{Settings, World};
use runner::{offer, plan, slo};

/// README, `docs` and whatever else is written for people.
fn pages() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> = [".", "docs", "docs/decisions", "reports"].map(PathBuf::from).to_vec();
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let marked = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
        pages.extend(marked.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())));
    }
    assert!(pages.len() > 8, "the test looks at the wrong folders");
    pages
}

/// The fenced blocks of a page: what stands behind the fence, and what is inside.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let inside = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((info, inside.fold(String::new(), |text, line| text + line + "\n")));
        }
    }
    blocks
}

/// A block ```` ```toml plans/name.toml ```` is that file; those of a page find each other by their paths.
fn files_of(page: &str, text: &str) -> BTreeMap<PathBuf, String> {
    let blocks = blocks(text);
    let toml = blocks.into_iter().filter_map(|(info, inside)| Some((info.strip_prefix("toml")?, inside)));
    let named = toml.map(|(path, inside)| {
        assert!(path.ends_with(".toml"), "{page}: a TOML block without a path is loaded by nobody");
        (PathBuf::from(path.trim()), inside)
    });
    named.collect()
}

/// Everything that is wrong with a plan among these files, warnings too, as a user would see it.
fn shortcomings(plan: &Path, files: &BTreeMap<PathBuf, String>) -> String {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let read = |path: &Path| files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(missing);
    let world = World { read: &read, variable: &|_| None };
    let mut problems = Problems::default();
    let loaded = plan::load(plan, &Settings::default(), &world, &mut problems);
    let objectives = slo::load(&loaded.thresholds, &loaded.names, loaded.plan.as_ref(), &mut problems);
    if let Some(plan) = &loaded.plan {
        offer::check(plan, &objectives.all, &offer::offer(plan), &mut problems);
    }
    render(&problems, false)
}

#[test]
fn every_plan_in_a_page_can_be_run_and_meets_its_thresholds_there() {
    let mut plans = 0;
    for (page, text) in pages() {
        let files = files_of(&page.display().to_string(), &text);
        for plan in files.keys().filter(|path| path.parent() == Some(Path::new("plans"))) {
            assert_eq!(shortcomings(plan, &files), "", "{}", page.display());
            plans += 1;
        }
        for file in files.keys().filter(|path| path.parent() != Some(Path::new("plans"))) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let taken = files.values().any(|text| text.contains(&format!("/{name}\"")));
            assert!(taken, "{}: no plan of the page takes {}", page.display(), file.display());
        }
    }
    assert!(plans >= 2, "{plans} plans were found");
}

#[test]
fn the_table_of_exit_codes_is_the_one_in_the_code() {
    let page = std::fs::read_to_string("docs/exit-codes.md").unwrap();
    let mut expected = String::from("| code | word | when |\n|---|---|---|\n");
    for (_, code, word, meaning) in Ending::TABLE {
        writeln!(expected, "| {code} | {word} | {meaning} |").unwrap();
    }
    assert!(page.contains(&expected), "docs/exit-codes.md should hold\n{expected}");
}

#[test]
fn the_readme_shows_every_exit_code() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut shown: Vec<u8> =
        rows.flat_map(|cell| cell.split(", ")).filter_map(|code| code.parse().ok()).collect();
    let mut codes: Vec<u8> = Ending::TABLE.iter().map(|(_, code, ..)| *code).collect();
    codes.dedup();
    shown.sort_unstable();
    codes.sort_unstable();
    assert_eq!(shown, codes);
}

#[test]
fn the_readme_shows_the_output_of_the_command_it_gives() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, rest) = readme.split_once("<!-- output: ").unwrap();
    let (command, rest) = rest.split_once(" -->\n").unwrap();
    let (output, _) = rest.split_once("<!-- /output -->").unwrap();
    assert!(blocks(&readme).contains(&("sh", format!("{command}\n"))), "{command}");
    assert!(output.contains("verdict: rehearsed"), "{output}");
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for (page, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") {
                continue;
            }
            let led_to = page.parent().unwrap().join(path);
            assert!(led_to.exists(), "{}: {target}", page.display());
        }
    }
}

#[test]
fn a_decision_fits_on_a_page_and_says_what_it_cost() {
    let decisions =
        pages().into_iter().filter(|(page, _)| page.parent() == Some(Path::new("docs/decisions")));
    let mut numbers = Vec::new();
    for (page, text) in decisions {
        let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(
            headings,
            ["Problem", "What others do", "Decision", "What we gave up"],
            "{}",
            page.display()
        );
        assert!(text.split_whitespace().count() <= 450, "{} is longer than a page", page.display());
        let name = page.file_name().unwrap().to_str().unwrap();
        let number: usize = name[..4].parse().unwrap();
        assert!(text.starts_with(&format!("# {number}. ")), "{}", page.display());
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}
