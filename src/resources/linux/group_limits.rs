//! The limits of control groups of both versions: CPU quotas and memory of a group and of its ancestors.

use crate::resources::linux::proc::{ReadFile, first_number, keyed_number, text};

/// From this value on, in bytes, version 1 means that there is no limit.
const NO_MEMORY_LIMIT: f64 = 4e18;

/// A controller of control groups that sets limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    Cpu,
    Memory,
}

impl Controller {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// The version of the interface, and so the names of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupVersion {
    One,
    Two,
}

/// A group in a hierarchy: `root` is the mount point of the hierarchy and `path` the path below it, both without slashes
/// at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedGroup {
    pub version: GroupVersion,
    pub root: String,
    pub path: String,
}

/// The enforcement of a CPU quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The folder of the group that has the quota.
    pub level: String,
    pub periods: u64,
    /// Of these, the ones in which the quota was used up.
    pub throttled: u64,
}

impl LimitedGroup {
    /// The folders of the group and its ancestors, the group first.
    fn levels(&self) -> Vec<String> {
        let mut folders = Vec::new();
        let mut rest = self.path.trim_matches('/');
        while !rest.is_empty() {
            folders.push(format!("{}/{rest}", self.root));
            rest = rest.rsplit_once('/').map_or("", |(above, _)| above);
        }
        folders.push(self.root.clone());
        folders
    }

    /// The CPU quota of one level, in cores.
    fn quota_of(&self, read: &ReadFile<'_>, level: &str) -> Option<f64> {
        let file = |name: &str| text(read, &format!("{level}/{name}")).ok();
        match self.version {
            GroupVersion::Two => share(&file("cpu.max")?),
            GroupVersion::One => {
                let (quota, period) = (file("cpu.cfs_quota_us")?, file("cpu.cfs_period_us")?);
                share(&format!("{} {}", quota.trim(), period.trim()))
            }
        }
    }

    /// The memory limit of one level, in bytes.
    fn memory_of(&self, read: &ReadFile<'_>, level: &str) -> Option<f64> {
        let file = match self.version {
            GroupVersion::Two => "memory.max",
            GroupVersion::One => "memory.limit_in_bytes",
        };
        let limit = first_number(&text(read, &format!("{level}/{file}")).ok()?)?;
        (limit < NO_MEMORY_LIMIT).then_some(limit)
    }

    /// CPU quota in cores: the smallest one of the group and its ancestors. `None` if there is no quota.
    pub fn quota(&self, read: &ReadFile<'_>) -> Option<f64> {
        self.levels().iter().filter_map(|level| self.quota_of(read, level)).reduce(f64::min)
    }

    /// Memory limit in bytes: the smallest one of the group and its ancestors. `None` without a limit.
    pub fn memory_limit(&self, read: &ReadFile<'_>) -> Option<f64> {
        self.levels().iter().filter_map(|level| self.memory_of(read, level)).reduce(f64::min)
    }

    /// Memory that the processes of the group can still use, in bytes: the least that is left below the limits of the
    /// group and its ancestors. `None` without a limit.
    pub fn memory_left(&self, read: &ReadFile<'_>) -> Option<f64> {
        let (current, inactive) = match self.version {
            GroupVersion::Two => ("memory.current", "inactive_file"),
            GroupVersion::One => ("memory.usage_in_bytes", "total_inactive_file"),
        };
        let left = self.levels().into_iter().filter_map(|level| {
            let used = first_number(&text(read, &format!("{level}/{current}")).ok()?)?;
            let stat = text(read, &format!("{level}/memory.stat")).unwrap_or_default();
            let reclaimable = keyed_number(&stat, inactive).unwrap_or(0.0);
            let most = self.memory_of(read, &level)?;
            Some((most - (used - reclaimable).max(0.0)).max(0.0))
        });
        left.reduce(f64::min)
    }

    /// The CPU quotas of the group and its ancestors; each of them can throttle the group.
    pub fn quotas(&self, read: &ReadFile<'_>) -> Vec<Quota> {
        let of_level = |level: String| {
            self.quota_of(read, &level)?;
            let stat = text(read, &format!("{level}/cpu.stat")).ok()?;
            let count = |key: &str| keyed_number(&stat, key).map(|number| number as u64);
            Some(Quota { periods: count("nr_periods")?, throttled: count("nr_throttled")?, level })
        };
        self.levels().into_iter().filter_map(of_level).collect()
    }
}

/// The quota in a text such as `150000 100000` (quota and period), in cores.
pub(super) fn share(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let cores = quota.parse::<f64>().ok()? / period.trim().parse::<f64>().ok()?;
    (cores > 0.0 && cores.is_finite()).then_some(cores)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn files(files: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> io::Result<Vec<u8>> {
        move |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    fn group(version: GroupVersion, root: &str, path: &str) -> LimitedGroup {
        LimitedGroup { version, root: root.to_owned(), path: path.to_owned() }
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
        let of = |path: &str| group(GroupVersion::Two, "c", path);
        assert_eq!(of("a/b").quota(&read), Some(1.5));
        assert_eq!(of("other").quota(&read), Some(4.0));
        assert_eq!(of("a/b").memory_limit(&read), Some(1000.0));
        assert_eq!(of("other").memory_limit(&read), None);
        assert_eq!(share("0 0"), None);
    }

    /// A batch job: the limits are those of the job, two levels above the group of the process.
    #[test]
    fn limits_of_an_ancestor_apply_to_the_group() {
        let files = files(&[
            ("g/job/memory.max", "1000\n"),
            ("g/job/memory.current", "700\n"),
            ("g/job/memory.stat", "anon 500\ninactive_file 200\n"),
            ("g/job/cpu.max", "150000 100000\n"),
            ("g/job/cpu.stat", "usage_usec 5\nnr_periods 40\nnr_throttled 3\n"),
            ("g/job/step/memory.max", "max\n"),
            ("g/job/step/memory.current", "600\n"),
            ("g/job/step/cpu.max", "max 100000\n"),
            ("g/job/step/task/cpu.max", "300000 100000\n"),
            ("g/job/step/task/cpu.stat", "usage_usec 5\nnr_periods 40\nnr_throttled 0\n"),
        ]);
        let of = |path: &str| group(GroupVersion::Two, "g", path);
        assert_eq!(of("job/step/task").memory_left(&files), Some(500.0));
        let found = of("job/step/task").quotas(&files);
        let found: Vec<_> = found.iter().map(|it| (it.level.as_str(), it.periods, it.throttled)).collect();
        assert_eq!(found, [("g/job/step/task", 40, 0), ("g/job", 40, 3)]);
        assert_eq!((of("").memory_left(&files), of("").quotas(&files)), (None, Vec::new()));
    }

    #[test]
    fn groups_of_version_1_have_the_same_limits_in_other_files() {
        let read = files(&[
            ("cpu/a/cpu.cfs_quota_us", "20000\n"),
            ("cpu/a/cpu.cfs_period_us", "100000\n"),
            ("cpu/a/cpu.stat", "nr_periods 40\nnr_throttled 30\nthrottled_time 5\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("memory/a/memory.limit_in_bytes", "1000\n"),
            ("memory/a/memory.usage_in_bytes", "700\n"),
            ("memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "7000\n"),
        ]);
        let (cpu, memory) = (group(GroupVersion::One, "cpu", "a"), group(GroupVersion::One, "memory", "a"));
        assert_eq!((cpu.quota(&read), memory.memory_limit(&read)), (Some(0.2), Some(1000.0)));
        assert_eq!(memory.memory_left(&read), Some(500.0));
        let throttled: Vec<u64> = cpu.quotas(&read).iter().map(|quota| quota.throttled).collect();
        assert_eq!(throttled, [30]);
    }
}
