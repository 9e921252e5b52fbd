//! What the machine must allow before a run may start.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not connections: runtimes, files, standard streams.
const OTHERS: u64 = 64;

/// Raises the limit of descriptors to the hard one, and says why so many connections are not possible, if they are not.
pub(super) fn connections_possible(users: u32) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = if raised.is_ok() { hard } else { limit.current.unwrap_or(u64::MAX) };
    let needed = u64::from(users) + OTHERS;
    if needed > allowed {
        return Err(format!(
            "{users} users need {users} connections and {OTHERS} other descriptors, {needed} together, \
             and this process may have {allowed}\n  = help: raise the hard limit (`ulimit -Hn {needed}`) or use fewer users"
        ));
    }
    let ports = local_ports().unwrap_or(u64::MAX);
    if u64::from(users) > ports {
        return Err(format!(
            "{users} users need {users} local ports towards one address, and this machine has {ports}\n  \
             = help: widen `net.ipv4.ip_local_port_range` or use fewer users"
        ));
    }
    Ok(())
}

/// How many local ports there are for connections to one address.
fn local_ports() -> Option<u64> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(high.saturating_sub(low) + 1)
}
