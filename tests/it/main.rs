//! What users rely on, checked from the outside: the shipped files and the answers to wrong ones.

#![expect(clippy::unwrap_used, reason = "a test whose world is not as it should be has failed")]

mod alibi;
mod answer;
mod bodies;
mod causes;
mod certificates;
mod checked;
mod class_keys;
mod cookies_redirects;
mod counting;
mod docs;
mod exit_codes;
mod expect;
mod failures;
mod generated_plans;
mod impossible;
mod judged;
mod lists;
mod monitor;
mod nginx;
mod options;
mod phases;
mod resources_cpu;
mod resources_exporters;
mod resources_peers;
mod resources_stand_in;
mod runner;
mod schedule;
mod schemas;
mod secrets;
mod seeds;
mod shapes;
mod shipped;
mod signals;
mod stand_in;
mod start_stop;
mod steps;
mod target;
mod thresholds_entries;
mod tls;
mod try_command;
mod verdict;
mod waits;
mod windows;
mod wrong_plans;
