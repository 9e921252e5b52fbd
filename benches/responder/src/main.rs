//! What the side-by-side benchmark sends its load to: an HTTP/1.1 server that does next to nothing, on one thread.
//!
//! Every request is answered with the same 200 and 21 bytes of JSON, whatever it asks for: one read, one write, no
//! allocation. Two paths are for the benchmark itself, and are neither counted nor slowed:
//!
//! - `GET /count`: how many requests were served so far; `GET /reset` sets that to zero.
//! - `GET /lag`: with `--lag RATE`, how late requests came at this server's clock, see [`lag`].
//!
//! It can be told to behave in ways whose response times are known beforehand:
//!
//! - `--delay 5ms`: an answer leaves that long after its request was read. Answers wait in a queue; for the last two
//!   milliseconds the server looks at the clock all the time, so that they leave on the microsecond.
//! - `--stall 1s --every 5s`: in the last second of every five since its start it reads and answers nothing. What
//!   arrives then waits in the system's buffers and is answered when the second is over.
//!
//! What it does not do: bodies of GET and HEAD, chunked bodies (refused), `Expect: 100-continue`, HTTP/1.0.

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
    // A descriptor per connection: as many as this process may have.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).map_err(|error| told(error.into()))?;
    let mut server = server::Server::bind(options).map_err(told)?;
    let mut stdout = std::io::stdout();
    let address = server.address().map_err(told)?;
    writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush()).map_err(told)?;
    server.serve().map_err(told)
}
