//! The forecast that `runner check` prints, as text.

use std::time::Duration;

use crate::app::commands::check::model::{CheckedObjective, CheckedPhase, RunTotals, end, totals};
use crate::app::prepare::PreparedPlan;
use crate::report::table::plain_table;
use crate::units::{TimeSpan, format_limit};

pub(super) fn render(prepared: &PreparedPlan, phases: &[CheckedPhase], explained: &str) -> String {
    let mut text = format!("{}\n{}", headline(prepared), outlook(prepared));
    phases.iter().for_each(|phase| text.push_str(&phase_text(phase)));
    text.push_str(explained);
    text.push_str("\nthe plan is valid; nothing was sent\n");
    text
}

fn phase_text(phase: &CheckedPhase) -> String {
    let CheckedPhase { name, users, bound_per_s, waits_unused, .. } = phase;
    let bound =
        bound_per_s.map_or("as fast as the target responds".into(), |rate| format!("at most {rate:.2}/s"));
    let mut text = format!("\n{name} · {} · {users} users · {bound}\n", length(phase));
    if *waits_unused {
        text.push_str("  the `wait` of its user classes is ignored, because `arrivals` starts the tasks\n");
    }
    if phase.connected_users > 0 {
        let count = phase.connected_users;
        text.push_str(&format!(
            "  {count} users connect at the start and stay connected: they have an `on_start`\n"
        ));
    }
    text.push_str(&objectives_table(&phase.objectives));
    text
}

/// The length of a phase: its time or its tasks, or both.
fn length(phase: &CheckedPhase) -> String {
    let span = |seconds: f64| TimeSpan::from(Duration::from_millis((seconds * 1e3).round() as u64));
    let iterations = phase.iterations.map(|iterations| format!("{iterations} iterations"));
    let time = match (phase.judged_s, phase.least_duration_s) {
        (Some(judged), _) if iterations.is_some() => {
            Some(format!("{} · judged {} of it", span(phase.duration.seconds()), span(judged)))
        }
        (Some(judged), _) => Some(format!("{} · judged {} of it", phase.duration, span(judged))),
        (None, least) => least.filter(|least| *least > 0.0).map(|least| format!("at least {}", span(least))),
    };
    iterations.into_iter().chain(time).collect::<Vec<_>>().join(" · ")
}

/// One line with the duration, the number of requests and the peak rate of a run.
pub(in crate::app) fn headline(prepared: &PreparedPlan) -> String {
    let RunTotals { seconds, is_least, requests, peak_per_s } = totals(prepared);
    let load = match requests.zip(peak_per_s) {
        Some((requests, peak)) => format!("about {requests:.0} requests, up to {peak:.1}/s"),
        None if let Some(requests) = requests => {
            format!("about {requests:.0} requests, as fast as the target responds")
        }
        None => "as many requests as the target can serve".to_owned(),
    };
    let count = match prepared.run.phases.len() {
        1 => "1 phase".to_owned(),
        more => format!("{more} phases"),
    };
    let total = TimeSpan::from(Duration::from_millis((seconds * 1e3).round() as u64));
    let time = match is_least {
        false => format!(" in {total}"),
        true if seconds > 0.0 => format!(" in at least {total}"),
        true => String::new(),
    };
    format!("{}: {count}{time}, {load}", prepared.run.plan.name)
}

/// The end time of a run and its needs of disk and memory.
pub(in crate::app) fn outlook(prepared: &PreparedPlan) -> String {
    let end = end(prepared).map_or_else(String::new, |end| {
        format!("ends at {}, if started now\n", end.strftime("%A, %Y-%m-%d %H:%M:%S %Z"))
    });
    end + &prepared.headroom.summary()
}

fn objectives_table(objectives: &[CheckedObjective]) -> String {
    if objectives.is_empty() {
        return "  no objective applies\n".to_owned();
    }
    let mut table = plain_table(&["objective", "statistic", "judged at", "samples", "needed", "can decide"]);
    for objective in objectives {
        let CheckedObjective { unit, counted, expected, needed, samples, .. } = objective;
        let of_requests = matches!(*counted, "samples" | "judged seconds") && objective.requests;
        let expected = if of_requests { samples } else { expected };
        let counts = |number: &Option<u64>, unit: &str| match number {
            None => "–".to_owned(),
            Some(seconds) if unit == " s" && *seconds >= 3600 => {
                TimeSpan::from(Duration::from_secs(seconds / 60 * 60)).to_string()
            }
            Some(number) => format!("{number}{unit}"),
        };
        let (of_expected, of_needed) = match *counted {
            "windows" => (" intervals", " intervals"),
            "judged seconds" if !of_requests => (" s", " s"),
            "judged seconds" => ("", " s"),
            _ => ("", ""),
        };
        table.add_row([
            objective.name.clone(),
            objective.statistic.clone(),
            objective.tier.zip(objective.limit).map_or("not judged".to_owned(), |(tier, limit)| {
                format!("{tier} {}", format_limit(limit, *unit))
            }),
            counts(expected, of_expected),
            counts(needed, of_needed),
            match objective.can_decide {
                "not judged" => "–",
                word => word,
            }
            .to_owned(),
        ]);
    }
    format!("{table}\n")
}
