//! `runner monitor`: samples this machine's resource usage, prints it, records it in a file and serves it over HTTP.

mod json_array;
mod metrics_server;
mod reading;
mod sampled_host;
mod summary;
mod totals;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::app::signals::Signals;
use crate::app::{failure, output};
use crate::gate::Ending;
use crate::resources::metric::Metric;
use crate::resources::source::{DeviceFilter, ProcessSelector, Source};
use crate::units::TimeSpan;
use json_array::JsonArrayFile;
use reading::{MonitorReading, ProcessReading, header};
use sampled_host::SampledHost;
use summary::MonitorSummary;
use totals::ByteTotals;

/// The accepted range of `--every`, in seconds.
const EVERY_RANGE_S: std::ops::RangeInclusive<f64> = 1.0..=60.0;
/// On a terminal the header is repeated after this number of lines.
const LINES_PER_HEADER: u64 = 20;

#[derive(Debug, Args)]
pub(in crate::app) struct MonitorArgs {
    /// Sampling interval, from 1s to 60s
    #[arg(long, value_name = "TIME", default_value = "10s")]
    every: TimeSpan,
    /// Duration of the sampling; until interrupted by default
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<TimeSpan>,
    /// Write the readings to this new file, as a JSON array that is valid at any moment
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also sample a process and its children: `pid 1234`, `file kms.pid`, or `port 8008` on which it listens
    #[arg(long, value_name = "SPEC")]
    process: Option<ProcessSelector>,
    /// Serve the machine's counters at http://ADDR/metrics in node_exporter format; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Print only the summary, without a line per reading
    #[arg(long, short)]
    quiet: bool,
}

/// Samples for the duration of `--for`, or until SIGINT or SIGTERM, and then prints the summary.
pub(in crate::app) fn monitor(args: &MonitorArgs) -> anyhow::Result<ExitCode> {
    check(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not create the async runtime (check `ulimit -n`)")?;
    runtime.block_on(async {
        // Installed before the first output: its reader may send a signal immediately.
        let mut signals = Signals::new();
        let mut monitor = MonitorLoop::begin(args).await?;
        let followed = monitor.follow(&mut signals).await;
        let process = monitor.process.as_ref().map(|(process, _)| process.name.as_str());
        let gap = if monitor.lines > 0 { "\n" } else { "" };
        let summed_up = output::try_stdout(&format!("{gap}{}", monitor.summary.render(process)));
        followed?;
        if let Some(array) = &monitor.array {
            array.check_exists()?;
        }
        // Without `--quiet` the lines have reported the readings, so a lost summary is no error.
        match summed_up {
            Err(error) if args.quiet => monitor.output_lost("summary", &error),
            _ => Ok(()),
        }
        .map(|()| ExitCode::SUCCESS)
    })
}

fn check(args: &MonitorArgs) -> anyhow::Result<()> {
    let refused = |message: String| Err(failure(Ending::Refused, message));
    let every = args.every;
    if !EVERY_RANGE_S.contains(&every.seconds()) {
        return refused(format!("`--every` must be between 1s and 60s, not `{every}`"));
    }
    if let Some(lasting) = args.lasting.filter(|lasting| *lasting < every) {
        return refused(format!(
            "`--for {lasting}` ends before the first reading at {every}; use a longer `--for` or a shorter `--every`"
        ));
    }
    Ok(())
}

struct MonitorLoop<'a> {
    args: &'a MonitorArgs,
    machine: SampledHost,
    process: Option<(SampledHost, ByteTotals)>,
    /// The time of the first snapshot.
    start: Instant,
    /// The UTC offset at the start. It stays fixed, so that timestamps continue across a change to or from summer time.
    zone: TimeZone,
    array: Option<JsonArrayFile>,
    summary: MonitorSummary,
    /// Events of the previous reading. An event that continues is printed once.
    events: Vec<String>,
    lines: u64,
    /// Whether the header is repeated.
    repeats_header: bool,
    /// Whether lines are printed: not with `--quiet`, and not after a failed write.
    prints_lines: bool,
}

impl<'a> MonitorLoop<'a> {
    /// Opens the sources and takes the first snapshots, from which the first reading is computed.
    async fn begin(args: &'a MonitorArgs) -> anyhow::Result<Self> {
        let refused = |why: String| failure(Ending::Refused, why);
        if let Some(address) = args.listen {
            let address = metrics_server::serve(address).await?;
            output::stderr(&format!("serving http://{address}/metrics\n"));
        }
        let mut machine = SampledHost::open(&Source::Local(DeviceFilter::default())).map_err(refused)?;
        let mut process = match &args.process {
            Some(name) => Some(SampledHost::open(&Source::Process(name.clone())).map_err(refused)?),
            None => None,
        };
        let start = Instant::now();
        let mut events = Vec::new();
        print_missing(&machine.begin().await.map_err(refused)?, &machine.name);
        if let Some(process) = &mut process {
            match process.begin().await {
                Ok(missing) => print_missing(&missing, &process.name),
                Err(why) if matches!(args.process, Some(ProcessSelector::Pid(_))) => {
                    return Err(refused(why));
                }
                Err(why) => {
                    output::stderr(&format!("{why}; each reading searches for it again\n"));
                    events.push(format!("{}: {why}", process.name));
                }
            }
        }
        Ok(Self {
            args,
            machine,
            process: process.map(|process| (process, ByteTotals::default())),
            start,
            zone: TimeZone::fixed(ZonedDateTime::now().offset()),
            array: args.out.as_deref().map(JsonArrayFile::create).transpose()?,
            summary: MonitorSummary::default(),
            events,
            lines: 0,
            repeats_header: std::io::stdout().is_terminal(),
            prints_lines: !args.quiet,
        })
    }

    /// Takes a reading at each tick until the end.
    async fn follow(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let (start, every) = (self.start, self.args.every.duration());
        let end = self.args.lasting.map(|lasting| start + lasting.duration());
        let mut ticks = interval_at(start + every, every);
        // Ticks missed during suspend or a slow snapshot are skipped; the later ticks keep their times.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => return Ok(()),
                // `biased` lets the tick at the end come before the end itself.
                _ = ticks.tick() => self.read().await?,
                () = over(end) => return Ok(()),
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let machine = self.machine.read().await;
        let so_far = self.summary.totals.add(&machine);
        let mut events = machine.events.clone();
        let mut of_process = None;
        if let Some((process, totals)) = &mut self.process {
            let interval = process.read().await;
            events.extend(interval.events.iter().map(|event| format!("{}: {event}", process.name)));
            let so_far = totals.add(&interval);
            of_process = Some(ProcessReading { interval, so_far });
        }
        let at = Timestamp::now().to_zoned_datetime(self.zone.clone());
        let reading = MonitorReading { at, machine, so_far, process: of_process, events };
        self.summary.add(&reading);
        self.print_events(&reading);
        if let Some(array) = &mut self.array {
            array.push(&reading.object())?;
        }
        self.show(&reading)
    }

    /// Prints the events that the previous reading did not have.
    fn print_events(&mut self, reading: &MonitorReading) {
        for event in reading.events.iter().filter(|event| !self.events.contains(event)) {
            output::stderr(&format!("{} {event}\n", reading.at.strftime("%H:%M:%S")));
        }
        self.events.clone_from(&reading.events);
    }

    fn show(&mut self, reading: &MonitorReading) -> anyhow::Result<()> {
        if !self.prints_lines {
            return Ok(());
        }
        let headed = self.lines == 0 || self.repeats_header && self.lines.is_multiple_of(LINES_PER_HEADER);
        let header = if headed { header(self.process.is_some()) } else { String::new() };
        self.lines += 1;
        let Err(error) = output::try_stdout(&(header + &reading.line())) else { return Ok(()) };
        self.prints_lines = false;
        self.output_lost("readings", &error)
    }

    /// Handles a failed write to standard output: an error if there is no other output.
    fn output_lost(&self, label: &str, error: &std::io::Error) -> anyhow::Result<()> {
        if self.array.is_some() || self.args.listen.is_some() {
            return Ok(());
        }
        let message = format!("could not write the {label} to standard output: {error}; use `--out FILE`");
        Err(failure(Ending::Unwritten, message))
    }
}

fn print_missing(missing: &[(Metric, String)], name: &str) {
    for (metric, why) in missing {
        output::stderr(&format!("{name} has no `{}`: {why}\n", metric.as_str()));
    }
}

async fn over(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
