//! `runner check PLAN`: says what a run would be, and whether it could be decided.

mod model;
mod text;

pub(super) use text::{headline, outlook};

use std::path::Path;
use std::process::ExitCode;

use crate::app::arguments::{CheckArgs, Format};
use crate::app::load::{load, refuse};
use crate::app::room::Room;
use crate::app::{output, preflight};
use crate::diagnostic::{Code, Diagnostic};

/// Looks for everything that can be known without sending a request; refuses what a run would be refused for.
pub(super) fn check(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut ready = match load(&arguments.plan) {
        Ok(ready) => ready,
        Err(code) => return Ok(code),
    };
    let workers = preflight::workers();
    preflight::connections(&mut ready, workers);
    if ready.problems.refused() {
        return Ok(refuse(&ready.problems, arguments.plan.format));
    }
    let room = Room::of(&ready, workers, Path::new("reports"), 0);
    ready.problems.extend(room.shortages().into_iter().map(|short| {
        let help = "what is needed is an estimate: make room, or take it from where there is more";
        Diagnostic::new(Code::LittleRoom, short).help(help)
    }));
    let checked = model::check(&ready);
    match arguments.plan.format {
        Format::Human => {
            output::stderr(&ready.warnings());
            output::stdout(&text::render(&ready, &checked, &room));
        }
        Format::Json => {
            output::stdout(&format!("{:#}\n", model::json(&ready, &checked, &room)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
