//! `runner report RUN`: renders the report of a finished, dead or running run again, from its journal.

use std::process::ExitCode;

use crate::app::arguments::{Format, ReportArgs};
use crate::app::conclusion::{JudgedBy, RecordedRun};
use crate::app::output;
use crate::app::prepare::{Refusal, refuse};
use crate::app::stored_run::{self, StoredRun};
use crate::app::written_reports;
use crate::diagnostic::Problems;
use crate::report::model::Report;
use crate::report::{console, report_json};

/// Prints the report of a stored run. Its verdict does not change the exit code.
pub(in crate::app) fn report(arguments: &ReportArgs) -> anyhow::Result<ExitCode> {
    let mut problems = Problems::default();
    let stored = stored_run::open(&arguments.run)?.fold(None, None, &mut problems)?;
    let Some(StoredRun { run, start, fold }) = stored else {
        return Err(refuse(&problems, arguments.format, Refusal::StoredPlan));
    };
    let recorded = RecordedRun { run: &run, start: &start, fold: &fold, judged_by: JudgedBy::OwnObjectives };
    let report = recorded.report(&recorded.conclude());
    let files = [arguments.write.clone(), arguments.into_folder.files(&arguments.run)].concat();
    written_reports::write_asked(&files, &report)?;
    print(&report.report, arguments.format);
    Ok(ExitCode::SUCCESS)
}

/// Prints a report in the wanted format.
pub(super) fn print(report: &Report, format: Format) {
    output::stdout(&rendered(report, format));
}

/// A report in the format for standard output.
pub(super) fn rendered(report: &Report, format: Format) -> String {
    match format {
        Format::Human => console::render(report),
        Format::Json => report_json(report),
    }
}
