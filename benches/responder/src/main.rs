//! The target of the side-by-side benchmark: a minimal HTTP/1.1 server on one thread.
//!
//! Every request gets the same response, a 200 with 21 bytes of JSON: one read, one write, no allocation. Three paths
//! are for the benchmark itself, and are neither counted nor delayed:
//!
//! - `GET /count`: the number of requests served so far; `GET /reset` sets it to zero.
//! - `GET /lag`: with `--lag RATE`, the lateness of requests by the clock of this server, see [`lag`].
//!
//! Options give it known response times:
//!
//! - `--delay 5ms`: a response leaves this time after its request was read. Responses wait in a queue; in the last two
//!   milliseconds the server polls the clock, so that they leave within a microsecond of their time.
//! - `--stall 1s --every 5s`: in the last second of every five seconds since its start it reads and sends nothing.
//!   Requests that arrive in that second wait in the system's buffers and are answered at its end.
//!
//! Not supported: bodies of GET and HEAD, chunked bodies (refused), `Expect: 100-continue`, HTTP/1.0.

mod http;
mod lag;
mod options;
mod server;

use std::io::Write;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> ExitCode {
    match options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("responder: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &options::Options) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    // Each connection needs a descriptor, so the limit is raised to the maximum of this process.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).map_err(|error| told(error.into()))?;
    let mut server = server::Server::bind(options).map_err(told)?;
    let mut stdout = std::io::stdout();
    let address = server.address().map_err(told)?;
    writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush()).map_err(told)?;
    server.serve().map_err(told)
}
