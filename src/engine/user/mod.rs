//! Virtual users: their life cycle, their requests and their state.

pub(super) mod context;
pub(super) mod exchange_log;
mod html;
pub(super) mod intent;
pub(super) mod json_body;
mod link;
pub(super) mod perform;
pub(super) mod prepared;
pub(super) mod rows;
pub(super) mod state;
pub(super) mod virtual_user;
