//! Finds the processes that a plan selects.

use std::io;

use crate::kernel::Kernel;
use crate::monitor::sockets;
use crate::resources::linux::process::{self, ProcessStat, TcpState};
use crate::resources::source::ProcessSelector;

/// `/proc/PID/stat` of a process that has not ended.
pub fn stat(kernel: &Kernel, pid: u32) -> Option<ProcessStat> {
    stat_even_if_ended(kernel, pid).filter(|stat| !stat.ended)
}

/// The same, also for a process that has ended but was not waited for: until then only its own entry has its usage.
pub fn stat_even_if_ended(kernel: &Kernel, pid: u32) -> Option<ProcessStat> {
    process::stat(&kernel.text(&format!("proc/{pid}/stat")).ok()?)
}

/// The root of a process tree.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeRoot {
    pub stat: ProcessStat,
    /// The path of the descriptor by which the process was found, and the inode of its socket.
    held: Option<(String, u64)>,
}

impl TreeRoot {
    /// Whether both are the same process: the PID is the same and was not reused.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.stat.pid, self.stat.started) == (other.stat.pid, other.stat.started)
    }

    /// Its current state, if it is still the same process and holds the same socket.
    fn refreshed(&self, kernel: &Kernel) -> Option<Self> {
        let stat = stat(kernel, self.stat.pid)?;
        let holds = |(link, inode): &(String, u64)| socket(kernel, link) == Some(*inode);
        let now = Self { stat, held: self.held.clone() };
        (now.is_same(self) && self.held.as_ref().is_none_or(holds)).then_some(now)
    }
}

/// The processes that a selector matches.
#[derive(Debug, Default, PartialEq)]
pub struct FoundProcesses {
    pub roots: Vec<TreeRoot>,
    /// Sorted inodes of the sockets that listen on the port, if the selector is a port.
    sockets: Vec<u64>,
}

impl FoundProcesses {
    /// Whether both contain the same processes, none of them restarted.
    pub fn is_same(&self, other: &Self) -> bool {
        self.roots.len() == other.roots.len()
            && self.roots.iter().zip(&other.roots).all(|(one, other)| one.is_same(other))
    }

    fn single(stat: ProcessStat) -> Self {
        Self { roots: vec![TreeRoot { stat, held: None }], sockets: Vec::new() }
    }
}

/// Finds the processes that a selector matches, at least one; `known` are those of the previous snapshot.
///
/// # Errors
/// If there is none; the message has the reason and, if possible, a next step.
pub fn find(
    kernel: &Kernel,
    name: &ProcessSelector,
    known: &FoundProcesses,
) -> Result<FoundProcesses, String> {
    match name {
        ProcessSelector::Pid(pid) => {
            stat(kernel, *pid).map(FoundProcesses::single).ok_or_else(|| gone(*pid, !known.roots.is_empty()))
        }
        ProcessSelector::File(file) => {
            let path = file.trim_start_matches('/');
            let error = |why: String| format!("{why}; the file must contain a process ID");
            let text = if file.starts_with('/') {
                kernel.text(path)
            } else {
                std::fs::read_to_string(file).map_err(|error| format!("could not read `{file}`: {error}"))
            };
            let text = text.map_err(error)?;
            let pid = text.trim().parse().map_err(|_| error(format!("`{file}` contains no number")))?;
            let named = stat(kernel, pid).map(FoundProcesses::single);
            named.ok_or_else(|| format!("{}, the process ID in `{file}`", gone(pid, false)))
        }
        ProcessSelector::Port(port) => {
            let sockets = listening(kernel, *port);
            // Reading all descriptors is slow. It is necessary only if a socket appeared or disappeared, or if a known
            // process ended or no longer holds its socket.
            let refreshed =
                || known.roots.iter().map(|root| root.refreshed(kernel)).collect::<Option<Vec<TreeRoot>>>();
            let same = (sockets == known.sockets).then(refreshed).flatten().filter(|roots| !roots.is_empty());
            let roots = same.map_or_else(|| holders(kernel, *port, &sockets), Ok)?;
            Ok(FoundProcesses { roots, sockets })
        }
    }
}

fn gone(pid: u32, known: bool) -> String {
    if known { format!("process {pid} is gone") } else { format!("there is no process {pid}") }
}

/// Sorted inodes of the sockets that listen on a port.
fn listening(kernel: &Kernel, port: u16) -> Vec<u64> {
    let sockets = sockets::in_state(kernel, None, TcpState::Listening).into_iter();
    let mut inodes: Vec<u64> =
        sockets.filter(|socket| socket.port == port).map(|socket| socket.inode).collect();
    inodes.sort_unstable();
    inodes.dedup();
    inodes
}

/// The processes that hold the listening sockets of a port, without those whose parent holds one too. Process 1 never
/// counts: it holds sockets for services that it starts at the first connection (socket activation).
fn holders(kernel: &Kernel, port: u16, inodes: &[u64]) -> Result<Vec<TreeRoot>, String> {
    if inodes.is_empty() {
        return Err(format!("no process listens on TCP port {port}"));
    }
    let mut holders = Vec::new();
    let mut refused = 0;
    for pid in all(kernel) {
        match sockets_of(kernel, pid) {
            Ok(held) => {
                let held = held.into_iter().find(|(_, inode)| inodes.contains(inode));
                let root = |held| Some(TreeRoot { stat: stat(kernel, pid)?, held: Some(held) });
                holders.extend(held.and_then(root));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused += 1,
            Err(_) => {}
        }
    }
    let first = holders.iter().any(|root| root.stat.pid == 1);
    holders.retain(|root| root.stat.pid != 1);
    let pids: Vec<u32> = holders.iter().map(|root| root.stat.pid).collect();
    holders.retain(|root| !pids.contains(&root.stat.parent));
    if !holders.is_empty() {
        return Ok(holders);
    }
    Err(if refused > 0 {
        format!(
            "not permitted to see which process listens on TCP port {port}; run as its user or root, or use `pid`"
        )
    } else if first {
        format!(
            "only process 1 holds TCP port {port}, and starts the server at the first connection (socket \
             activation); connect once before the run, or use `pid 1`"
        )
    } else {
        format!(
            "the process that listens on TCP port {port} is not visible from here; it may be in a container"
        )
    })
}

/// All process IDs, sorted.
pub fn all(kernel: &Kernel) -> Vec<u32> {
    let names = kernel.names("proc").unwrap_or_default();
    let mut pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The sockets among these descriptors of a process, as name and inode.
///
/// # Errors
/// As the system returns them, most often a missing permission.
pub fn socket_descriptors<'a>(
    kernel: &Kernel,
    pid: u32,
    names: &'a [String],
) -> io::Result<impl Iterator<Item = (&'a str, u64)> + use<'a>> {
    let links = kernel.links(&format!("proc/{pid}/fd"), names)?;
    Ok(links.filter_map(|(name, target)| Some((name, process::socket_inode(&target)?))))
}

/// All sockets of a process, as descriptor path and inode.
fn sockets_of(kernel: &Kernel, pid: u32) -> io::Result<Vec<(String, u64)>> {
    let folder = format!("proc/{pid}/fd");
    let names = kernel.names(&folder)?;
    let sockets = socket_descriptors(kernel, pid, &names)?;
    Ok(sockets.map(|(name, inode)| (format!("{folder}/{name}"), inode)).collect())
}

/// The inode of the socket behind a descriptor.
fn socket(kernel: &Kernel, link: &str) -> Option<u64> {
    process::socket_inode(&kernel.link(link)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// Adds a process with a socket as its descriptor 3, or without one.
    fn runs(root: &Path, pid: u32, parent: u32, socket: Option<u64>) {
        let folder = root.join(format!("proc/{pid}"));
        fs::create_dir_all(folder.join("fd")).unwrap();
        let stat = format!("{pid} (server) S {parent} 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {pid} 1 1");
        fs::write(folder.join("stat"), stat).unwrap();
        let _ = fs::remove_file(folder.join("fd/3"));
        if let Some(socket) = socket {
            symlink(format!("socket:[{socket}]"), folder.join("fd/3")).unwrap();
        }
    }

    /// Makes these sockets listen on port 8080.
    fn listen(root: &Path, inodes: &[u64]) {
        fs::create_dir_all(root.join("proc/net")).unwrap();
        let line = |inode| format!("0: 0:1F90 0:0 0A 0:0 0:0 0 0 0 {inode}\n");
        let lines: String = inodes.iter().map(line).collect();
        fs::write(root.join("proc/net/tcp"), format!("head\n{lines}")).unwrap();
    }

    /// A machine where sockets 7 and 8 listen on port 8080.
    fn machine() -> (tempfile::TempDir, Kernel) {
        let folder = tempfile::tempdir().unwrap();
        listen(folder.path(), &[7, 8]);
        let kernel = Kernel::in_folder(folder.path());
        (folder, kernel)
    }

    fn found(kernel: &Kernel, known: &FoundProcesses) -> Result<FoundProcesses, String> {
        find(kernel, &ProcessSelector::Port(8080), known)
    }

    fn pids(found: &FoundProcesses) -> Vec<u32> {
        found.roots.iter().map(|root| root.stat.pid).collect()
    }

    #[test]
    fn all_that_listen_are_found_and_none_whose_parent_does() {
        let (folder, kernel) = machine();
        runs(folder.path(), 70, 1, Some(7));
        runs(folder.path(), 71, 70, Some(7));
        runs(folder.path(), 80, 1, Some(8));
        runs(folder.path(), 90, 1, Some(9));
        assert_eq!(found(&kernel, &FoundProcesses::default()).map(|found| pids(&found)), Ok(vec![70, 80]));
    }

    #[test]
    fn the_first_process_counts_only_by_its_number() {
        let (folder, kernel) = machine();
        runs(folder.path(), 1, 0, Some(7));
        let single = found(&kernel, &FoundProcesses::default()).unwrap_err();
        assert!(single.starts_with("only process 1 holds TCP port 8080"), "{single}");
        runs(folder.path(), 70, 1, Some(7));
        assert_eq!(found(&kernel, &FoundProcesses::default()).map(|found| pids(&found)), Ok(vec![70]));
    }

    #[test]
    fn a_process_without_the_socket_is_no_longer_selected() {
        let (folder, kernel) = machine();
        runs(folder.path(), 70, 1, Some(7));
        let before = found(&kernel, &FoundProcesses::default()).unwrap();
        runs(folder.path(), 60, 1, Some(8));
        assert_eq!(found(&kernel, &before).as_ref(), Ok(&before), "all descriptors are not read again");
        runs(folder.path(), 70, 1, None);
        assert_eq!(found(&kernel, &before).map(|found| pids(&found)), Ok(vec![60]));
    }

    #[test]
    fn a_further_listener_counts_until_it_ends() {
        let (folder, kernel) = machine();
        listen(folder.path(), &[7]);
        runs(folder.path(), 70, 1, Some(7));
        runs(folder.path(), 80, 1, Some(8));
        let before = found(&kernel, &FoundProcesses::default()).unwrap();
        assert_eq!(pids(&before), [70]);
        listen(folder.path(), &[7, 8]);
        let both = found(&kernel, &before).unwrap();
        assert!(pids(&both) == [70, 80] && !both.is_same(&before), "{both:?}");
        listen(folder.path(), &[8]);
        runs(folder.path(), 70, 1, None);
        assert_eq!(found(&kernel, &both).map(|found| pids(&found)), Ok(vec![80]));
    }

    #[test]
    fn one_more_socket_of_the_same_process_is_no_restart() {
        let (folder, kernel) = machine();
        listen(folder.path(), &[7]);
        runs(folder.path(), 70, 1, Some(7));
        let before = found(&kernel, &FoundProcesses::default()).unwrap();
        listen(folder.path(), &[7, 8]);
        symlink("socket:[8]", folder.path().join("proc/70/fd/4")).unwrap();
        assert!(found(&kernel, &before).unwrap().is_same(&before));
    }
}
