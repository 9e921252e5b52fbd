//! The kernel's files, of this machine or of a folder that looks like one.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, readlinkat, statvfs};
use rustix::time::{ClockId, clock_gettime};

use crate::resources::choice::{self, Mount};
use crate::resources::look::Look;
use crate::resources::machine::Machine;
use crate::resources::metric::Metric;
use crate::resources::proc::{self, first_number, said};
use crate::resources::{cgroup, proc::text};

/// Where control groups of version 2 are: alone, or beside those of version 1.
const GROUPS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

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
    page: f64,
    /// Whether the clock of this machine is also that of the files.
    here: bool,
}

impl Kernel {
    /// The one that runs this.
    pub fn of_this_machine() -> Self {
        let page = u32::try_from(rustix::param::page_size()).map_or(4096.0, f64::from);
        Self { root: PathBuf::from("/"), page, here: true }
    }

    /// One whose files were kept in a folder, with its time in `proc/uptime` and pages of 4096 bytes.
    pub fn kept_in(root: &Path) -> Self {
        Self { root: root.to_owned(), page: 4096.0, here: false }
    }

    /// Whether it is the one that runs this, and not a folder that looks like one.
    pub fn is_here(&self) -> bool {
        self.here
    }

    /// A page of memory, in bytes.
    pub fn page(&self) -> f64 {
        self.page
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
    pub fn machine(&self, named: &[String]) -> Result<Machine, String> {
        let mut machine = proc::machine(&|path| self.read(path))?;
        machine.at = self.uptime()?;
        machine.age = Some(machine.at);
        match self.read("proc/self/mountinfo") {
            Ok(bytes) => {
                let counts = |mount: &Mount| choice::is_real(mount) || named.contains(&mount.point);
                let mounts = proc::mounts(&bytes).into_iter().filter(counts);
                machine.mounts = mounts.filter_map(|mount| self.measured(mount)).collect();
                if machine.mounts.is_empty()
                    && let Err(why) = choice::fullest(&[], named)
                {
                    machine.missing.insert(Metric::DiskUsed, why);
                }
            }
            Err(error) => {
                machine.missing.insert(Metric::DiskUsed, said("proc/self/mountinfo", &error));
            }
        }
        Ok(machine)
    }

    fn measured(&self, mount: Mount) -> Option<Mount> {
        let StatVfs { f_frsize, f_blocks, f_bfree, f_bavail, .. } =
            statvfs(self.root.join(mount.point.trim_start_matches('/'))).ok()?;
        let bytes = |blocks: u64| Some(blocks as f64 * f_frsize as f64);
        Some(Mount { size: bytes(f_blocks), free: bytes(f_bfree), available: bytes(f_bavail), ..mount })
    }

    /// Where control groups of version 2 are, below the root; `None` where the machine has none.
    pub fn groups(&self) -> Option<&'static str> {
        GROUPS.into_iter().find(|root| self.root.join(root).join("cgroup.controllers").exists())
    }

    /// A control group of version 2, by its path below the root of all.
    ///
    /// # Errors
    /// When the machine has none of this version, or not this one.
    pub fn group(&self, path: &str) -> Result<Group, String> {
        let root = self.groups().ok_or(
            "this machine has no control groups of version 2, neither at /sys/fs/cgroup nor at /sys/fs/cgroup/unified",
        )?;
        let path = path.trim_matches('/').to_owned();
        if Path::new(&path).components().any(|part| part.as_os_str() == "..") {
            return Err(format!("control group /{path} leads out of the control groups"));
        }
        let mut group = Group { root, path, inode: 0, since: 0.0 };
        group.inode = group.inode(self).ok_or_else(|| group.gone())?;
        Ok(group)
    }
}

/// A control group, and since when it is the same.
pub struct Group {
    root: &'static str,
    path: String,
    inode: u64,
    since: f64,
}

impl Group {
    fn inode(&self, kernel: &Kernel) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        let folder = kernel.root.join(self.root).join(&self.path);
        std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir).map(|found| found.ino())
    }

    fn gone(&self) -> String {
        format!("there is no control group {} below /{}", cgroup::shown(&self.path), self.root)
    }

    /// Looks at the group.
    ///
    /// # Errors
    /// When it is gone, or does not even count processor time.
    pub fn look(&mut self, kernel: &Kernel) -> Result<Look, String> {
        let at = kernel.uptime()?;
        let inode = self.inode(kernel).ok_or_else(|| self.gone())?;
        if inode != self.inode && kernel.here {
            (self.inode, self.since) = (inode, at);
        }
        let mut look = cgroup::look(&|path| kernel.read(path), self.root, &self.path, at)?;
        look.life.age = Some(at - self.since);
        Ok(look)
    }
}
