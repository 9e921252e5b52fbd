//! What the machine must allow before a run may start.

use crate::diagnostic::{Code, Diagnostic};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are neither connections nor a worker's: files, standard streams, the stand-in.
const OTHERS: u64 = 64;
/// Descriptors of a worker's runtime.
const OF_A_WORKER: u64 = 4;

/// Raises the limit of descriptors to the hard one, and says why so many connections are not possible, if they are not.
pub(super) fn too_many_connections(users: u32, workers: u16) -> Option<Diagnostic> {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = if raised.is_ok() { hard } else { limit.current.unwrap_or(u64::MAX) };
    let others = OTHERS + OF_A_WORKER * u64::from(workers);
    let needed = u64::from(users) + others;
    if needed > allowed {
        let message = format!(
            "{users} users need {users} connections and {others} other descriptors, {needed} together, \
             and this process may have {allowed}"
        );
        let help = format!("raise the hard limit (`ulimit -Hn {needed}`) or use fewer users");
        return Some(Diagnostic::new(Code::TooManyConnections, message).help(help));
    }
    let ports = local_ports().unwrap_or(u64::MAX);
    (u64::from(users) > ports).then(|| {
        let message = format!(
            "{users} users need {users} local ports towards one address, and this machine has {ports}"
        );
        let help = "widen `net.ipv4.ip_local_port_range` or use fewer users";
        Diagnostic::new(Code::TooManyConnections, message).help(help)
    })
}

/// How many local ports there are for connections to one address.
fn local_ports() -> Option<u64> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(high.saturating_sub(low) + 1)
}
