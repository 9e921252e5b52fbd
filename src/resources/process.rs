//! What the kernel's files below `/proc/PID` and `/proc/net` say about processes.

use std::collections::BTreeSet;

use crate::resources::proc::{TICKS_PER_SECOND, first_number, keyed_number};

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessStat {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Whether it has ended and only waits to be asked how.
    pub ended: bool,
    /// When it was started, in seconds after the machine was booted.
    pub started: f64,
    /// Processor time that it used, in seconds, with that of its children that have ended and were waited for.
    pub used: f64,
    /// Its threads.
    pub threads: f64,
    /// Its memory that is not swapped, in pages.
    pub pages: f64,
}

/// Reads `/proc/PID/stat`; `None` where it makes no sense.
pub fn stat(text: &str) -> Option<ProcessStat> {
    let pid = text.split_once(' ')?.0.parse().ok()?;
    // The name is in brackets and may hold anything, brackets too.
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Counted as in proc(5), where the state is the third.
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
    })
}

/// No machine has more cores.
const MAX_CORES: u32 = 1 << 16;
/// The bit of a set of signals that stands for the end of a child (`SIGCHLD`).
const SIGCHLD: u64 = 1 << 16;

/// The cores that a process may run on, of its `status`.
pub fn cores_allowed(status: &str) -> Option<BTreeSet<u32>> {
    numbers(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// Whether a process ignores that children end, of its `status`: nobody waits for them then, and what they used is lost.
pub fn ignores_children(status: &str) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & SIGCHLD != 0)
}

/// The numbers that a list such as `0-3,8` names; `None` where there are none.
fn numbers(list: &str) -> Option<BTreeSet<u32>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last && last < MAX_CORES).then_some(first..=last)
    };
    let ranges = list.trim().split(',').map(range).collect::<Option<Vec<_>>>()?;
    Some(ranges.into_iter().flatten().collect())
}

/// How many numbers such a list names.
pub fn count(list: &str) -> Option<f64> {
    Some(numbers(list)?.len() as f64)
}

/// How many files a process may open, of its `limits`; `None` where there is no limit.
pub fn open_files_limit(limits: &str) -> Option<f64> {
    first_number(limits.lines().find_map(|line| line.strip_prefix("Max open files"))?)
}

/// What a process read from disks and wrote to them, in bytes, of its `io`.
pub fn disk_bytes(io: &str) -> Option<(f64, f64)> {
    Some((keyed_number(io, "read_bytes")?, keyed_number(io, "write_bytes")?))
}

/// A TCP socket of `/proc/net/tcp` or `tcp6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketEntry {
    /// Its own port.
    pub port: u16,
    /// What it does.
    pub state: TcpState,
    /// Its number, by which a descriptor of a process names it; 0 where no process has it any more.
    pub inode: u64,
}

/// What a TCP socket does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpState {
    /// It is a connection, at least until both sides have closed it.
    Established,
    /// It waits for connections.
    Listening,
    /// It comes or goes.
    Other,
}

/// The sockets of `/proc/net/tcp` or `tcp6`; lines that make no sense are left out.
pub fn sockets(text: &str) -> impl Iterator<Item = SocketEntry> {
    text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let port = u16::from_str_radix(fields.nth(1)?.rsplit_once(':')?.1, 16).ok()?;
        // `CurrEstab`, which counts the connections of a machine, takes both these for established.
        let state = match fields.nth(1)? {
            "01" | "08" => TcpState::Established,
            "0A" => TcpState::Listening,
            _ => TcpState::Other,
        };
        Some(SocketEntry { port, state, inode: fields.nth(5)?.parse().ok()? })
    })
}

/// The number of the socket that a descriptor leads to, as in `socket:[123]`.
pub fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The path of a process' control group (version 2), of its `cgroup`.
pub fn group(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
