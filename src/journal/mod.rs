//! The journal: the windows of a run, written to disk during the run, so that it can be judged again later.

pub mod format;
pub mod reader;
pub mod writer;

/// The name of the journal in a run's folder.
pub const FILE_NAME: &str = "windows.journal";
