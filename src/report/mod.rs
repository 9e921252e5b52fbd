//! The report of a finished run: the typed [`Report`](model::Report), its builder, and its rendering as text.

mod build;
mod causes;
pub mod console;
pub mod model;
mod notices;
mod resources;
pub mod table;

pub use build::{RunFacts, build};
pub use notices::{insecure, notices, slow_spell_notice};
pub use resources::host_notices;
