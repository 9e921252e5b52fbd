//! What a run tells the CI system in which it runs: annotations at the limits that were missed, a summary of the job,
//! outputs for later steps, and sections of its log.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::app::written_reports::ReportFile;
use crate::diagnostic::Problems;
use crate::plan::GateTier;
use crate::report::model::{ObjectiveReport, Report};
use crate::report::neutral::neutral;
use crate::report::{ReportFormat, report_summary};
use crate::slo::judge::Verdict;
use crate::slo::objective::Objective;

/// The most annotations of a kind. GitHub shows ten of each kind for a step.
const MAX_ANNOTATIONS: usize = 10;
/// The most bytes of the summaries of a step. GitHub shows nothing of a larger file.
const MAX_STEP_SUMMARY_BYTES: u64 = 1 << 20;
/// The variables that hold the root of the repository.
const WORKSPACES: [&str; 3] = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR", "BUILD_SOURCESDIRECTORY"];

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

/// The objectives of a run, and the files in which they are written.
#[derive(Clone, Copy)]
pub(super) struct WrittenObjectives<'o> {
    pub(super) all: &'o [Objective],
    pub(super) problems: &'o Problems,
}

impl WrittenObjectives<'_> {
    /// The objective of a line in the report. Those of several phases have the same limits.
    fn of(&self, reported: &ObjectiveReport) -> Option<&Objective> {
        self.all.iter().find(|known| known.name == reported.name && known.family.kind() == reported.kind)
    }

    /// The file and the line of the limit that decided, or those of the objective if none did.
    fn place(&self, reported: &ObjectiveReport, gate: GateTier) -> Option<(String, usize)> {
        let objective = self.of(reported)?;
        let limit = objective.tiers.at_gate(gate).and_then(|(tier, _)| objective.limit_spans.of_tier(tier));
        let span = limit.unwrap_or(objective.span);
        let source = self.problems.source(span.file);
        (!source.is_option).then(|| (from_workspace(&source.name), self.problems.line(span)))
    }

    /// How far the observed value is beyond the limit that decided, as a ratio; `None` without an observed value.
    fn ratio(&self, reported: &ObjectiveReport, gate: GateTier) -> Option<f64> {
        let objective = self.of(reported)?;
        let (_, limit) = objective.tiers.at_gate(gate)?;
        Some(objective.family.bound(limit).ratio(reported.observed?))
    }
}

/// The annotations of a run: what is missed is an error, what could not be decided a warning. Each is at the limit that
/// decided. The worst are first: those whose observed value is furthest beyond its limit, in the order of the report if
/// they are equally far. Those without an observed value are last.
fn annotations(report: &Report, objectives: WrittenObjectives<'_>) -> Vec<Annotation> {
    let of = |verdicts: &[Verdict], is_error: bool| {
        let is_of = |it: &&ObjectiveReport| it.gated && verdicts.contains(&it.verdict);
        let found = report.objectives.iter().filter(is_of);
        let mut worst: Vec<_> = found.map(|it| (objectives.ratio(it, report.gate), it)).collect();
        let order = |ratio: Option<f64>| ratio.unwrap_or(f64::NEG_INFINITY);
        worst.sort_by(|one, other| order(other.0).total_cmp(&order(one.0)));
        let annotation = |(_, it): (Option<f64>, &ObjectiveReport)| Annotation {
            is_error,
            title: format!("{}, {}: {}", it.name, it.phase, it.verdict),
            message: it.why.clone(),
            place: objectives.place(it, report.gate),
        };
        worst.into_iter().map(annotation).collect::<Vec<_>>()
    };
    let run = report.reason.iter().map(|reason| Annotation {
        is_error: true,
        title: format!("{}: {}", report.plan.name, report.verdict),
        message: reason.clone(),
        place: None,
    });
    let missed = run.chain(of(&[Verdict::Missed], true)).take(MAX_ANNOTATIONS);
    let undecided = of(&[Verdict::Inconclusive, Verdict::NoData], false);
    missed.chain(undecided.into_iter().take(MAX_ANNOTATIONS)).collect()
}

/// A path from the root of the repository, which is not always the current folder.
fn from_workspace(path: &str) -> String {
    let workspace = WORKSPACES.into_iter().find_map(std::env::var_os);
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
        objectives: WrittenObjectives<'_>,
        folder: &Path,
    ) -> String {
        let annotations = annotations(report, objectives);
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

    /// The printed report with what the log of the system needs around it: a section, and the paths of the files.
    pub(super) fn framed(self, printed: String, report: &Report, files: &[ReportFile]) -> String {
        if self != Self::GitLab {
            return printed;
        }
        let mark = |kind: &str, at: i64| format!("\x1b[0Ksection_{kind}:{at}:load_gate\r\x1b[0K");
        let now = jiff::Timestamp::now().as_second();
        let heading = format!("{}: {}, exit code {}", report.plan.name, report.verdict, report.exit_code);
        let path = |file: &ReportFile| format!("  {}\n", from_workspace(&file.path().display().to_string()));
        let paths: String = files.iter().map(path).collect();
        let [heading, paths] = [heading, paths].map(|text| neutral(&text));
        format!("{}{heading}\n{printed}\nfiles:\n{paths}{}\n", mark("start", now), mark("end", now))
    }

    /// Appends the summary and the outputs of the step to the files that the system names. Returns the errors.
    pub(super) fn append(
        self,
        report: &Report,
        folder: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Vec<anyhow::Error> {
        if self != Self::GitHub {
            return Vec::new();
        }
        let values = outputs(report, folder).map(|(name, value)| format!("{name}={}\n", one_line(&value)));
        let texts = [
            ("GITHUB_STEP_SUMMARY", report_summary(report) + "\n", MAX_STEP_SUMMARY_BYTES),
            ("GITHUB_OUTPUT", values.concat(), u64::MAX),
        ];
        let append = |(name, text, max_bytes): (&str, String, u64)| {
            let path = variable(name).filter(|path| !path.is_empty())?;
            let appended = append_to(Path::new(&path), &text, max_bytes);
            appended.with_context(|| format!("could not append to `{path}` (`{name}`)")).err()
        };
        texts.into_iter().filter_map(append).collect()
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

fn append_to(path: &Path, text: &str, max_bytes: u64) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    let there = file.metadata()?.len();
    let whole = there + text.len() as u64;
    ensure!(whole <= max_bytes, "it holds {there} bytes and would be larger than {max_bytes}");
    Ok(file.write_all(text.as_bytes())?)
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
    use crate::app::conclusion::{JudgedBy, RecordedRun};
    use crate::app::stored_run::{self, StoredRun};
    use crate::diagnostic::Span;
    use crate::plan::{ThresholdsFile, Tier};

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

    /// The annotations of the stored run, judged at a tier by the objectives of a threshold file. `change` sets the
    /// verdicts and values of its first phase; those of other phases are left out.
    fn annotated(text: &str, tier: Tier, change: impl Fn(&mut ObjectiveReport)) -> Vec<Annotation> {
        let mut problems = Problems::default();
        let file = problems.add_source("t.toml", text);
        let span = Span { file, start: 0, end: 0 };
        let files = [ThresholdsFile { file, span, only: None, gated: true }];
        let journal = stored_run::open(Path::new("tests/journals/version-4.2")).unwrap();
        let stored = journal.fold(Some(tier.into()), Some(&files), &mut problems).unwrap();
        let StoredRun { run, start, fold } = stored.unwrap_or_else(|| panic!("{:?}", problems.all()));
        let judged_by = JudgedBy::OtherObjectives;
        let recorded = RecordedRun { run: &run, start: &start, fold: &fold, judged_by };
        let mut report = recorded.report(&recorded.conclude()).report;
        report.objectives.retain(|it| it.phase == "steady");
        report.objectives.iter_mut().for_each(change);
        annotations(&report, WrittenObjectives { all: &run.objectives.all, problems: &problems })
    }

    #[test]
    fn an_annotation_is_at_the_limit_that_decided() {
        let text = r#"
[[throughput]]
name = "Rate"
scenarios = ["*"]
minimum = "1/s"
target = "3/s"
[[error_rate]]
name = "Failed"
operations = ["*"]
each = true
acceptable = "2%"
maximum = "3%"
[[resource]]
name = "Restarts"
metric = "restarts"
host = "target-process"
statistic = "max"
maximum = 0
[[drift]]
name = "Growth"
metric = "process_memory"
host = "target-process"
gate = false
max_growth = "5%"
[[drift]]
name = "Slowdown"
metric = "response_time"
operations = ["*"]
gate = false
max_ratio = 1.1
[[outage]]
name = "Outage"
maximum = "2s"
target = "1s"
"#;
        let lines = |tier| {
            // A drift cannot be judged in a run this short.
            let missed = |it: &mut ObjectiveReport| (it.verdict, it.gated) = (Verdict::Missed, true);
            let all = annotated(text, tier, missed).into_iter();
            let mut found: Vec<_> = all
                .map(|it| (it.place.unwrap().1, it.title.split([',', ':']).next().unwrap().to_owned()))
                .collect();
            found.sort();
            found.into_iter().map(|(line, name)| format!("{name} {line}")).collect::<Vec<_>>().join(", ")
        };
        let others = "Restarts 18, Growth 24, Slowdown 30";
        assert_eq!(lines(Tier::Maximum), format!("Rate 5, Failed 12, {others}, Outage 33"));
        // A tier without a limit is judged at the next looser one.
        assert_eq!(lines(Tier::Acceptable), format!("Rate 5, Failed 11, {others}, Outage 33"));
        assert_eq!(lines(Tier::Target), format!("Rate 6, Failed 11, {others}, Outage 34"));
    }

    #[test]
    fn the_worst_ten_of_each_kind_are_annotated() {
        let objective = |kind: &str, name: &str, limit: &str| {
            let of = if kind == "throughput" { "scenarios" } else { "operations" };
            format!("[[{kind}]]\nname = \"{name}\"\n{of} = [\"*\"]\n{limit}\n")
        };
        let mut text: String = (1..=11)
            .map(|index| objective("error_rate", &format!("e{index}"), "maximum = \"10%\""))
            .collect();
        text += &objective("throughput", "slow", "minimum = \"10/s\"");
        text += &objective("throughput", "none", "minimum = \"10/s\"");
        let titles = |verdict: fn(&str) -> Verdict| {
            let all = annotated(&text, Tier::Maximum, |it| {
                it.verdict = verdict(&it.name);
                it.observed = match it.name.as_str() {
                    // As far beyond the limit as 25 %.
                    "slow" => Some(4.0),
                    "none" => None,
                    name => Some(15.0 + name[1..].parse::<f64>().unwrap()),
                };
            });
            all.into_iter().map(|it| (it.is_error, it.title)).collect::<Vec<_>>()
        };
        let of = |is_error: bool, names: &str, verdict: &str| -> Vec<(bool, String)> {
            names.split(' ').map(|name| (is_error, format!("{name}, steady: {verdict}"))).collect()
        };
        let worst = "e11 slow e10 e9 e8 e7 e6 e5 e4 e3";
        let missed = of(true, worst, "missed");
        assert_eq!(titles(|_| Verdict::Missed), missed);
        assert_eq!(titles(|_| Verdict::Inconclusive), of(false, worst, "inconclusive"));
        // Each kind has its own ten, and an objective without a value is the last.
        let mixed = titles(|name| match name {
            "e1" => Verdict::Inconclusive,
            "none" => Verdict::NoData,
            _ => Verdict::Missed,
        });
        let undecided = [of(false, "e1", "inconclusive"), of(false, "none", "no data")].concat();
        assert_eq!(mixed, [missed, undecided].concat());
    }

    #[test]
    fn a_summary_that_does_not_fit_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        std::fs::write(&path, "12345").unwrap();
        let said = append_to(&path, "6789", 8).unwrap_err().to_string();
        assert_eq!(said, "it holds 5 bytes and would be larger than 8");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "12345");
        append_to(&path, "678", 8).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "12345678");
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
