//! Whether the machine let the generator work.

use crate::generator::{Check, CheckInput, CheckVerdict, percent};

/// Of the processor time, taken by others below us: worth a notice, too much.
const STEAL_LIMITS: (f64, f64) = (0.02, 0.1);
/// Of the periods with a limit of processor time, those in which it was reached: too much.
const MAX_THROTTLED_SHARE: f64 = 0.01;
/// Of the window, slept: too much.
const MAX_SUSPENDED_SHARE: f64 = 0.005;

/// Whether the machine below gave our processor time to others.
pub(super) fn steal(input: &CheckInput<'_>) -> Check {
    let name = "steal";
    let machine = input.summary.health.machine;
    if machine.ticks == 0 {
        return Check::new(
            name,
            "unknown",
            CheckVerdict::Ok,
            "this machine does not tell of stolen processor time",
        );
    }
    let share = machine.stolen as f64 / machine.ticks as f64;
    let (notice, invalid) = STEAL_LIMITS;
    let finding = format!(
        "the machine below this one gave {} of its processor time to others; 2 % are worth a notice and 10 % too much",
        percent(share)
    );
    if share > invalid {
        let why = format!("{finding}: use a machine that is not shared");
        return Check::new(name, percent(share), CheckVerdict::Invalid, why);
    }
    let verdict = if share > notice { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, percent(share), verdict, finding)
}

/// Whether we were stopped at a limit of processor time.
pub(super) fn throttling(input: &CheckInput<'_>) -> Check {
    let name = "throttling";
    let machine = input.summary.health.machine;
    if machine.periods == 0 {
        let why = "this process has no limit of processor time, or the kernel does not tell of it";
        return Check::new(name, "no limit", CheckVerdict::Ok, why);
    }
    let share = machine.throttled as f64 / machine.periods as f64;
    let finding = format!(
        "in {} of {} periods this process was stopped at its limit of processor time; any is worth a notice and 1 % too much",
        machine.throttled, machine.periods
    );
    let (verdict, why) = match machine.throttled {
        _ if share > MAX_THROTTLED_SHARE => {
            (CheckVerdict::Invalid, format!("{finding}: raise the limit of its control group"))
        }
        0 => (CheckVerdict::Ok, finding),
        _ => (CheckVerdict::Notice, finding),
    };
    Check::new(name, percent(share), verdict, why)
}

/// Whether requests failed because of our own machine.
pub(super) fn local_errors(input: &CheckInput<'_>) -> Check {
    let name = "local errors";
    match input.summary.health.local_errors {
        0 => {
            let why = "no request failed for want of descriptors, ports or buffers of this machine";
            Check::new(name, "none", CheckVerdict::Ok, why)
        }
        count => {
            let why = format!(
                "{count} requests failed because this machine had no descriptors, ports or buffers left, and one is too many: \
                 raise its limits or use fewer users"
            );
            Check::new(name, count.to_string(), CheckVerdict::Invalid, why)
        }
    }
}

/// Whether time went on evenly.
pub(super) fn clocks(input: &CheckInput<'_>) -> Check {
    let name = "clocks";
    let machine = input.summary.health.machine;
    let seconds = |micros: u64| micros as f64 / 1e6;
    let slept = seconds(machine.suspended_us);
    if slept > MAX_SUSPENDED_SHARE * input.window() {
        let why = format!(
            "the machine slept for {slept:.3} s; 0.5 % of the window is too much: keep it awake while it runs a test"
        );
        return Check::new(name, format!("slept {slept:.3} s"), CheckVerdict::Invalid, why);
    }
    if machine.suspended_us > 0 {
        let why = format!("the machine slept for {slept:.3} s; 0.5 % of the window would be too much");
        return Check::new(name, format!("slept {slept:.3} s"), CheckVerdict::Notice, why);
    }
    if machine.clock_steps > 0 {
        let (times, furthest) = (machine.clock_steps, seconds(machine.largest_step_us));
        let why = format!(
            "the wall clock was set {times} times, by {furthest:.3} s at most; durations are measured by another clock, but \
             the times of day in the report are off"
        );
        return Check::new(name, format!("set by {furthest:.3} s"), CheckVerdict::Notice, why);
    }
    Check::new(name, "steady", CheckVerdict::Ok, "the machine did not sleep, and nobody set its clock")
}

/// Whether the target shares our machine.
pub(super) fn target(is_here: bool) -> Check {
    let name = "target";
    match is_here {
        true => {
            let why = "the target is on this machine, so what it had of it includes what the generator used";
            Check::new(name, "on this machine", CheckVerdict::Notice, why)
        }
        false => Check::new(
            name,
            "elsewhere",
            CheckVerdict::Ok,
            "the target is on another machine than the generator",
        ),
    }
}
