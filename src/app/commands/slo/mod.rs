//! `runner slo export PLAN`: prints the objectives of a plan as OpenSLO documents.

mod openslo;
mod yaml;

use std::process::ExitCode;

use crate::app::arguments::{SloArgs, SloCommand, SloExportArgs};
use crate::app::prepare::objectives_of;
use crate::app::{failure, output};
use crate::diagnostic::render;
use crate::event::RunOptions;
use crate::gate::Ending;

/// Works with the objectives of a plan, without sending a request.
pub(in crate::app) fn slo(arguments: &SloArgs) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        SloCommand::Export(arguments) => export(arguments),
    }
}

/// Writes the documents to a file or to standard output, and says on stderr what they do not hold.
fn export(arguments: &SloExportArgs) -> anyhow::Result<ExitCode> {
    let SloExportArgs { plan, set, phase, allow_outside, write } = arguments;
    let options = RunOptions {
        plan: plan.display().to_string(),
        overrides: set.clone(),
        phases: phase.clone(),
        allow_outside: *allow_outside,
        ..RunOptions::default()
    };
    let planned = objectives_of(plan, &options)?;
    output::stderr_raw(&render(&planned.problems, output::stderr_is_interactive()));
    let exported = openslo::export(&planned.plan, &planned.objectives.all, &planned.phases);
    exported.remarks.iter().for_each(|remark| output::stderr(&format!("{remark}\n")));
    let text = yaml::documents(&exported.documents);
    match write {
        None => output::stdout(&text),
        Some(path) => std::fs::write(path, text).map_err(|why| {
            let path = path.display();
            failure(Ending::Unwritten, format!("could not write the objectives to `{path}`: {why}"))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
