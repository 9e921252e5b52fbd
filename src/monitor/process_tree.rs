//! Takes snapshots of a process tree: the selected processes with all their descendants.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::kernel::Kernel;
use crate::monitor::process_lookup::{FoundProcesses, all, find, socket_descriptors, stat_even_if_ended};
use crate::monitor::process_names::named;
use crate::monitor::sockets;
use crate::resources::linux::cgroup;
use crate::resources::linux::group_limits::{Controller, GroupVersion, LimitedGroup};
use crate::resources::linux::proc::TICKS_PER_SECOND;
use crate::resources::linux::proc::first_number;
use crate::resources::linux::process::{self, ProcessStat, TcpState};
use crate::resources::metric::Metric;
use crate::resources::snapshot::{Cpu, Disk, Gauge, Incarnation, Snapshot};
use crate::resources::source::ProcessSelector;

/// The processes that a selector matches, with all their descendants.
pub struct ProcessTree {
    name: ProcessSelector,
    /// The processes at the previous snapshot.
    known: FoundProcesses,
    /// Processes that were seen with children.
    parents: BTreeSet<u32>,
    counted: ConnectionCount,
}

/// A count of connections reads the link of every descriptor. The next count waits for this multiple of the processor
/// time of the last one, so counting uses at most 2 % of a core.
const CONNECTION_COUNT_PAUSE: u32 = 50;

/// Time of the last count of connections, and the processor time that it took.
#[derive(Default)]
struct ConnectionCount(Option<(Instant, Duration)>);

impl ConnectionCount {
    /// The reason why connections are not counted in this snapshot.
    fn too_soon(&self) -> Option<String> {
        let (at, took) = self.0?;
        let pause = took * CONNECTION_COUNT_PAUSE;
        (at.elapsed() < pause).then(|| {
            let took = took.as_secs_f64() * 1e3;
            format!("counting them took {took:.0} ms, so they are counted every {:.1} s", pause.as_secs_f64())
        })
    }

    fn connections(
        &mut self,
        snapshot: &mut Snapshot,
        members: &TreeMembers<'_>,
        descriptors: &[Descriptors],
    ) {
        if let Some(why) = self.too_soon() {
            // The previous count is not a value of this moment.
            snapshot.missing.insert(Metric::Connections, why);
            return;
        }
        match self.count(|| members.connections(descriptors)) {
            Ok(value) => {
                snapshot.gauges.insert(Metric::Connections, Gauge { value, most: None });
            }
            Err(error) => members.missing(snapshot, &[Metric::Connections], "fd", &error),
        }
    }

    fn count(&mut self, count: impl FnOnce() -> io::Result<f64>) -> io::Result<f64> {
        // Processor time: the elapsed time also grows while other programs use all cores.
        let (at, before) = (Instant::now(), used());
        let value = count();
        self.0 = Some((at, used().saturating_sub(before)));
        value
    }
}

/// Processor time of this thread so far.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

impl ProcessTree {
    /// Prepares a process tree; the first snapshot searches its processes.
    pub fn of(name: &ProcessSelector) -> Self {
        Self {
            name: name.clone(),
            known: FoundProcesses::default(),
            parents: BTreeSet::new(),
            counted: ConnectionCount::default(),
        }
    }

    /// Takes a snapshot of the tree.
    ///
    /// # Errors
    /// If no process matches, or the number of cores is unknown.
    pub fn snapshot(&mut self, kernel: &Kernel) -> Result<Snapshot, String> {
        let found = find(kernel, &self.name, &self.known)?;
        if !found.is_same(&self.known) {
            (self.counted, self.parents) = (ConnectionCount::default(), BTreeSet::new());
        }
        self.known = found;
        let at = kernel.uptime()?;
        let roots: Vec<ProcessStat> = self.known.roots.iter().map(|root| root.stat).collect();
        let members = TreeMembers {
            kernel,
            roots: roots.iter().map(|root| root.pid).collect(),
            all: members(kernel, &roots),
        };
        let mut snapshot = Snapshot {
            at,
            incarnation: incarnation(&roots, at),
            processes: Some(named(kernel, &roots)),
            ..Snapshot::default()
        };
        let sum = |part: fn(&ProcessStat) -> f64| members.all.iter().map(part).sum::<f64>();
        if sum(|stat| stat.threads) <= 0.0 || sum(|stat| stat.size) <= 0.0 {
            // The kernel shows a process that is just ending, and its own threads, in this way.
            return Err(format!(
                "{} has no memory or no thread: it is ending, or is a thread of the kernel",
                named(kernel, &roots)
            ));
        }
        self.parents.extend(members.parents());
        match members.ignores_sigchld(&self.parents) {
            Some(pid) => {
                let why = format!(
                    "process {pid} ignores SIGCHLD, so usage of its ended children is lost; use its control group"
                );
                snapshot.missing.insert(Metric::Cpu, why);
            }
            None => snapshot.cpu = Some(members.cpu(sum(|stat| stat.used))?),
        }
        let threads = kernel.text("proc/sys/kernel/threads-max").ok();
        let most = threads.as_deref().and_then(first_number);
        let threads = members.alive().map(|stat| stat.threads).sum();
        snapshot.gauges.insert(Metric::Threads, Gauge { value: threads, most });
        members.memory(&mut snapshot, sum(|stat| stat.pages) * kernel.page_bytes());
        match members.descriptors() {
            Ok(descriptors) => {
                members.files(&mut snapshot, &descriptors);
                self.counted.connections(&mut snapshot, &members, &descriptors);
            }
            Err(error) => {
                members.missing(&mut snapshot, &[Metric::OpenFiles, Metric::Connections], "fd", &error);
            }
        }
        match members.bytes() {
            Ok(disk) => snapshot.disks = Some([("all".to_owned(), disk)].into()),
            Err(error) => {
                members.missing(&mut snapshot, &[Metric::DiskRead, Metric::DiskWrite], "io", &error);
            }
        }
        Ok(snapshot)
    }
}

/// The incarnation of the tree's sums: it starts with the youngest root.
fn incarnation(roots: &[ProcessStat], at: f64) -> Incarnation {
    let pids: Vec<String> = roots.iter().map(|root| root.pid.to_string()).collect();
    let start_event = match &pids[..] {
        [pid] => format!("process {pid} was started"),
        _ => format!("processes {} were started", pids.join(", ")),
    };
    let youngest = roots.iter().map(|root| root.started).fold(0.0, f64::max);
    let processes = roots.iter().map(|root| (root.pid, (root.started * TICKS_PER_SECOND).round() as u64));
    Incarnation {
        start_event,
        age: Some((at - youngest).max(0.0)),
        shows_restarts: true,
        processes: processes.collect(),
    }
}

/// The roots and all their descendants, including processes that have ended and were not waited for yet.
fn members(kernel: &Kernel, roots: &[ProcessStat]) -> Vec<ProcessStat> {
    let mut members = roots.to_vec();
    let lists_children =
        |root: &ProcessStat| kernel.text(&format!("proc/{0}/task/{0}/children", root.pid)).is_ok();
    let by_parent = if roots.iter().any(lists_children) {
        None
    } else {
        // The kernel has no `children` files, so the parent of every process is read.
        let mut by_parent: BTreeMap<u32, Vec<ProcessStat>> = BTreeMap::new();
        for stat in all(kernel).into_iter().filter_map(|pid| stat_even_if_ended(kernel, pid)) {
            by_parent.entry(stat.parent).or_default().push(stat);
        }
        Some(by_parent)
    };
    let mut next = 0;
    while let Some(parent) = members.get(next).copied() {
        next += 1;
        let children = match &by_parent {
            Some(by_parent) => by_parent.get(&parent.pid).cloned().unwrap_or_default(),
            None => children(kernel, parent.pid),
        };
        let new = children.into_iter().filter(|child| !members.iter().any(|known| known.pid == child.pid));
        let new: Vec<ProcessStat> = new.collect();
        members.extend(new);
    }
    members
}

/// The children of all threads of a process.
fn children(kernel: &Kernel, pid: u32) -> Vec<ProcessStat> {
    let threads = kernel.names(&format!("proc/{pid}/task")).unwrap_or_default();
    let lists =
        threads.iter().filter_map(|thread| kernel.text(&format!("proc/{pid}/task/{thread}/children")).ok());
    let pids: Vec<u32> = lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<_>>())
        .collect();
    pids.into_iter().filter_map(|pid| stat_even_if_ended(kernel, pid)).collect()
}

/// The innermost control group that contains both.
fn common_ancestor(left: &str, right: &str) -> String {
    let same = left.split('/').zip(right.split('/')).take_while(|(left, right)| left == right);
    same.map(|(part, _)| part).collect::<Vec<_>>().join("/")
}

/// A process ID and the names of the descriptors.
type Descriptors = (u32, Vec<String>);

struct TreeMembers<'a> {
    kernel: &'a Kernel,
    /// Process IDs of the roots.
    roots: Vec<u32>,
    all: Vec<ProcessStat>,
}

impl TreeMembers<'_> {
    fn alive(&self) -> impl Iterator<Item = &ProcessStat> {
        self.all.iter().filter(|member| !member.ended)
    }

    fn file(&self, pid: u32, name: &str) -> Option<String> {
        self.kernel.text(&format!("proc/{pid}/{name}")).ok()
    }

    /// Process IDs of the members that have children.
    fn parents(&self) -> impl Iterator<Item = u32> {
        let pids: BTreeSet<u32> = self.all.iter().map(|member| member.pid).collect();
        let parents = self.all.iter().map(|member| member.parent);
        parents.filter(|parent| pids.contains(parent)).collect::<Vec<_>>().into_iter()
    }

    /// The first of `parents` that ignores `SIGCHLD`.
    fn ignores_sigchld(&self, parents: &BTreeSet<u32>) -> Option<u32> {
        let alive = self.alive().map(|member| member.pid).filter(|pid| parents.contains(pid));
        let ignores =
            |pid: &u32| self.file(*pid, "status").is_some_and(|status| process::ignores_children(&status));
        alive.into_iter().find(ignores)
    }

    /// A limit on all roots, in control groups of both versions: the sum of their groups' limits, or the limit of the
    /// common ancestor if that is smaller.
    fn limit(&self, controller: Controller, of: impl Fn(&LimitedGroup) -> Option<f64>) -> Option<f64> {
        let groups = |pid: &u32| Some(self.kernel.groups(&self.file(*pid, "cgroup")?, controller));
        let groups: Vec<LimitedGroup> = self.roots.iter().filter_map(groups).flatten().collect();
        let of_version = |version: GroupVersion| {
            let mut groups: Vec<&LimitedGroup> =
                groups.iter().filter(|group| group.version == version).collect();
            groups.sort_by_key(|group| &group.path);
            groups.dedup();
            let each = groups.iter().map(|group| of(group)).sum::<Option<f64>>();
            let first = *groups.first()?;
            let path = groups.iter().map(|group| group.path.clone());
            let path = path.reduce(|left, right| common_ancestor(&left, &right))?;
            let shared = LimitedGroup { path, ..first.clone() };
            [each, of(&shared)].into_iter().flatten().reduce(f64::min)
        };
        let limits = [GroupVersion::One, GroupVersion::Two].map(of_version);
        limits.into_iter().flatten().reduce(f64::min)
    }

    fn missing(&self, snapshot: &mut Snapshot, metrics: &[Metric], file: &str, error: &io::Error) {
        let pid = self.roots.first().copied().unwrap_or_default();
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!(
                    "not permitted to read /proc/{pid}/{file}; run as the user of process {pid} or as root"
                )
            }
            _ => format!("could not read /proc/{pid}/{file}: {error}"),
        };
        snapshot.missing.extend(metrics.iter().map(|metric| (*metric, why.clone())));
    }

    fn cpu(&self, used: f64) -> Result<Cpu, String> {
        let read = |path: &str| self.kernel.read(path);
        let allowed = |pid: &u32| process::cores_allowed(&self.file(*pid, "status")?);
        let allowed: BTreeSet<u32> = self.roots.iter().filter_map(allowed).flatten().collect();
        let allowed = (!allowed.is_empty()).then_some(allowed.len() as f64);
        let quota = self.limit(Controller::Cpu, |group| group.quota(&read));
        let cores =
            [allowed.or_else(|| cgroup::online_cores(&read)), quota].into_iter().flatten().reduce(f64::min);
        let cores = cores.ok_or("could not read the number of cores from /proc/stat")?;
        Ok(Cpu::Part { used, cores, limited: None })
    }

    fn memory(&self, snapshot: &mut Snapshot, value: f64) {
        let read = |path: &str| self.kernel.read(path);
        let limit = [
            self.limit(Controller::Memory, |group| group.memory_limit(&read)),
            cgroup::machine_memory(&read),
        ]
        .into_iter()
        .flatten()
        .reduce(f64::min);
        snapshot.set_process_memory(value, limit);
    }

    /// Whether an error makes the metric missing: a child may have ended since it was found, a root must be readable.
    fn is_fatal(&self, pid: u32, error: &io::Error) -> bool {
        self.roots.contains(&pid) || error.kind() == io::ErrorKind::PermissionDenied
    }

    fn descriptors(&self) -> io::Result<Vec<Descriptors>> {
        let mut all = Vec::new();
        for pid in self.alive().map(|member| member.pid) {
            match self.kernel.names(&format!("proc/{pid}/fd")) {
                Ok(names) => all.push((pid, names)),
                Err(error) if self.is_fatal(pid, &error) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(all)
    }

    fn files(&self, snapshot: &mut Snapshot, descriptors: &[Descriptors]) {
        let value: usize = descriptors.iter().map(|(_, names)| names.len()).sum();
        let limit = |pid: &u32| process::open_files_limit(&self.file(*pid, "limits")?);
        let most = self.roots.iter().map(limit).sum::<Option<f64>>();
        snapshot.gauges.insert(Metric::OpenFiles, Gauge { value: value as f64, most });
    }

    /// Number of established connections; one that several processes hold counts once.
    fn connections(&self, descriptors: &[Descriptors]) -> io::Result<f64> {
        let mut held = Vec::new();
        for (pid, names) in descriptors {
            match socket_descriptors(self.kernel, *pid, names) {
                Ok(sockets) => held.extend(sockets.map(|(_, inode)| inode)),
                Err(error) if self.is_fatal(*pid, &error) => return Err(error),
                Err(_) => {}
            }
        }
        held.sort_unstable();
        let Some(first) = self.roots.first().filter(|_| !held.is_empty()) else { return Ok(0.0) };
        let established = sockets::in_state(self.kernel, Some(*first), TcpState::Established);
        let mut inodes: Vec<u64> = established.into_iter().map(|socket| socket.inode).collect();
        inodes.sort_unstable();
        inodes.dedup();
        let count = inodes.iter().filter(|inode| held.binary_search(inode).is_ok()).count();
        Ok(count as f64)
    }

    fn bytes(&self) -> io::Result<Disk> {
        let (mut all_read, mut all_written) = (0.0, 0.0);
        for member in self.alive() {
            match self.kernel.read(&format!("proc/{}/io", member.pid)) {
                Ok(bytes) => {
                    let counted = process::disk_bytes(&String::from_utf8_lossy(&bytes));
                    let (read, written) = counted.ok_or(io::ErrorKind::InvalidData)?;
                    all_read += read;
                    all_written += written;
                }
                Err(error) if self.is_fatal(member.pid, &error) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Disk { read: Some(all_read), written: Some(all_written), ..Disk::default() })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn own() -> ProcessTree {
        ProcessTree::of(&ProcessSelector::Pid(std::process::id()))
    }

    #[test]
    fn a_connection_count_that_is_not_fresh_is_missing() {
        let (kernel, mut process_tree) = (Kernel::this_machine(), own());
        let first = process_tree.snapshot(&kernel).unwrap();
        assert!(first.gauges.contains_key(&Metric::Connections), "{first:?}");
        process_tree.counted.0 = Some((Instant::now(), Duration::from_millis(3100)));
        let spared = process_tree.snapshot(&kernel).unwrap();
        assert!(!spared.gauges.contains_key(&Metric::Connections), "{spared:?}");
        let why = "counting them took 3100 ms, so they are counted every 155.0 s";
        assert_eq!(spared.missing[&Metric::Connections], why);
        assert!(spared.gauges[&Metric::OpenFiles].value > 0.0, "{spared:?}");
        process_tree.counted.0 = Some((Instant::now(), Duration::ZERO));
        let later = process_tree.snapshot(&kernel).unwrap();
        assert!(later.gauges.contains_key(&Metric::Connections), "{later:?}");
    }

    #[test]
    fn connections_that_come_and_go_are_seen_by_the_next_count() {
        let (kernel, mut process_tree) = (Kernel::this_machine(), own());
        let mut counted = || loop {
            let snapshot = process_tree.snapshot(&kernel).unwrap();
            match snapshot.gauges.get(&Metric::Connections) {
                Some(gauge) => break gauge.value,
                // The next count is due after some time, and no event announces it.
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let before = counted();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || (TcpStream::connect(address).unwrap(), listener.accept().unwrap());
        let connections: Vec<_> = (0..100).map(|_| connect()).collect();
        assert_eq!(counted(), before + 200.0);
        drop(connections);
        assert_eq!(counted(), before);
    }
}
