//! JUnit XML, as Jenkins and GitLab read it: a flat suite for the run and one for each phase.
//!
//! Suites are not nested, because some readers report a pass over a nested failure. The times of the cases add up to that
//! of their suite, because tools that merge files compute it anew. Seeds and digests begin with a letter, because some
//! readers would take them for numbers and round them.

use std::borrow::Cow;
use std::collections::HashMap;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::gate::RunVerdict;
use crate::report::console;
use crate::report::model::{ObjectiveReport, Report};
use crate::slo::judge::Verdict;

/// A suite: the run, or one of its phases.
struct TestSuite<'r> {
    name: &'r str,
    timestamp: &'r str,
    millis: u64,
    properties: Vec<(&'r str, String)>,
    cases: Vec<TestCase>,
}

/// A case: the verdict of the run, or an objective.
struct TestCase {
    name: String,
    kind: &'static str,
    result: CaseResult,
    /// The numbers behind it.
    output: String,
}

/// The result of a case.
enum CaseResult {
    Passed,
    /// With the message and the whole explanation.
    Failed(String, String),
    Error(String, String),
    Skipped(String),
}

impl CaseResult {
    /// The element that says so, if it is not passed.
    fn element(&self) -> Option<&'static str> {
        match self {
            Self::Passed => None,
            Self::Failed(..) => Some("failure"),
            Self::Error(..) => Some("error"),
            Self::Skipped(_) => Some("skipped"),
        }
    }
}

impl TestSuite<'_> {
    fn count(&self, element: &str) -> usize {
        self.cases.iter().filter(|case| case.result.element() == Some(element)).count()
    }
}

/// The report as JUnit XML.
pub(super) fn render(report: &Report) -> String {
    let ran = report.phases.iter().map(|phase| TestSuite {
        name: &phase.name,
        timestamp: &phase.started_at,
        millis: (phase.ran_s * 1000.0).round() as u64,
        properties: Vec::new(),
        cases: objective_cases(report, &phase.name),
    });
    let not_run = report.not_run.iter().map(|phase| TestSuite {
        name: &phase.name,
        timestamp: &report.ended_at,
        millis: 0,
        properties: Vec::new(),
        cases: objective_cases(report, &phase.name),
    });
    let suites: Vec<TestSuite<'_>> = std::iter::once(run_suite(report)).chain(ran).chain(not_run).collect();
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = write_suites(&mut writer, report, &suites);
    written.expect("writing to a buffer in memory does not fail");
    String::from_utf8(writer.into_inner()).expect("XML of texts is text") + "\n"
}

/// The suite of the run, whose only case is its verdict: also of a run that ended for other reasons than its objectives.
fn run_suite(report: &Report) -> TestSuite<'_> {
    let unmet = report.objectives.iter().filter(|it| it.gated && it.verdict != Verdict::Met);
    let whys = unmet.map(|it| format!("{} in {}: {}", it.name, it.phase, it.reason));
    let whys: Vec<String> = report.reason.iter().cloned().chain(whys).chain(report.notices.clone()).collect();
    let message = format!("{}, exit code {}", report.verdict, report.exit_code);
    let result = match report.verdict {
        _ if report.exit_code == 0 => CaseResult::Passed,
        RunVerdict::Breached => CaseResult::Failed(message.clone(), whys.join("\n")),
        _ => CaseResult::Error(message.clone(), whys.join("\n")),
    };
    let labelled = [
        ("runner", report.runner.clone()),
        ("target", report.target.clone()),
        ("gate", report.gate.as_str().to_owned()),
        ("verdict", report.verdict.to_string()),
        ("seed", format!("s{}", report.seed)),
        ("plan_digest", format!("sha256:{}", report.plan.digest)),
    ];
    let labels = report.labels.iter().map(|(key, value)| (key.as_str(), value.clone()));
    TestSuite {
        name: &report.plan.name,
        timestamp: &report.started_at,
        millis: 0,
        properties: labelled.into_iter().chain(labels).collect(),
        cases: vec![TestCase { name: "verdict".to_owned(), kind: "run", result, output: message }],
    }
}

fn objective_cases(report: &Report, phase: &str) -> Vec<TestCase> {
    let of_phase = report.objectives.iter().filter(|objective| objective.phase == phase);
    let mut cases: Vec<TestCase> = of_phase.map(|objective| objective_case(report, objective)).collect();
    if cases.is_empty() {
        let why = "no objective applies to this phase".to_owned();
        let (name, result) = ("no objective".to_owned(), CaseResult::Skipped(why));
        cases.push(TestCase { name, kind: "none", result, output: String::new() });
    }
    // Readers tell cases apart by their names.
    let mut seen: HashMap<String, usize> = HashMap::new();
    for case in &mut cases {
        let count = seen.entry(case.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            case.name = format!("{} ({count})", case.name);
        }
    }
    cases
}

fn objective_case(report: &Report, objective: &ObjectiveReport) -> TestCase {
    let ObjectiveReport { verdict, gated, reason, why, .. } = objective;
    // A run whose exit code is 0 tolerates what it could not decide.
    let decides = *gated && (report.exit_code != 0 || *verdict == Verdict::Missed);
    let result = match verdict {
        Verdict::Met => CaseResult::Passed,
        Verdict::NotAssessed | Verdict::NotJudged => CaseResult::Skipped(reason.clone()),
        other if !gated => CaseResult::Skipped(format!("{other}, not gated: {reason}")),
        Verdict::Missed => CaseResult::Failed(reason.clone(), why.clone()),
        other if !decides => CaseResult::Skipped(format!("{other}, tolerated: {reason}")),
        other => CaseResult::Error(format!("{other}: {reason}"), why.clone()),
    };
    TestCase {
        name: objective.name.clone(),
        kind: objective.kind.as_str(),
        result,
        output: console::objective_line(objective),
    }
}

fn write_suites(
    writer: &mut Writer<Vec<u8>>,
    report: &Report,
    suites: &[TestSuite<'_>],
) -> std::io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let sum = |element: &str| suites.iter().map(|suite| suite.count(element)).sum::<usize>().to_string();
    let millis = suites.iter().map(|suite| suite.millis).sum();
    let root = writer.create_element("testsuites").with_attributes([
        ("name", clean(&report.plan.name).as_ref()),
        ("tests", suites.iter().map(|suite| suite.cases.len()).sum::<usize>().to_string().as_str()),
        ("failures", &sum("failure")),
        ("errors", &sum("error")),
        ("time", &seconds(millis)),
    ]);
    root.write_inner_content(|writer| {
        let mut suites = suites.iter().enumerate();
        suites.try_for_each(|(id, suite)| write_suite(writer, report, (id, suite)))
    })?;
    Ok(())
}

fn write_suite(
    writer: &mut Writer<Vec<u8>>,
    report: &Report,
    (id, suite): (usize, &TestSuite<'_>),
) -> std::io::Result<()> {
    let element = writer.create_element("testsuite").with_attributes([
        ("name", clean(suite.name).as_ref()),
        ("tests", &suite.cases.len().to_string()),
        ("failures", &suite.count("failure").to_string()),
        ("errors", &suite.count("error").to_string()),
        ("skipped", &suite.count("skipped").to_string()),
        ("time", &seconds(suite.millis)),
        ("timestamp", suite.timestamp.split('.').next().unwrap_or_default().trim_end_matches('Z')),
        ("id", &id.to_string()),
    ]);
    element.write_inner_content(|writer| {
        if !suite.properties.is_empty() {
            writer.create_element("properties").write_inner_content(|writer| {
                for (name, value) in &suite.properties {
                    let property = writer.create_element("property");
                    let named = property.with_attribute(("name", clean(name).as_ref()));
                    named.with_attribute(("value", clean(value).as_ref())).write_empty()?;
                }
                Ok(())
            })?;
        }
        let (each, rest) = (suite.millis / suite.cases.len() as u64, suite.millis % suite.cases.len() as u64);
        let class = format!("{}.{}", report.plan.name, suite.name);
        for (index, case) in (0..).zip(&suite.cases) {
            write_case(writer, &class, case, each + u64::from(index < rest))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn write_case(
    writer: &mut Writer<Vec<u8>>,
    class: &str,
    case: &TestCase,
    millis: u64,
) -> std::io::Result<()> {
    let element = writer.create_element("testcase").with_attributes([
        ("name", clean(&case.name).as_ref()),
        ("classname", clean(class).as_ref()),
        ("time", &seconds(millis)),
    ]);
    element.write_inner_content(|writer| {
        if let Some(name) = case.result.element() {
            let element = writer.create_element(name);
            match &case.result {
                CaseResult::Failed(message, text) | CaseResult::Error(message, text) => {
                    let named =
                        element.with_attributes([("message", clean(message).as_ref()), ("type", case.kind)]);
                    named.write_text_content(BytesText::new(&clean(text)))?;
                }
                CaseResult::Skipped(message) => {
                    element.with_attribute(("message", clean(message).as_ref())).write_empty()?;
                }
                CaseResult::Passed => {}
            }
        }
        if !case.output.is_empty() {
            writer.create_element("system-out").write_text_content(BytesText::new(&clean(&case.output)))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// The text without characters that XML cannot hold. They become visible escapes.
fn clean(text: &str) -> Cow<'_, str> {
    let is_bad = |character: char| {
        (character.is_control() && character != '\n') || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|character| match is_bad(character) {
        true => character.escape_unicode().to_string(),
        false => character.to_string(),
    });
    Cow::Owned(shown.collect())
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;

    use super::*;
    use crate::report::format::tests::{HOSTILE, sample};

    /// The elements in order, and all attribute values and texts.
    fn read(xml: &str) -> (Vec<String>, Vec<String>) {
        let mut reader = Reader::from_str(xml);
        let (mut elements, mut texts) = (Vec::new(), Vec::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(element) | Event::Empty(element) => {
                    elements.push(String::from_utf8(element.name().as_ref().to_vec()).unwrap());
                    let values =
                        element.attributes().map(|it| it.unwrap().unescape_value().unwrap().into_owned());
                    texts.extend(values);
                }
                Event::Text(text) => texts.push(text.decode().unwrap().into_owned()),
                Event::Eof => return (elements, texts),
                _ => {}
            }
        }
    }

    #[test]
    fn hostile_names_and_messages_are_only_texts() {
        let (elements, _) = read(&render(&sample()));
        for hostile in HOSTILE {
            let mut report = sample();
            report.objectives[0].name = (*hostile).to_owned();
            report.objectives[0].why = (*hostile).to_owned();
            report.plan.name = (*hostile).to_owned();
            let (found, texts) = read(&render(&report));
            assert_eq!(found, elements, "{hostile}");
            assert!(texts.contains(&clean(hostile).into_owned()), "{hostile}: {texts:#?}");
        }
    }

    #[test]
    fn the_times_of_cases_add_up_and_names_differ() {
        let mut report = sample();
        report.objectives.iter_mut().for_each(|objective| objective.name = "Same".to_owned());
        for phase in &report.phases {
            let cases = objective_cases(&report, &phase.name);
            let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
            names.dedup();
            assert_eq!(names.len(), cases.len());
        }
        let times = |element: &str| {
            let all = render(&report);
            let found = all.lines().filter(|line| line.contains(element)).map(|line| {
                let from = line.find(" time=\"").unwrap() + 7;
                let text = &line[from..from + line[from..].find('"').unwrap()];
                (text.parse::<f64>().unwrap() * 1000.0).round() as u64
            });
            found.sum::<u64>()
        };
        assert_eq!(times("<testcase "), times("<testsuite "));
        assert_eq!(times("<testcase "), times("<testsuites "));
    }

    #[test]
    fn only_a_gated_objective_can_fail_a_case() {
        let of = |verdict, gated, exit_code| {
            let mut report = sample();
            report.exit_code = exit_code;
            let objective = ObjectiveReport { verdict, gated, ..report.objectives[0].clone() };
            objective_case(&report, &objective).result.element()
        };
        assert_eq!(of(Verdict::Met, true, 1), None);
        assert_eq!(of(Verdict::Missed, true, 1), Some("failure"));
        assert_eq!(of(Verdict::Missed, false, 0), Some("skipped"));
        assert_eq!(of(Verdict::Inconclusive, true, 3), Some("error"));
        assert_eq!(of(Verdict::NoData, true, 3), Some("error"));
        assert_eq!(of(Verdict::Inconclusive, true, 0), Some("skipped"));
        assert_eq!(of(Verdict::NotAssessed, true, 0), Some("skipped"));
    }
}
