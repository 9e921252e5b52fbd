//! Objectives and how they are judged: threshold documents become [`Objective`](objective::Objective)s, and
//! [`judge`](judge::judge) makes of them and a summary a judgement. Pure: neither network nor clock.

pub mod abort;
mod compile;
mod document;
mod draft;
mod in_effect;
pub mod judge;
pub mod objective;
mod scale;
pub mod schema;

pub use compile::{Objectives, load};
pub use in_effect::in_effect;
