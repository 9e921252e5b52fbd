//! A finished run, and its renderings: each takes the finished [`Report`](model::Report) and returns text.

mod build;
mod causes;
pub mod console;
pub mod model;
mod notices;
mod resources;
mod rounded;
pub mod table;

pub use build::{RunFacts, build};
pub use notices::{insecure, notices, slow_spell_notice};
pub use resources::host_notices;
