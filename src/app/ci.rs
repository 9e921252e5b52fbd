//! What a run tells the CI system in which it runs: annotations at the thresholds that were missed, a summary of the job,
//! outputs for later steps, and sections of its log.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use crate::diagnostic::Problems;
use crate::report::ReportFormat;
use crate::report::model::{ObjectiveReport, Report};
use crate::slo::judge::Verdict;
use crate::slo::objective::Objective;

/// The most annotations of a kind. GitHub shows ten of each kind for a step.
const MAX_ANNOTATIONS: usize = 10;

/// `--ci`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CiArg {
    /// The system that its environment variables show
    Auto,
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
    /// Azure Pipelines
    Azure,
    /// No CI system
    None,
}

/// A system whose log and files take commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CiSystem {
    GitHub,
    GitLab,
    Azure,
}

impl CiArg {
    /// The CI system, from these environment variables.
    pub(super) fn system(self, variable: impl Fn(&str) -> Option<String>) -> Option<CiSystem> {
        let is_set = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        match self {
            Self::Auto if is_set("GITHUB_ACTIONS") => Some(CiSystem::GitHub),
            Self::Auto if is_set("GITLAB_CI") => Some(CiSystem::GitLab),
            Self::Auto if is_set("TF_BUILD") => Some(CiSystem::Azure),
            Self::Github => Some(CiSystem::GitHub),
            Self::Gitlab => Some(CiSystem::GitLab),
            Self::Azure => Some(CiSystem::Azure),
            Self::Auto | Self::None => None,
        }
    }
}

/// A remark at a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Annotation {
    is_error: bool,
    title: String,
    message: String,
    place: Option<(String, usize)>,
}

/// The annotations of a run: what is missed is an error, what could not be decided a warning. Each is at its objective in
/// the threshold file, in the order of the report, which begins with the phases that ran first.
fn annotations(report: &Report, objectives: &[Objective], problems: &Problems) -> Vec<Annotation> {
    let place = |it: &ObjectiveReport| {
        let found = objectives.iter().find(|known| {
            let name = known.full_name();
            name.name == it.name && name.kind == it.kind
        })?;
        let source = problems.source(found.span.file);
        (!source.is_option).then(|| (from_workspace(&source.name), problems.line(found.span)))
    };
    let of = |verdict: Verdict, is_error: bool| {
        let found = report.objectives.iter().filter(move |it| it.gated && it.verdict == verdict);
        found.take(MAX_ANNOTATIONS).map(move |it| Annotation {
            is_error,
            title: format!("{}, {}: {}", it.name, it.phase, it.verdict),
            message: it.why.clone(),
            place: place(it),
        })
    };
    let run = report.reason.iter().map(|reason| Annotation {
        is_error: true,
        title: format!("{}: {}", report.plan.name, report.verdict),
        message: reason.clone(),
        place: None,
    });
    let missed = run.chain(of(Verdict::Missed, true)).take(MAX_ANNOTATIONS);
    let undecided = of(Verdict::Inconclusive, false).chain(of(Verdict::NoData, false)).take(MAX_ANNOTATIONS);
    missed.chain(undecided).collect()
}

/// A path from the root of the repository, which is not always the current folder.
fn from_workspace(path: &str) -> String {
    let workspace = ["GITHUB_WORKSPACE", "BUILD_SOURCESDIRECTORY"].into_iter().find_map(std::env::var_os);
    let whole = std::fs::canonicalize(path).ok();
    let inside = workspace.zip(whole).and_then(|(workspace, whole)| {
        let root = std::fs::canonicalize(workspace).ok()?;
        Some(whole.strip_prefix(root).ok()?.display().to_string())
    });
    inside.unwrap_or_else(|| path.to_owned())
}

impl CiSystem {
    /// The commands that annotate a run, one per line.
    pub(super) fn commands(
        self,
        report: &Report,
        (objectives, problems): (&[Objective], &Problems),
        folder: &Path,
    ) -> String {
        let annotations = annotations(report, objectives, problems);
        match self {
            Self::GitHub => annotations.iter().map(github_annotation).collect(),
            Self::GitLab => String::new(),
            Self::Azure => {
                let annotated: String = annotations.iter().map(azure_annotation).collect();
                let summary = folder.join(ReportFormat::Summary.file_name());
                let summary = std::fs::canonicalize(&summary).unwrap_or(summary);
                let set = |(name, value): (&str, String)| {
                    format!("##vso[task.setvariable variable={name};isOutput=true]{}\n", azure(&value))
                };
                let variables: String = outputs(report, folder).map(set).concat();
                format!(
                    "{annotated}##vso[task.uploadsummary]{}\n{variables}",
                    azure(&summary.display().to_string())
                )
            }
        }
    }

    /// The printed report with what the log of the system needs around it.
    pub(super) fn framed(self, printed: String, report: &Report) -> String {
        if self != Self::GitLab {
            return printed;
        }
        let mark = |kind: &str, at: i64| format!("\x1b[0Ksection_{kind}:{at}:load_gate\r\x1b[0K");
        let now = jiff::Timestamp::now().as_second();
        let heading = format!("{}: {}, exit code {}", report.plan.name, report.verdict, report.exit_code);
        let heading = crate::report::neutral::neutral(&heading);
        format!("{}{heading}\n{printed}{}\n", mark("start", now), mark("end", now))
    }

    /// Appends the summary and the outputs of the step to the files that the system names.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn append(
        self,
        report: &Report,
        folder: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<()> {
        if self != Self::GitHub {
            return Ok(());
        }
        let values = outputs(report, folder).map(|(name, value)| format!("{name}={}\n", one_line(&value)));
        let texts = [
            ("GITHUB_STEP_SUMMARY", ReportFormat::Summary.render(report) + "\n"),
            ("GITHUB_OUTPUT", values.concat()),
        ];
        for (name, text) in texts {
            let Some(path) = variable(name).filter(|path| !path.is_empty()) else { continue };
            append_to(&PathBuf::from(&path), &text)
                .with_context(|| format!("could not append to `{path}` (`{name}`)"))?;
        }
        Ok(())
    }
}

/// The outputs of a step, for later steps.
fn outputs(report: &Report, folder: &Path) -> [(&'static str, String); 3] {
    [
        ("verdict", report.verdict.to_string()),
        ("exit-code", report.exit_code.to_string()),
        ("report", folder.join(ReportFormat::Json.file_name()).display().to_string()),
    ]
}

fn append_to(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// `::error file=…,line=…,title=…::…`, with the escapes of workflow commands.
fn github_annotation(annotation: &Annotation) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let Annotation { is_error, title, message, place } = annotation;
    let kind = if *is_error { "error" } else { "warning" };
    let place = place.as_ref().map(|(file, line)| format!("file={},line={line},", property(file)));
    format!("::{kind} {}title={}::{}\n", place.unwrap_or_default(), property(title), data(message))
}

/// `##vso[task.logissue …]…`, with the escapes of logging commands.
fn azure_annotation(annotation: &Annotation) -> String {
    let Annotation { is_error, title, message, place } = annotation;
    let kind = if *is_error { "error" } else { "warning" };
    let place = place.as_ref().map(|(file, line)| format!(";sourcepath={};linenumber={line}", azure(file)));
    let text = azure(&format!("{title}: {message}"));
    format!("##vso[task.logissue type={kind}{}]{text}\n", place.unwrap_or_default())
}

fn azure(text: &str) -> String {
    let escaped = text.replace('%', "%AZP25").replace(';', "%3B").replace(']', "%5D");
    escaped.replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_shows_the_system_unless_the_option_names_one() {
        let system = |argument: CiArg, there: &'static str| {
            argument.system(move |name| (name == there).then(|| "true".to_owned()))
        };
        assert_eq!(system(CiArg::Auto, "GITHUB_ACTIONS"), Some(CiSystem::GitHub));
        assert_eq!(system(CiArg::Auto, "GITLAB_CI"), Some(CiSystem::GitLab));
        assert_eq!(system(CiArg::Auto, "TF_BUILD"), Some(CiSystem::Azure));
        assert_eq!(system(CiArg::Auto, "CI"), None);
        assert_eq!(system(CiArg::None, "GITHUB_ACTIONS"), None);
        assert_eq!(system(CiArg::Azure, "GITHUB_ACTIONS"), Some(CiSystem::Azure));
    }

    #[test]
    fn no_text_ends_a_command_or_begins_another() {
        let annotation = Annotation {
            is_error: true,
            title: "a: b, 100 %".to_owned(),
            message: "one\n::error::two ; ] 5 %".to_owned(),
            place: Some(("t,1.toml".to_owned(), 7)),
        };
        assert_eq!(
            github_annotation(&annotation),
            "::error file=t%2C1.toml,line=7,title=a%3A b%2C 100 %25::one%0A::error::two ; ] 5 %25\n"
        );
        assert_eq!(
            azure_annotation(&Annotation { is_error: false, ..annotation }),
            "##vso[task.logissue type=warning;sourcepath=t,1.toml;linenumber=7]a: b, 100 %AZP25: one%0A::error::two \
             %3B %5D 5 %AZP25\n"
        );
    }
}
