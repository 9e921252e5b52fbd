//! What is asked: a plan's files are read, compiled and become a [`Plan`](model::Plan), valid by construction.

mod compile;
mod definitions;
mod document;
pub mod draw;
mod files;
mod load;
pub mod model;
mod overrides;
mod rehearse;
pub mod template;

pub use definitions::Names;
pub use document::{GateTier, Inconclusive};
pub use files::World;
pub use load::{Loaded, Settings, load};
pub use rehearse::rehearse;
