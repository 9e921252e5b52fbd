use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Problems, Span};
use crate::document::{Spanned, parse, read_root};
use crate::measure::watch::{Watch, Windows};
use crate::plan::model::{OperationId, Phase, PhaseId, Plan};
use crate::plan::{GateTier, Names, ThresholdsFile};
use crate::slo::document::{ErrorRateDocument, ResponseTimeDocument, ThresholdsDocument, ThroughputDocument};
use crate::slo::objective::{EveryWindow, Objective, Statistic, Tiers};
use crate::units::{Share, TimeSpan};

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

/// An objective as it was written, its limits and selectors checked.
struct Draft {
    name: Spanned<String>,
    statistic: Statistic,
    tiers: Tiers,
    select: Select,
    phases: Option<Vec<Spanned<String>>>,
    gated: bool,
    windows: Option<EveryWindow>,
}

/// What an objective applies to.
enum Select {
    Operations(Vec<Spanned<String>>),
    Scenarios(Vec<Spanned<String>>),
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
        let before = objectives.all.len();
        objectives.all.extend(expand(draft, plan));
        if objectives.all.len() == before {
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

/// The windows that are judged each, where `every` says so.
fn windows(
    every: Option<&Spanned<TimeSpan>>,
    allow: Option<&Spanned<Share>>,
    problems: &mut Problems,
) -> Option<EveryWindow> {
    let Some(every) = every else {
        if let Some(allow) = allow {
            let diagnostic =
                Diagnostic::new(Code::ExactlyOne, "`allow` needs `every`").at(allow.span, "here");
            problems.report(diagnostic.help("say how long the windows are: `every = \"1m\"`"));
        }
        return None;
    };
    let seconds = every.value.seconds();
    if seconds < 1.0 || seconds.fract() != 0.0 || seconds > 366.0 * 86_400.0 {
        let message = format!("windows cannot have `{}`", every.value);
        let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(every.span, "here");
        problems.report(diagnostic.help("write whole seconds: \"1s\" or longer"));
    }
    Some(EveryWindow { every: seconds as u32, allow: allow.map_or(0.0, |allow| allow.value.fraction()) })
}

fn read_drafts(document: ThresholdsDocument, drafts: &mut Vec<Draft>, problems: &mut Problems) {
    let ThresholdsDocument { response_time, throughput, error_rate } = document;
    let items = response_time.into_iter().flat_map(|items| items.value);
    drafts.extend(items.filter_map(|item| response_time_draft(item.value, problems)));
    let items = throughput.into_iter().flat_map(|items| items.value);
    drafts.extend(items.filter_map(|item| throughput_draft(item.value, problems)));
    let items = error_rate.into_iter().flat_map(|items| items.value);
    drafts.extend(items.filter_map(|item| error_rate_draft(item.value, problems)));
}

fn response_time_draft(document: ResponseTimeDocument, problems: &mut Problems) -> Option<Draft> {
    let ResponseTimeDocument {
        name,
        operations,
        statistic,
        target,
        acceptable,
        maximum,
        phases,
        gate,
        every,
        allow,
    } = document;
    let statistic = match statistic {
        Some(written) => read_statistic(&written, problems)?,
        None => Statistic::Quantile(0.95),
    };
    let ms = |span: TimeSpan| span.seconds() * 1000.0;
    let written = [
        target.map(|limit| Spanned::new(ms(limit.value), limit.span)),
        acceptable.map(|limit| Spanned::new(ms(limit.value), limit.span)),
        maximum.map(|limit| Spanned::new(ms(limit.value), limit.span)),
    ];
    Some(Draft {
        tiers: tiers(statistic, &written, problems)?,
        name: name?,
        statistic,
        select: Select::Operations(operations?.value),
        phases: phases.map(|phases| phases.value),
        gated: gate.is_none_or(|gate| gate.value),
        windows: windows(every.as_ref(), allow.as_ref(), problems),
    })
}

fn throughput_draft(document: ThroughputDocument, problems: &mut Problems) -> Option<Draft> {
    let ThroughputDocument { name, scenarios, target, acceptable, minimum, phases, gate, every, allow } =
        document;
    let written = [target, acceptable, minimum]
        .map(|limit| limit.map(|limit| Spanned::new(limit.value.per_second(), limit.span)));
    Some(Draft {
        tiers: tiers(Statistic::Throughput, &written, problems)?,
        name: name?,
        statistic: Statistic::Throughput,
        select: Select::Scenarios(scenarios?.value),
        phases: phases.map(|phases| phases.value),
        gated: gate.is_none_or(|gate| gate.value),
        windows: windows(every.as_ref(), allow.as_ref(), problems),
    })
}

fn error_rate_draft(document: ErrorRateDocument, problems: &mut Problems) -> Option<Draft> {
    let ErrorRateDocument { name, operations, target, acceptable, maximum, phases, gate, every, allow } =
        document;
    let written = [target, acceptable, maximum]
        .map(|limit| limit.map(|limit| Spanned::new(limit.value.percent(), limit.span)));
    Some(Draft {
        tiers: tiers(Statistic::ErrorRate, &written, problems)?,
        name: name?,
        statistic: Statistic::ErrorRate,
        select: Select::Operations(operations?.value),
        phases: phases.map(|phases| phases.value),
        gated: gate.is_none_or(|gate| gate.value),
        windows: windows(every.as_ref(), allow.as_ref(), problems),
    })
}

fn read_statistic(written: &Spanned<String>, problems: &mut Problems) -> Option<Statistic> {
    let percentile = written.value.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
    let read = match (written.value.as_str(), percentile) {
        ("mean", _) => Some(Statistic::Mean),
        ("max", _) => Some(Statistic::Max),
        (_, Some(percent)) if (50.0..=99.9).contains(&percent) => Some(Statistic::Quantile(percent / 100.0)),
        _ => None,
    };
    if read.is_none() {
        let diagnostic = Diagnostic::new(Code::OutOfRange, format!("unknown statistic `{}`", written.value))
            .at(written.span, "here")
            .suggest(&written.value, ["mean", "max", "p50", "p90", "p95", "p99", "p99.9"]);
        problems.report(diagnostic.help("write `mean`, `max` or a percentile from `p50` to `p99.9`"));
    }
    read
}

/// The limits, best first, checked to be above zero and in order.
fn tiers(
    statistic: Statistic,
    written: &[Option<Spanned<f64>>; 3],
    problems: &mut Problems,
) -> Option<Tiers> {
    let names = match statistic {
        Statistic::Throughput => ["target", "acceptable", "minimum"],
        _ => ["target", "acceptable", "maximum"],
    };
    let mut stricter: Option<(&str, &Spanned<f64>)> = None;
    let mut in_order = true;
    for (name, limit) in names.into_iter().zip(written) {
        let Some(limit) = limit else { continue };
        if limit.value <= 0.0 {
            let message = format!("`{name}` cannot be 0");
            let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(limit.span, "here");
            problems.report(diagnostic.help("a limit is above 0"));
            in_order = false;
        }
        if let Some((before, first)) = stricter
            && !statistic.bound(first.value).allows(limit.value)
        {
            let message = format!("`{before}` is looser than `{name}`");
            let order = match statistic {
                Statistic::Throughput => "target ≥ acceptable ≥ minimum",
                _ => "target ≤ acceptable ≤ maximum",
            };
            let diagnostic = Diagnostic::new(Code::Tiers, message)
                .at(limit.span, format!("stricter than `{before}`"))
                .at(first.span, format!("`{before}` is here"));
            problems.report(diagnostic.help(format!("the order is {order}")));
            in_order = false;
        }
        stricter = Some((name, limit));
    }
    let value = |index: usize| written[index].as_ref().map(|limit| limit.value);
    let last = value(2).filter(|_| in_order)?;
    Some(Tiers { target: value(0), acceptable: value(1), last })
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
        Some(Objective {
            name: draft.name.value.clone(),
            phase: PhaseId(u16::try_from(index).ok()?),
            operations,
            scenario,
            statistic: draft.statistic,
            tiers: draft.tiers,
            gated: draft.gated,
            windows: draft.windows,
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
    }
}

fn add_watches(objectives: &mut Objectives, plan: &Plan) {
    let Objectives { all, watches } = objectives;
    for objective in all {
        for (tier, limit) in objective.tiers.all() {
            let watch = objective.watch(limit, plan.target.timeout.duration());
            let known = watches.iter().position(|other| *other == watch).unwrap_or_else(|| {
                watches.push(watch);
                watches.len() - 1
            });
            objective.watches.push((tier, known));
        }
    }
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn glob(pattern: &str, name: &str) -> bool {
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
