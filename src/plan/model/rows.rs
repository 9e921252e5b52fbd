//! The rows of lists, and who takes them.

use crate::plan::model::ClassId;

/// A list whose rows are dealt to users or to tasks. The classes that share it take no row twice before all were used.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSource {
    /// The name of the list.
    pub list: String,
    pub taken_by: RowTaker,
    /// Whether the arrivals of each open phase begin with the first row again.
    pub restarts: bool,
    /// The number of rows.
    pub rows: usize,
    /// The classes that take rows.
    pub classes: Vec<ClassId>,
}

/// Who takes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowTaker {
    /// Each task or arrival, each start and each stop.
    Task,
    /// Each user; it keeps its row.
    User,
}
