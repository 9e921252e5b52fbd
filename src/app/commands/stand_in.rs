//! `runner stand-in`: serves the built-in target until it is interrupted.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::app::failure;
use crate::gate::Ending;
use crate::stand_in::{Behaviour, StandIn};
use crate::units::{Share, Size, TimeSpan};

/// Serve the built-in target, a small case-search service, until interrupted
#[derive(Debug, Args)]
pub(in crate::app) struct StandInArgs {
    /// Port to listen on at 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 8008)]
    port: u16,
    /// Delay added to every response
    #[arg(long, value_name = "TIME", default_value = "0s")]
    delay: TimeSpan,
    /// Maximum of an additional random delay, uniformly distributed
    #[arg(long, value_name = "TIME", default_value = "0s")]
    jitter: TimeSpan,
    /// Share of responses with status 500
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    error_share: Share,
    /// Interval between the starts of freezes of the whole service; the first one starts after one interval
    #[arg(long, value_name = "TIME", requires = "stall_for")]
    stall_every: Option<TimeSpan>,
    /// Duration of each freeze; shorter than `--stall-every`
    #[arg(long, value_name = "TIME", requires = "stall_every")]
    stall_for: Option<TimeSpan>,
    /// Time after the start in which every response is a 503
    #[arg(long, value_name = "TIME", default_value = "0s")]
    slow_start: TimeSpan,
    /// Time after the start in which searches get a 503
    #[arg(long, value_name = "TIME", default_value = "0s")]
    index_absent: TimeSpan,
    /// Time for which `GET /health/detailed` blocks the whole service; 1s if the option has no value
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_value = "0s", default_missing_value = "1s")]
    blocking_health: TimeSpan,
    /// Duration of a manual sync, during which searches take twice as long
    #[arg(long, value_name = "TIME", default_value = "2s")]
    sync_lasting: TimeSpan,
    /// Memory kept per request and never freed
    #[arg(long, value_name = "SIZE", default_value = "0B")]
    leak: Size,
    /// Share of one core that is used in addition to serving
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    burn_cpu: Share,
    /// Share of responses that close their connection
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    close_share: Share,
    /// Each request holds the whole service for as long as in the measured real one
    #[arg(long)]
    real_times: bool,
    /// Time after which an idle connection is closed
    #[arg(long, value_name = "TIME", value_parser = above_zero)]
    idle_timeout: Option<TimeSpan>,
    /// Share of manual syncs that fail in the background, although their requests succeed
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    failing_syncs: Share,
    /// Exit with code 1 after this many manual syncs have begun; syncs asked for while one runs are one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    exit_after_syncs: Option<u64>,
    /// Random seed of the cases and of all random behaviour
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Exit when standard input ends, which happens when the parent process ends
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// Parses a duration above 0.
fn above_zero(text: &str) -> Result<TimeSpan, String> {
    let parsed: TimeSpan = text.parse().map_err(|error| format!("{error}"))?;
    if parsed.is_zero() { Err("it must be above 0".to_owned()) } else { Ok(parsed) }
}

/// Serves until SIGINT or SIGTERM. Prints its address to stdout as soon as it listens.
pub(in crate::app) fn stand_in(args: &StandInArgs) -> anyhow::Result<ExitCode> {
    let behaviour = behaviour(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.context("could not create the async runtime (check `ulimit -n`)")?;
    runtime.block_on(async {
        // Installed before the address is printed: its reader may send a signal immediately.
        let mut interrupt =
            signal(SignalKind::interrupt()).context("could not handle SIGINT (check `ulimit -n`)")?;
        let mut terminate =
            signal(SignalKind::terminate()).context("could not handle SIGTERM (check `ulimit -n`)")?;
        let parent = if args.with_parent { Some(end_of_input()?) } else { None };
        let stand_in = StandIn::start(args.port, behaviour).map_err(|error| refusal(args.port, &error))?;
        announce(&stand_in).context("could not write the address to standard output (check its reader)")?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = parent_exited(parent) => {}
            () = stand_in.exit_requested() => return Ok(ExitCode::FAILURE),
        }
        stand_in.stop();
        Ok(ExitCode::SUCCESS)
    })
}

fn behaviour(args: &StandInArgs) -> anyhow::Result<Behaviour> {
    let leak = usize::try_from(args.leak.bytes())
        .context("`--leak` exceeds the address space of this machine; choose a smaller size")?;
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
        .real_times(args.real_times)
        .idle_timeout(args.idle_timeout.map(TimeSpan::duration))
        .failing_syncs(args.failing_syncs.fraction())
        .exit_after_syncs(args.exit_after_syncs)
        .seed(args.seed);
    let Some((every, lasting)) = args.stall_every.zip(args.stall_for) else {
        return Ok(behaviour);
    };
    if lasting >= every {
        let why = "shorten `--stall-for` or lengthen `--stall-every`";
        return Err(failure(
            Ending::Refused,
            format!("`--stall-for` must be shorter than `--stall-every` ({every}), not `{lasting}`; {why}"),
        ));
    }
    Ok(behaviour.stall(every.duration(), lasting.duration()))
}

fn refusal(port: u16, error: &io::Error) -> anyhow::Error {
    let problem = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} of 127.0.0.1 is already in use; choose another with `--port`, or a free one with `--port 0`"
        ),
        _ => format!("could not listen on 127.0.0.1:{port}: {error}; choose another port with `--port`"),
    };
    failure(Ending::Refused, problem)
}

fn announce(stand_in: &StandIn) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "stand-in listening on {}", stand_in.url())?;
    stdout.flush()
}

/// Signals the end of standard input. A thread reads it, because a blocking read cannot be cancelled.
fn end_of_input() -> anyhow::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let wait = move || {
        let mut input = io::stdin().lock();
        let mut ignored = [0; 1024];
        while input.read(&mut ignored).is_ok_and(|read| read > 0) {}
        // Fails only if the receiver is gone because the process is ending.
        let _ = ended.send(());
    };
    thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(wait)
        .context("could not start a thread to read standard input (check `ulimit -u`)")?;
    Ok(end)
}

async fn parent_exited(parent: Option<oneshot::Receiver<()>>) {
    match parent {
        Some(end) => {
            // An error means that the reading thread has ended, and so has the input.
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
             --index-absent 6s --blocking-health --sync-lasting 3s --leak 64KiB --burn-cpu 50% --close-share 2% \
             --real-times --idle-timeout 5s --failing-syncs 99% --exit-after-syncs 200 --seed 7",
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
            .real_times(true)
            .idle_timeout(Some(Duration::from_secs(5)))
            .failing_syncs(0.99)
            .exit_after_syncs(Some(200))
            .seed(7);
        assert_eq!(behaviour(&args.unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_time_without_a_unit_is_refused_with_the_right_form() {
        let error = read("--delay 5").unwrap_err().to_string();
        assert!(error.contains("`5` has no unit; write a duration with its unit"), "{error}");
    }

    #[test]
    fn half_a_stall_and_an_endless_one_are_refused() {
        assert!(read("--stall-every 20s").is_err());
        assert!(read("--stall-for 2s").is_err());
        assert!(behaviour(&read("--stall-every 2s --stall-for 2s").unwrap()).is_err());
    }

    #[test]
    fn a_taken_port_is_refused_with_the_way_out() {
        let other = StandIn::start(0, Behaviour::steady()).unwrap();
        let args = read(&format!("--port {}", other.address().port())).unwrap();
        let error = stand_in(&args).unwrap_err().to_string();
        assert!(error.contains("already in use") && error.contains("--port 0"), "{error}");
    }
}
