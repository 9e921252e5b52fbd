//! Runs on a simulated clock: whole plans, from the command line to report and exit code, against a target in memory. A
//! run takes only its computing time. These are tests of the crate itself, because no released binary contains a clock
//! that can be paused or a connection in memory.
//!
//! The clock advances only when no task can run. Timers have a resolution of one millisecond.

mod runner;

mod bodies;
mod cancel;
mod class_keys;
mod connections;
mod cookies_redirects;
mod counting;
mod exit_codes;
mod expect;
mod failures;
mod iterations;
mod judged;
mod lists;
mod options;
mod schedule;
mod seeds;
mod shapes;
mod start_stop;
mod steps;
mod stored;
mod thresholds_entries;
mod verdict;
mod waits;
