//! `runner check PLAN`: forecasts a run and whether its objectives can be decided.

mod explain;
mod model;
mod text;

pub(super) use text::{headline, outlook};

use std::path::Path;
use std::process::ExitCode;

use crate::app::arguments::{CheckArgs, Format};
use crate::app::headroom::Headroom;
use crate::app::load::{load_with_sources, refuse};
use crate::app::{hosts, output, preflight};
use crate::diagnostic::{Code, Diagnostic};

/// Checks a plan without sending a request, and refuses it for the same reasons as a run.
pub(super) fn check(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (mut ready, sources) = match load_with_sources(&arguments.plan) {
        Ok(loaded) => loaded,
        Err(ending) => return Ok(ExitCode::from(ending.code())),
    };
    let workers = preflight::workers();
    preflight::connections(&mut ready, workers);
    if !arguments.plan.stand_in {
        hosts::check(&mut ready);
    }
    if ready.problems.has_errors() {
        return Ok(ExitCode::from(refuse(&ready.problems, arguments.plan.format).code()));
    }
    let headroom = Headroom::of(&ready, workers, Path::new("reports"), 0);
    ready.problems.extend(headroom.shortages().into_iter().map(|short| {
        let help = "the need is an estimate; free some space, or use a machine with more";
        Diagnostic::new(Code::LowHeadroom, short).help(help)
    }));
    let checked = model::check(&ready);
    let explained = arguments.explain.then(|| explain::explain(&mut ready, &sources, &arguments.plan));
    match arguments.plan.format {
        Format::Human => {
            output::stderr(&ready.warnings());
            let explained = explained.map_or_else(String::new, |explained| explain::render(&explained));
            output::stdout(&text::render(&ready, &checked, &headroom, &explained));
        }
        Format::Json => {
            let mut document = model::json(&ready, &checked, &headroom);
            if let Some(explained) = explained {
                document["in_effect"] = serde_json::to_value(explained).expect("values serialize to JSON");
            }
            output::stdout(&format!("{document:#}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
