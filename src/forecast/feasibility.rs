//! Checks the feasibility of a plan: objectives that can never be met or decided, and phases with too few users.

use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::forecast::decidability::min_provable_share;
use crate::forecast::{Decidability, PhaseForecast, SampleSize, SampleUnit};
use crate::plan::model::{ClassId, Load, OperationId, Phase, Plan, Request, RowTaker};
use crate::slo::objective::{
    Aggregation, Family, Objective, ObjectiveKind, RequestObjective, RequestStatistic,
};
use crate::units::{Share, TimeSpan, format_against, format_exact};

/// An objective with its phase.
#[derive(Clone, Copy)]
struct ObjectiveInPhase<'s> {
    objective: &'s Objective,
    phase: &'s Phase,
    forecast: &'s PhaseForecast,
}

/// Reports objectives that can never be met or decided, and settings that make the results unreliable. `looks_back` is the
/// code of an objective that cannot be decided only because its query looks back too far.
pub fn check(
    plan: &Plan,
    objectives: &[Objective],
    forecasts: &[PhaseForecast],
    looks_back: Code,
    problems: &mut Problems,
) {
    for (index, (phase, forecast)) in plan.phases.iter().zip(forecasts).enumerate() {
        let of_phase: Vec<&Objective> = objectives.iter().filter(|o| o.phase.index() == index).collect();
        check_classes(plan, phase, forecast, problems);
        check_rows(plan, phase, forecast, problems);
        check_pool(phase, forecast, &of_phase, problems);
    }
    for objective in objectives {
        let phase = &plan.phases[objective.phase.index()];
        let forecast = &forecasts[objective.phase.index()];
        match objective.family.kind() {
            ObjectiveKind::Throughput => check_throughput(plan, objective, phase, forecast, problems),
            ObjectiveKind::ResponseTime => check_timeout(plan, objective, problems),
            ObjectiveKind::ErrorRate
            | ObjectiveKind::Resource
            | ObjectiveKind::Drift
            | ObjectiveKind::Outage => {}
        }
        let code = match forecast.is_short_by_look_back(objective, phase, &plan.gate) {
            true => looks_back,
            false => Code::NeverProven,
        };
        check_proof(plan, ObjectiveInPhase { objective, phase, forecast }, code, problems);
        check_intervals(objective, phase, forecast, problems);
        check_even_load(objective, phase, problems);
    }
}

/// Drift needs a constant load: growth with the load is no drift.
fn check_even_load(objective: &Objective, phase: &Phase, problems: &mut Problems) {
    let holds = phase.judged().len();
    if objective.family.kind() != ObjectiveKind::Drift || holds < 2 {
        return;
    }
    let message = format!(
        "`{}` measures drift, but the load of phase `{}` changes: it has {holds} judged holds",
        objective.name, phase.name
    );
    let help = "select phases with a constant load with `phases`";
    let diagnostic = Diagnostic::new(Code::NeverProven, message).at(objective.span, "this objective");
    problems.report(diagnostic.at(phase.span, "in this phase").help(help));
}

/// An interval longer than a judged period would never be complete.
fn check_intervals(objective: &Objective, phase: &Phase, forecast: &PhaseForecast, problems: &mut Problems) {
    let Some(interval) = objective.family.interval() else { return };
    let longest = forecast.longest(objective, phase);
    if f64::from(interval.every) > longest {
        let phase = match objective.family.readings() {
            Some(_) => format!("readings fill only {longest:.0} s of phase `{}` at a time", phase.name),
            None => format!("phase `{}` is judged for only {longest:.0} s at a time", phase.name),
        };
        let message = format!("`{}` judges intervals of {} s, but {phase}", objective.name, interval.every);
        let help = "make `every` shorter or the phase longer";
        let diagnostic = Diagnostic::new(Code::NeverSampled, message).at(objective.span, "this objective");
        problems.report(diagnostic.help(help));
    }
}

/// Users that need a row of their own: those that keep one, and those that take one at their start.
fn check_rows(plan: &Plan, phase: &Phase, forecast: &PhaseForecast, problems: &mut Problems) {
    for (index, source) in plan.row_sources.iter().enumerate() {
        let at_start = |class: &ClassId| {
            let on_start = &plan.classes[class.index()].on_start;
            on_start.iter().flat_map(Request::row_sources).any(|of_column| of_column == index)
        };
        let needs_own = |class: &ClassId| {
            source.classes.contains(class) && (source.taken_by == RowTaker::User || at_start(class))
        };
        let mix = phase.mix.iter().zip(&forecast.users).filter(|((class, _), _)| needs_own(class));
        let users: u64 = mix.map(|(_, users)| u64::from(*users)).sum();
        if users > source.rows as u64 {
            let (list, rows) = (&source.list, source.rows);
            let message =
                format!("{users} users of phase `{}` share the {rows} rows of list `{list}`", phase.name);
            let help = "add rows, or use fewer users; rows are used again after the last one";
            let diagnostic = Diagnostic::new(Code::FewRows, message).at(phase.span, "in this phase");
            problems.report(diagnostic.help(help));
        }
    }
}

/// The operations of a class without users would never occur.
fn check_classes(plan: &Plan, phase: &Phase, forecast: &PhaseForecast, problems: &mut Problems) {
    for ((class, _), users) in phase.mix.iter().zip(&forecast.users) {
        if *users > 0 {
            continue;
        }
        let name = &plan.classes[class.index()].name;
        let message =
            format!("user class `{name}` gets none of the {} users of phase `{}`", phase.users, phase.name);
        let help = "give the phase more users or the class a greater weight";
        problems
            .report(Diagnostic::new(Code::OutOfRange, message).at(phase.span, "in this phase").help(help));
    }
}

fn check_throughput(
    plan: &Plan,
    objective: &Objective,
    phase: &Phase,
    forecast: &PhaseForecast,
    problems: &mut Problems,
) {
    let Some((_, limit)) = objective.gated_limit(plan.gate.tier) else {
        return;
    };
    let Some(bound) = forecast.per_second.filter(|bound| *bound < limit) else { return };
    let message = format!(
        "`{}` requires {}/s, but phase `{}` can reach at most {}/s",
        objective.name,
        format_exact(limit),
        phase.name,
        format_against(bound, &[limit])
    );
    let (label, help) = match phase.load {
        Load::Open(load) => (
            format!("its arrivals are {load}"),
            format!(
                "to make it possible: arrivals of at least {}/s",
                hundredths_up(limit / forecast.requests_per_task)
            ),
        ),
        Load::Closed => {
            let users = phase.mean_users();
            let requests = forecast.requests_per_task;
            (
                format!("{users:.0} users with a mean wait of {:.1} s", users * requests / bound),
                format!(
                    "to make it possible: {:.0} users, or a mean wait of {} s, or {} requests per task, or `arrivals`",
                    (limit * users / bound - 1e-9).ceil(),
                    hundredths_down(users * requests / limit),
                    hundredths_up(requests * limit / bound)
                ),
            )
        }
    };
    let diagnostic = Diagnostic::new(Code::BeyondForecast, message).at(phase.span, label);
    problems.report(diagnostic.at(objective.span, "this objective").help(help));
}

fn check_timeout(plan: &Plan, objective: &Objective, problems: &mut Problems) {
    let Some((_, limit)) = objective.gated_limit(plan.gate.tier) else {
        return;
    };
    let timeout = plan.target.timeout;
    if timeout.seconds() * 1000.0 <= limit {
        let message = format!("the timeout of {timeout} is not above the limit of `{}`", objective.name);
        let diagnostic = Diagnostic::new(Code::TimeoutBelowLimit, message)
            .at(objective.span, format!("requests may take {limit} ms"))
            .help(format!(
                "set `timeout` under `[target]` to more than {limit} ms, ideally to several times that"
            ));
        problems.report(diagnostic);
    }
}

/// Reports an open phase with too few users. By Little's law the number of busy users is the arrival rate times the
/// response time: with every response at its limit, the sum over operations of rate times limit.
fn check_pool(phase: &Phase, forecast: &PhaseForecast, objectives: &[&Objective], problems: &mut Problems) {
    if phase.load == Load::Closed {
        return;
    }
    let limit = |operation: &OperationId| {
        let of_times = objectives.iter().filter(|objective| {
            let family = &objective.family;
            family.kind() == ObjectiveKind::ResponseTime && family.operations().contains(operation)
        });
        of_times.map(|objective| objective.tiers.last).reduce(f64::max).unwrap_or(0.0)
    };
    let peak = forecast.peak_per_second.zip(forecast.per_second).map_or(1.0, |(peak, mean)| peak / mean);
    let busy: f64 = forecast.by_operation.iter().map(|(id, rate)| rate * peak * limit(id) / 1000.0).sum();
    if busy > f64::from(phase.users) {
        let message = format!(
            "with every response at its limit, {} users would be busy, but phase `{}` has {}",
            busy.ceil(),
            phase.name,
            phase.users
        );
        let help = format!(
            "give the phase at least {} users; otherwise the users, not the target, determine the response times",
            busy.ceil()
        );
        problems.report(Diagnostic::new(Code::PoolTooSmall, message).at(phase.span, "this phase").help(help));
    }
}

/// A gated objective that can never be proven would leave every run inconclusive.
fn check_proof(plan: &Plan, subject: ObjectiveInPhase<'_>, too_few: Code, problems: &mut Problems) {
    let ObjectiveInPhase { objective, phase, forecast } = subject;
    let sample_size = forecast.sample_size(objective, phase, &plan.gate);
    let (Some(expected), Some(needed)) = (sample_size.expected, sample_size.needed) else { return };
    let whole = (expected + 1e-6).floor();
    let can = format!(
        "`{}` can expect {whole} {} in phase `{}`",
        objective.name,
        sample_size.of.noun(),
        phase.name
    );
    let confidence = Share::of_fraction(1.0 - plan.gate.alpha);
    if sample_size.decidability() == Decidability::None {
        // `check_intervals` reports a phase without any interval.
        if expected < 1.0 && sample_size.of == SampleUnit::Windows {
            return;
        }
        let message = format!("{can}, but {needed} are needed to prove it");
        let label = match objective.family.interval() {
            _ if !sample_size.of.is_statistical() => "this objective".to_owned(),
            Some(interval) => {
                format!("at most {} of the intervals may miss", Share::of_fraction(interval.allow))
            }
            None => format!("{}, at {confidence} confidence", objective.family.statistic()),
        };
        let diagnostic = Diagnostic::new(too_few, message).at(objective.span, label);
        let judged = match phase.iterations.filter(|_| phase.ends_with_its_tasks()) {
            Some(iterations) => format!("has {iterations} iterations"),
            None => format!("judged for {}", span(phase.judged_seconds())),
        };
        let placed = diagnostic.at(phase.span, judged);
        let placed = placed.help(ways_to_decide(plan, objective, phase, &sample_size));
        problems.report(placed.help(match sample_size.of.is_statistical() {
            true => "or report it without judging with `gate = false`, or set `decision = \"observed\"` under `[gate]`",
            false => "or report it without judging with `gate = false`",
        }));
    } else if let Some(needed) =
        sample_size.needed_with_one_failure.filter(|needed| expected < *needed as f64)
    {
        let message = format!("{can}, but {needed} are needed if one of them is bad");
        let help =
            "make the phase longer or increase its load; twice the needed number leaves room for bad ones";
        let diagnostic = Diagnostic::new(Code::FewSamples, message).at(objective.span, "this objective");
        problems.report(diagnostic.help(help));
    }
}

/// The changes that would make an objective provable, as a help text.
fn ways_to_decide(plan: &Plan, objective: &Objective, phase: &Phase, sample_size: &SampleSize) -> String {
    let (expected, needed) = (sample_size.expected.unwrap_or(0.0), sample_size.needed.unwrap_or(1) as f64);
    let least = min_provable_share(expected, plan.gate.alpha);
    let mut ways = Vec::new();
    if sample_size.of == SampleUnit::Windows {
        let share = Share::of_fraction((least * 1000.0 - 1e-6).ceil() / 1000.0);
        ways.push(format!(
            "`allow = \"{share}\"`, the smallest share that {expected:.0} intervals can prove"
        ));
        ways.push("a shorter `every`".to_owned());
        ways.push("no `allow`, so that no interval may miss".to_owned());
    }
    if let Some(iterations) = phase.iterations.filter(|_| expected > 0.0) {
        let more = (iterations as f64 * needed / expected).ceil();
        ways.insert(0, format!("`iterations = {more}`"));
    } else if expected > 0.0 {
        let longer = phase.duration.seconds() + phase.judged_seconds() * (needed / expected - 1.0);
        ways.insert(0, format!("a phase of {}", span(longer.ceil())));
    }
    match sample_size.of {
        SampleUnit::Readings => ways.push("a shorter `every` under `[monitor]`".to_owned()),
        SampleUnit::JudgedTime => ways.push("a shorter `min_length`".to_owned()),
        _ => {}
    }
    if sample_size.of == SampleUnit::Samples && expected > 0.0 {
        if phase.iterations.is_none() {
            ways.push(format!("{} times its load", hundredths_up(needed / expected)));
        }
        let percent = ((1.0 - least) * 100.0 + 1e-6).floor();
        let Family::Requests(RequestObjective { statistic, .. }) = &objective.family else {
            return joined(&ways);
        };
        match statistic {
            RequestStatistic::ResponseTime(Aggregation::Quantile(part))
                if (50.0..100.0 * part - 1e-6).contains(&percent) =>
            {
                ways.push(format!("`statistic = \"p{percent}\"`"));
            }
            RequestStatistic::ErrorRate => {
                ways.push(format!("a limit of {}", Share::of_fraction((least * 1000.0).ceil() / 1000.0)));
            }
            RequestStatistic::ResponseTime(_) | RequestStatistic::Throughput => {}
        }
    }
    joined(&ways)
}

fn joined(ways: &[String]) -> String {
    match ways {
        [] => "to make it possible: more load".to_owned(),
        ways => format!("to make it possible: {}", ways.join(", or ")),
    }
}

fn span(seconds: f64) -> TimeSpan {
    TimeSpan::from(Duration::from_secs_f64(seconds))
}

/// A number rounded up to hundredths, so that the advice is sufficient.
fn hundredths_up(value: f64) -> String {
    ((value * 100.0 - 1e-6).ceil() / 100.0).to_string()
}

/// A number rounded down to hundredths, so that the advice is sufficient.
fn hundredths_down(value: f64) -> String {
    ((value * 100.0 + 1e-6).floor() / 100.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_rounded_to_its_sufficient_side() {
        assert_eq!(hundredths_up(50.0 / (200.0 / 5.5)), "1.38");
        assert_eq!(hundredths_up(1000.0 / 7.0), "142.86");
        assert_eq!(hundredths_up(7.0), "7");
        assert_eq!(hundredths_down(200.0 / 7.0), "28.57");
        assert_eq!(hundredths_down(4.0), "4");
    }
}
