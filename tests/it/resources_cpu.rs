//! Processor time of a process with a known duty cycle, from every source and compared with mpstat and pidstat.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runner::monitor::Probe;
use runner::resources::metric::Metric;
use runner::resources::rates::{between, covered_s};
use runner::resources::snapshot::Snapshot;
use runner::resources::source::{DeviceFilter, ProcessSelector, Source};
use serde_json::Value;

use crate::support::peers::{Peer, endpoint, say, wait_for};

/// The largest allowed difference of two measurements, in percentage points.
const APART: f64 = 2.0;
/// Length of a measurement in seconds.
const LENGTH: &str = "6";
/// A Python program that is busy for a share of each period, by its own processor time: it makes up for time that other
/// processes took. Periods differ in length, because the kernel samples the machine's time at a fixed tick.
const BUSY: &str = "
import os, random, sys, time
share = float(sys.argv[1])
os.sched_setaffinity(0, {int(sys.argv[2])})
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
except PermissionError:
    pass
random.seed(1)
at, due = time.monotonic(), time.process_time()
while True:
    whole = random.uniform(0.05, 0.15)
    at, due = at + whole, due + share * whole
    while time.process_time() < due:
        pass
    time.sleep(max(0.0, at - time.monotonic()))
    print(time.monotonic(), time.process_time(), flush=True)
";

/// A process with a known duty cycle on one core; killed when dropped.
struct Busy {
    child: Child,
    /// Its last output: its clock and the processor time used so far, both in seconds.
    said: Arc<Mutex<(f64, f64)>>,
    /// Its control group, which can be removed only after the process has ended.
    group: Option<Group>,
}

impl Busy {
    /// Returns after the first output of the process.
    fn start(share: f64) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", BUSY, &share.to_string(), &first_core().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("continuous integration needs Python as well");
        let mut lines =
            BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let numbers = |line: String| {
            let (at, used) = line.split_once(' ').expect("two numbers");
            (at.parse().expect("a number"), used.parse().expect("a number"))
        };
        let first = lines.next().expect("it begins");
        let said = Arc::new(Mutex::new(numbers(first)));
        let last = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines {
                *last.lock().expect("the lock is not poisoned") = numbers(line);
            }
        });
        Self { child, said, group: None }
    }

    fn said(&self) -> (f64, f64) {
        *self.said.lock().expect("the lock is not poisoned")
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A control group for one process; removed when dropped.
struct Group {
    folder: PathBuf,
    /// Path below the root of all groups.
    path: String,
}

impl Group {
    /// Moves a process to a new group. The error is the reason why this machine does not permit that.
    fn with(pid: u32) -> Result<Self, String> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        let root = roots.into_iter().find(|root| root.join("cgroup.controllers").exists());
        let root = root.ok_or("this machine has no control groups of version 2")?;
        let own = std::fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("no group of version 2")?;
        let path = format!("/{own}/runner-test-{pid}").replace("//", "/");
        let folder = root.join(path.trim_start_matches('/'));
        std::fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let group = Self { folder, path };
        let moved = std::fs::write(group.folder.join("cgroup.procs"), pid.to_string());
        moved.map_err(|error| format!("{}: {error}", group.folder.display()))?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// The first core that this process may use.
pub(crate) fn first_core() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.and_then(|list| list.trim().split([',', '-']).next());
    first.and_then(|first| first.parse().ok()).expect("it may use a core")
}

/// The number of cores of this machine.
fn cores() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("this is Linux");
    stat.lines().filter(|line| line.starts_with("cpu")).count() as f64 - 1.0
}

/// Processor time of a process, in seconds.
#[derive(Clone, Copy)]
struct Used {
    began: u64,
    own: f64,
    /// Processor time of ended children, and of their ended children.
    ended: f64,
}

impl Used {
    fn read(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<u64> =
            rest.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
        let seconds = |from: usize| {
            (fields[from] + fields[from + 1]) as f64 / rustix::param::clock_ticks_per_second() as f64
        };
        Some(Self { began: fields[18], own: seconds(10), ended: seconds(12) })
    }
}

/// Processor time that a process has used, in seconds.
pub(crate) fn processor_time(pid: u32) -> f64 {
    Used::read(pid).expect("it runs").own
}

/// All processes by process ID.
struct Everyone(BTreeMap<u32, Used>);

impl Everyone {
    fn now() -> Self {
        let names = std::fs::read_dir("/proc").expect("this is Linux").flatten();
        let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(pids.filter_map(|pid| Some((pid, Used::read(pid)?))).collect())
    }

    /// The same process in this snapshot; `None` if it has ended or its ID was reused.
    fn same(&self, pid: u32, other: &Used) -> Option<&Used> {
        self.0.get(&pid).filter(|here| here.began == other.began)
    }

    /// A lower bound of the processor time used since `earlier`, in seconds. The time of an ended process is in that of
    /// the parent that waited for it, less the time it had used before. Without such a parent its time is lost.
    fn at_least_since(&self, earlier: &Self) -> f64 {
        let (mut own, mut ended) = (0.0, 0.0);
        for (pid, now) in &self.0 {
            let then = earlier.same(*pid, now);
            own += now.own - then.map_or(0.0, |then| then.own);
            ended += now.ended - then.map_or(0.0, |then| then.ended);
        }
        let gone = earlier.0.iter().filter(|(pid, then)| self.same(**pid, then).is_none());
        own + (ended - gone.map(|(_, then)| then.own + then.ended).sum::<f64>()).max(0.0)
    }
}

/// A tool of sysstat that makes one measurement and prints it at its end.
fn sysstat(tool: &str, arguments: &[&str]) -> Child {
    Command::new(tool)
        .args(arguments)
        .args([LENGTH, "1"])
        .env("LC_ALL", "C")
        .env("S_TIME_FORMAT", "ISO")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed by tests/install-peers")
}

fn output(tool: Child) -> String {
    let output = tool.wait_with_output().expect("it is our child");
    String::from_utf8(output.stdout).expect("it is text")
}

/// The share of time that mpstat counts as neither `idle` nor `iowait`, in percent.
fn of_mpstat(text: &str) -> f64 {
    let told: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let load = &told["sysstat"]["hosts"][0]["statistics"][0]["cpu-load"][0];
    let share = |name: &str| load[name].as_f64().unwrap_or_else(|| panic!("no {name}: {text}"));
    100.0 - share("idle") - share("iowait")
}

/// The column `%CPU` of pidstat, in percent of one core.
fn of_pidstat(text: &str) -> f64 {
    let mut lines = text.lines().skip_while(|line| !line.starts_with('#'));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let place = names.trim_start_matches('#').split_whitespace().position(|name| name == "%CPU");
    let value = place.and_then(|place| values.split_whitespace().nth(place));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no %CPU: {text}"))
}

/// Probes of several sources by name, read together.
struct Looking(Vec<(&'static str, Probe)>);

impl Looking {
    fn snapshot(&mut self) -> Vec<Snapshot> {
        let limit = Duration::from_secs(5);
        let snapshot = |(name, probe): &mut (&str, Probe)| {
            wait_for(probe.snapshot(limit)).unwrap_or_else(|why| panic!("{name}: {why}"))
        };
        self.0.iter_mut().map(snapshot).collect()
    }
}

/// Asserts that all sources agree about a process that is busy for this share of one core.
fn assert_measured(share: f64, exporter: &Peer) {
    let mut busy = Busy::start(share);
    let pid = busy.child.id();
    busy.group =
        Group::with(pid).inspect_err(|why| say(&format!("the control group is not measured: {why}"))).ok();
    let mut sources = vec![
        ("local", Source::Local(DeviceFilter::default())),
        ("process", Source::Process(ProcessSelector::Pid(pid))),
        ("node_exporter", Source::NodeExporter(endpoint(&exporter.metrics()), DeviceFilter::default())),
    ];
    sources.extend(busy.group.iter().map(|group| ("cgroup", Source::Cgroup(group.path.clone()))));
    let open = |(name, source): (_, Source)| {
        (name, Probe::open(&source).unwrap_or_else(|why| panic!("{name}: {why}")))
    };
    let mut looking = Looking(sources.into_iter().map(open).collect());
    looking.snapshot();
    let (mpstat, pidstat) =
        (sysstat("mpstat", &["-o", "JSON"]), sysstat("pidstat", &["-h", "-u", "-p", &pid.to_string()]));
    let (before, begun, used, own) = (looking.snapshot(), busy.said(), Everyone::now(), processor_time(pid));
    let (mpstat, pidstat) = (of_mpstat(&output(mpstat)), of_pidstat(&output(pidstat)));
    let (after, ended, all) = (looking.snapshot(), busy.said(), Everyone::now().at_least_since(&used));
    let others = all - (processor_time(pid) - own);
    let counted = (ended.1 - begun.1) / (ended.0 - begun.0) * 100.0;
    let seconds = covered_s(&before[0], &after[0]);
    let cpu = |name: &str| {
        let place = looking.0.iter().position(|(known, _)| *known == name)?;
        between(&before[place], &after[place]).of(Metric::Cpu)
    };
    let [local, process, exporter, cgroup] = ["local", "process", "node_exporter", "cgroup"].map(cpu);
    let cores = cores();
    let least = (counted + others / seconds * 100.0) / cores;
    say(&format!(
        "{share}: counted {counted:.2}, process {process:.2?}, pidstat {pidstat:.2}, cgroup {cgroup:.2?} of {cores} cores; \
         local {local:.2?}, node_exporter {exporter:.2?}, mpstat {mpstat:.2}, by all processes at least {least:.2}; {seconds:.2} s"
    ));
    let near = |what: &str, found: Option<f64>, wanted: f64| {
        let found = found.unwrap_or_else(|| panic!("{what} has no cpu"));
        assert!(
            (found - wanted).abs() <= APART,
            "{share}: {what} says {found:.2} %, where {wanted:.2} % are right"
        );
    };
    // Without real-time priority, other processes can take its core. Then it is busy for less, and counts that itself.
    assert!(counted <= share * 100.0 + APART && counted > share * 50.0, "{share}: busy for {counted} %");
    if counted > share * 100.0 - 0.5 {
        near("process where it had its time", process, share * 100.0);
    }
    near("process", process, counted);
    near("process against pidstat", process, pidstat);
    if busy.group.is_some() {
        near("cgroup", cgroup, counted / cores);
    }
    near("local against mpstat", local, mpstat);
    near("node_exporter against mpstat", exporter, mpstat);
    assert!(
        local.is_some_and(|local| local >= least - APART),
        "{share}: {local:?} % of the machine, where its processes used {least} % at least"
    );
}

#[test]
fn a_known_duty_cycle_is_measured_within_two_points() {
    let exporter = Peer::node_exporter(&[]);
    for share in [0.25, 0.5, 0.75] {
        assert_measured(share, &exporter);
    }
}

/// Process 1 waited for process 2, no process waited for process 3, and process 4 has just started.
#[test]
fn cpu_time_of_all_processes_counts_ended_ones_as_a_minimum() {
    let used = |own, ended| Used { began: 1, own, ended };
    let then = |unseen| Everyone(BTreeMap::from([(1, used(1.0, 0.0)), (2, used(3.0, 5.0)), (3, unseen)]));
    let now = Everyone(BTreeMap::from([(1, used(1.5, 8.25)), (4, used(0.25, 0.0))]));
    assert_eq!(now.at_least_since(&then(used(0.0, 0.0))), 0.5 + 0.25 + 0.25);
    assert_eq!(now.at_least_since(&then(used(7.0, 9.0))), 0.5 + 0.25);
}
