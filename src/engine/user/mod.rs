//! Virtual users: how they live, what they send, what they remember.

pub(super) mod life;
pub(super) mod memory;
pub(super) mod perform;
pub(super) mod prepared;
pub(super) mod stage;
pub(super) mod turn;
