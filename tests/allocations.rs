//! Allocations per request, by the crate that makes them. The engine runs once for a short and once for a longer time
//! against a target in another process. The difference of their allocations is divided by the difference of their
//! requests, so the start and the end of a run do not count, and work done once a second counts in proportion. A block
//! that is reallocated counts again, at the line of its first allocation.
//!
//! `cargo nextest run --test allocations --no-capture` prints the sites.

#![expect(clippy::unwrap_used, reason = "a run that does not start has failed the test")]
#![expect(clippy::print_stdout, reason = "the table is for reading")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use runner::diagnostic::Problems;
use runner::engine::{self, Dialer, Job};
use runner::event::RunEvent;
use runner::measure::indicator::{Indicator, IndicatorKind};
use runner::measure::limits::Limits;
use runner::plan::model::{OperationId, PhaseId, Plan};
use runner::plan::{self, Environment, Settings};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The requests, each with the largest permitted number of our own allocations per request. The limit of 0.5 is for
/// work done once a second, which weighs more on a slow machine; an allocation in every request exceeds it.
const REQUESTS: [(&str, &str, f64); 2] = [
    ("GET without holes", r#"request = "GET /health""#, 0.5),
    (
        "POST with 3 holes",
        r#"
        request = "POST /search"
        json = { query = "${pick(words)}", top_k = "${int(1, 3)}", similarity_threshold = "${float(0.6, 0.8)}" }
        "#,
        0.5,
    ),
];

const SHORT: &str = "400ms";
const LONG: &str = "1400ms";

/// Crates that allocate on behalf of their callers: containers, values, and the profiler of this test.
const FOR_THEIR_CALLER: [&str; 10] =
    ["alloc", "core", "std", "backtrace", "dhat", "bytes", "hashbrown", "http", "http-body-util", "url"];
const OURS: &str = "runner";

/// A place that allocates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    /// The crate that needs the allocation.
    owner: String,
    /// Line and function in that crate.
    place: String,
    /// The line of this crate that leads there.
    by: String,
}

/// The allocations of a run or of a request.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    allocations: f64,
    bytes: f64,
}

type Sites = BTreeMap<Site, Cost>;

/// The stand-in as a separate process, so that its allocations are not profiled.
struct Target {
    child: Child,
    url: String,
}

impl Target {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_runner"))
            .args(["stand-in", "--port", "0", "--with-parent"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plan with four users without a wait.
fn plan(url: &str, task: &str, lasting: &str) -> Plan {
    let text = format!(
        r#"
        name = "allocations"
        [target]
        url = "{url}"
        [[phases]]
        name = "steady"
        duration = "{lasting}"
        users = 4
        mix = {{ someone = 1 }}
        [lists]
        words = ["printer offline", "password reset", "backup is slow"]
        [[users.someone.tasks]]
        operation = "it"
        {task}
        "#
    );
    let read = |_: &Path| Ok(text.clone().into_bytes());
    let environment = Environment { read: &read, variable: &|_| None };
    let mut problems = Problems::default();
    let loaded = plan::load(Path::new("plan.toml"), &Settings::default(), &environment, &mut problems);
    loaded.plan.unwrap_or_else(|| panic!("{}", runner::diagnostic::render(&problems, false)))
}

/// Runs a plan on one worker with three limits; returns the number of requests.
fn run(plan: Plan) -> f64 {
    let limit = |ms| Indicator {
        phase: PhaseId(0),
        operations: vec![OperationId(0)],
        kind: IndicatorKind::Slower(std::time::Duration::from_millis(ms)),
        intervals: None,
        keeps_timeline: false,
    };
    let limits = Arc::new(Limits::of(&[50, 100, 200].map(limit), plan.operations.len()));
    let plan = Arc::new(plan);
    let (phases, seed, workers, log_capacity) = (vec![PhaseId(0)], 1, 1, 0);
    let dialer = Dialer::new(&plan.target).unwrap();
    let job = Job {
        dialer,
        plan,
        phases,
        seed,
        workers,
        limits,
        log_capacity,
        max_drain: std::time::Duration::ZERO,
        verbose: false,
        real_time: true,
    };
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let (_stop, signal) = runner::event::StopHandle::new();
    engine::start(job, sender, signal).unwrap();
    let mut requests = 0;
    while let Some(event) = events.blocking_recv() {
        let RunEvent::Recorded(batch) = event else { continue };
        for cell in batch.windows.values().flat_map(|window| window.cells.values()) {
            assert_eq!(cell.failed(), 0, "{:?}", batch.failures);
            requests += cell.requests;
        }
    }
    f64::from(requests)
}

/// Runs a plan under the profiler; returns the number of requests and the allocations.
fn profiled(plan: Plan) -> (f64, Sites) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.json");
    let profiler = dhat::Profiler::builder().file_name(&file).trim_backtraces(None).build();
    let requests = run(plan);
    drop(profiler);
    (requests, sites(&serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()))
}

fn sites(profile: &Value) -> Sites {
    // An address has one line per inlined function.
    let addresses = profile["ftbl"].as_array().unwrap().iter().map(|line| address(line.as_str().unwrap()));
    let addresses: Vec<Option<usize>> = addresses.collect();
    let mut known: HashMap<usize, Vec<Frame>> = HashMap::new();
    for at in addresses.iter().flatten() {
        known.entry(*at).or_insert_with(|| Frame::at(*at));
    }
    let mut sites = Sites::new();
    for point in profile["pps"].as_array().unwrap() {
        let chain = point["fs"].as_array().unwrap().iter();
        let mut chain: Vec<usize> =
            chain.filter_map(|line| addresses[line.as_u64().unwrap() as usize]).collect();
        chain.dedup();
        let cost = sites.entry(Site::of(chain.iter().flat_map(|at| &known[at]))).or_default();
        cost.allocations += point["tbk"].as_u64().unwrap() as f64;
        cost.bytes += point["tb"].as_u64().unwrap() as f64;
    }
    sites
}

/// The address in a line such as `0x55d0c0ffee: record (src/measure/histogram.rs:38:9)`, which does not name the crate.
fn address(line: &str) -> Option<usize> {
    let (address, _) = line.strip_prefix("0x")?.split_once(':')?;
    usize::from_str_radix(address, 16).ok()
}

/// A function in a backtrace.
struct Frame {
    /// The crate of its source file.
    from: String,
    line: String,
    function: String,
}

impl Frame {
    /// The functions at an address, innermost first.
    fn at(address: usize) -> Vec<Self> {
        let mut frames = Vec::new();
        backtrace::resolve(address as *mut _, |symbol| {
            let path = symbol.filename().map_or(String::new(), |path| path.display().to_string());
            let path = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")).unwrap_or(&path);
            let (folder, file) = path.rsplit_once("/src/").unwrap_or(("", path));
            // The folder is `hyper-1.8.1` in the registry, and `alloc` in the standard library.
            let package = folder.rsplit('/').next().unwrap_or("");
            let package = package.rsplit_once('-').map_or(package, |(name, _)| name);
            let from = if path.starts_with("src/") { OURS } else { package };
            let line = format!("{file}:{}", symbol.lineno().unwrap_or(0));
            let function = symbol.name().map_or(String::new(), |name| format!("{name:#}"));
            frames.push(Self { from: from.to_owned(), line, function });
        });
        frames
    }

    /// Line and function, without generic arguments.
    fn told(&self) -> String {
        let function = self.function.split('<').find(|part| !part.is_empty()).unwrap_or("");
        format!("{} {function}", self.line)
    }
}

impl Site {
    /// The owner of an allocation is the innermost caller that does not allocate on behalf of its own caller.
    fn of<'f>(mut chain: impl Iterator<Item = &'f Frame> + Clone) -> Self {
        let wants =
            |frame: &&Frame| !frame.from.is_empty() && !FOR_THEIR_CALLER.contains(&frame.from.as_str());
        let found = chain.clone().find(wants);
        let (owner, place) =
            found.map_or(("unknown crate", String::new()), |frame| (&frame.from, frame.told()));
        let by = chain.find(|frame| frame.from == OURS).map_or("", |frame| &frame.line);
        Self { owner: owner.to_owned(), place, by: by.to_owned() }
    }
}

/// The cost per additional request of the longer run.
fn marginal(short: &(f64, Sites), long: &(f64, Sites)) -> Sites {
    let requests = long.0 - short.0;
    assert!(requests > 100.0, "{requests} additional requests are too few");
    let mut sites = long.1.clone();
    for (site, cost) in &short.1 {
        let both = sites.entry(site.clone()).or_default();
        both.allocations -= cost.allocations;
        both.bytes -= cost.bytes;
    }
    sites.values_mut().for_each(|cost| {
        cost.allocations /= requests;
        cost.bytes /= requests;
    });
    sites
}

/// The sites by owner, most allocations first, without those below 0.005 allocations per request.
fn table(sites: &Sites) -> String {
    let mut owners: BTreeMap<&str, Vec<(&Site, &Cost)>> = BTreeMap::new();
    for (site, cost) in sites.iter().filter(|(_, cost)| cost.allocations >= 0.005) {
        owners.entry(&site.owner).or_default().push((site, cost));
    }
    let mut text = String::new();
    for (owner, mut sites) in owners {
        let sum = |of: fn(&Cost) -> f64| sites.iter().map(|(_, cost)| of(cost)).sum::<f64>();
        let (allocations, bytes) = (sum(|cost| cost.allocations), sum(|cost| cost.bytes));
        writeln!(text, "{allocations:8.2} {bytes:8.0} B  {owner}").unwrap();
        sites.sort_by(|one, other| other.1.allocations.total_cmp(&one.1.allocations));
        for (Site { place, by, .. }, Cost { allocations, bytes }) in sites {
            let by = if place.starts_with(by.as_str()) { String::new() } else { format!(", called in {by}") };
            writeln!(text, "{allocations:12.2} {bytes:8.0} B  {place}{by}").unwrap();
        }
    }
    text
}

#[test]
#[cfg_attr(
    not(debug_assertions),
    ignore = "without line tables, as in release, allocations have no known owner"
)]
fn a_request_stays_within_its_allocation_budget() {
    let target = Target::start();
    for (name, task, at_most) in REQUESTS {
        let [short, long] = [SHORT, LONG].map(|lasting| profiled(plan(&target.url, task, lasting)));
        let sites = marginal(&short, &long);
        let ours = sites.iter().filter(|(site, _)| site.owner == OURS);
        let ours: f64 = ours.map(|(_, cost)| cost.allocations).sum();
        println!(
            "{name}: {ours:.2} allocations of ours a request, by {} requests\n{}",
            long.0 - short.0,
            table(&sites)
        );
        assert!(ours > 0.0, "no line of ours is known: this needs line tables, as the dev profile has them");
        assert!(ours <= at_most, "{name}: {ours:.2} allocations a request are more than {at_most}");
    }
}
