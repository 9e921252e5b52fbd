//! Checks before a run: whether this process may open enough connections.

use std::path::Path;

use rustix::fs::Access;

use crate::diagnostic::{Code, Diagnostic};
use crate::kernel::Kernel;
use crate::plan::model::{Phase, PhaseId, Plan};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors besides connections and workers: files, standard streams, the stand-in.
const OTHER_DESCRIPTORS: u64 = 64;
/// File descriptors of one worker's runtime.
const DESCRIPTORS_PER_WORKER: u64 = 4;
/// File descriptors of one monitored host: a runtime, a connection, a file.
const DESCRIPTORS_PER_HOST: u64 = 8;

/// The default number of sending threads: one per core, at most 256.
pub(super) fn workers() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores.min(256)).unwrap_or(256)
}

/// An error if the folder for the reports cannot be created or written. Nothing is created.
pub(super) fn folder(out: &Path) -> Option<Diagnostic> {
    let here = Path::new(".");
    let mut above = out.ancestors().map(|path| if path == Path::new("") { here } else { path });
    let (found, metadata) = above.find_map(|path| Some((path, std::fs::metadata(path).ok()?)))?;
    let why = match rustix::fs::access(found, Access::WRITE_OK | Access::EXEC_OK) {
        _ if !metadata.is_dir() => "is no folder".to_owned(),
        Ok(()) => return None,
        Err(error) => format!("cannot be written: {error}"),
    };
    let message = format!("no report can be written to `{}`: `{}` {why}", out.display(), found.display());
    Some(Diagnostic::new(Code::UnwritableFolder, message).help("choose another folder with `--out`"))
}

/// An error if a phase needs more connections than this process may open. Raises the soft limit of descriptors to the
/// hard limit first.
pub(super) fn connections(plan: &Plan, phases: &[PhaseId], workers: u16) -> Option<Diagnostic> {
    let most = phases.iter().map(|id| &plan.phases[id.index()]).max_by_key(|phase| phase.users)?;
    let hosts = plan.monitor.as_ref().map_or(0, |monitor| monitor.hosts.len() as u64 + 2);
    let others =
        OTHER_DESCRIPTORS + DESCRIPTORS_PER_WORKER * u64::from(workers) + DESCRIPTORS_PER_HOST * hosts;
    too_many_connections(most, others)
}

fn too_many_connections(phase: &Phase, others: u64) -> Option<Diagnostic> {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = if raised.is_ok() { hard } else { limit.current.unwrap_or(u64::MAX) };
    let users = u64::from(phase.users);
    let needed = users + others;
    let refused = |message: String, help: String| {
        let diagnostic = Diagnostic::new(Code::TooManyConnections, message);
        Some(diagnostic.at(phase.span, format!("has {users} users")).help(help))
    };
    if needed > allowed {
        let message = format!(
            "{users} users need {needed} file descriptors ({users} connections and {others} others), \
             but this process may open {allowed}"
        );
        return refused(message, format!("raise the hard limit (`ulimit -Hn {needed}`) or use fewer users"));
    }
    let ports = Kernel::this_machine().local_ports().filter(|ports| users > *ports)?;
    refused(
        format!("{users} users need {users} local ports to one address, but this machine has {ports}"),
        "widen `net.ipv4.ip_local_port_range` or use fewer users".to_owned(),
    )
}
