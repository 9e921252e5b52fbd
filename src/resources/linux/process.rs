//! Parses the kernel's files of processes below `/proc/PID` and `/proc/net`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::resources::linux::proc::{TICKS_PER_SECOND, first_number, keyed_number};

/// The used fields of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessStat {
    pub pid: u32,
    pub parent: u32,
    /// Whether it has ended and its parent has not waited for it yet.
    pub ended: bool,
    /// Start time, in seconds after boot.
    pub started: f64,
    /// Processor time in seconds, including that of children that have ended and were waited for.
    pub used: f64,
    pub threads: f64,
    /// Resident memory, in pages. From Linux 6.2 on the kernel may tell 0 pages of a small process that has just started.
    pub pages: f64,
    /// Virtual memory, in bytes: none if the process is ending or is a thread of the kernel.
    pub size: f64,
}

/// Parses `/proc/PID/stat`; `None` if it is malformed.
pub fn stat(text: &str) -> Option<ProcessStat> {
    let pid = text.split_once(' ')?.0.parse().ok()?;
    // The name is in parentheses and may contain anything, including parentheses.
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Numbered as in proc(5), where the state is field 3.
    let field = |number: usize| rest.get(number - 3)?.parse::<f64>().ok();
    let used = field(14)? + field(15)? + field(16)? + field(17)?;
    Some(ProcessStat {
        pid,
        parent: rest.get(1)?.parse().ok()?,
        ended: matches!(rest.first()?, &"Z" | &"X" | &"x"),
        started: field(22)? / TICKS_PER_SECOND,
        used: used / TICKS_PER_SECOND,
        threads: field(20)?,
        pages: field(24)?,
        size: field(23)?,
    })
}

/// No machine has more cores; a list with a larger number is malformed.
const MAX_CORES: u32 = 1 << 16;
/// The bit of `SIGCHLD` in a set of signals.
const SIGCHLD: u64 = 1 << 16;

/// The cores that a process may run on, from its `status`.
pub fn cores_allowed(status: &str) -> Option<BTreeSet<u32>> {
    numbers(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// Whether a process ignores `SIGCHLD`, from its `status`. The kernel then discards the usage of its ended children.
pub fn ignores_children(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & SIGCHLD != 0)
}

/// The numbers in a list such as `0-3,8`; `None` if it is malformed.
fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last && last < MAX_CORES).then_some(first..=last)
    };
    let ranges = list.trim().split(',').map(range).collect::<Option<Vec<_>>>()?;
    Some(ranges.into_iter().flatten().collect())
}

/// How many numbers are in a list such as `0-3,8`.
pub fn count(list: &str) -> Option<f64> {
    Some(numbers(list)?.len() as f64)
}

/// Maximum number of open files of a process, from its `limits`; `None` if it is unlimited.
pub fn open_files_limit(limits: &str) -> Option<f64> {
    first_number(limits.lines().find_map(|line| line.strip_prefix("Max open files"))?)
}

/// Bytes that a process read from disks and wrote to them, from its `io`.
pub fn disk_bytes(io: &str) -> Option<(f64, f64)> {
    Some((keyed_number(io, "read_bytes")?, keyed_number(io, "write_bytes")?))
}

/// A TCP socket of `/proc/net/tcp` or `tcp6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketEntry {
    /// Local port.
    pub port: u16,
    pub state: TcpState,
    /// Identifies the socket in the links of `/proc/PID/fd`; 0 if no process holds the socket any more.
    pub inode: u64,
}

/// The state of a TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    /// Established, or closed by the other end only.
    Established,
    Listening,
    /// Being opened or closed.
    Other,
}

/// The sockets in `/proc/net/tcp` or `tcp6`; malformed lines are left out.
pub fn sockets(text: &str) -> impl Iterator<Item = SocketEntry> {
    text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let port = u16::from_str_radix(fields.nth(1)?.rsplit_once(':')?.1, 16).ok()?;
        // ESTABLISHED and CLOSE_WAIT: `CurrEstab`, the connections of a machine, counts both too.
        let state = match fields.nth(1)? {
            "01" | "08" => TcpState::Established,
            "0A" => TcpState::Listening,
            _ => TcpState::Other,
        };
        Some(SocketEntry { port, state, inode: fields.nth(5)?.parse().ok()? })
    })
}

/// The inode in the link of a socket's descriptor, such as `socket:[123]`.
pub fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The peak of the resident memory of a process, from its `status`, in bytes.
pub fn peak_memory(status: &str) -> Option<u64> {
    keyed_number(status, "VmHWM").map(|kib| kib as u64 * 1024)
}

/// The time of a thread on a core and in the queue for one, from its `schedstat`.
pub fn schedule_times(schedstat: &str) -> Option<(Duration, Duration)> {
    let mut numbers =
        schedstat.split_ascii_whitespace().map(|number| number.parse().map(Duration::from_nanos));
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The path of the control group (version 2) of a process, from its `cgroup`.
pub fn group(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The path of the control group of a process in the hierarchy of a controller (version 1), from its `cgroup`.
pub fn group_of_controller<'c>(cgroup: &'c str, controller: &str) -> Option<&'c str> {
    cgroup.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|known| known == controller).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_controller_is_found_among_joined_ones() {
        let text = "12:cpu,cpuacct:/a\n4:memory:/b\n1:name=systemd:/\n0::/c\n";
        assert_eq!(group_of_controller(text, "cpu"), Some("/a"));
        assert_eq!(
            (group_of_controller(text, "memory"), group_of_controller(text, "pids")),
            (Some("/b"), None)
        );
        assert_eq!(group(text), Some("/c"));
    }

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_numbers() {
        let text =
            "475 (a ) R 1) S 47 475 475 0 -1 4194304 94 0 0 0 150 50 20 10 20 0 3 0 2012 57384 225 1844 9";
        let found = stat(text);
        let expected = ProcessStat {
            pid: 475,
            parent: 47,
            ended: false,
            started: 20.12,
            used: 2.3,
            threads: 3.0,
            pages: 225.0,
            size: 57384.0,
        };
        assert_eq!(found, Some(expected));
        for cut in 0..text.len() {
            let _ = stat(&text[..cut]);
        }
        assert_eq!(stat("(a) R"), None);
    }

    #[test]
    fn cores_are_counted_from_lists() {
        assert_eq!(cores_allowed("Name:\tx\nCpus_allowed_list:\t0-3,8\n"), Some([0, 1, 2, 3, 8].into()));
        assert_eq!(count("7"), Some(1.0));
        assert_eq!(count("0-4294967295"), None);
        assert_eq!(count("3-1"), None);
        assert_eq!(count(""), None);
    }

    #[test]
    fn sockets_have_ports_states_and_numbers() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4242 1 x\n\
            1: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C001 01 0:0 00:0 0 0 0 4243 1\n\
            nonsense\n";
        let found: Vec<SocketEntry> = sockets(text).collect();
        assert_eq!(found[0], SocketEntry { port: 8080, state: TcpState::Listening, inode: 4242 });
        assert_eq!(found[1], SocketEntry { port: 8080, state: TcpState::Established, inode: 4243 });
        assert_eq!(found.len(), 2);
        assert_eq!(socket_inode("socket:[4242]"), Some(4242));
        assert_eq!(socket_inode("pipe:[4242]"), None);
    }

    #[test]
    fn a_process_that_ignores_sigchld_is_known_by_its_signals() {
        assert!(ignores_children("SigBlk:\t0000000000000000\nSigIgn:\t0000000000011000\n"));
        assert!(!ignores_children("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_children("SigIgn:\tx\n") && !ignores_children(""));
    }

    #[test]
    fn a_process_without_a_limit_of_files_has_none() {
        assert_eq!(
            open_files_limit("Max open files            1024                 4096     files\n"),
            Some(1024.0)
        );
        assert_eq!(
            open_files_limit("Max open files            unlimited            unlimited  files\n"),
            None
        );
        assert_eq!(disk_bytes("rchar: 5\nread_bytes: 6\nwrite_bytes: 7\n"), Some((6.0, 7.0)));
    }
}
