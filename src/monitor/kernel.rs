//! The kernel's files, of this machine or of a folder that looks like one.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, readlinkat, statvfs};
use rustix::time::{ClockId, clock_gettime};

use crate::resources::device_filter::{self, Mount};
use crate::resources::machine::MachineCounters;
use crate::resources::metric::Metric;
use crate::resources::proc::{self, first_number, read_error};
use crate::resources::snapshot::Snapshot;
use crate::resources::{cgroup, proc::text};

/// Where control groups of version 2 are: alone, or beside those of version 1.
const CGROUP_ROOTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

/// Seconds since this machine was booted, with those in which it slept; nobody can set this clock.
pub fn now() -> f64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A kernel, as its files below a root show it.
#[derive(Debug, Clone)]
pub struct Kernel {
    root: PathBuf,
    /// A page of memory, in bytes.
    page_bytes: f64,
    /// Whether the clock of this machine is also that of the files.
    here: bool,
}

impl Kernel {
    /// The one that runs this.
    pub fn this_machine() -> Self {
        let page_bytes = u32::try_from(rustix::param::page_size()).map_or(4096.0, f64::from);
        Self { root: PathBuf::from("/"), page_bytes, here: true }
    }

    /// One whose files were kept in a folder, with its time in `proc/uptime` and pages of 4096 bytes.
    pub fn in_folder(root: &Path) -> Self {
        Self { root: root.to_owned(), page_bytes: 4096.0, here: false }
    }

    /// Whether it is the one that runs this, and not a folder that looks like one.
    pub fn is_here(&self) -> bool {
        self.here
    }

    /// A page of memory, in bytes.
    pub fn page_bytes(&self) -> f64 {
        self.page_bytes
    }

    /// A file's bytes, by its path below the root.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(path))
    }

    /// A file's text.
    ///
    /// # Errors
    /// Says in words why it cannot be had.
    pub fn text(&self, path: &str) -> Result<String, String> {
        text(&|path| self.read(path), path)
    }

    /// The names in a folder.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.root.join(path))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// Where a link leads.
    pub fn link(&self, path: &str) -> Option<String> {
        std::fs::read_link(self.root.join(path)).ok()?.into_os_string().into_string().ok()
    }

    /// Where links in a folder lead, each with its name; those that are gone are left out. The folder is found once,
    /// however many they are.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn links<'a>(
        &self,
        folder: &str,
        names: &'a [String],
    ) -> io::Result<impl Iterator<Item = (&'a str, String)> + use<'a>> {
        let folder = std::fs::File::open(self.root.join(folder))?;
        Ok(names.iter().filter_map(move |name| {
            let target = readlinkat(&folder, name.as_str(), Vec::new()).ok()?;
            Some((name.as_str(), target.into_string().ok()?))
        }))
    }

    /// Seconds since the machine was booted, with those in which it slept.
    ///
    /// # Errors
    /// When a folder that looks like a machine does not say so.
    pub fn uptime(&self) -> Result<f64, String> {
        if self.here {
            // Finer than /proc/uptime, which knows only hundredths.
            return Ok(now());
        }
        first_number(&self.text("proc/uptime")?).ok_or_else(|| "/proc/uptime holds no number".to_owned())
    }

    /// What the machine counts, with the file systems on its disks and those mounted at the named places.
    ///
    /// # Errors
    /// When it does not even say when this is.
    pub fn machine(&self, named: &[String]) -> Result<MachineCounters, String> {
        let mut machine = proc::machine(&|path| self.read(path))?;
        machine.at = self.uptime()?;
        machine.age = Some(machine.at);
        match self.read("proc/self/mountinfo") {
            Ok(bytes) => {
                let counts = |mount: &Mount| device_filter::is_real(mount) || named.contains(&mount.point);
                let mounts = proc::mounts(&bytes).into_iter().filter(counts);
                machine.mounts = mounts.filter_map(|mount| self.with_sizes(mount)).collect();
                if machine.mounts.is_empty()
                    && let Err(why) = device_filter::fullest(&[], named)
                {
                    machine.missing.insert(Metric::DiskUsed, why);
                }
            }
            Err(error) => {
                machine.missing.insert(Metric::DiskUsed, read_error("proc/self/mountinfo", &error));
            }
        }
        Ok(machine)
    }

    fn with_sizes(&self, mount: Mount) -> Option<Mount> {
        let StatVfs { f_frsize, f_blocks, f_bfree, f_bavail, .. } =
            statvfs(self.root.join(mount.point.trim_start_matches('/'))).ok()?;
        let bytes = |blocks: u64| Some(blocks as f64 * f_frsize as f64);
        Some(Mount { size: bytes(f_blocks), free: bytes(f_bfree), available: bytes(f_bavail), ..mount })
    }

    /// Where control groups of version 2 are, below the root; `None` where the machine has none.
    pub fn cgroup_root(&self) -> Option<&'static str> {
        CGROUP_ROOTS.into_iter().find(|root| self.root.join(root).join("cgroup.controllers").exists())
    }

    /// A control group of version 2, by its path below the root of all.
    ///
    /// # Errors
    /// When the machine has none of this version, or not this one.
    pub fn group(&self, path: &str) -> Result<ControlGroup, String> {
        let root = self.cgroup_root().ok_or(
            "this machine has no control groups of version 2, neither at /sys/fs/cgroup nor at /sys/fs/cgroup/unified",
        )?;
        let path = path.trim_matches('/').to_owned();
        if Path::new(&path).components().any(|part| part.as_os_str() == "..") {
            return Err(format!("control group /{path} leads out of the control groups"));
        }
        let mut group = ControlGroup { root, path, inode: 0, since: 0.0 };
        group.inode = group.inode(self).ok_or_else(|| group.gone())?;
        Ok(group)
    }
}

/// A control group, and since when it is the same.
pub struct ControlGroup {
    root: &'static str,
    path: String,
    inode: u64,
    since: f64,
}

impl ControlGroup {
    fn inode(&self, kernel: &Kernel) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        let folder = kernel.root.join(self.root).join(&self.path);
        std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir).map(|found| found.ino())
    }

    fn gone(&self) -> String {
        format!("there is no control group {} below /{}", cgroup::display_path(&self.path), self.root)
    }

    /// Looks at the group.
    ///
    /// # Errors
    /// When it is gone, or does not even count processor time.
    pub fn snapshot(&mut self, kernel: &Kernel) -> Result<Snapshot, String> {
        let at = kernel.uptime()?;
        let inode = self.inode(kernel).ok_or_else(|| self.gone())?;
        if inode != self.inode && kernel.here {
            (self.inode, self.since) = (inode, at);
        }
        let mut snapshot = cgroup::snapshot(&|path| kernel.read(path), self.root, &self.path, at)?;
        snapshot.incarnation.age = Some(at - self.since);
        Ok(snapshot)
    }
}
