//! `check --explain`: every effective value and its source.

use serde::Serialize;

use crate::app::arguments::PlanArgs;
use crate::app::prepare::PreparedPlan;
use crate::diagnostic::Problems;
use crate::document::{EffectiveValue, Origin};
use crate::plan::{GateTier, expand_environment, split_key as split};
use crate::report::table::WIDTH;
use crate::slo;

/// An effective value and its source.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    key: String,
    value: String,
    source: ValueSource,
    /// The environment variables or the command-line option that set it.
    name: Option<String>,
    file: Option<String>,
    line: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ValueSource {
    Default,
    File,
    Environment,
    CommandLine,
}

pub(super) fn explain(prepared: &PreparedPlan, arguments: &PlanArgs) -> Vec<Explained> {
    let PreparedPlan { documents, problems, .. } = prepared;
    let Some(documents) = documents else { return Vec::new() };
    let mut values = documents.written.effective_values();
    // The plan is valid, so reading its files again finds nothing new.
    values.extend(slo::effective_values(&documents.thresholds, &mut problems.clone()));
    let mut explained: Vec<Explained> = values.into_iter().map(|value| explained(value, problems)).collect();
    leave_out_phases(&mut explained, prepared);
    for (key, value, option) in values_of_options(arguments) {
        put(&mut explained, Explained::option(key, value, option));
    }
    for value in &mut explained {
        value.value = prepared.run.plan.secrets.redact(&value.value);
    }
    explained
}

fn explained(value: EffectiveValue, problems: &Problems) -> Explained {
    let EffectiveValue { key, value, origin } = value;
    let Origin::Written(span) = origin else {
        return Explained { key, value, source: ValueSource::Default, name: None, file: None, line: None };
    };
    let source = problems.source(span.file);
    let (value, mut names) = expand_environment(&value, &|name| std::env::var(name).ok());
    if source.is_option {
        return Explained::option(&key, value, &source.name);
    }
    names.dedup();
    Explained {
        key,
        value,
        source: if names.is_empty() { ValueSource::File } else { ValueSource::Environment },
        name: (!names.is_empty()).then(|| names.join(", ")),
        file: Some(source.name.clone()),
        line: Some(problems.line(span)),
    }
}

/// Values from command-line options other than `--set`: key, value, option.
fn values_of_options(arguments: &PlanArgs) -> Vec<(&'static str, String, &'static str)> {
    let gate = arguments.gate.map(GateTier::as_str);
    let stand_in = arguments.stand_in.then(|| "the built-in target, on a free local port".to_owned());
    let phases = (!arguments.phase.is_empty()).then(|| arguments.phase.join(", "));
    let options = [
        ("seed", arguments.seed.map(|seed| seed.to_string()), "--seed"),
        ("target.url", arguments.target.clone(), "--target"),
        ("target.url", stand_in, "--stand-in"),
        ("gate.tier", gate.map(str::to_owned), "--gate"),
        ("phases", phases, "--phase"),
    ];
    options.into_iter().filter_map(|(key, value, option)| Some((key, value?, option))).collect()
}

/// Replaces the value of the same key, or inserts before the keys of the same table.
fn put(explained: &mut Vec<Explained>, value: Explained) {
    let below = |known: &Explained| {
        known
            .key
            .strip_prefix(value.key.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let at = explained.iter().position(below).unwrap_or(explained.len());
    match explained.get_mut(at) {
        Some(known) if known.key == value.key => *known = value,
        _ => explained.insert(at, value),
    }
}

/// Removes the values of phases that `--phase` leaves out.
fn leave_out_phases(explained: &mut Vec<Explained>, prepared: &PreparedPlan) {
    let runs =
        |name: &str| prepared.run.phases.iter().any(|id| prepared.run.plan.phases[id.index()].name == name);
    let others: Vec<String> = prepared.run.plan.phases.iter().map(|phase| phase.name.clone()).collect();
    for name in others.iter().filter(|name| !runs(name)) {
        let quoted = if name.contains('.') { format!("\"{name}\"") } else { name.clone() };
        explained.retain(|value| !value.key.starts_with(&format!("phases.{quoted}.")));
    }
}

impl Explained {
    fn option(key: &str, value: String, option: &str) -> Self {
        let name = Some(option.to_owned());
        Self { key: key.to_owned(), value, source: ValueSource::CommandLine, name, file: None, line: None }
    }

    /// The source as text: `default`, `FILE:LINE`, `environment NAME` or the option.
    fn from(&self) -> String {
        match (self.source, &self.name, &self.file, self.line) {
            (ValueSource::Environment, Some(name), ..) => format!("environment {name}"),
            (ValueSource::CommandLine, Some(option), ..) => option.clone(),
            (ValueSource::File, _, Some(file), Some(line)) => format!("{file}:{line}"),
            _ => "default".to_owned(),
        }
    }

    /// The table of the value, such as `target`, `phases.peak` or `users.steady`; empty for top-level keys.
    fn table(&self) -> String {
        let mut parts = split(&self.key);
        let depth = match parts[0].as_str() {
            "thresholds" | "include" => 0,
            "target" | "gate" | "lists" => 1,
            _ => 2,
        };
        parts.pop();
        parts.truncate(depth);
        parts.join(".")
    }
}

/// One line per value with its source at the right and a blank line between tables. Long values are cut.
pub(super) fn render(explained: &[Explained]) -> String {
    let mut text = String::new();
    let mut table = None;
    for value in explained {
        let of = Some(value.table());
        if of != table {
            table = of;
            text.push('\n');
        }
        let from = value.from();
        let assignment = format!("{} = {}", value.key, value.value);
        let room = usize::from(WIDTH).saturating_sub(from.chars().count() + 2);
        let fits = assignment.chars().count() <= room;
        // If a long key leaves no room for the value, the source gets its own line.
        let line = match fits || room >= value.key.chars().count() + 12 {
            true => format!("{:<room$}  {from}\n", cut(&assignment, room)),
            false => {
                format!("{}\n{from:>width$}\n", cut(&assignment, WIDTH.into()), width = usize::from(WIDTH))
            }
        };
        text.push_str(&line);
    }
    text
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
