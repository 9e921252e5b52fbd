//! What is asked: a plan's files are read, compiled and become a [`Plan`](model::Plan), valid by construction.

mod compile;
mod definitions;
mod document;
pub mod draw;
pub mod encoding;
pub mod expect;
mod files;
mod in_effect;
mod load;
pub mod model;
mod overrides;
mod rehearse;
pub mod schema;
pub mod template;
pub mod texts;

pub use definitions::Names;
pub use document::{Decision, GateTier, Inconclusive, Spacing};
pub use files::{ThresholdsFile, World};
pub use in_effect::{Written, with_environment};
pub use load::{Loaded, Settings, load};
pub use overrides::split as split_key;
pub use rehearse::rehearse;
