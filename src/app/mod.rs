//! The command-line interface, one module per command. Only this module writes to the terminal.

mod arguments;
mod ci;
mod commands;
mod conclusion;
mod output;
#[cfg(feature = "png")]
mod png;
mod prepare;
mod run_folder;
mod signals;
mod stored_run;
mod written_reports;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

use crate::app::arguments::{Arguments, Command};
use crate::app::commands::{check, gate, monitor, report, run, schema, slo, stand_in, try_plan};
use crate::app::prepare::Refused;
use crate::gate::Ending;

/// Parses the command line, runs the command and returns the exit code.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        output::stderr_of_panic(&format!(
            "error: internal error of the runner: {panic}\n\
             the target did not cause this; please report it with the plan that triggers it\n"
        ));
        std::process::exit(Ending::Internal.code().into());
    }));
    let colour = if output::stderr_is_interactive() { ColorChoice::Auto } else { ColorChoice::Never };
    let matches = Arguments::command().color(colour).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let done = match arguments.command {
        Some(Command::Check(check)) => check::check(&check),
        Some(Command::Try(arguments)) => try_plan::try_plan(&arguments),
        Some(Command::Report(arguments)) => report::report(&arguments),
        Some(Command::Gate(arguments)) => gate::gate(&arguments),
        Some(Command::Schema(schema)) => schema::schema(&schema),
        Some(Command::StandIn(stand_in)) => stand_in::stand_in(&stand_in),
        Some(Command::Slo(arguments)) => slo::slo(&arguments),
        Some(Command::Monitor(arguments)) => monitor::monitor(&arguments),
        None => run::run(&arguments.run),
    };
    let code = done.unwrap_or_else(|error| ExitCode::from(tell(&error).code()));
    output::settle();
    code
}

/// An error with its own exit code. Any other error is internal, exit code 70.
#[derive(Debug)]
struct Failure {
    ending: Ending,
    message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

fn failure(ending: Ending, message: impl Into<String>) -> anyhow::Error {
    Failure { ending, message: message.into() }.into()
}

/// Writes an error to stderr, unless that is done already. Returns its ending.
fn tell(error: &anyhow::Error) -> Ending {
    if !error.is::<Refused>() {
        output::stderr(&format!("error: {error:#}\n"));
    }
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.ending,
        None if error.is::<Refused>() => Ending::Refused,
        None => Ending::Internal,
    }
}
