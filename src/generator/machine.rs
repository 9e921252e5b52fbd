//! Checks of the machine: steal, throttling, local errors, clocks, and the place of the target.

use crate::generator::{Check, CheckInput, CheckVerdict, Excused, percent};

/// Share of the processor time that the hypervisor gave to others: above the first a notice, above the second
/// no breach is proven.
const STEAL_LIMITS: (f64, f64) = (0.02, 0.1);
/// Share of the periods in which the limit of processor time was reached, above which it takes away verdicts.
const MAX_THROTTLED_SHARE: f64 = 0.01;
/// Share of the judged period for which the machine was suspended, above which it takes away verdicts.
const MAX_SUSPENDED_SHARE: f64 = 0.005;

/// Checks whether the hypervisor gave this machine's processor time to others.
pub(super) fn steal(input: &CheckInput<'_>) -> Check {
    let name = "steal";
    let machine = input.summary.health.machine;
    if machine.ticks == 0 {
        return Check::new(
            name,
            "unknown",
            CheckVerdict::Ok,
            "the kernel of this machine does not report stolen processor time",
        );
    }
    let share = machine.stolen as f64 / machine.ticks as f64;
    let (notice, invalid) = STEAL_LIMITS;
    let percent = percent(share, &[notice, invalid]);
    let finding = format!(
        "the hypervisor gave {percent} of this machine's processor time to others; over 2 % is a notice and over 10 % \
         excuses a breach"
    );
    if share > invalid {
        let why = format!("{finding}: use a machine that is not shared");
        return Check::failed(name, percent, Excused::Breach, why);
    }
    let verdict = if share > notice { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, percent, verdict, finding)
}

/// Checks whether the generator was stopped at a limit of processor time.
pub(super) fn throttling(input: &CheckInput<'_>) -> Check {
    let name = "throttling";
    let machine = input.summary.health.machine;
    if machine.periods == 0 {
        let why = "this process has no limit of processor time, or the kernel does not report it";
        return Check::new(name, "no limit", CheckVerdict::Ok, why);
    }
    let share = machine.throttled as f64 / machine.periods as f64;
    let finding = format!(
        "in {} of {} periods this process was stopped at its limit of processor time; any is a notice, and over 1 % \
         excuses a breach where the kernel does not stamp responses",
        machine.throttled, machine.periods
    );
    let value = percent(share, &[MAX_THROTTLED_SHARE]);
    match machine.throttled {
        0 => Check::new(name, value, CheckVerdict::Ok, finding),
        _ => {
            let why = format!("{finding}: raise the limit of its control group");
            match share > MAX_THROTTLED_SHARE && !input.is_stamped() {
                true => Check::failed(name, value, Excused::Breach, why),
                false => Check::new(name, value, CheckVerdict::Notice, why),
            }
        }
    }
}

/// Checks whether requests failed because of the generator's own machine.
pub(super) fn local_errors(input: &CheckInput<'_>) -> Check {
    let name = "local errors";
    match input.summary.health.local_errors {
        0 => {
            let why = "no request failed for lack of descriptors, ports or buffers on this machine";
            Check::new(name, "none", CheckVerdict::Ok, why)
        }
        count => {
            let why = format!(
                "{count} requests failed because this machine had no descriptors, ports or buffers left; they \
                 prove no breach, and any excuses a pass: raise its limits or use fewer users"
            );
            Check::failed(name, count.to_string(), Excused::Pass, why)
        }
    }
}

/// Checks whether the machine was suspended or its clock was set.
pub(super) fn clocks(input: &CheckInput<'_>) -> Check {
    let name = "clocks";
    let machine = input.summary.health.machine;
    let seconds = |micros: u64| micros as f64 / 1e6;
    let suspended = seconds(machine.suspended_us);
    if suspended > MAX_SUSPENDED_SHARE * input.judged_s() {
        let why = format!(
            "this machine was suspended for {suspended:.3} s; over 0.5 % of the judged period excuses pass and breach: keep it awake \
             during a run"
        );
        return Check::failed(name, format!("suspended {suspended:.3} s"), Excused::Both, why);
    }
    if machine.suspended_us > 0 {
        let why = format!(
            "this machine was suspended for {suspended:.3} s; any is a notice, and over 0.5 % of the judged period excuses \
             pass and breach"
        );
        return Check::new(name, format!("suspended {suspended:.3} s"), CheckVerdict::Notice, why);
    }
    if machine.clock_steps > 0 {
        let (times, furthest) = (machine.clock_steps, seconds(machine.largest_step_us));
        let why = format!(
            "the wall clock was set {times} times, by at most {furthest:.3} s; durations use another clock and are \
             correct, but the times of day in the report are off"
        );
        return Check::new(name, format!("set by {furthest:.3} s"), CheckVerdict::Notice, why);
    }
    Check::new(name, "steady", CheckVerdict::Ok, "this machine was not suspended, and its clock was not set")
}

/// Checks whether the target is on the generator's machine.
pub(super) fn target(is_here: bool) -> Check {
    let name = "target";
    match is_here {
        true => {
            let why = "the target is on this machine, so this machine's resources include the generator's";
            Check::new(name, "on this machine", CheckVerdict::Notice, why)
        }
        false => Check::new(
            name,
            "elsewhere",
            CheckVerdict::Ok,
            "the target and the generator are on different machines",
        ),
    }
}
