use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::monitor::MonitorArgs;
use crate::app::stand_in::StandInArgs;
use crate::session::Failpoint;
use crate::units::TimeSpan;

/// Runs a load test plan and judges it: the exit code is the verdict.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look for mistakes in a plan and say what a run of it would be; nothing is sent
    Check(CheckArgs),
    /// Perform each task of a plan once and show what is sent and received
    Try(TryArgs),
    /// Print the JSON Schema of plans, of the files with users that they include, or of thresholds
    Schema(SchemaArgs),
    /// Look at this machine again and again, until interrupted: show it, keep it in a file, serve it as a node_exporter does
    Monitor(MonitorArgs),
    /// The built-in target
    StandIn(StandInArgs),
}

/// What is said about the plan itself.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The plan, such as `plans/daily.toml`
    #[arg(value_name = "PLAN", required = true)]
    plan: Option<PathBuf>,
    /// Send the load here instead of where the plan says
    #[arg(long, value_name = "URL", conflicts_with = "stand_in")]
    pub(super) target: Option<String>,
    /// Send the load to the built-in target, started for this run on a free local port
    #[arg(long)]
    pub(super) stand_in: bool,
    /// Only this phase; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) phase: Vec<String>,
    /// Change one value of the plan, such as `phases.peak.duration=30s`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// What chance depends on, instead of the plan's
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// The tier at which objectives are judged, instead of the plan's
    #[arg(long, value_name = "TIER")]
    pub(super) gate: Option<GateArg>,
    /// What goes to stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
    /// Let the plan name files outside of the parent of its folder
    #[arg(long)]
    pub(super) allow_outside: bool,
}

impl PlanArgs {
    /// The plan's path; the command line requires it.
    pub(super) fn plan(&self) -> &std::path::Path {
        self.plan.as_deref().expect("the argument is required")
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Show every value that is in effect and where it comes from
    #[arg(long)]
    pub(super) explain: bool,
}

#[derive(Debug, Args)]
pub(super) struct TryArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Only the tasks with this operation
    #[arg(long, value_name = "NAME")]
    pub(super) operation: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of which files
    #[arg(value_name = "KIND")]
    pub(super) kind: SchemaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// Files such as `plans/daily.toml`
    Plan,
    /// Files that plans include, such as `plans/users/steady.toml`
    Users,
    /// Files such as `thresholds/response-time.toml`
    Thresholds,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Go through all phases in this time, each for an equal part of it, with the plan's own load
    #[arg(long, value_name = "TIME")]
    pub(super) rehearse: Option<TimeSpan>,
    /// Where run folders are made
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) out: PathBuf,
    /// Threads that send; one per core by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) workers: Option<u16>,
    /// Write a JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    pub(super) log_requests: Option<PathBuf>,
    /// The most lines of `--log-requests`
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "log_requests")]
    pub(super) log_limit: usize,
    /// No progress and no notices
    #[arg(long, short, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Tell of every connection that opens or fails and every user that leaves
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Show what comes of a fault of the runner
    #[arg(long, hide = true)]
    pub(super) failpoint: Option<FailpointArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum GateArg {
    Target,
    Acceptable,
    Maximum,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailpointArg {
    LoseASample,
    Panic,
}

impl From<FailpointArg> for Failpoint {
    fn from(argument: FailpointArg) -> Self {
        match argument {
            FailpointArg::LoseASample => Self::LoseASample,
            FailpointArg::Panic => Self::Panic,
        }
    }
}
