//! What the kernel's files of a control group (version 2) say.

use std::collections::BTreeMap;
use std::io;

use procfs_core::{DiskStats, FromBufRead};

use crate::resources::choice;
use crate::resources::look::{Cpu, Disk, Level, Life, Look};
use crate::resources::metric::Metric;
use crate::resources::proc::{Read, first_number, keyed, pressure, said, text};
use crate::resources::process::count;

/// Everything that a control group says of itself. `root` is where the hierarchy is mounted and `group` the path below
/// it, both without slashes at their ends; `at` is the moment, in seconds.
///
/// # Errors
/// When there is no such group, or it does not even count processor time.
pub fn look(read: &Read<'_>, root: &str, group: &str, at: f64) -> Result<Look, String> {
    let files = Files { read, root, group };
    let mut look = Look { at, ..Look::default() };
    look.life = Life { began: format!("control group {} was made anew", shown(group)), age: None };
    look.cpu = Some(files.cpu(&mut look)?);
    match files.own("io.pressure").and_then(|text| Ok(pressure(text.as_bytes())?)) {
        Ok(seconds) => look.pressure = Some(seconds),
        Err(why) => files.missing(&mut look, &[Metric::DiskPressure], "io.pressure", why),
    }
    match files.own("io.stat") {
        Ok(text) => look.disks = Some([("all".to_owned(), files.disks(&text))].into()),
        Err(why) => files.missing(&mut look, &[Metric::DiskRead, Metric::DiskWrite], "io.stat", why),
    }
    match files.own("memory.current").and_then(|text| first_number(&text).ok_or(Why::Nonsense)) {
        Ok(bytes) => files.memory(&mut look, bytes),
        Err(why) => {
            files.missing(&mut look, &[Metric::Memory, Metric::ProcessMemory], "memory.current", why);
        }
    }
    match files.own("pids.current").and_then(|text| first_number(&text).ok_or(Why::Nonsense)) {
        Ok(value) => {
            let most = files.own("pids.max").ok().and_then(|text| first_number(&text));
            look.levels.insert(Metric::Threads, Level { value, most });
        }
        Err(why) => files.missing(&mut look, &[Metric::Threads], "pids.current", why),
    }
    Ok(look)
}

/// A group's path, as a plan has it: from the root of all, which has the empty path here.
pub fn shown(group: &str) -> String {
    format!("/{group}")
}

/// How many cores a group and those above it may use at a time; `None` where nothing limits it.
pub fn quota(read: &Read<'_>, root: &str, group: &str) -> Option<f64> {
    limits(read, root, group, "cpu.max").filter_map(|text| share(&text)).reduce(f64::min)
}

/// How much memory a group and those above it may use, in bytes; `None` where nothing limits it.
pub fn memory_limit(read: &Read<'_>, root: &str, group: &str) -> Option<f64> {
    limits(read, root, group, "memory.max").filter_map(|text| first_number(&text)).reduce(f64::min)
}

/// A file of a group and of those above it, as far as they can be read.
fn limits<'a>(read: &'a Read<'a>, root: &str, group: &str, file: &str) -> impl Iterator<Item = String> + 'a {
    let mut paths = Vec::new();
    let mut rest = group.trim_matches('/');
    while !rest.is_empty() {
        paths.push(format!("{root}/{rest}/{file}"));
        rest = rest.rsplit_once('/').map_or("", |(above, _)| above);
    }
    paths.push(format!("{root}/{file}"));
    paths.into_iter().filter_map(|path| text(read, &path).ok())
}

/// Of `cpu.max`, such as `150000 100000`: cores.
fn share(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let cores = quota.parse::<f64>().ok()? / period.trim().parse::<f64>().ok()?;
    (cores > 0.0 && cores.is_finite()).then_some(cores)
}

/// Why a file of a group could not be used.
enum Why {
    Unreadable(io::Error),
    Nonsense,
}

impl From<String> for Why {
    fn from(_: String) -> Self {
        Self::Nonsense
    }
}

struct Files<'a> {
    read: &'a Read<'a>,
    root: &'a str,
    group: &'a str,
}

impl Files<'_> {
    fn path(&self, file: &str) -> String {
        match self.group {
            "" => format!("{}/{file}", self.root),
            group => format!("{}/{group}/{file}", self.root),
        }
    }

    fn own(&self, file: &str) -> Result<String, Why> {
        let bytes = (self.read)(&self.path(file)).map_err(Why::Unreadable)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn missing(&self, look: &mut Look, metrics: &[Metric], file: &str, why: Why) {
        let controller = file.split('.').next().unwrap_or(file);
        let why = match why {
            Why::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => format!(
                "control group {} has no {file}: the controller `{controller}` is not on for it (`cgroup.subtree_control` \
                 of the group above)",
                shown(self.group)
            ),
            Why::Unreadable(error) => said(&self.path(file), &error),
            Why::Nonsense => format!("/{}: makes no sense", self.path(file)),
        };
        look.missing.extend(metrics.iter().map(|metric| (*metric, why.clone())));
    }

    fn cpu(&self, look: &mut Look) -> Result<Cpu, String> {
        let stat = self.own("cpu.stat").map_err(|why| match why {
            Why::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("there is no control group {} below /{}", shown(self.group), self.root)
            }
            Why::Unreadable(error) => said(&self.path("cpu.stat"), &error),
            Why::Nonsense => format!("/{}: makes no sense", self.path("cpu.stat")),
        })?;
        let used =
            keyed(&stat, "usage_usec").ok_or_else(|| format!("/{}: no usage_usec", self.path("cpu.stat")))?;
        let quota = quota(self.read, self.root, self.group);
        let limited = keyed(&stat, "nr_periods").zip(keyed(&stat, "nr_throttled"));
        let own = self.own("cpu.max").ok().and_then(|text| share(&text));
        if own.is_none() || limited.is_none() {
            let group = shown(self.group);
            let why = format!("control group {group} has no limit of processor time of its own (`cpu.max`)");
            look.missing.insert(Metric::Throttled, why);
        }
        let allowed = self.own("cpuset.cpus.effective").ok().and_then(|text| count(&text));
        let cores = [allowed.or_else(|| online(self.read)), quota].into_iter().flatten().reduce(f64::min);
        let cores = cores.ok_or("nobody says how many cores this machine has")?;
        Ok(Cpu::Part { used: used / 1e6, cores, limited: limited.filter(|_| own.is_some()) })
    }

    fn memory(&self, look: &mut Look, current: f64) {
        let stat = self.own("memory.stat").unwrap_or_default();
        // What was read from files and not used for a while is given back as soon as anyone wants memory.
        let value = (current - keyed(&stat, "inactive_file").unwrap_or(0.0)).max(0.0);
        let limit = memory_limit(self.read, self.root, self.group).or_else(|| machine_memory(self.read));
        look.hold_memory(value, limit);
    }

    /// The bytes of `io.stat`, of disks that lie on no others.
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

/// The numbers (`8:0`) of the disks that count; `None` where they cannot be told.
fn real_disks(read: &Read<'_>) -> Option<Vec<String>> {
    let stats = DiskStats::from_buf_read(&*read("proc/diskstats").ok()?).ok()?.0;
    let names: BTreeMap<String, Disk> =
        stats.iter().map(|disk| (disk.name.clone(), Disk::default())).collect();
    let real = choice::disks(&names, &[]).ok()?;
    let chosen = stats.into_iter().filter(|disk| real.contains_key(&disk.name));
    Some(chosen.map(|disk| format!("{}:{}", disk.major, disk.minor)).collect())
}

/// How many cores the machine has.
pub fn online(read: &Read<'_>) -> Option<f64> {
    let stat = text(read, "proc/stat").ok()?;
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
    };
    let cores = stat.lines().filter(is_core).count();
    u32::try_from(cores).ok().filter(|cores| *cores > 0).map(f64::from)
}

/// How much memory the machine has, in bytes.
pub fn machine_memory(read: &Read<'_>) -> Option<f64> {
    keyed(&text(read, "proc/meminfo").ok()?, "MemTotal").map(|kib| kib * 1024.0)
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
    fn the_smallest_quota_of_a_group_and_those_above_it_holds() {
        let read = files(&[
            ("c/a/b/cpu.max", "max 100000\n"),
            ("c/a/cpu.max", "150000 100000\n"),
            ("c/cpu.max", "400000 100000\n"),
            ("c/a/memory.max", "1000\n"),
            ("c/a/b/memory.max", "max\n"),
        ]);
        assert_eq!(quota(&read, "c", "a/b"), Some(1.5));
        assert_eq!(quota(&read, "c", "other"), Some(4.0));
        assert_eq!(memory_limit(&read, "c", "a/b"), Some(1000.0));
        assert_eq!(memory_limit(&read, "c", "other"), None);
        assert_eq!(share("0 0"), None);
    }

    #[test]
    fn a_group_that_is_not_there_is_an_error_and_a_controller_that_is_not_there_is_said() {
        let read =
            files(&[("c/a/cpu.stat", "usage_usec 2500000\n"), ("proc/stat", "cpu  1\ncpu0 1\ncpu1 1\n")]);
        assert_eq!(look(&read, "c", "b", 0.0), Err("there is no control group /b below /c".to_owned()));
        let found = look(&read, "c", "a", 0.0).unwrap();
        assert_eq!(found.cpu, Some(Cpu::Part { used: 2.5, cores: 2.0, limited: None }));
        assert!(found.missing[&Metric::Memory].contains("the controller `memory` is not on"), "{found:?}");
        assert!(found.missing[&Metric::Throttled].contains("no limit"), "{found:?}");
    }

    #[test]
    fn the_topmost_group_has_a_name() {
        let read = files(&[("c/cpu.stat", "usage_usec 1\n"), ("proc/stat", "cpu0 1\n")]);
        let found = look(&read, "c", "", 0.0).unwrap();
        let why = &found.missing[&Metric::Memory];
        assert!(why.starts_with("control group / has no memory.current"), "{why}");
        assert!(found.life.began.starts_with("control group / "), "{found:?}");
    }

    #[test]
    fn bytes_of_a_disk_on_another_count_once() {
        let read = files(&[
            ("c/a/cpu.stat", "usage_usec 1\n"),
            ("c/a/io.stat", "253:0 rbytes=10 wbytes=20 rios=1\n8:0 rbytes=10 wbytes=20 rios=1\n"),
            ("proc/diskstats", "8 0 sda 1 1 1 1 1 1 1 1 1 1 1\n253 0 dm-0 1 1 1 1 1 1 1 1 1 1 1\n"),
            ("proc/stat", "cpu0 1\n"),
        ]);
        let found = look(&read, "c", "a", 0.0).unwrap();
        assert_eq!(
            found.disks.unwrap()["all"],
            Disk { read: Some(10.0), written: Some(20.0), ..Disk::default() }
        );
    }
}
