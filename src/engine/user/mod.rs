//! Virtual users: how they live, what they send, what they remember.

pub(super) mod context;
pub(super) mod intent;
pub(super) mod perform;
pub(super) mod prepared;
pub(super) mod state;
pub(super) mod virtual_user;
