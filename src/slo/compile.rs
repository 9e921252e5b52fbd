use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::{Spanned, parse, read_root};
use crate::measure::watch::{Watch, Windows};
use crate::plan::model::{HostId, OperationId, Phase, PhaseId, Plan};
use crate::plan::{GateTier, Names, ThresholdsFile};
use crate::resources::metric::Metric;
use crate::slo::document::ThresholdsDocument;
use crate::slo::draft::{Draft, Select, read_drafts};
use crate::slo::objective::{EveryWindow, Objective};

/// The objectives of a plan and what has to be counted for them.
#[derive(Debug, Default)]
pub struct Objectives {
    /// Each in each phase in which it applies.
    pub all: Vec<Objective>,
    /// What has to be counted.
    pub watches: Vec<Watch>,
}

impl Objectives {
    /// Shortens the windows of objectives with the phases of a rehearsal, each by its factor.
    pub fn shrink(&mut self, factor: impl Fn(PhaseId) -> f64) {
        let shorter = |every: u32, phase| (f64::from(every) * factor(phase)).round().max(1.0) as u32;
        for objective in &mut self.all {
            let phase = objective.phase;
            objective.windows = objective
                .windows
                .map(|windows| EveryWindow { every: shorter(windows.every, phase), ..windows });
        }
        for watch in &mut self.watches {
            let phase = watch.phase;
            watch.windows =
                watch.windows.map(|windows| Windows { every: shorter(windows.every, phase), ..windows });
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
    let mut drafts = Vec::new();
    for file in files {
        let node = parse(file.file, problems);
        if let Some(document) = read_root::<ThresholdsDocument>(&node, problems) {
            let mut of_file = Vec::new();
            read_drafts(document, &mut of_file, problems);
            drafts.extend(take(of_file, file, problems));
        }
    }
    unique_names(&drafts, problems);
    for draft in drafts.iter().filter(|_| names.complete) {
        check_selectors(draft, names, problems);
    }
    let Some(plan) = plan.filter(|_| !problems.refused()) else { return Objectives::default() };
    let mut objectives = Objectives::default();
    for draft in &drafts {
        check_host(draft, plan, problems);
        let before = objectives.all.len();
        objectives.all.extend(expand(draft, plan));
        if objectives.all.len() == before && !matches!(draft.select, Select::Host(..)) {
            report_never_sampled(draft, problems);
        }
    }
    if !objectives.all.iter().any(|objective| objective.gated)
        && plan.gate.tier != GateTier::Nothing
        && !problems.refused()
    {
        let message = format!("`{}` has no gated objective: nothing would be judged", plan.path);
        let help = "name threshold files with `thresholds = […]`, or say `tier = \"none\"` under `[gate]`";
        problems.report(Diagnostic::new(Code::NoObjectives, message).help(help));
    }
    add_watches(&mut objectives, plan);
    objectives
}

/// What a plan takes of the objectives of a file.
fn take(mut drafts: Vec<Draft>, file: &ThresholdsFile, problems: &mut Problems) -> Vec<Draft> {
    let broken = problems.broken(file.file);
    for entry in file.only.iter().flatten() {
        let known = drafts.iter().map(|draft| draft.name.value.as_str());
        // What is in a part of the file that could not be read is not unknown.
        if broken || known.clone().any(|name| glob(&entry.value, name)) {
            continue;
        }
        let listed = known.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the file has no objective `{}`", entry.value);
        let diagnostic = Diagnostic::new(Code::UnknownObjective, message)
            .at(entry.span, "names nothing")
            .suggest(&entry.value, known);
        problems.report(diagnostic.help(format!("its objectives are {listed}")));
    }
    let taken = |draft: &Draft| {
        file.only.as_ref().is_none_or(|only| only.iter().any(|entry| glob(&entry.value, &draft.name.value)))
    };
    drafts.retain(taken);
    drafts.iter_mut().for_each(|draft| draft.gated &= file.gated);
    drafts
}

fn unique_names(drafts: &[Draft], problems: &mut Problems) {
    let mut known: HashMap<(&str, &str), Span> = HashMap::new();
    for draft in drafts {
        if let Some(first) = known.insert((&draft.name.value, draft.statistic.kind()), draft.name.span) {
            let message = format!("two objectives are called `{}`", draft.name.value);
            let diagnostic = Diagnostic::new(Code::DefinedTwice, message)
                .at(draft.name.span, "again here")
                .at(first, "first here");
            problems.report(diagnostic.help("rename one of them"));
        }
    }
}

fn check_selectors(draft: &Draft, names: &Names, problems: &mut Problems) {
    match &draft.select {
        Select::Operations(list) => {
            check_selector(
                list,
                &names.operations,
                Code::UnknownOperation,
                "operation",
                &draft.name,
                problems,
            );
        }
        Select::Scenarios(list) => {
            check_selector(list, &names.scenarios, Code::UnknownPhase, "scenario", &draft.name, problems);
        }
        Select::Host(..) => {}
    }
    if let Some(phases) = &draft.phases {
        check_selector(phases, &names.phases, Code::UnknownPhase, "phase", &draft.name, problems);
    }
}

/// A selector must match something; an entry of one that does need not, which is told.
#[expect(clippy::too_many_arguments, reason = "what is selected, from what, and how to speak of it")]
fn check_selector(
    list: &[Spanned<String>],
    known: &[String],
    code: Code,
    what: &str,
    objective: &Spanned<String>,
    problems: &mut Problems,
) {
    let matches = |entry: &Spanned<String>| known.iter().any(|name| glob(&entry.value, name));
    let any = list.iter().any(matches);
    if list.is_empty() {
        let message = format!("`{}` selects no {what}", objective.value);
        let help = format!("name at least one {what}; `\"*\"` is all of them");
        problems.report(Diagnostic::new(code, message).at(objective.span, "of this objective").help(help));
    }
    for entry in list.iter().filter(|entry| !matches(entry)) {
        let label = match what {
            "operation" => "no task of the plan has this operation".to_owned(),
            other => format!("the plan has no such {other}"),
        };
        let code = if any { Code::MatchesNothing } else { code };
        let diagnostic =
            Diagnostic::new(code, format!("unknown {what} `{}`", entry.value)).at(entry.span, label);
        let diagnostic = diagnostic.suggest(&entry.value, known.iter().map(String::as_str));
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        problems.report(diagnostic.help(format!("the plan's {what}s are {list}")));
    }
}

fn report_never_sampled(draft: &Draft, problems: &mut Problems) {
    let message = format!("`{}` can never see a sample", draft.name.value);
    let label = "no phase it selects performs what it selects";
    let help = "select operations or scenarios of these phases, or take the objective out";
    problems.report(Diagnostic::new(Code::NeverSampled, message).at(draft.name.span, label).help(help));
}

/// The objective in each phase in which it applies.
fn expand(draft: &Draft, plan: &Plan) -> Vec<Objective> {
    let phases = plan.phases.iter().enumerate().filter(|(_, phase)| match &draft.phases {
        Some(list) => list.iter().any(|entry| glob(&entry.value, &phase.name)),
        None => true,
    });
    let in_phase = phases.filter_map(|(index, phase)| {
        let (operations, scenario) = selected(draft, plan, phase)?;
        let host = draft_host(draft, plan);
        Some(Objective {
            name: draft.name.value.clone(),
            phase: PhaseId(u16::try_from(index).ok()?),
            operations,
            scenario,
            host,
            statistic: draft.statistic,
            tiers: draft.tiers,
            gated: draft.gated,
            windows: draft.windows,
            abort: draft.abort,
            span: draft.name.span,
            watches: Vec::new(),
        })
    });
    in_phase.collect()
}

fn selected(draft: &Draft, plan: &Plan, phase: &Phase) -> Option<(Vec<OperationId>, Option<String>)> {
    let all = plan.operations_of(phase);
    match &draft.select {
        Select::Operations(list) => {
            let matches =
                |id: &OperationId| list.iter().any(|entry| glob(&entry.value, &plan.operations[id.index()]));
            let operations: Vec<OperationId> = all.into_iter().filter(matches).collect();
            (!operations.is_empty()).then_some((operations, None))
        }
        Select::Scenarios(list) => {
            let found = list.iter().any(|entry| glob(&entry.value, &phase.scenario));
            found.then(|| (all, Some(phase.scenario.clone())))
        }
        Select::Host(..) => draft_host(draft, plan).map(|_| (Vec::new(), None)),
    }
}

fn draft_host(draft: &Draft, plan: &Plan) -> Option<(HostId, String)> {
    let Select::Host(host, _) = &draft.select else { return None };
    Some((plan.monitor.as_ref()?.host(&host.value)?, host.value.clone()))
}

/// What is read of a host needs a host that is looked at, and a source that can give it.
fn check_host(draft: &Draft, plan: &Plan, problems: &mut Problems) {
    let (Select::Host(host, metric_span), Some(metric)) = (&draft.select, draft.statistic.metric()) else {
        return;
    };
    let hosts = || plan.monitor.iter().flat_map(|monitor| &monitor.hosts).filter(|host| host.span.is_some());
    let names = || hosts().map(|host| host.name.as_str());
    let Some(found) = hosts().find(|known| known.name == host.value) else {
        let at = if host.is_written() { host.span } else { draft.name.span };
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
    if !found.source.gives(metric) {
        let message = format!("`{}` cannot be had from {}", metric.word(), found.source.told());
        let given = Metric::ALL.iter().filter(|(_, metric)| found.source.gives(*metric));
        let given = given.map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let mut diagnostic = Diagnostic::new(Code::NotGiven, message).at(*metric_span, "not given");
        if let Some(span) = found.span {
            diagnostic = diagnostic.at(span, format!("the source of `{}`", found.name));
        }
        problems.report(diagnostic.help(format!("it gives {given}")));
    }
}

fn add_watches(objectives: &mut Objectives, plan: &Plan) {
    let Objectives { all, watches } = objectives;
    for objective in all {
        for (tier, limit) in objective.tiers.all() {
            let Some(watch) = objective.watch(limit, plan.target.timeout.duration()) else { continue };
            let known = watches.iter().position(|other| *other == watch).unwrap_or_else(|| {
                watches.push(watch);
                watches.len() - 1
            });
            objective.watches.push((tier, known));
        }
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
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
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("search", "search2"), ("a*a", "a"), ("GET *", "POST /"), ("*a*b*", "ba"), ("", "x")]
        {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }
}
