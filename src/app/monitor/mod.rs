//! `runner monitor`: looks at this machine again and again, shows it, keeps it in a file and serves it to others.

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
use crate::exit::Ending;
use crate::resources::metric::Metric;
use crate::resources::source::{DeviceFilter, ProcessSelector, Source};
use crate::units::TimeSpan;
use json_array::JsonArrayFile;
use reading::{MonitorReading, ProcessReading, header};
use sampled_host::SampledHost;
use summary::MonitorSummary;
use totals::ByteTotals;

/// Readings are at least and at most so many seconds apart.
const EVERY_RANGE_S: std::ops::RangeInclusive<f64> = 1.0..=60.0;
/// On a terminal the header stands again above so many lines.
const LINES_PER_HEADER: u64 = 20;

#[derive(Debug, Args)]
pub(in crate::app) struct MonitorArgs {
    /// How often to look, from 1s to 60s
    #[arg(long, value_name = "TIME", default_value = "10s")]
    every: TimeSpan,
    /// How long to look; until interrupted where nothing is said
    #[arg(long = "for", value_name = "TIME")]
    lasting: Option<TimeSpan>,
    /// Write the readings to this file, a JSON array that is whole at any moment
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Look at this process and its children too: `pid 1234`, `file kms.pid` or `port 8008`, where it listens
    #[arg(long, value_name = "SPEC")]
    process: Option<ProcessSelector>,
    /// Serve what the machine counts at http://ADDR/metrics, as a node_exporter does; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// No line per reading, only the summary
    #[arg(long, short)]
    quiet: bool,
}

/// Looks until the time is over, or until SIGINT or SIGTERM; then sums up.
pub(in crate::app) fn monitor(args: &MonitorArgs) -> anyhow::Result<ExitCode> {
    check(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not prepare to wait for the next look")?;
    runtime.block_on(async {
        // Before anything is said: whoever reads it may send a signal at once.
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
        // Where lines were shown, someone had the readings.
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
        return refused(format!("`--every {every}` cannot be done: write a duration from 1s to 60s"));
    }
    if let Some(lasting) = args.lasting.filter(|lasting| *lasting < every) {
        return refused(format!(
            "`--for {lasting}` is over before the first reading, which comes after {every}: make it longer, or `--every` shorter"
        ));
    }
    Ok(())
}

struct MonitorLoop<'a> {
    args: &'a MonitorArgs,
    machine: SampledHost,
    process: Option<(SampledHost, ByteTotals)>,
    /// When the machine was looked at first.
    start: Instant,
    /// Times are told in the time that holds here at the beginning, however long it lasts.
    zone: TimeZone,
    array: Option<JsonArrayFile>,
    summary: MonitorSummary,
    /// What happened at the reading before: what goes on is said once.
    events: Vec<String>,
    lines: u64,
    /// Whether the header stands again now and then.
    repeats_header: bool,
    /// Whether someone still reads the lines.
    prints_lines: bool,
}

impl<'a> MonitorLoop<'a> {
    /// Takes the first looks, from which readings count, once all else is ready.
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
                    output::stderr(&format!("{why}; it is looked for at each reading\n"));
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

    /// A reading at each tick, until the end.
    async fn follow(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let (start, every) = (self.start, self.args.every.duration());
        let end = self.args.lasting.map(|lasting| start + lasting.duration());
        let mut ticks = interval_at(start + every, every);
        // A machine that slept, or a look that took long, costs the ticks meanwhile; the rest stay where they are.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => return Ok(()),
                // The one at the very end counts.
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

    /// Says what has happened and did not go on from before.
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

    /// Something could not be written to standard output; an error where that was the only place for it.
    fn output_lost(&self, label: &str, error: &std::io::Error) -> anyhow::Result<()> {
        if self.array.is_some() || self.args.listen.is_some() {
            return Ok(());
        }
        let message = format!("could not write the {label} to standard output, and nowhere else: {error}");
        Err(failure(Ending::Unwritten, message))
    }
}

fn print_missing(missing: &[(Metric, String)], name: &str) {
    for (metric, why) in missing {
        output::stderr(&format!("{name} gives no `{}`: {why}\n", metric.as_str()));
    }
}

async fn over(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
