//! Every folder of `tests/wrong-plans` holds a plan that is refused and the expected answer.
//! `UPDATE_EXPECTED=1` updates the answers.

use std::path::{Path, PathBuf};

use crate::support::answer::Answer;

const FOLDER: &str = "tests/wrong-plans";

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

/// The differences between the answer to a wrong plan and the expected one.
fn check(case: &Path) -> Vec<String> {
    let answer = Answer::of_file(&case.join("plan.toml"));
    let expected = case.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&expected, &answer.shown).unwrap();
    }
    let mut wrong = answer.shortcomings();
    let expected = std::fs::read_to_string(&expected).unwrap_or_default();
    if answer.shown != expected {
        wrong.push(format!("the answer is\n{}but expected is\n{expected}", answer.shown));
    }
    wrong
}

#[test]
fn every_wrong_plan_is_refused_with_the_expected_answer() {
    let cases = cases();
    assert!(cases.len() >= 28, "only {} wrong plans", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .flat_map(|case| check(case).into_iter().map(move |wrong| format!("{}: {wrong}", case.display())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_of_all_files_are_reported_together() {
    let answer = Answer::of_file(&Path::new(FOLDER).join("many-mistakes-in-many-files/plan.toml"));
    let problems = answer.problems.all();
    let mut files: Vec<&str> = problems
        .iter()
        .flat_map(|problem| problem.places.first())
        .map(|(span, _)| answer.problems.source(span.file).name.as_str())
        .collect();
    files.dedup();
    files.sort_unstable();
    files.dedup();
    assert_eq!((problems.len(), files.len()), (14, 3), "{}", answer.shown);
}
