//! The command line: one clap struct per command and the options that commands share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::ci::CiArg;
use crate::app::commands::monitor::MonitorArgs;
use crate::app::commands::stand_in::StandInArgs;
use crate::app::written_reports::{FormatFlags, ReportFile};
use crate::plan::GateTier;
use crate::session::Failpoint;
use crate::units::TimeSpan;

const EXIT_CODES: &str = "\
Exit codes: 0 passed or rehearsed, 1 breached, 2 refused, 3 inconclusive, 4 invalid (load generator not reliable), \
5 target unavailable, 70 internal error, 74 report not written, 130 or 143 interrupted";

/// Run a load test plan and judge it; the exit code is the verdict
#[derive(Debug, Parser)]
#[command(name = "runner", version, after_help = EXIT_CODES)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a plan and forecast its run, without sending a request
    Check(CheckArgs),
    /// Perform each task of a plan once and print the requests and responses
    Try(TryArgs),
    /// Print the report of a finished, dead or running run again
    Report(ReportArgs),
    /// Judge a stored run again, by its own or other objectives; the exit code is the verdict
    Gate(GateArgs),
    /// Print the JSON Schema of plans, included user files, threshold files or reports
    Schema(SchemaArgs),
    /// Sample this machine's resource usage; print it, record it, or serve it in node_exporter format
    Monitor(MonitorArgs),
    /// Serve the built-in target, a small case-search service, until interrupted
    StandIn(StandInArgs),
    /// Work with the objectives of a plan
    Slo(SloArgs),
}

/// The plan, the options that override its values, and the output format.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Plan file, such as `plans/daily.toml`
    #[arg(value_name = "PLAN", required = true)]
    plan: Option<PathBuf>,
    /// Target URL; overrides the plan's
    #[arg(long, value_name = "URL", conflicts_with = "stand_in")]
    pub(super) target: Option<String>,
    /// Use the built-in target, on a free local port, instead of the plan's
    #[arg(long)]
    pub(super) stand_in: bool,
    /// Phase to include, all by default; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) phase: Vec<String>,
    /// Override one value of the plan, such as `phases.peak.duration=30s`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Random seed; overrides the plan's
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Tier that decides: `target` is the strictest, `maximum` the loosest, `none` only reports; overrides the plan's
    #[arg(long, value_name = "TIER")]
    pub(super) gate: Option<GateTier>,
    /// Format of the standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
    /// Allow the plan to use files outside the parent of its folder
    #[arg(long)]
    pub(super) allow_outside: bool,
}

impl PlanArgs {
    /// The plan's path. It is optional in the struct only because a subcommand replaces it at the top level.
    pub(super) fn plan(&self) -> &std::path::Path {
        self.plan.as_deref().expect("clap requires the plan argument")
    }
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Print every effective value and its source
    #[arg(long)]
    pub(super) explain: bool,
}

#[derive(Debug, Args)]
pub(super) struct TryArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Operation whose tasks are tried; all by default
    #[arg(long, value_name = "NAME")]
    pub(super) operation: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Folder of the run, such as `reports/latest`
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    /// Format of the standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
    /// Write the report in this format to this file; may be repeated
    #[arg(long, value_name = "KIND=PATH")]
    pub(super) write: Vec<ReportFile>,
    #[command(flatten)]
    pub(super) into_folder: FormatFlags,
}

#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Folder of the run, such as `reports/latest`
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    /// Threshold files whose objectives are judged in place of the plan's
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) thresholds: Vec<PathBuf>,
    /// Tier that decides; overrides that of the run
    #[arg(long, value_name = "TIER")]
    pub(super) gate: Option<GateTier>,
    /// Format of the standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
    /// Write the report in this format to this file; may be repeated
    #[arg(long, value_name = "KIND=PATH")]
    pub(super) write: Vec<ReportFile>,
}

#[derive(Debug, Args)]
pub(super) struct SloArgs {
    #[command(subcommand)]
    pub(super) command: SloCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SloCommand {
    /// Print the objectives of a plan as OpenSLO documents; those that OpenSLO cannot say are named on stderr
    Export(SloExportArgs),
}

#[derive(Debug, Args)]
pub(super) struct SloExportArgs {
    /// Plan file, such as `plans/daily.toml`
    #[arg(value_name = "PLAN")]
    pub(super) plan: PathBuf,
    /// Phase to include, all by default; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) phase: Vec<String>,
    /// Override one value of the plan, such as `phases.peak.duration=30s`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// File to write instead of the standard output
    #[arg(long, value_name = "FILE")]
    pub(super) write: Option<PathBuf>,
    /// Allow the plan to use files outside the parent of its folder
    #[arg(long)]
    pub(super) allow_outside: bool,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Kind of file that the schema describes
    #[arg(value_name = "KIND")]
    pub(super) kind: SchemaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// Plans, such as `plans/daily.toml`
    Plan,
    /// User files that plans include, such as `plans/users/steady.toml`
    Users,
    /// Threshold files, such as `thresholds/response-time.toml`
    Thresholds,
    /// Reports, such as `reports/latest/report.json`
    Report,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,
    /// Rehearse: run all phases in this time in total, each for an equal share, with the plan's own load
    #[arg(long, value_name = "TIME")]
    pub(super) rehearse: Option<TimeSpan>,
    /// Folder in which the folder of the run is created
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) out: PathBuf,
    /// Write the report in this format to this file too; may be repeated
    #[arg(long, value_name = "KIND=PATH")]
    pub(super) write: Vec<ReportFile>,
    /// Label of the run in every report, such as `commit=1a2b3c`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) label: Vec<RunLabel>,
    /// Ending that exits with 0 too, as `inconclusive = "warn"` does in the plan
    #[arg(long, value_name = "ENDING")]
    pub(super) exit_zero_on: Option<ExitZeroOn>,
    /// CI system that gets annotations, a summary and outputs
    #[arg(long, value_name = "SYSTEM", default_value = "auto")]
    pub(super) ci: CiArg,
    /// Number of sending threads; one per core by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) workers: Option<u16>,
    /// Write one JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    pub(super) log_requests: Option<PathBuf>,
    /// Maximum number of lines in the `--log-requests` file
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "log_requests")]
    pub(super) log_limit: usize,
    /// How long requests in flight may take to finish after a signal or an early end; then they are cancelled
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(super) drain: TimeSpan,
    /// Suppress progress and notices
    #[arg(long, short, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Report every connection that opens or fails and every user that leaves
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Inject a fault into the runner to test how it is reported
    #[arg(long, hide = true)]
    pub(super) failpoint: Option<FailpointArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

/// `--exit-zero-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExitZeroOn {
    /// A gated objective could not be decided
    Inconclusive,
}

/// A label of a run: `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunLabel {
    pub(super) key: String,
    pub(super) value: String,
}

impl FromStr for RunLabel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write a key and a value, such as `commit=1a2b3c`")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if key.is_empty() || !key.chars().all(is_plain) {
            return Err(format!("`{key}` is not a key: use letters, digits, `-`, `_`, `.` and `/`"));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailpointArg {
    LoseASample,
    Panic,
}

impl ValueEnum for GateTier {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl From<FailpointArg> for Failpoint {
    fn from(argument: FailpointArg) -> Self {
        match argument {
            FailpointArg::LoseASample => Self::LoseASample,
            FailpointArg::Panic => Self::Panic,
        }
    }
}
