//! Tests of the page: foreign texts are only texts, and the verdict comes first.

use super::*;
use crate::report::format::tests::{HOSTILE, sample};

fn page(report: Report) -> String {
    render(&FullReport { report, details: Vec::new(), methods: Vec::new(), files: &[] })
}

/// The tags of a page with their attributes, without the texts between them.
fn tags(page: &str) -> Vec<String> {
    let (_, body) = page.split_once("<body>").unwrap();
    let (body, _) = body.split_once("<script>").unwrap();
    body.split('<').skip(1).map(|part| part.split(['>', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn hostile_texts_change_no_tag() {
    let usual = tags(&page(sample()));
    for hostile in HOSTILE {
        let mut report = sample();
        report.objectives[0].name = (*hostile).to_owned();
        report.objectives[0].why = (*hostile).to_owned();
        report.phases[0].operations[0].name = (*hostile).to_owned();
        report.phases[0].errors_by_kind[0].example = (*hostile).to_owned();
        report.plan.name = (*hostile).to_owned();
        assert_eq!(tags(&page(report)), usual, "{hostile}");
    }
}

#[test]
fn the_verdict_comes_first_and_every_objective_is_there() {
    let report = sample();
    let shown = page(report.clone());
    let body = shown.split_once("<body>").unwrap().1;
    assert!(body.find("breached").unwrap() < body.find("Objectives").unwrap());
    for objective in &report.objectives {
        assert!(body.contains(&objective.name) && body.contains(&objective.verdict.to_string()));
    }
}

#[test]
fn a_page_without_phases_says_why() {
    let mut report = sample();
    report.phases.clear();
    report.reason = Some("the target did not respond".to_owned());
    assert!(page(report).contains("The target did not respond."));
}

#[test]
fn the_page_loads_nothing() {
    let shown = page(sample());
    for part in [" src=", "@import", "url(", "<link", "fetch(", "XMLHttpRequest"] {
        assert!(!shown.contains(part), "{part}");
    }
}
