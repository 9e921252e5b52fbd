//! The files of a report: those in the folder of a run, and those that `--write` asks for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::app::{failure, run_folder};
use crate::gate::Ending;
use crate::report::ReportFormat;
use crate::report::model::Report;

/// The formats that every run writes to its folder.
const FORMATS_OF_RUN: [ReportFormat; 3] = [ReportFormat::Json, ReportFormat::Junit, ReportFormat::Summary];

/// A report in a format, and its file: `KIND=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportFile {
    format: ReportFormat,
    path: PathBuf,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = ReportFormat::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ");
        let (kind, path) =
            text.split_once('=').ok_or("write a kind and a path, such as `junit=results/junit.xml`")?;
        let format = ReportFormat::ALL.iter().find(|format| format.as_str() == kind);
        let format =
            *format.ok_or_else(|| format!("`{kind}` is not a kind of report; the kinds are {kinds}"))?;
        if Path::new(path).file_name().is_none() {
            return Err(format!("`{path}` is not the path of a file"));
        }
        Ok(Self { format, path: path.into() })
    }
}

/// The files in the folder of a run.
pub(super) fn of_run(folder: &Path) -> Vec<ReportFile> {
    let file = |format: ReportFormat| ReportFile { format, path: folder.join(format.file_name()) };
    FORMATS_OF_RUN.into_iter().map(file).collect()
}

/// Refuses files whose folder does not exist, before a run that would end without them.
///
/// # Errors
/// With the first such file.
pub(super) fn check(files: &[ReportFile]) -> anyhow::Result<()> {
    let folder = |file: &ReportFile| match file.path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    match files.iter().find(|file| !folder(file).is_dir()) {
        None => Ok(()),
        Some(file) => {
            let (path, folder) = (file.path.display(), folder(file));
            let why =
                format!("cannot write `{path}`: the folder `{}` does not exist; create it", folder.display());
            Err(failure(Ending::Refused, why))
        }
    }
}

/// Writes a report to all files, also to those after one that cannot be written. Returns the errors.
pub(super) fn write(files: &[ReportFile], report: &Report) -> Vec<anyhow::Error> {
    files.iter().filter_map(|file| run_folder::write(&file.path, &file.format.render(report)).err()).collect()
}

/// Writes a stored report to the files that `--write` asks for.
///
/// # Errors
/// With the first file that cannot be written.
pub(super) fn write_asked(files: &[ReportFile], report: &Report) -> anyhow::Result<()> {
    match write(files, report).into_iter().next() {
        None => Ok(()),
        Some(error) => Err(failure(Ending::Unwritten, format!("{error:#}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_kind_and_a_path() {
        let read = |text: &str| text.parse::<ReportFile>();
        let path = "a=b/junit.xml".into();
        assert_eq!(read("junit=a=b/junit.xml"), Ok(ReportFile { format: ReportFormat::Junit, path }));
        for (text, why) in [
            ("junit", "write a kind and a path, such as `junit=results/junit.xml`"),
            ("pdf=x", "`pdf` is not a kind of report; the kinds are json, junit, summary, text"),
            ("json=..", "`..` is not the path of a file"),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
    }
}
