//! Plans: the files of a plan are read and compiled into a [`Plan`](model::Plan), which is valid by construction.

mod compile;
mod definitions;
mod document;
mod effective;
pub mod encoding;
pub mod expect;
mod files;
mod load;
pub mod model;
mod overrides;
pub mod packed_strings;
pub mod random;
mod rehearse;
pub mod schema;
pub mod template;
mod tier;

pub use definitions::Names;
pub use document::{Decision, Inconclusive, Spacing};
pub use effective::{WrittenPlan, expand_environment};
pub use files::{Environment, InputFile, PlanInputs, ThresholdsFile};
pub use load::{LoadedPlan, Settings, load};
pub use overrides::split as split_key;
pub use rehearse::rehearse;
pub use tier::{GateTier, Tier};
