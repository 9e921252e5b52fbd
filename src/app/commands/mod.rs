//! The commands, one module each.

pub(super) mod check;
pub(super) mod gate;
pub(super) mod monitor;
pub(super) mod report;
pub(super) mod run;
pub(super) mod schema;
pub(super) mod slo;
pub(super) mod stand_in;
pub(super) mod try_plan;
