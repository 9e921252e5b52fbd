use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::{Spanned, parse, read_root};
use crate::measure::indicator::{Indicator, Intervals};
use crate::plan::model::{HostId, OperationId, Phase, PhaseId, Plan};
use crate::plan::{GateTier, Names, ThresholdsFile};
use crate::resources::metric::Metric;
use crate::slo::definition::{ObjectiveDefinition, Selector, read_definitions};
use crate::slo::document::ThresholdsDocument;
use crate::slo::objective::{EveryInterval, Objective};

/// The objectives of a plan and what has to be counted for them.
#[derive(Debug, Default)]
pub struct Objectives {
    /// Each in each phase in which it applies.
    pub all: Vec<Objective>,
    /// What has to be counted.
    pub indicators: Vec<Indicator>,
}

impl Objectives {
    /// Shortens the windows of objectives with the phases of a rehearsal, each by its factor.
    pub fn shrink(&mut self, factor: impl Fn(PhaseId) -> f64) {
        let shorter = |every: u32, phase| (f64::from(every) * factor(phase)).round().max(1.0) as u32;
        for objective in &mut self.all {
            let phase = objective.phase;
            objective.windows = objective
                .windows
                .map(|windows| EveryInterval { every: shorter(windows.every, phase), ..windows });
        }
        for indicator in &mut self.indicators {
            let phase = indicator.phase;
            indicator.intervals = indicator
                .intervals
                .map(|intervals| Intervals { every: shorter(intervals.every, phase), ..intervals });
        }
    }
}

/// Reads threshold files and checks them against a plan, of which at least the names must be known.
pub fn load(
    files: &[ThresholdsFile],
    names: &Names,
    plan: Option<&Plan>,
    problems: &mut Problems,
) -> Objectives {
    let mut definitions = Vec::new();
    for file in files {
        let node = parse(file.file, problems);
        if let Some(document) = read_root::<ThresholdsDocument>(&node, problems) {
            let mut of_file = Vec::new();
            read_definitions(document, &mut of_file, problems);
            definitions.extend(take(of_file, file, problems));
        }
    }
    unique_names(&definitions, problems);
    for definition in definitions.iter().filter(|_| names.complete) {
        check_selectors(definition, names, problems);
    }
    let Some(plan) = plan.filter(|_| !problems.has_errors()) else { return Objectives::default() };
    let mut objectives = Objectives::default();
    for definition in &definitions {
        check_host(definition, plan, problems);
        let before = objectives.all.len();
        objectives.all.extend(expand(definition, plan));
        if objectives.all.len() == before && !matches!(definition.selector, Selector::Host(..)) {
            report_never_sampled(definition, problems);
        }
    }
    if !objectives.all.iter().any(|objective| objective.gated)
        && plan.gate.tier != GateTier::Nothing
        && !problems.has_errors()
    {
        let message = format!("`{}` has no gated objective: nothing would be judged", plan.path);
        let help = "name threshold files with `thresholds = […]`, or say `tier = \"none\"` under `[gate]`";
        problems.report(Diagnostic::new(Code::NoObjectives, message).help(help));
    }
    add_watches(&mut objectives, plan);
    objectives
}

/// What a plan takes of the objectives of a file.
fn take(
    mut definitions: Vec<ObjectiveDefinition>,
    file: &ThresholdsFile,
    problems: &mut Problems,
) -> Vec<ObjectiveDefinition> {
    let has_syntax_error = problems.has_syntax_error(file.file);
    for entry in file.only.iter().flatten() {
        let known = definitions.iter().map(|definition| definition.name.value.as_str());
        // What is in a part of the file that could not be read is not unknown.
        if has_syntax_error || known.clone().any(|name| matches_glob(&entry.value, name)) {
            continue;
        }
        let listed = known.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the file has no objective `{}`", entry.value);
        let diagnostic = Diagnostic::new(Code::UnknownObjective, message)
            .at(entry.span, "names nothing")
            .suggest(&entry.value, known);
        problems.report(diagnostic.help(format!("its objectives are {listed}")));
    }
    let taken = |definition: &ObjectiveDefinition| {
        file.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|entry| matches_glob(&entry.value, &definition.name.value)))
    };
    definitions.retain(taken);
    definitions.iter_mut().for_each(|definition| definition.gated &= file.gated);
    definitions
}

fn unique_names(definitions: &[ObjectiveDefinition], problems: &mut Problems) {
    let mut known: HashMap<(&str, &str), Span> = HashMap::new();
    for definition in definitions {
        if let Some(first) =
            known.insert((&definition.name.value, definition.statistic.kind()), definition.name.span)
        {
            let message = format!("two objectives are called `{}`", definition.name.value);
            let diagnostic = Diagnostic::new(Code::DefinedTwice, message)
                .at(definition.name.span, "again here")
                .at(first, "first here");
            problems.report(diagnostic.help("rename one of them"));
        }
    }
}

fn check_selectors(definition: &ObjectiveDefinition, names: &Names, problems: &mut Problems) {
    match &definition.selector {
        Selector::Operations(list) => {
            check_selector(
                list,
                &names.operations,
                Code::UnknownOperation,
                "operation",
                &definition.name,
                problems,
            );
        }
        Selector::Scenarios(list) => {
            check_selector(
                list,
                &names.scenarios,
                Code::UnknownPhase,
                "scenario",
                &definition.name,
                problems,
            );
        }
        Selector::Host(..) => {}
    }
    if let Some(phases) = &definition.phases {
        check_selector(phases, &names.phases, Code::UnknownPhase, "phase", &definition.name, problems);
    }
}

/// A selector must match something; an entry of one that does need not, which is told.
#[expect(clippy::too_many_arguments, reason = "what is selected, from what, and how to speak of it")]
fn check_selector(
    list: &[Spanned<String>],
    known: &[String],
    code: Code,
    kind: &str,
    objective: &Spanned<String>,
    problems: &mut Problems,
) {
    let matches = |entry: &Spanned<String>| known.iter().any(|name| matches_glob(&entry.value, name));
    let any = list.iter().any(matches);
    if list.is_empty() {
        let message = format!("`{}` selects no {kind}", objective.value);
        let help = format!("name at least one {kind}; `\"*\"` is all of them");
        problems.report(Diagnostic::new(code, message).at(objective.span, "of this objective").help(help));
    }
    for entry in list.iter().filter(|entry| !matches(entry)) {
        let label = match kind {
            "operation" => "no task of the plan has this operation".to_owned(),
            other => format!("the plan has no such {other}"),
        };
        let code = if any { Code::MatchesNothing } else { code };
        let diagnostic =
            Diagnostic::new(code, format!("unknown {kind} `{}`", entry.value)).at(entry.span, label);
        let diagnostic = diagnostic.suggest(&entry.value, known.iter().map(String::as_str));
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        problems.report(diagnostic.help(format!("the plan's {kind}s are {list}")));
    }
}

fn report_never_sampled(definition: &ObjectiveDefinition, problems: &mut Problems) {
    let message = format!("`{}` can never see a sample", definition.name.value);
    let label = "no phase it selects performs what it selects";
    let help = "select operations or scenarios of these phases, or take the objective out";
    problems.report(Diagnostic::new(Code::NeverSampled, message).at(definition.name.span, label).help(help));
}

/// The objective in each phase in which it applies.
fn expand(definition: &ObjectiveDefinition, plan: &Plan) -> Vec<Objective> {
    let phases = plan.phases.iter().enumerate().filter(|(_, phase)| match &definition.phases {
        Some(list) => list.iter().any(|entry| matches_glob(&entry.value, &phase.name)),
        None => true,
    });
    let in_phase = phases.filter_map(|(index, phase)| {
        let (operations, scenario) = selected(definition, plan, phase)?;
        let host = definition_host(definition, plan);
        Some(Objective {
            name: definition.name.value.clone(),
            phase: PhaseId(u16::try_from(index).ok()?),
            operations,
            scenario,
            host,
            statistic: definition.statistic,
            tiers: definition.tiers,
            gated: definition.gated,
            windows: definition.windows,
            abort: definition.abort,
            span: definition.name.span,
            indicators: Vec::new(),
        })
    });
    in_phase.collect()
}

fn selected(
    definition: &ObjectiveDefinition,
    plan: &Plan,
    phase: &Phase,
) -> Option<(Vec<OperationId>, Option<String>)> {
    let all = plan.operations_of(phase);
    match &definition.selector {
        Selector::Operations(list) => {
            let matches = |id: &OperationId| {
                list.iter().any(|entry| matches_glob(&entry.value, &plan.operations[id.index()]))
            };
            let operations: Vec<OperationId> = all.into_iter().filter(matches).collect();
            (!operations.is_empty()).then_some((operations, None))
        }
        Selector::Scenarios(list) => {
            let found = list.iter().any(|entry| matches_glob(&entry.value, &phase.scenario));
            found.then(|| (all, Some(phase.scenario.clone())))
        }
        Selector::Host(..) => definition_host(definition, plan).map(|_| (Vec::new(), None)),
    }
}

fn definition_host(definition: &ObjectiveDefinition, plan: &Plan) -> Option<(HostId, String)> {
    let Selector::Host(host, _) = &definition.selector else { return None };
    Some((plan.monitor.as_ref()?.host(&host.value)?, host.value.clone()))
}

/// What is read of a host needs a host that is looked at, and a source that can give it.
fn check_host(definition: &ObjectiveDefinition, plan: &Plan, problems: &mut Problems) {
    let (Selector::Host(host, metric_span), Some(metric)) =
        (&definition.selector, definition.statistic.metric())
    else {
        return;
    };
    let hosts = || plan.monitor.iter().flat_map(|monitor| &monitor.hosts).filter(|host| host.span.is_some());
    let names = || hosts().map(|host| host.name.as_str());
    let Some(found) = hosts().find(|known| known.name == host.value) else {
        let at = if host.is_written() { host.span } else { definition.name.span };
        let diagnostic =
            Diagnostic::new(Code::UnknownHost, format!("the plan looks at no host `{}`", host.value));
        let diagnostic = diagnostic.at(at, "for this objective").suggest(&host.value, names());
        let help = match names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ").as_str() {
            "" => format!(
                "add `[monitor]` to the plan, with `hosts = {{ {} = \"local\" }}` or another source",
                host.value
            ),
            listed => format!("the hosts under `[monitor]` are {listed}"),
        };
        return problems.report(diagnostic.help(help));
    };
    if !found.source.provides(metric) {
        let message = format!("`{}` cannot be had from {}", metric.as_str(), found.source.description());
        let given = Metric::ALL.iter().filter(|(_, metric)| found.source.provides(*metric));
        let given = given.map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let mut diagnostic = Diagnostic::new(Code::MetricUnavailable, message).at(*metric_span, "not given");
        if let Some(span) = found.span {
            diagnostic = diagnostic.at(span, format!("the source of `{}`", found.name));
        }
        problems.report(diagnostic.help(format!("it gives {given}")));
    }
}

fn add_watches(objectives: &mut Objectives, plan: &Plan) {
    let Objectives { all, indicators } = objectives;
    for objective in all {
        for (tier, limit) in objective.tiers.all() {
            let Some(indicator) = objective.indicator(limit, plan.target.timeout.duration()) else {
                continue;
            };
            let known = indicators.iter().position(|other| *other == indicator).unwrap_or_else(|| {
                indicators.push(indicator);
                indicators.len() - 1
            });
            objective.indicators.push((tier, known));
        }
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
pub(super) fn matches_glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "GET /a/b"),
            ("search", "search"),
            ("GET *", "GET /a/b"),
            ("*a*b*", "xaxxbx"),
            ("a*a", "aa"),
        ] {
            assert!(matches_glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("search", "search2"), ("a*a", "a"), ("GET *", "POST /"), ("*a*b*", "ba"), ("", "x")]
        {
            assert!(!matches_glob(pattern, name), "{pattern} {name}");
        }
    }
}
