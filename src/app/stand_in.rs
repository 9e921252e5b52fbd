//! `runner stand-in`: the built-in target as a process of its own.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::failure;
use crate::exit::Ending;
use crate::stand_in::{Behaviour, StandIn};
use crate::units::{Share, Size, TimeSpan};

/// Serve the built-in target, a small case-search service, until interrupted
#[derive(Debug, Args)]
pub(super) struct StandInArgs {
    /// Port to listen on, at 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8008)]
    port: u16,
    /// Added to every answer
    #[arg(long, value_name = "TIME", default_value = "0s")]
    delay: TimeSpan,
    /// Drawn uniformly up to this and added to the delay
    #[arg(long, value_name = "TIME", default_value = "0s")]
    jitter: TimeSpan,
    /// Share of answers that are a 500
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    error_share: Share,
    /// Freeze the whole service once in this time, first after it has passed once
    #[arg(long, value_name = "TIME", requires = "stall_for")]
    stall_every: Option<TimeSpan>,
    /// How long each freeze lasts
    #[arg(long, value_name = "TIME", requires = "stall_every")]
    stall_for: Option<TimeSpan>,
    /// Answer 503 to everything for so long after the start
    #[arg(long, value_name = "TIME", default_value = "0s")]
    slow_start: TimeSpan,
    /// Answer searches with 503 for so long after the start
    #[arg(long, value_name = "TIME", default_value = "0s")]
    index_absent: TimeSpan,
    /// Let `GET /health/detailed` block the whole service, as the real one does; for 1s where no time is given
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_value = "0s", default_missing_value = "1s")]
    blocking_health: TimeSpan,
    /// How long a manual sync runs, in which searches take twice as long
    #[arg(long, value_name = "TIME", default_value = "2s")]
    sync_lasting: TimeSpan,
    /// Memory kept per request and never freed
    #[arg(long, value_name = "SIZE", default_value = "0B")]
    leak: Size,
    /// Share of one core that is burnt beside serving
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    burn_cpu: Share,
    /// Share of answers that close their connection
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    close_share: Share,
    /// What cases and chance are made of
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Exit when standard input ends, that is with whoever started this
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// Serves until SIGINT or SIGTERM; says on stdout where, once it listens.
pub(super) fn stand_in(args: &StandInArgs) -> anyhow::Result<ExitCode> {
    let behaviour = behaviour(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.context("could not prepare to wait for signals")?;
    runtime.block_on(async {
        // Before anything is said: whoever reads the line may send a signal at once.
        let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let parent = if args.with_parent { Some(end_of_input()?) } else { None };
        let stand_in = StandIn::start(args.port, behaviour).map_err(|error| refusal(args.port, &error))?;
        announce(&stand_in).context("could not write to standard output")?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = parent_exited(parent) => {}
        }
        stand_in.stop();
        Ok(ExitCode::SUCCESS)
    })
}

fn behaviour(args: &StandInArgs) -> anyhow::Result<Behaviour> {
    let leak =
        usize::try_from(args.leak.bytes()).context("`--leak` is more than this machine can address")?;
    let behaviour = Behaviour::steady()
        .delay(args.delay.duration())
        .jitter(args.jitter.duration())
        .error_share(args.error_share.fraction())
        .slow_start(args.slow_start.duration())
        .index_absent(args.index_absent.duration())
        .blocking_health(args.blocking_health.duration())
        .sync_lasting(args.sync_lasting.duration())
        .leak(leak)
        .burn_cpu(args.burn_cpu.fraction())
        .close_share(args.close_share.fraction())
        .seed(args.seed);
    let Some((every, lasting)) = args.stall_every.zip(args.stall_for) else {
        return Ok(behaviour);
    };
    if lasting >= every {
        let why = "`--stall-for` must be shorter than `--stall-every`";
        return Err(failure(
            Ending::Refused,
            format!("a freeze of {lasting} once in {every} never thaws: {why}"),
        ));
    }
    Ok(behaviour.stall(every.duration(), lasting.duration()))
}

fn refusal(port: u16, error: &io::Error) -> anyhow::Error {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} of 127.0.0.1 is taken: choose another one with `--port`, or any free one with `--port 0`"
        ),
        _ => format!("could not listen on 127.0.0.1:{port}: {error}"),
    };
    failure(Ending::Refused, problem)
}

fn announce(stand_in: &StandIn) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "stand-in listening on {}", stand_in.url())?;
    stdout.flush()
}

/// Tells when standard input has ended; a thread waits, for reading it cannot be cut short.
fn end_of_input() -> anyhow::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let wait = move || {
        let mut input = io::stdin().lock();
        let mut ignored = [0; 1024];
        while input.read(&mut ignored).is_ok_and(|read| read > 0) {}
        // Not heard only where the process is ending anyway.
        let _ = ended.send(());
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(wait).context("could not watch standard input")?;
    Ok(end)
}

async fn parent_exited(parent: Option<oneshot::Receiver<()>>) {
    match parent {
        Some(end) => {
            // An error means that the watching thread is gone, and input with it.
            let _ = end.await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: StandInArgs,
    }

    fn read(line: &str) -> Result<StandInArgs, clap::Error> {
        Line::try_parse_from(format!("stand-in {line}").split_whitespace()).map(|line| line.args)
    }

    #[test]
    fn no_options_give_a_steady_service_on_port_8008() {
        let args = read("").unwrap();
        assert_eq!(args.port, 8008);
        assert_eq!(behaviour(&args).unwrap(), Behaviour::steady());
    }

    #[test]
    fn every_option_reaches_the_behaviour() {
        let args = read(
            "--delay 5ms --jitter 2ms --error-share 1% --stall-every 20s --stall-for 2s --slow-start 5s \
             --index-absent 6s --blocking-health --sync-lasting 3s --leak 64KiB --burn-cpu 50% --close-share 2% --seed 7",
        );
        let expected = Behaviour::steady()
            .delay(Duration::from_millis(5))
            .jitter(Duration::from_millis(2))
            .error_share(0.01)
            .stall(Duration::from_secs(20), Duration::from_secs(2))
            .slow_start(Duration::from_secs(5))
            .index_absent(Duration::from_secs(6))
            .blocking_health(Duration::from_secs(1))
            .sync_lasting(Duration::from_secs(3))
            .leak(65_536)
            .burn_cpu(0.5)
            .close_share(0.02)
            .seed(7);
        assert_eq!(behaviour(&args.unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_time_without_a_unit_is_refused_with_the_form_it_should_have() {
        let error = read("--delay 5").unwrap_err().to_string();
        assert!(error.contains("`5` has no unit; write a duration with its unit"), "{error}");
    }

    #[test]
    fn half_a_stall_and_one_that_never_thaws_are_refused() {
        assert!(read("--stall-every 20s").is_err());
        assert!(read("--stall-for 2s").is_err());
        assert!(behaviour(&read("--stall-every 2s --stall-for 2s").unwrap()).is_err());
    }

    #[test]
    fn a_taken_port_is_refused_with_the_way_out() {
        let other = StandIn::start(0, Behaviour::steady()).unwrap();
        let args = read(&format!("--port {}", other.address().port())).unwrap();
        let error = stand_in(&args).unwrap_err().to_string();
        assert!(error.contains("is taken") && error.contains("--port 0"), "{error}");
    }
}
