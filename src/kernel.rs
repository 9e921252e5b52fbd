//! Reads the kernel's files, of this machine or of a folder with the same layout: for monitored hosts and for the runner
//! itself.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{StatVfs, readlinkat, statvfs};
use rustix::time::{ClockId, clock_gettime};

use crate::resources::device_filter::{self, Mount};
use crate::resources::linux::cgroup;
use crate::resources::linux::group_limits::{Controller, GroupVersion, LimitedGroup, Quota};
use crate::resources::linux::proc::{self, MachineTicks, first_number, read_error, text};
use crate::resources::linux::process;
use crate::resources::machine::MachineCounters;
use crate::resources::metric::Metric;
use crate::resources::snapshot::{Cpu, Snapshot};

/// Mount points of control groups (version 2): alone, or next to those of version 1.
const CGROUP_ROOTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

/// Seconds since this machine was booted, including suspended time. This clock cannot be set.
pub fn now() -> f64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A kernel, by its files below a root folder.
#[derive(Debug, Clone)]
pub struct Kernel {
    root: PathBuf,
    page_bytes: f64,
    /// Whether the files are those of this machine, so that its clock applies to them.
    here: bool,
}

impl Kernel {
    /// The running kernel.
    pub fn this_machine() -> Self {
        let page_bytes = u32::try_from(rustix::param::page_size()).map_or(4096.0, f64::from);
        Self { root: PathBuf::from("/"), page_bytes, here: true }
    }

    /// A recorded kernel: a folder with its files, the time in `proc/uptime`, and pages of 4096 bytes.
    pub fn in_folder(root: &Path) -> Self {
        Self { root: root.to_owned(), page_bytes: 4096.0, here: false }
    }

    /// Whether this is the running kernel and not a recorded one.
    pub fn is_here(&self) -> bool {
        self.here
    }

    /// Size of a memory page, in bytes.
    pub fn page_bytes(&self) -> f64 {
        self.page_bytes
    }

    /// The bytes of a file, by its path below the root.
    ///
    /// # Errors
    /// As the system returns them.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(path))
    }

    /// The text of a file, by its path below the root.
    ///
    /// # Errors
    /// If the file cannot be read; the message contains its path.
    pub fn text(&self, path: &str) -> Result<String, String> {
        text(&|path| self.read(path), path)
    }

    /// The names in a folder.
    ///
    /// # Errors
    /// As the system returns them.
    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.root.join(path))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// The target of a symbolic link.
    pub fn link(&self, path: &str) -> Option<String> {
        std::fs::read_link(self.root.join(path)).ok()?.into_os_string().into_string().ok()
    }

    /// The names and targets of links in a folder; missing links are left out. The folder is opened only once, which is
    /// faster for many links.
    ///
    /// # Errors
    /// As the system returns them.
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

    /// Seconds since the machine was booted, including suspended time.
    ///
    /// # Errors
    /// If a recorded kernel has no usable `proc/uptime`.
    pub fn uptime(&self) -> Result<f64, String> {
        if self.here {
            // `/proc/uptime` has only hundredths of a second.
            return Ok(now());
        }
        first_number(&self.text("proc/uptime")?).ok_or_else(|| "/proc/uptime contains no number".to_owned())
    }

    /// The counters of the machine, with its local file systems and those at the named mount points.
    ///
    /// # Errors
    /// If the uptime is unknown.
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

    /// Processor time of the machine; `None` if the kernel does not report it.
    pub fn machine_ticks(&self) -> Option<MachineTicks> {
        proc::machine_ticks(&self.read("proc/stat").ok()?)
    }

    /// Memory in bytes that this process can still use: of the machine, or below the limits of its control group and the
    /// ancestors of that group, such as a service or a job of a batch system.
    pub fn available_memory(&self) -> Option<f64> {
        let of_machine = proc::available_memory(&self.read("proc/meminfo").ok()?)?;
        let read = |path: &str| self.read(path);
        let left = self.own_groups(Controller::Memory);
        let left = left.iter().filter_map(|group| group.memory_left(&read)).reduce(f64::min);
        Some(left.map_or(of_machine, |left| left.min(of_machine)))
    }

    /// The CPU quotas that apply to this process: those of its control group and the ancestors of that group.
    pub fn own_quotas(&self) -> Vec<Quota> {
        let groups = self.own_groups(Controller::Cpu);
        groups.iter().flat_map(|group| group.quotas(&|path| self.read(path))).collect()
    }

    /// The control groups that limit this process.
    fn own_groups(&self, controller: Controller) -> Vec<LimitedGroup> {
        self.text("proc/self/cgroup").map_or_else(|_| Vec::new(), |cgroup| self.groups(&cgroup, controller))
    }

    /// The control groups that limit a process, from its `cgroup`: one of version 2, and one of version 1 if the
    /// controller has a hierarchy of its own.
    pub fn groups(&self, cgroup: &str, controller: Controller) -> Vec<LimitedGroup> {
        let place = |version, root: String, path: &str| {
            let path = path.trim_matches('/').to_owned();
            self.root.join(&root).exists().then_some(LimitedGroup { version, root, path })
        };
        let unified = self.cgroup_root().zip(process::group(cgroup));
        let unified = unified.and_then(|(root, path)| place(GroupVersion::Two, root.to_owned(), path));
        let own = process::group_of_controller(cgroup, controller.as_str());
        let own = own.and_then(|path| {
            place(GroupVersion::One, format!("sys/fs/cgroup/{}", controller.as_str()), path)
        });
        unified.into_iter().chain(own).collect()
    }

    /// The peak of the resident memory of this process, in bytes.
    pub fn own_peak_memory(&self) -> Option<u64> {
        process::peak_memory(&self.text("proc/self/status").ok()?)
    }

    /// The time of the calling thread on a core and in the queue for one; `None` if the kernel does not report it.
    pub fn own_schedule_times(&self) -> Option<(Duration, Duration)> {
        process::schedule_times(&self.text("proc/thread-self/schedstat").ok()?)
    }

    /// The number of local ports for connections to one address.
    pub fn local_ports(&self) -> Option<u64> {
        proc::local_ports(&self.text("proc/sys/net/ipv4/ip_local_port_range").ok()?)
    }

    /// The mount point of control groups (version 2), below the root; `None` if the machine has none.
    pub fn cgroup_root(&self) -> Option<&'static str> {
        CGROUP_ROOTS.into_iter().find(|root| self.root.join(root).join("cgroup.controllers").exists())
    }

    /// Opens a control group (version 2) by its path from the root group.
    ///
    /// # Errors
    /// If the machine has no control groups of this version, the path contains `..`, or the group does not exist.
    pub fn group(&self, path: &str) -> Result<ControlGroup, String> {
        let root = self.cgroup_root().ok_or(
            "no control groups (version 2) at /sys/fs/cgroup or /sys/fs/cgroup/unified; use `process` instead",
        )?;
        let path = path.trim_matches('/').to_owned();
        if Path::new(&path).components().any(|part| part.as_os_str() == "..") {
            return Err(format!("control group /{path} contains `..`; write its path from the root"));
        }
        let mut group = ControlGroup { root, path, inode: 0, since: 0.0 };
        group.inode = group.inode(self).ok_or_else(|| group.gone())?;
        Ok(group)
    }
}

/// A control group. A new inode means that the group was removed and created again.
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
        format!(
            "there is no control group {} below /{}; `cat /proc/PID/cgroup` shows the group of a process",
            cgroup::display_path(&self.path),
            self.root
        )
    }

    /// Takes a snapshot of the group.
    ///
    /// # Errors
    /// If the group no longer exists or has no usable `cpu.stat`.
    pub fn snapshot(&mut self, kernel: &Kernel) -> Result<Snapshot, String> {
        let at = kernel.uptime()?;
        let inode = self.inode(kernel).ok_or_else(|| self.gone())?;
        if inode != self.inode && kernel.here {
            (self.inode, self.since) = (inode, at);
        }
        let mut snapshot = cgroup::snapshot(&|path| kernel.read(path), self.root, &self.path, at)?;
        self.apply_version_1(kernel, &mut snapshot);
        snapshot.incarnation.age = Some(at - self.since);
        Ok(snapshot)
    }

    /// Applies the CPU quotas that the processes of the group have in control groups of version 1, where the controller is
    /// on a machine that uses both.
    fn apply_version_1(&self, kernel: &Kernel, snapshot: &mut Snapshot) {
        let own = |cgroup: String| kernel.groups(&cgroup, Controller::Cpu).into_iter();
        let pids = kernel.text(&format!("{}/{}/cgroup.procs", self.root, self.path)).unwrap_or_default();
        let files = pids.lines().filter_map(|pid| kernel.text(&format!("proc/{pid}/cgroup")).ok());
        let groups = files.flat_map(own).filter(|group| group.version == GroupVersion::One);
        let mut quotas: Vec<Option<f64>> =
            groups.map(|group| group.quota(&|path| kernel.read(path))).collect();
        quotas.dedup();
        match (&quotas[..], &mut snapshot.cpu) {
            ([] | [None], _) => {}
            ([Some(quota)], Some(Cpu::Part { cores, .. })) => *cores = cores.min(*quota),
            _ => {
                let why = "its processes have different CPU limits in control groups of version 1; use `process` instead";
                snapshot.cpu = None;
                snapshot.missing.insert(Metric::Cpu, why.to_owned());
            }
        }
    }
}
