//! What is asked: a plan's files are read, compiled and become a [`Plan`](model::Plan), valid by construction.

mod compile;
mod document;
pub mod draw;
mod load;
pub mod model;
mod overrides;
mod rehearse;
pub mod template;

pub use document::{GateTier, Inconclusive};
pub use load::{Loaded, Names, Settings, World, load};
pub use rehearse::rehearse;
