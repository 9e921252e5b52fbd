//! Compiles threshold files against a plan: selects, checks and expands objectives, and collects their indicators.

use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::{Spanned, parse, read_root};
use crate::measure::indicator::{Indicator, Intervals};
use crate::plan::model::{Host, HostId, Monitor, OperationId, Phase, PhaseId, Plan};
use crate::plan::{GateTier, Names, ThresholdsFile};
use crate::resources::metric::Metric;
use crate::resources::source::Source;
use crate::slo::definition::{ObjectiveDefinition, Selector, Subject, read_definitions};
use crate::slo::document::ThresholdsDocument;
use crate::slo::objective::{
    Change, DriftObjective, EveryInterval, Family, HostObjective, JudgedHost, Objective, ObjectiveKind,
    RequestObjective, TargetPart,
};

/// The objectives of a plan and the indicators that they need.
#[derive(Debug, Default)]
pub struct Objectives {
    /// One entry for each objective and phase in which it applies.
    pub all: Vec<Objective>,
    /// The distinct indicators of all objectives.
    pub indicators: Vec<Indicator>,
}

impl Objectives {
    /// Finds the target's own part of each judged host, once the plan has all of its hosts.
    pub fn find_target_parts(&mut self, monitor: &Monitor) {
        for objective in &mut self.all {
            if let Family::Host(HostObjective { host, .. }) = &mut objective.family {
                host.target = target_part(monitor, host.id);
            }
        }
    }

    /// Shortens the intervals of objectives for a rehearsal, each by the factor of its phase.
    pub fn shrink(&mut self, factor: impl Fn(PhaseId) -> f64) {
        let shorter = |every: u32, phase| (f64::from(every) * factor(phase)).round().max(1.0) as u32;
        for objective in &mut self.all {
            let phase = objective.phase;
            let shrink = |it: EveryInterval| EveryInterval { every: shorter(it.every, phase), ..it };
            objective.family.set_interval(shrink);
        }
        for indicator in &mut self.indicators {
            let phase = indicator.phase;
            indicator.intervals = indicator
                .intervals
                .map(|intervals| Intervals { every: shorter(intervals.every, phase), ..intervals });
        }
    }
}

/// Reads threshold files and checks them against a plan. Without a complete plan, only its names are checked.
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
        && plan.gate.tier != GateTier::NOTHING
        && !problems.has_errors()
    {
        let option = files.first().filter(|file| problems.source(file.span.file).is_option);
        let (message, help) = match option {
            Some(_) => (
                "the threshold files have no gated objective, so nothing would be judged".to_owned(),
                "name files with objectives whose `gate` is not `false`, or judge with `--gate none`",
            ),
            None => (
                format!("`{}` has no gated objective, so the run would judge nothing", plan.path),
                "list threshold files with `thresholds = […]`, or set `tier = \"none\"` under `[gate]`",
            ),
        };
        problems.report(Diagnostic::new(Code::NoObjectives, message).help(help));
    }
    add_watches(&mut objectives, plan);
    objectives
}

/// The objectives of a file that the plan uses.
fn take(
    mut definitions: Vec<ObjectiveDefinition>,
    file: &ThresholdsFile,
    problems: &mut Problems,
) -> Vec<ObjectiveDefinition> {
    let has_syntax_error = problems.has_syntax_error(file.file);
    for entry in file.only.iter().flatten() {
        let known = definitions.iter().map(|definition| definition.name.value.as_str());
        // The name may be in the part of the file that could not be read.
        if has_syntax_error || known.clone().any(|name| matches_glob(&entry.value, name)) {
            continue;
        }
        let listed = known.clone().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the file has no objective `{}`", entry.value);
        let diagnostic = Diagnostic::new(Code::UnknownObjective, message)
            .at(entry.span, "matches no objective")
            .suggest(&entry.value, known);
        problems.report(diagnostic.help(format!("the objectives of the file are {listed}")));
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
    let mut known: HashMap<(&str, ObjectiveKind), Span> = HashMap::new();
    for definition in definitions {
        if let Some(first) = known.insert((&definition.name.value, definition.kind()), definition.name.span) {
            let message = format!("two objectives are named `{}`", definition.name.value);
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
        Selector::Host(..) | Selector::Target => {}
    }
    if let Some(phases) = &definition.phases {
        check_selector(phases, &names.phases, Code::UnknownPhase, "phase", &definition.name, problems);
    }
}

/// A list without any match is an error. In a list with a match, an entry without one is a warning.
#[expect(clippy::too_many_arguments, reason = "the selector, the known names and the words of the message")]
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
        let help = format!("name at least one {kind}; `\"*\"` selects all");
        problems.report(Diagnostic::new(code, message).at(objective.span, "this objective").help(help));
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
    let message = format!("`{}` can never have a sample", definition.name.value);
    let label = "no selected phase has the selected operations or scenarios";
    let help = "select operations or scenarios of these phases, or remove the objective";
    problems.report(Diagnostic::new(Code::NeverSampled, message).at(definition.name.span, label).help(help));
}

/// The compiled objectives of a definition, one for each phase in which it applies.
fn expand(definition: &ObjectiveDefinition, plan: &Plan) -> Vec<Objective> {
    let phases = plan.phases.iter().enumerate().filter(|(_, phase)| match &definition.phases {
        Some(list) => list.iter().any(|entry| matches_glob(&entry.value, &phase.name)),
        None => true,
    });
    let in_phase = phases.filter_map(|(index, phase)| {
        let objective = Objective {
            name: definition.name.value.clone(),
            phase: PhaseId(u16::try_from(index).ok()?),
            family: family(definition, plan, phase)?,
            tiers: definition.limits.tiers,
            gated: definition.gated,
            span: definition.name.span,
            limit_spans: definition.limits.spans.clone(),
        };
        Some(if definition.each { of_each(&objective, plan) } else { vec![objective] })
    });
    in_phase.flatten().collect()
}

/// An objective for each operation of an objective, named after it.
fn of_each(objective: &Objective, plan: &Plan) -> Vec<Objective> {
    let operations = objective.family.operations().iter();
    let of_one = operations.map(|operation| {
        let mut one = objective.clone();
        one.name = format!("{}: {}", objective.name, plan.operations[operation.index()]);
        one.family.select(*operation);
        one
    });
    of_one.collect()
}

/// What is judged in a phase; `None` if the definition does not apply to it.
fn family(definition: &ObjectiveDefinition, plan: &Plan, phase: &Phase) -> Option<Family> {
    let host = || {
        let Selector::Host(host, _) = &definition.selector else { return None };
        let monitor = plan.monitor.as_ref()?;
        Some(JudgedHost { id: monitor.host(&host.value)?, name: host.value.clone(), target: None })
    };
    let (interval, abort) = (definition.interval, definition.abort);
    Some(match definition.subject {
        Subject::Requests(statistic) => {
            let (operations, scenario) = selected(definition, plan, phase)?;
            let indicators = Vec::new();
            let requests = RequestObjective { statistic, operations, scenario, interval, abort, indicators };
            Family::Requests(requests)
        }
        Subject::Host(metric, of) => {
            Family::Host(HostObjective { host: host()?, metric, of, interval, abort })
        }
        Subject::Growth { metric, min_length } => {
            Family::Drift(DriftObjective { change: Change::Growth { host: host()?, metric }, min_length })
        }
        Subject::Slowdown { min_length } => {
            let (operations, _) = selected(definition, plan, phase)?;
            Family::Drift(DriftObjective {
                change: Change::Slowdown { operations, indicator: 0 },
                min_length,
            })
        }
        Subject::Outage => Family::Outage,
    })
}

/// The processes and control groups of the target on a host: those that the plan names, or else those that the run added.
fn target_part(monitor: &Monitor, id: HostId) -> Option<TargetPart> {
    let is_this_machine = |host: &Host| matches!(host.source, Source::Local(_));
    monitor.hosts.get(id.index()).filter(|host| is_this_machine(host))?;
    let is_part = |host: &Host| host.is_process_or_cgroup() && host.is_of_target();
    let of = |is_named: bool| {
        let hosts = (0..).map(HostId).zip(&monitor.hosts);
        let hosts = hosts.filter(|(_, host)| is_part(host) && host.span.is_some() == is_named);
        let hosts: Vec<HostId> = hosts.map(|(id, _)| id).collect();
        (!hosts.is_empty()).then_some(TargetPart { hosts, is_named })
    };
    of(true).or_else(|| of(false))
}

/// The operations that a definition selects in a phase, and the scenario. `None` if there are none.
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
        Selector::Host(..) | Selector::Target => None,
    }
}

/// An objective on host readings needs a host under `[monitor]` and a source that provides the metric.
fn check_host(definition: &ObjectiveDefinition, plan: &Plan, problems: &mut Problems) {
    let (Selector::Host(host, metric_span), Some(metric)) =
        (&definition.selector, definition.subject.metric())
    else {
        return;
    };
    let hosts = || plan.monitor.iter().flat_map(|monitor| &monitor.hosts).filter(|host| host.span.is_some());
    let names = || hosts().map(|host| host.name.as_str());
    let Some(found) = hosts().find(|known| known.name == host.value) else {
        let at = if host.is_written() { host.span } else { definition.name.span };
        let diagnostic =
            Diagnostic::new(Code::UnknownHost, format!("no host named `{}` in `[monitor]`", host.value));
        let diagnostic = diagnostic.at(at, "needed by this objective").suggest(&host.value, names());
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
        let message = format!("`{}` is not available from {}", metric.as_str(), found.source.description());
        let given = Metric::ALL.iter().filter(|metric| found.source.provides(**metric));
        let given = given.map(|metric| format!("`{metric}`")).collect::<Vec<_>>().join(", ");
        let mut diagnostic =
            Diagnostic::new(Code::MetricUnavailable, message).at(*metric_span, "not available");
        if let Some(span) = found.span {
            diagnostic = diagnostic.at(span, format!("the source of `{}`", found.name));
        }
        problems.report(diagnostic.help(format!("this source provides {given}")));
    }
}

fn add_watches(objectives: &mut Objectives, plan: &Plan) {
    let Objectives { all, indicators } = objectives;
    for objective in all {
        let needed = objective.needed_indicators(plan.target.timeout.duration());
        let found = needed.into_iter().map(|(tier, indicator)| {
            let known = indicators.iter().position(|other| *other == indicator);
            let index = known.unwrap_or_else(|| {
                indicators.push(indicator);
                indicators.len() - 1
            });
            (tier, index)
        });
        let found = found.collect();
        objective.set_indicators(found);
    }
}

/// Whether a name matches a pattern, in which `*` matches any text.
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
    use crate::diagnostic::Problems;
    use crate::resources::source::{DeviceFilter, ProcessSelector};

    #[test]
    fn the_part_of_the_target_is_the_one_that_the_plan_names_or_else_the_one_at_its_port() {
        let span = || Some(Span { file: Problems::default().add_source("x", ""), start: 0, end: 0 });
        let process = || Source::Process(ProcessSelector::Port(8008));
        let host = |name: &str, source, span| Host { name: name.to_owned(), source, span };
        let machine = || host("target", Source::Local(DeviceFilter::default()), span());
        let (named, other) = (host("target-kms", process(), span()), host("database", process(), span()));
        let found = || host("(target's process)", process(), None);
        let part = |hosts: Vec<Host>| {
            let monitor = Monitor { every: "10s".parse().unwrap(), hosts };
            target_part(&monitor, HostId(0)).map(|part| (part.hosts, part.is_named))
        };
        assert_eq!(part(vec![machine(), named, other.clone(), found()]), Some((vec![HostId(1)], true)));
        assert_eq!(part(vec![machine(), other.clone(), found()]), Some((vec![HostId(2)], false)));
        assert_eq!(part(vec![machine(), other.clone()]), None);
        assert_eq!(part(vec![other, found()]), None);
    }

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
