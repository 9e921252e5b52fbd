//! `runner check PLAN`: says what a run would be, and whether it could be decided.

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

/// Looks for everything that can be known without sending a request; refuses what a run would be refused for.
pub(super) fn check(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (mut ready, sources) = match load_with_sources(&arguments.plan) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let workers = preflight::workers();
    preflight::connections(&mut ready, workers);
    if !arguments.plan.stand_in {
        hosts::check(&mut ready);
    }
    if ready.problems.has_errors() {
        return Ok(refuse(&ready.problems, arguments.plan.format));
    }
    let headroom = Headroom::of(&ready, workers, Path::new("reports"), 0);
    ready.problems.extend(headroom.shortages().into_iter().map(|short| {
        let help = "what is needed is an estimate: make room, or take it from where there is more";
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
                document["in_effect"] = serde_json::to_value(explained).expect("it is plain data");
            }
            output::stdout(&format!("{document:#}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
