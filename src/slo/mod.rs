//! Objectives and their verdicts: threshold files become [`Objective`](objective::Objective)s, and
//! [`judge`](judge::judge) compares them with the summary of a run. Pure: neither network nor clock.

pub mod abort;
mod compile;
mod decision_rule;
mod definition;
mod document;
mod effective;
pub mod judge;
pub mod objective;
pub mod schema;

pub use compile::{Objectives, load};
pub use effective::effective_values;
