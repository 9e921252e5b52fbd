//! One file per command; the only module that prints.

pub mod stand_in;
