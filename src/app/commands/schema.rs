//! `runner schema KIND`: prints the JSON Schema of one kind of file.

use std::process::ExitCode;

use crate::app::arguments::{SchemaArgs, SchemaKind};
use crate::app::output;
use crate::{plan, report, slo};

/// Prints the JSON Schema for editors and validators.
pub(in crate::app) fn schema(arguments: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let document = match arguments.kind {
        SchemaKind::Plan => plan::schema::plan(),
        SchemaKind::Users => plan::schema::users(),
        SchemaKind::Thresholds => slo::schema::thresholds(),
        SchemaKind::Report => report::schema::report(),
    };
    output::stdout(&format!("{document:#}\n"));
    Ok(ExitCode::SUCCESS)
}
