//! `runner check PLAN`: forecasts a run and whether its objectives can be decided.

mod explain;
mod model;
mod text;

pub(in crate::app) use text::{headline, outlook};

use std::process::ExitCode;

use crate::app::arguments::{CheckArgs, Format};
use crate::app::output;
use crate::app::prepare::{PlanPurpose, prepare};

/// Checks a plan without sending a request, and refuses it for the same reasons as a run.
pub(in crate::app) fn check(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let prepared = prepare(&arguments.plan, PlanPurpose::Check)?;
    let checked = model::check(&prepared);
    let explained = arguments.explain.then(|| explain::explain(&prepared, &arguments.plan));
    match arguments.plan.format {
        Format::Human => {
            output::stderr_raw(&prepared.warnings());
            let explained = explained.map_or_else(String::new, |explained| explain::render(&explained));
            output::print(&text::render(&prepared, &checked, &explained));
        }
        Format::Json => {
            let mut document = model::json(&prepared, &checked);
            if let Some(explained) = explained {
                document["in_effect"] = serde_json::to_value(explained).expect("values serialize to JSON");
            }
            output::stdout(&format!("{document:#}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
