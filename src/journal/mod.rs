//! The stream on disk: a run's windows are written as the run goes, so that it can be judged anew.

pub mod format;
pub mod reader;
pub mod writer;

/// The file's name in a run's folder.
pub const FILE_NAME: &str = "windows.journal";
