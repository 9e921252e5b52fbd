//! Tests of the real program from the outside: processes, TCP, files, signals, servers and exporters.

#![expect(clippy::unwrap_used, reason = "a test whose setup fails has failed")]

mod addresses;
mod causes;
mod checked;
mod counting;
mod crossings;
mod docs;
mod exit_codes;
mod failures;
mod generated_plans;
mod generator_checks;
mod hosts;
mod http2;
mod impossible;
mod lists;
mod monitor;
mod options;
mod report_csv;
mod report_series;
mod resources_cpu;
mod resources_exporters;
mod resources_stand_in;
mod schemas;
mod secrets;
mod shipped;
mod signals;
mod slo_export;
mod stand_in;
mod steps;
mod stored_runs;
mod support;
mod timers;
mod tls;
mod try_command;
mod written_reports;
mod wrong_plans;
