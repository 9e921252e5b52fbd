use std::process::ExitCode;

use serde_json::json;

use crate::app::arguments::{CheckArgs, Format};
use crate::app::load::{Ready, load};
use crate::app::output;
use crate::offer::Counted;
use crate::plan::model::{Load, Phase, PhaseId, Wait};
use crate::report::table::light;
use crate::units::TimeSpan;

/// `runner check PLAN`: says what a run would be, and whether it could be decided.
pub(super) fn check(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let ready = match load(&arguments.plan) {
        Ok(ready) => ready,
        Err(code) => return Ok(code),
    };
    output::stderr(&ready.warnings);
    match arguments.plan.format {
        Format::Human => output::stdout(&describe(&ready)),
        Format::Json => {
            let document =
                json!({ "diagnostics": [], "plan": ready.plan.name, "phases": ready.plan.phases.len() });
            output::stdout(&format!("{document:#}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(ready: &Ready) -> String {
    let mut text = format!("{}\n", headline(ready));
    for id in &ready.phases {
        let phase = &ready.plan.phases[id.index()];
        let offer = &ready.offers[id.index()];
        let bound = offer
            .per_second
            .map_or("as fast as the target answers".into(), |rate| format!("at most {rate:.2}/s"));
        text.push_str(&format!(
            "\n{} · {} · judged {} of it · {} users · {bound}\n",
            phase.name,
            phase.duration,
            TimeSpan::from(std::time::Duration::from_secs_f64(phase.judged_seconds())),
            phase.users,
        ));
        if matches!(phase.load, Load::Open(_)) && waits(ready, phase) {
            text.push_str(
                "  the waits of its classes are not used: its tasks start on the schedule of `arrivals`\n",
            );
        }
        text.push_str(&objectives_table(ready, *id));
    }
    text.push_str("\nthe plan is valid; nothing was sent\n");
    text
}

fn waits(ready: &Ready, phase: &Phase) -> bool {
    phase.mix.iter().any(|(class, _)| ready.plan.classes[class.index()].wait != Wait::Nothing)
}

/// What a run will be: how long, how many requests, how fast.
pub(super) fn headline(ready: &Ready) -> String {
    let phases: Vec<_> = ready.phases.iter().map(|id| &ready.plan.phases[id.index()]).collect();
    let offers: Vec<_> = ready.phases.iter().map(|id| &ready.offers[id.index()]).collect();
    let total: f64 = phases.iter().map(|phase| phase.duration.seconds()).sum();
    let requests: Option<f64> = offers.iter().map(|offer| offer.requests).sum();
    let peak: Option<Vec<f64>> = offers.iter().map(|offer| offer.per_second).collect();
    let load = match (requests, peak) {
        (Some(requests), Some(peaks)) => {
            let peak = peaks.into_iter().fold(0.0, f64::max);
            format!("about {requests:.0} requests, up to {peak:.1}/s")
        }
        _ => "as many requests as the target answers".to_owned(),
    };
    let count = match phases.len() {
        1 => "1 phase".to_owned(),
        more => format!("{more} phases"),
    };
    let total = TimeSpan::from(std::time::Duration::from_secs_f64(total));
    format!("{}: {count} in {total}, {load}", ready.plan.name)
}

fn objectives_table(ready: &Ready, id: PhaseId) -> String {
    let mut table = light(&["objective", "statistic", "judged at", "samples", "needed", "can decide"]);
    let phase = &ready.plan.phases[id.index()];
    let mut rows = 0;
    for objective in ready.objectives.all.iter().filter(|objective| objective.phase == id) {
        let offer = &ready.offers[id.index()];
        let proof = offer.proof(objective, phase, &ready.plan.gate);
        let at_gate = objective.gated_limit(ready.plan.gate.tier);
        let unit = objective.statistic.unit();
        let space = if unit == "/s" { "" } else { " " };
        let counted = |number: f64| match proof.of {
            Counted::Windows => format!("{number:.0} windows"),
            Counted::Seconds => format!("{number:.0} s"),
            Counted::Samples => format!("{number:.0}"),
        };
        let expected = match proof.of {
            Counted::Windows => proof.expected.map(counted),
            _ => offer.samples(objective, phase).map(|samples| format!("{samples:.0}")),
        };
        table.add_row([
            objective.name.clone(),
            objective.statistic.to_string(),
            at_gate.map_or("not judged".into(), |(tier, limit)| {
                let tier = if unit == "/s" && tier.word() == "maximum" { "minimum" } else { tier.word() };
                format!("{tier} {limit}{space}{unit}")
            }),
            expected.unwrap_or("–".into()),
            proof.needed.map_or("–".into(), |needed| counted(needed as f64)),
            at_gate.map_or("–", |_| proof.chance().word()).to_owned(),
        ]);
        rows += 1;
    }
    if rows == 0 { "  no objective applies\n".to_owned() } else { format!("{table}\n") }
}
