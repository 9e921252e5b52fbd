//! The real program, its peers and their certificates, for the tests of this folder.

pub(crate) mod answer;
pub(crate) mod certificates;
pub(crate) mod nginx;
pub(crate) mod peers;
pub(crate) mod runner;
