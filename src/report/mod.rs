//! The report of a finished run: the typed [`Report`](model::Report), its builder, and its rendering as text.

mod build;
mod causes;
mod chart;
pub mod console;
mod format;
mod full;
pub mod model;
pub mod neutral;
mod resources;
pub mod schema;
pub mod table;

pub use build::{RunFacts, build};
pub use format::{Rendered, ReportFormat, report_json, report_summary, response_time_bucket};
pub use full::{FullReport, PhaseDetails};
