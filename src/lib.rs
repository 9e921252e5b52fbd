//! A gate for load tests of HTTP services. A plan defines the requests to send and the objectives to meet. The runner
//! sends the requests, counts the responses, and reports in its exit code whether the objectives were met.
//!
//! `ARCHITECTURE.md` describes the modules and their dependencies.

pub mod app;
pub mod diagnostic;
pub mod document;
pub mod engine;
pub mod event;
pub mod forecast;
pub mod gate;
pub mod generator;
pub mod http_client;
pub mod journal;
pub mod kernel;
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
