//! Which process is meant.

use std::io;

use crate::monitor::kernel::Kernel;
use crate::resources::process::{self, Stat, State, sockets};
use crate::resources::source::ProcessName;

/// What `/proc/PID/stat` says of a process that has not ended.
pub fn stat(kernel: &Kernel, pid: u32) -> Option<Stat> {
    stat_even_if_ended(kernel, pid).filter(|stat| !stat.ended)
}

/// The same of one that may have ended, but was not waited for yet: until then its time is nobody else's.
pub fn stat_even_if_ended(kernel: &Kernel, pid: u32) -> Option<Stat> {
    process::stat(&kernel.text(&format!("proc/{pid}/stat")).ok()?)
}

/// The process of a name; `known` is the one that it was before.
///
/// # Errors
/// When there is none; says in words why and what to do.
pub fn find(kernel: &Kernel, name: &ProcessName, known: Option<Stat>) -> Result<Stat, String> {
    match name {
        ProcessName::Pid(pid) => stat(kernel, *pid).ok_or_else(|| gone(*pid, known)),
        ProcessName::File(file) => {
            let path = file.trim_start_matches('/');
            let error = |why: String| format!("{why}; the number of a process should be in it");
            let text = if file.starts_with('/') {
                kernel.text(path)
            } else {
                std::fs::read_to_string(file).map_err(|error| format!("could not read `{file}`: {error}"))
            };
            let text = text.map_err(error)?;
            let pid = text.trim().parse().map_err(|_| error(format!("`{file}` holds no number")))?;
            stat(kernel, pid).ok_or_else(|| format!("{}, which `{file}` names", gone(pid, None)))
        }
        ProcessName::Port(port) => {
            // Looking into all descriptors takes long: only for one that is gone another is looked for.
            let same = |before: &Stat| stat(kernel, before.pid).filter(|now| now.started == before.started);
            known.as_ref().and_then(same).map_or_else(|| listening(kernel, *port), Ok)
        }
    }
}

fn gone(pid: u32, known: Option<Stat>) -> String {
    match known {
        Some(_) => format!("process {pid} is gone"),
        None => format!("there is no process {pid}"),
    }
}

/// The process that listens on a port: of several that share a socket, the one whose parent does not.
fn listening(kernel: &Kernel, port: u16) -> Result<Stat, String> {
    let mut inodes = Vec::new();
    for table in ["proc/net/tcp", "proc/net/tcp6"] {
        let text = kernel.text(table).unwrap_or_default();
        let listens = sockets(&text).filter(|socket| socket.port == port && socket.state == State::Listening);
        inodes.extend(listens.map(|socket| socket.inode));
    }
    if inodes.is_empty() {
        return Err(format!("no process listens on TCP port {port}"));
    }
    let mut holders = Vec::new();
    let mut refused = 0;
    for pid in all(kernel) {
        match inodes_of(kernel, pid) {
            Ok(held) if held.iter().any(|inode| inodes.contains(inode)) => holders.extend(stat(kernel, pid)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refused += 1,
            _ => {}
        }
    }
    let below = |stat: &Stat| holders.iter().any(|other| other.pid == stat.parent);
    match holders.iter().find(|stat| !below(stat)) {
        Some(stat) => Ok(*stat),
        None if refused > 0 => Err(format!(
            "it is not permitted to see who listens on TCP port {port}: run as its user or as root, or name its number"
        )),
        None => Err(format!(
            "TCP port {port} is listened on, but by no process that can be seen from here; it may be in a container"
        )),
    }
}

/// The numbers of all processes, from the smallest.
pub fn all(kernel: &Kernel) -> Vec<u32> {
    let names = kernel.names("proc").unwrap_or_default();
    let mut pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The sockets among a process' descriptors.
///
/// # Errors
/// As the system gives them; most often, that it is not permitted.
pub fn inodes_of(kernel: &Kernel, pid: u32) -> io::Result<Vec<u64>> {
    let folder = format!("proc/{pid}/fd");
    let links =
        kernel.names(&folder)?.into_iter().filter_map(|name| kernel.link(&format!("{folder}/{name}")));
    Ok(links.filter_map(|link| process::socket_inode(&link)).collect())
}
