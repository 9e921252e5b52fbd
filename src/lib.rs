//! The SLO gate for load tests: a plan is read, compiled and run; running yields one stream of events;
//! what we want to know is a fold of that stream; the fold is judged, and the verdict is the exit code.

pub mod app;
pub mod diagnostic;
pub mod document;
pub mod engine;
pub mod event;
pub mod exit;
pub mod journal;
pub mod measure;
pub mod offer;
pub mod plan;
pub mod report;
pub mod schedule;
pub mod session;
pub mod slo;
pub mod standin;
pub mod units;
