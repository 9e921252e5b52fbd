//! `runner gate RUN`: judges a stored run again, by its own objectives or by others.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::arguments::GateArgs;
use crate::app::commands::report::print;
use crate::app::conclusion::{JudgedBy, RecordedRun};
use crate::app::prepare::{Refusal, refuse};
use crate::app::stored_run::{self, StoredRun};
use crate::app::{failure, output, written_reports};
use crate::diagnostic::{Problems, render};
use crate::gate::Ending;
use crate::plan::ThresholdsFile;

/// Judges a stored run and returns the verdict as an exit code.
pub(in crate::app) fn gate(arguments: &GateArgs) -> anyhow::Result<ExitCode> {
    let GateArgs { run, thresholds, gate, format, write } = arguments;
    let mut problems = Problems::default();
    let journal = stored_run::open(run)?;
    let files = read(thresholds, &mut problems)?;
    let others = (!files.is_empty()).then_some(files.as_slice());
    let own_tier = journal.start.gate;
    let Some(stored) = journal.fold(*gate, others, &mut problems)? else {
        let refusal = if others.is_some() { Refusal::Thresholds } else { Refusal::StoredPlan };
        return Err(refuse(&problems, *format, refusal));
    };
    let StoredRun { run, start, mut fold } = stored;
    let is_other = others.is_some() || gate.is_some_and(|gate| gate != own_tier);
    let judged_by = if is_other { JudgedBy::OtherObjectives } else { JudgedBy::OwnObjectives };
    if others.is_some() {
        output::stderr_raw(&render(&problems, output::stderr_is_interactive()));
        let names: Vec<String> = thresholds.iter().map(|path| format!("`{}`", path.display())).collect();
        fold.notices.push(format!("judged by {}, not by the objectives of the run", names.join(", ")));
    }
    let recorded = RecordedRun { run: &run, start: &start, fold: &fold, judged_by };
    let conclusion = recorded.conclude();
    let report = recorded.report(&conclusion);
    written_reports::write_asked(write, &report)?;
    print(&report.report, *format);
    Ok(ExitCode::from(conclusion.ending.code()))
}

/// Reads threshold files, of which all objectives are judged.
fn read(paths: &[PathBuf], problems: &mut Problems) -> anyhow::Result<Vec<ThresholdsFile>> {
    let read = paths.iter().map(|path| {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|why| {
            failure(Ending::Refused, format!("could not read `{shown}`: {why}; check the path"))
        })?;
        let span = problems.add_option("--thresholds", &shown);
        Ok(ThresholdsFile { file: problems.add_source(shown, text), span, only: None, gated: true })
    });
    read.collect()
}
