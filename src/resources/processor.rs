//! A machine's processor time between two looks, and whether it can be.

use crate::resources::devices::{Gap, NOT_BEFORE};
use crate::resources::look::{Clock, Cpu, Look};

/// Sums of ticks may differ by so many seconds without anything having gone back.
pub const ROUNDING: f64 = 0.05;
/// Each core has all the time that passes and no more. Clocks are read one after another and some exporters are late, so
/// what cannot be is more than this many times as much,
const FASTER: f64 = 1.5;
/// and so many seconds.
const LATE: f64 = 0.1;

/// What a machine's processor did between two looks, in seconds of all cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// All that is not waiting, with what was stolen.
    pub busy: f64,
    /// Given to others by a hypervisor, where that is counted.
    pub steal: Option<f64>,
    /// All.
    pub total: f64,
}

/// What was used of a machine between two looks.
///
/// # Errors
/// When the counters are not those of the same cores, went back, or did not go on.
pub fn used(before: Cpu, now: Cpu) -> Result<Used, Gap> {
    let (
        Cpu::Machine { total, idle, iowait, steal: once, cores: earlier },
        Cpu::Machine { total: now_total, idle: now_idle, iowait: now_iowait, steal, cores: later },
    ) = (before, now)
    else {
        return Err(Gap::Uncounted(NOT_BEFORE.to_owned()));
    };
    if earlier != later {
        return Err(Gap::Uncounted(format!("the number of cores changed from {earlier} to {later}")));
    }
    if once.is_some() != steal.is_some() {
        return Err(Gap::Uncounted("what a hypervisor stole was not counted at both looks".to_owned()));
    }
    let busy = (now_total - now_idle - now_iowait) - (total - idle - iowait);
    let (idle, iowait) = (now_idle - idle, now_iowait - iowait);
    let steal = once.zip(steal).map(|(once, steal)| steal - once);
    if [Some(busy), Some(idle), steal].into_iter().flatten().any(|advance| advance < -ROUNDING) {
        return Err(Gap::Reset(vec!["the processor's counters were reset".to_owned()]));
    }
    // The kernel lets iowait go back; that must not make the rest look larger or smaller.
    let busy = busy.max(0.0);
    let total = busy + idle.max(0.0) + iowait.max(0.0);
    if total <= 0.0 {
        return Err(Gap::Uncounted("no processor time was counted between two looks".to_owned()));
    }
    Ok(Used { busy, steal, total })
}

/// How far all processor time of a machine went on, on how many cores; `None` where these are not the same.
fn advanced(before: &Look, now: &Look) -> Option<(f64, u32)> {
    match (before.cpu?, now.cpu?) {
        (Cpu::Machine { total, cores, .. }, Cpu::Machine { total: later, cores: same, .. }) => {
            (cores == same).then_some((later - total, cores))
        }
        _ => None,
    }
}

/// Why the processor cannot have counted as much in so many seconds, if it cannot.
pub fn impossible(before: &Look, now: &Look, elapsed: f64) -> Option<String> {
    let (counted, cores) = advanced(before, now)?;
    let each = elapsed * FASTER + LATE + before.took.max(now.took);
    (counted > each * f64::from(cores)).then(|| {
        format!("the processor counted {counted:.1} s in {elapsed:.1} s, which {cores} cores cannot")
    })
}

/// Whether what is told stands still: nobody says when it was counted, and the processor counted no time.
pub fn stands_still(before: &Look, now: &Look) -> bool {
    let ours = before.clock == Clock::Ours && now.clock == Clock::Ours;
    ours && advanced(before, now).is_some_and(|(counted, _)| counted == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(total: f64, idle: f64, iowait: f64) -> Cpu {
        Cpu::Machine { total, idle, iowait, steal: Some(0.0), cores: 2 }
    }

    fn look(total: f64) -> Look {
        Look { cpu: Some(cpu(total, 0.0, 0.0)), ..Look::default() }
    }

    #[test]
    fn time_without_work_that_goes_back_is_a_reset_and_only_that_of_waiting_for_disks_is_not() {
        let before = cpu(100.0, 80.0, 10.0);
        let reset = Err(Gap::Reset(vec!["the processor's counters were reset".to_owned()]));
        // A second of work, and a second less of nothing to do.
        assert_eq!(used(before, cpu(100.0, 79.0, 10.0)), reset);
        let rounded = used(before, cpu(100.98, 79.98, 10.0)).unwrap();
        assert!((rounded.busy - 1.0).abs() < 1e-9 && (rounded.total - 1.0).abs() < 1e-9, "{rounded:?}");
        let waited = used(before, cpu(101.0, 81.0, 9.0)).unwrap();
        assert!((waited.busy - 1.0).abs() < 1e-9 && (waited.total - 2.0).abs() < 1e-9, "{waited:?}");
    }

    #[test]
    fn no_core_has_more_time_than_passes() {
        let passed = |total, elapsed| impossible(&look(100.0), &look(100.0 + total), elapsed);
        assert_eq!(passed(2.9, 1.0), None);
        let told = "the processor counted 41.9 s in 1.0 s, which 2 cores cannot";
        assert_eq!(passed(41.9, 1.0).as_deref(), Some(told));
        let late = Look { took: 1.0, ..look(104.5) };
        assert_eq!(impossible(&look(100.0), &late, 1.0), None, "an answer that took long");
    }

    #[test]
    fn only_what_does_not_say_when_it_was_counted_can_stand_still() {
        let ours = |total| Look { clock: Clock::Ours, ..look(total) };
        assert!(stands_still(&ours(100.0), &ours(100.0)));
        assert!(!stands_still(&ours(100.0), &ours(100.01)));
        assert!(!stands_still(&look(100.0), &look(100.0)));
    }
}
