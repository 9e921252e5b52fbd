//! Reads a snapshot from the kernel's files of a control group (version 2).

use std::collections::BTreeMap;
use std::io;

use procfs_core::{DiskStats, FromBufRead};

use crate::resources::device_filter;
use crate::resources::linux::group_limits::{GroupVersion, LimitedGroup, share};
use crate::resources::linux::proc::{ReadFile, first_number, keyed_number, pressure, read_error, text};
use crate::resources::linux::process::count;
use crate::resources::metric::Metric;
use crate::resources::snapshot::{Cpu, Disk, Gauge, Incarnation, Snapshot};

/// Takes a snapshot of a control group. `root` is the mount point of the hierarchy and `group` the path below it, both
/// without slashes at either end; `at` is the time of the snapshot, in seconds.
///
/// # Errors
/// If the group does not exist or has no usable `cpu.stat`. Any other unreadable file only makes its metrics missing.
pub fn snapshot(read: &ReadFile<'_>, root: &str, group: &str, at: f64) -> Result<Snapshot, String> {
    let files = GroupFiles { read, root, group };
    let mut snapshot = Snapshot { at, ..Snapshot::default() };
    snapshot.incarnation = Incarnation {
        start_event: format!("control group {} was created", display_path(group)),
        age: None,
        shows_restarts: false,
        processes: Vec::new(),
    };
    snapshot.cpu = Some(files.cpu(&mut snapshot)?);
    match files.own("io.pressure").and_then(|text| Ok(pressure(text.as_bytes())?)) {
        Ok(seconds) => snapshot.pressure = Some(seconds),
        Err(why) => files.missing(&mut snapshot, &[Metric::DiskPressure], "io.pressure", why),
    }
    match files.own("io.stat") {
        Ok(text) => snapshot.disks = Some([("all".to_owned(), files.disks(&text))].into()),
        Err(why) => files.missing(&mut snapshot, &[Metric::DiskRead, Metric::DiskWrite], "io.stat", why),
    }
    match files.own("memory.current").and_then(|text| first_number(&text).ok_or(GroupFileError::Nonsense)) {
        Ok(bytes) => files.memory(&mut snapshot, bytes),
        Err(why) => {
            files.missing(&mut snapshot, &[Metric::Memory, Metric::ProcessMemory], "memory.current", why);
        }
    }
    match files.own("pids.current").and_then(|text| first_number(&text).ok_or(GroupFileError::Nonsense)) {
        Ok(value) => {
            let most = files.own("pids.max").ok().and_then(|text| first_number(&text));
            snapshot.gauges.insert(Metric::Threads, Gauge { value, most });
        }
        Err(why) => files.missing(&mut snapshot, &[Metric::Threads], "pids.current", why),
    }
    Ok(snapshot)
}

/// The absolute path of a group, as plans write it. Internally the path of the root group is empty.
pub fn display_path(group: &str) -> String {
    format!("/{group}")
}

/// The memory of a group that the kernel cannot reclaim as soon as it is needed: without the inactive page cache.
fn working_set(current: f64, stat: &str) -> f64 {
    (current - keyed_number(stat, "inactive_file").unwrap_or(0.0)).max(0.0)
}

/// Why a file of a group could not be used.
enum GroupFileError {
    Unreadable(io::Error),
    Nonsense,
}

impl From<String> for GroupFileError {
    fn from(_: String) -> Self {
        Self::Nonsense
    }
}

struct GroupFiles<'a> {
    read: &'a ReadFile<'a>,
    root: &'a str,
    group: &'a str,
}

impl GroupFiles<'_> {
    fn path(&self, file: &str) -> String {
        match self.group {
            "" => format!("{}/{file}", self.root),
            group => format!("{}/{group}/{file}", self.root),
        }
    }

    fn limits(&self) -> LimitedGroup {
        LimitedGroup { version: GroupVersion::Two, root: self.root.to_owned(), path: self.group.to_owned() }
    }

    fn own(&self, file: &str) -> Result<String, GroupFileError> {
        let bytes = (self.read)(&self.path(file)).map_err(GroupFileError::Unreadable)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn missing(&self, snapshot: &mut Snapshot, metrics: &[Metric], file: &str, why: GroupFileError) {
        let controller = file.split('.').next().unwrap_or(file);
        let why = match why {
            GroupFileError::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => format!(
                "control group {} has no {file}: the controller `{controller}` is not enabled; add it to \
                 `cgroup.subtree_control` of the parent group",
                display_path(self.group)
            ),
            GroupFileError::Unreadable(error) => read_error(&self.path(file), &error),
            GroupFileError::Nonsense => format!("/{}: unexpected format", self.path(file)),
        };
        snapshot.missing.extend(metrics.iter().map(|metric| (*metric, why.clone())));
    }

    fn cpu(&self, snapshot: &mut Snapshot) -> Result<Cpu, String> {
        let stat = self.own("cpu.stat").map_err(|why| match why {
            GroupFileError::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
                format!(
                    "there is no control group {} below /{}; `cat /proc/PID/cgroup` shows the group of a process",
                    display_path(self.group),
                    self.root
                )
            }
            GroupFileError::Unreadable(error) => read_error(&self.path("cpu.stat"), &error),
            GroupFileError::Nonsense => format!("/{}: unexpected format", self.path("cpu.stat")),
        })?;
        let used = keyed_number(&stat, "usage_usec")
            .ok_or_else(|| format!("/{}: no `usage_usec`", self.path("cpu.stat")))?;
        let quota = self.limits().quota(self.read);
        let limited = keyed_number(&stat, "nr_periods").zip(keyed_number(&stat, "nr_throttled"));
        let own = self.own("cpu.max").ok().and_then(|text| share(&text));
        if own.is_none() || limited.is_none() {
            let group = display_path(self.group);
            let why = format!("control group {group} has no CPU quota of its own (`cpu.max`)");
            snapshot.missing.insert(Metric::Throttled, why);
        }
        let allowed = self.own("cpuset.cpus.effective").ok().and_then(|text| count(&text));
        let cores =
            [allowed.or_else(|| online_cores(self.read)), quota].into_iter().flatten().reduce(f64::min);
        let cores = cores.ok_or("could not read the number of cores from /proc/stat")?;
        Ok(Cpu::Part { used: used / 1e6, cores, limited: limited.filter(|_| own.is_some()) })
    }

    fn memory(&self, snapshot: &mut Snapshot, current: f64) {
        let stat = self.own("memory.stat").unwrap_or_default();
        let value = working_set(current, &stat);
        let limit = self.limits().memory_limit(self.read).or_else(|| machine_memory(self.read));
        snapshot.set_process_memory(value, limit);
    }

    /// The bytes in `io.stat`, summed over physical disks: a disk on top of another one would count twice.
    fn disks(&self, stat: &str) -> Disk {
        let real = real_disks(self.read);
        let counts = |line: &&str| {
            let number = line.split(' ').next().unwrap_or_default();
            real.as_ref().is_none_or(|real| real.iter().any(|known| known == number))
        };
        let sum = |key: &str| {
            let parts = stat.lines().filter(counts).flat_map(|line| line.split(' '));
            Some(parts.filter_map(|part| first_number(part.strip_prefix(key)?)).sum())
        };
        Disk { busy: None, queued: None, read: sum("rbytes="), written: sum("wbytes=") }
    }
}

/// The device numbers (`8:0`) of the physical disks; `None` if they are unknown.
fn real_disks(read: &ReadFile<'_>) -> Option<Vec<String>> {
    let stats = DiskStats::from_buf_read(&*read("proc/diskstats").ok()?).ok()?.0;
    let names: BTreeMap<String, Disk> =
        stats.iter().map(|disk| (disk.name.clone(), Disk::default())).collect();
    let real = device_filter::disks(&names, &[]).ok()?;
    let chosen = stats.into_iter().filter(|disk| real.contains_key(&disk.name));
    Some(chosen.map(|disk| format!("{}:{}", disk.major, disk.minor)).collect())
}

/// Number of cores in `/proc/stat`; `None` if it lists none.
pub fn online_cores(read: &ReadFile<'_>) -> Option<f64> {
    let stat = text(read, "proc/stat").ok()?;
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let cores = stat.lines().filter(is_core).count();
    u32::try_from(cores).ok().filter(|cores| *cores > 0).map(f64::from)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
pub fn machine_memory(read: &ReadFile<'_>) -> Option<f64> {
    keyed_number(&text(read, "proc/meminfo").ok()?, "MemTotal").map(|kib| kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> io::Result<Vec<u8>> {
        move |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn a_missing_group_is_an_error_a_missing_controller_a_notice() {
        let read =
            files(&[("c/a/cpu.stat", "usage_usec 2500000\n"), ("proc/stat", "cpu  1\ncpu0 1\ncpu1 1\n")]);
        let why = snapshot(&read, "c", "b", 0.0).unwrap_err();
        assert!(why.starts_with("there is no control group /b below /c; "), "{why}");
        let found = snapshot(&read, "c", "a", 0.0).unwrap();
        assert_eq!(found.cpu, Some(Cpu::Part { used: 2.5, cores: 2.0, limited: None }));
        assert!(found.missing[&Metric::Memory].contains("controller `memory` is not enabled"), "{found:?}");
        assert!(found.missing[&Metric::Throttled].contains("no CPU quota"), "{found:?}");
    }

    #[test]
    fn the_topmost_group_has_a_name() {
        let read = files(&[("c/cpu.stat", "usage_usec 1\n"), ("proc/stat", "cpu0 1\n")]);
        let found = snapshot(&read, "c", "", 0.0).unwrap();
        let why = &found.missing[&Metric::Memory];
        assert!(why.starts_with("control group / has no memory.current"), "{why}");
        assert!(found.incarnation.start_event.starts_with("control group / "), "{found:?}");
    }

    #[test]
    fn bytes_of_a_disk_on_another_count_once() {
        let read = files(&[
            ("c/a/cpu.stat", "usage_usec 1\n"),
            ("c/a/io.stat", "253:0 rbytes=10 wbytes=20 rios=1\n8:0 rbytes=10 wbytes=20 rios=1\n"),
            ("proc/diskstats", "8 0 sda 1 1 1 1 1 1 1 1 1 1 1\n253 0 dm-0 1 1 1 1 1 1 1 1 1 1 1\n"),
            ("proc/stat", "cpu0 1\n"),
        ]);
        let found = snapshot(&read, "c", "a", 0.0).unwrap();
        assert_eq!(
            found.disks.unwrap()["all"],
            Disk { read: Some(10.0), written: Some(20.0), ..Disk::default() }
        );
    }
}
