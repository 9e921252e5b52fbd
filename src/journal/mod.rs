//! The journal: the events of a run, written to disk while it runs, so that it can be reported and judged again later.

pub mod format;
pub mod reader;
pub mod writer;

/// The name of the journal in a run's folder.
pub const FILE_NAME: &str = "run.journal";
