//! `runner report RUN`: renders the report of a finished, dead or running run again, from its journal.

use std::process::ExitCode;

use crate::app::arguments::{Format, ReportArgs};
use crate::app::conclusion::{JudgedBy, RecordedRun};
use crate::app::output;
use crate::app::prepare::{Refusal, refuse};
use crate::app::stored_run::{self, StoredRun};
use crate::app::written_reports;
use crate::diagnostic::Problems;
use crate::report::ReportFormat;
use crate::report::model::Report;

/// Prints the report of a stored run. Its verdict does not change the exit code.
pub(in crate::app) fn report(arguments: &ReportArgs) -> anyhow::Result<ExitCode> {
    let mut problems = Problems::default();
    let stored = stored_run::open(&arguments.run)?.fold(None, None, &mut problems)?;
    let Some(StoredRun { run, start, fold }) = stored else {
        return Err(refuse(&problems, arguments.format, Refusal::StoredPlan));
    };
    let recorded = RecordedRun { run: &run, start: &start, fold: &fold, judged_by: JudgedBy::OwnObjectives };
    let report = recorded.report(&recorded.conclude());
    written_reports::write_asked(&arguments.write, &report)?;
    print(&report, arguments.format);
    Ok(ExitCode::SUCCESS)
}

/// Prints a report in the wanted format.
pub(super) fn print(report: &Report, format: Format) {
    output::stdout(&ReportFormat::from(format).render(report));
}
