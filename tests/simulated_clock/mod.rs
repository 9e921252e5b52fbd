//! Runs on a simulated clock: whole plans, from the command line to report and exit code, against a target in memory and
//! in the time that the computing takes. A part of the crate's own tests, for a clock that can be paused and a connection
//! in memory are in no released binary.
//!
//! The clock stands still while there is something to do, and timers are kept to the millisecond.

mod runner;

mod bodies;
mod class_keys;
mod cookies_redirects;
mod counting;
mod exit_codes;
mod expect;
mod failures;
mod judged;
mod lists;
mod options;
mod schedule;
mod seeds;
mod shapes;
mod start_stop;
mod steps;
mod thresholds_entries;
mod verdict;
mod waits;
