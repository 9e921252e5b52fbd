//! A gate for load tests of HTTP services. A plan says what to send and what to expect; the runner sends it, counts what comes
//! back and says, as its exit code, whether the expectations were kept.
//!
//! `ARCHITECTURE.md` shows how the modules hang together.

pub mod app;
pub mod diagnostic;
pub mod document;
pub mod engine;
pub mod event;
pub mod exit;
pub mod forecast;
pub mod generator;
pub mod journal;
pub mod measure;
pub mod monitor;
pub mod plan;
pub mod report;
pub mod resources;
pub mod schedule;
pub mod session;
pub mod slo;
pub mod stand_in;
pub mod statistics;
pub mod units;
