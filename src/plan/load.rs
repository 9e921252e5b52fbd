//! Loads a plan: reads its files, applies the overrides and compiles the result.

use std::path::Path;

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::document::{Node, parse, read_root};
use crate::plan::compile;
use crate::plan::definitions::{Names, PlanDefinitions};
use crate::plan::document::{IncludeDocument, PlanDocument};
use crate::plan::effective::WrittenPlan;
use crate::plan::files::{Environment, PlanFiles, PlanInputs, ThresholdsFile};
use crate::plan::model::Plan;
use crate::plan::overrides;

/// Options of the command line that apply to the plan.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `--set KEY=VALUE`, in order.
    pub overrides: Vec<String>,
    /// `--target URL`.
    pub target: Option<String>,
    /// `--allow-outside`.
    pub allow_outside: bool,
}

/// The result of loading a plan.
#[derive(Debug)]
pub struct LoadedPlan {
    /// The plan; `None` if an error was reported.
    pub plan: Option<Plan>,
    /// Names by which objectives can select.
    pub names: Names,
    pub thresholds: Vec<ThresholdsFile>,
    /// The files as written; empty if they could not be read.
    pub written: WrittenPlan,
    /// What the plan was compiled from; empty if an error was reported.
    pub inputs: PlanInputs,
}

impl LoadedPlan {
    fn empty() -> Self {
        Self {
            plan: None,
            names: Names::default(),
            thresholds: Vec::new(),
            written: WrittenPlan::default(),
            inputs: PlanInputs::default(),
        }
    }
}

/// Reads a plan with all its files and reports every problem in them.
pub fn load(
    path: &Path,
    settings: &Settings,
    environment: &Environment<'_>,
    problems: &mut Problems,
) -> LoadedPlan {
    let mut files = PlanFiles::new(path, settings.allow_outside, environment);
    let shown = path.display().to_string();
    let file = match files.read(path, &shown) {
        Ok(text) => files.add(path, shown.clone(), text, problems),
        Err(why) => {
            let diagnostic = Diagnostic::new(Code::Unreadable, format!("could not read `{shown}`: {why}"));
            problems.report(diagnostic.help("write the path of a plan, such as `plans/daily.toml`"));
            return LoadedPlan::empty();
        }
    };
    let mut root = parse(file, problems);
    let mut included = files.includes(path, file, &root, problems);
    let broken = files.any_broken(problems);
    let unread = problems.has_errors();
    let mut roots: Vec<&mut Node> = vec![&mut root];
    roots.extend(included.iter_mut());
    overrides::apply(&settings.overrides, &mut roots, problems);
    let document: Option<PlanDocument> = read_root(&root, problems);
    let documents: Vec<IncludeDocument> =
        included.iter().filter_map(|node| read_root(node, problems)).collect();
    let Some(mut document) = document else {
        return LoadedPlan::empty();
    };
    let definitions = PlanDefinitions::gather(&mut document, documents, problems);
    let thresholds = files.thresholds(path, &document, problems);
    if broken {
        return LoadedPlan { thresholds, ..LoadedPlan::empty() };
    }
    // A file that could not be read may define the missing class or list.
    let excused: &[Code] = if unread { &[Code::UnknownClass, Code::UnknownList] } else { &[] };
    let (compiled, names) = problems.suppressing(excused, |problems| {
        compile::compile(&document, &definitions, settings.target.as_deref(), &mut files, problems)
    });
    let names = Names { complete: !unread, ..names };
    let plan = compiled.filter(|_| !problems.has_errors()).map(|plan| Plan {
        path: shown,
        digest: files.digest(),
        ..plan
    });
    included.insert(0, root);
    let inputs = plan.as_ref().map(|plan| files.inputs(&plan.secrets)).unwrap_or_default();
    LoadedPlan { plan, names, thresholds, written: WrittenPlan(included), inputs }
}
