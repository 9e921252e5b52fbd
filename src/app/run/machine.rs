use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::session::SelfUse;

/// The generator's own use of the machine, from the kernel.
pub(super) struct ThisProcess {
    start: Instant,
}

impl ThisProcess {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl SelfUse for ThisProcess {
    fn cpu(&self) -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::try_from(time).unwrap_or_default()
    }

    fn wall(&self) -> Duration {
        self.start.elapsed()
    }

    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }
}
