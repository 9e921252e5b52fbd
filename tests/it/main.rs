//! What users rely on, checked from the outside: the shipped files and the answers to wrong ones.

#![expect(clippy::unwrap_used, reason = "a test whose world is not as it should be has failed")]

mod alibi;
mod answer;
mod causes;
mod certificates;
mod checked;
mod counting;
mod docs;
mod exit_codes;
mod failures;
mod generated_plans;
mod hosts;
mod impossible;
mod lists;
mod monitor;
mod nginx;
mod options;
mod resources_cpu;
mod resources_exporters;
mod resources_peers;
mod resources_stand_in;
mod runner;
mod schemas;
mod secrets;
mod shipped;
mod signals;
mod stand_in;
mod steps;
mod tls;
mod try_command;
mod windows;
mod wrong_plans;
