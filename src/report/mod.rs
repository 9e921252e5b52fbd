//! The report of a finished run: the typed [`Report`](model::Report), its builder, and its rendering as text.

mod build;
mod causes;
pub mod console;
mod format;
pub mod model;
pub mod neutral;
mod resources;
pub mod schema;
pub mod table;

pub use build::{RunFacts, build};
pub use format::ReportFormat;
