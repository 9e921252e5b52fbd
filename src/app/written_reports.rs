//! The files of a report: those in the folder of a run, and those that `--write` asks for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::app::{failure, run_folder};
use crate::gate::Ending;
use crate::report::{FullReport, Rendered, ReportFormat};

/// The formats that every run writes to its folder.
const FORMATS_OF_RUN: [ReportFormat; 4] =
    [ReportFormat::Json, ReportFormat::Html, ReportFormat::Junit, ReportFormat::Summary];

/// A report in a format, and its file: `KIND=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportFile {
    format: ReportFormat,
    path: PathBuf,
}

/// A flag for each format, which writes its file to the folder of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct FormatFlags(Vec<ReportFormat>);

impl FormatFlags {
    /// The files that the flags ask for.
    pub(super) fn files(&self, folder: &Path) -> Vec<ReportFile> {
        self.0.iter().map(|format| ReportFile::in_folder(*format, folder)).collect()
    }
}

impl Args for FormatFlags {
    fn augment_args(command: Command) -> Command {
        let flag = |format: &ReportFormat| {
            let help = format!("Write `{}` to the folder of the run", format.file_name());
            Arg::new(format.as_str()).long(format.as_str()).action(ArgAction::SetTrue).help(help)
        };
        command.args(ReportFormat::ALL.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FormatFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_set = |format: &&ReportFormat| matches.get_flag(format.as_str());
        Ok(Self(ReportFormat::ALL.iter().filter(is_set).copied().collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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

impl ReportFile {
    /// The file of a format in the folder of a run.
    fn in_folder(format: ReportFormat, folder: &Path) -> Self {
        Self { format, path: folder.join(format.file_name()) }
    }

    /// Writes a chart; the one of all resources as PNG too, if the program was built with that feature.
    fn write_chart(&self, path: &Path, svg: &[u8]) -> anyhow::Result<()> {
        #[cfg(feature = "png")]
        if path.to_string_lossy().ends_with("load_test_analysis.svg") {
            run_folder::write(&path.with_extension("png"), &super::png::render(svg)?)?;
        }
        run_folder::write(path, svg)
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, report: &FullReport<'_>) -> anyhow::Result<()> {
        match self.format.render(report) {
            Rendered::File(bytes) => run_folder::write(&self.path, &bytes),
            Rendered::Folder(files) => {
                let shown = self.path.display();
                std::fs::create_dir_all(&self.path)
                    .with_context(|| format!("could not create the folder `{shown}`"))?;
                files.iter().try_for_each(|(name, bytes)| self.write_chart(&self.path.join(name), bytes))
            }
        }
    }
}

/// The files in the folder of a run.
pub(super) fn of_run(folder: &Path) -> Vec<ReportFile> {
    FORMATS_OF_RUN.into_iter().map(|format| ReportFile::in_folder(format, folder)).collect()
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
pub(super) fn write(files: &[ReportFile], report: &FullReport<'_>) -> Vec<anyhow::Error> {
    files.iter().filter_map(|file| file.write(report).err()).collect()
}

/// Writes a stored report to the files that `--write` asks for.
///
/// # Errors
/// With the first file that cannot be written.
pub(super) fn write_asked(files: &[ReportFile], report: &FullReport<'_>) -> anyhow::Result<()> {
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
            (
                "pdf=x",
                "`pdf` is not a kind of report; the kinds are json, html, junit, summary, text, stats, stats-history, failures, exceptions, hlog, timeseries, resources, metrics, load-performance, charts",
            ),
            ("json=..", "`..` is not the path of a file"),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
    }
}
