//! Processor time of a machine between two snapshots, and the check that it is possible.

use crate::resources::rates::device_counters::{NOT_COUNTED_BEFORE, RateError};
use crate::resources::snapshot::{ClockSource, Cpu, Snapshot};

/// Sums of ticks may decrease by this much through rounding, without a reset.
pub const TICK_ROUNDING_S: f64 = 0.05;
/// A core cannot provide more processor time than time passes. Clocks are read one after another and some exporters are
/// late, so only more than this factor plus `MAX_CLOCK_LAG_S` is impossible.
const MAX_CPU_SPEEDUP: f64 = 1.5;
/// Allowance for the time between reading two clocks.
const MAX_CLOCK_LAG_S: f64 = 0.1;

/// Processor time of a machine between two snapshots, in seconds summed over all cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuUsage {
    /// Everything but idle and iowait; includes steal.
    pub busy: f64,
    /// Given to other machines by the hypervisor; `None` if it is not counted.
    pub steal: Option<f64>,
    /// Busy, idle and iowait.
    pub total: f64,
}

/// Processor time of a machine between two snapshots.
///
/// # Errors
/// If the cores or the counted modes changed, a counter other than iowait was reset, or no counter advanced.
pub fn cpu_usage(before: Cpu, now: Cpu) -> Result<CpuUsage, RateError> {
    let (
        Cpu::Whole { total, idle, iowait, steal: once, cores: earlier },
        Cpu::Whole { total: now_total, idle: now_idle, iowait: now_iowait, steal, cores: later },
    ) = (before, now)
    else {
        return Err(RateError::Uncounted(NOT_COUNTED_BEFORE.to_owned()));
    };
    if earlier != later {
        return Err(RateError::Uncounted(format!("the number of cores changed from {earlier} to {later}")));
    }
    if once.is_some() != steal.is_some() {
        return Err(RateError::Uncounted("steal was counted at only one of two snapshots".to_owned()));
    }
    let busy = (now_total - now_idle - now_iowait) - (total - idle - iowait);
    let (idle, iowait) = (now_idle - idle, now_iowait - iowait);
    let steal = once.zip(steal).map(|(once, steal)| steal - once);
    if [Some(busy), Some(idle), steal].into_iter().flatten().any(|increase| increase < -TICK_ROUNDING_S) {
        return Err(RateError::Reset(vec!["the processor's counters were reset".to_owned()]));
    }
    // The kernel sometimes decreases iowait; this must not change the other shares.
    let busy = busy.max(0.0);
    let total = busy + idle.max(0.0) + iowait.max(0.0);
    if total <= 0.0 {
        return Err(RateError::Uncounted("no processor time was counted between two snapshots".to_owned()));
    }
    Ok(CpuUsage { busy, steal, total })
}

/// Increase of a machine's processor time, and its number of cores; `None` if that number changed.
fn advanced(before: &Snapshot, now: &Snapshot) -> Option<(f64, u32)> {
    match (before.cpu?, now.cpu?) {
        (Cpu::Whole { total, cores, .. }, Cpu::Whole { total: later, cores: same, .. }) => {
            (cores == same).then_some((later - total, cores))
        }
        _ => None,
    }
}

/// The reason why the processor time counted in `elapsed` seconds is impossible; `None` if it is possible.
pub fn impossible_cpu_time(before: &Snapshot, now: &Snapshot, elapsed: f64) -> Option<String> {
    let (counted, cores) = advanced(before, now)?;
    let each = elapsed * MAX_CPU_SPEEDUP + MAX_CLOCK_LAG_S + before.took_s.max(now.took_s);
    (counted > each * f64::from(cores))
        .then(|| format!("impossible processor time: {counted:.1} s in {elapsed:.1} s (cores: {cores})"))
}

/// Whether the response is stale: it has no time of its own, and the processor counted no time.
pub fn is_stalled(before: &Snapshot, now: &Snapshot) -> bool {
    let ours = before.clock == ClockSource::Runner && now.clock == ClockSource::Runner;
    ours && advanced(before, now).is_some_and(|(counted, _)| counted == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(total: f64, idle: f64, iowait: f64) -> Cpu {
        Cpu::Whole { total, idle, iowait, steal: Some(0.0), cores: 2 }
    }

    fn snapshot(total: f64) -> Snapshot {
        Snapshot { cpu: Some(cpu(total, 0.0, 0.0)), ..Snapshot::default() }
    }

    #[test]
    fn only_iowait_may_decrease_without_a_reset() {
        let before = cpu(100.0, 80.0, 10.0);
        let reset = Err(RateError::Reset(vec!["the processor's counters were reset".to_owned()]));
        // One second more of work, and one second less of idle time.
        assert_eq!(cpu_usage(before, cpu(100.0, 79.0, 10.0)), reset);
        let rounded = cpu_usage(before, cpu(100.98, 79.98, 10.0)).unwrap();
        assert!((rounded.busy - 1.0).abs() < 1e-9 && (rounded.total - 1.0).abs() < 1e-9, "{rounded:?}");
        let waited = cpu_usage(before, cpu(101.0, 81.0, 9.0)).unwrap();
        assert!((waited.busy - 1.0).abs() < 1e-9 && (waited.total - 2.0).abs() < 1e-9, "{waited:?}");
    }

    #[test]
    fn no_core_has_more_time_than_passes() {
        let passed =
            |total, elapsed| impossible_cpu_time(&snapshot(100.0), &snapshot(100.0 + total), elapsed);
        assert_eq!(passed(2.9, 1.0), None);
        let message = "impossible processor time: 41.9 s in 1.0 s (cores: 2)";
        assert_eq!(passed(41.9, 1.0).as_deref(), Some(message));
        let late = Snapshot { took_s: 1.0, ..snapshot(104.5) };
        assert_eq!(impossible_cpu_time(&snapshot(100.0), &late, 1.0), None, "a slow response");
    }

    #[test]
    fn only_counters_without_a_timestamp_can_be_stalled() {
        let ours = |total| Snapshot { clock: ClockSource::Runner, ..snapshot(total) };
        assert!(is_stalled(&ours(100.0), &ours(100.0)));
        assert!(!is_stalled(&ours(100.0), &ours(100.01)));
        assert!(!is_stalled(&snapshot(100.0), &snapshot(100.0)));
    }
}
