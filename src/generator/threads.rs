//! Checks of the workers' threads: send lag, stalls and processor time.

use std::time::Duration;

use crate::generator::{Check, CheckInput, CheckVerdict, Excused, ms, percent};
use crate::measure::generator_health::{GeneratorHealth, WorkerHealth};
use crate::units::{Unit, format_limit};

/// One longer stall excuses a breach, if no stamps show its delay.
const MAX_STALL: Duration = Duration::from_secs(1);
/// So do stalls that take more than this share of the judged period …
const MAX_STALLED_SHARE: f64 = 0.005;
/// … and at least this time, on one worker.
const MIN_STALLED_TOTAL: Duration = Duration::from_millis(500);
/// Without stamps, a breach is excused if a worker with send lag was saturated in more than this share of the seconds.
const MAX_SATURATED_SHARE: f64 = 0.2;

/// The 99th percentile of the send lag from which it is worth a notice.
struct LagLimit {
    ms: f64,
    basis: String,
}

impl LagLimit {
    fn of(input: &CheckInput<'_>) -> Self {
        match input.tightest_limit_ms {
            None => Self { ms: 10.0, basis: "no gated time limit applies".to_owned() },
            Some(limit) => Self {
                ms: (0.05 * limit).max(2.0),
                basis: format!(
                    "the tightest gated time limit is {}",
                    format_limit(limit, Unit::Milliseconds)
                ),
            },
        }
    }
}

/// The 99th percentile of the send lag, in ms.
fn p99(input: &CheckInput<'_>) -> Option<f64> {
    Some(input.summary.send_lag.quantile(0.99)?.as_secs_f64() * 1000.0)
}

/// Checks the delay of requests that the generator itself causes. It takes away no verdict, because it is counted for each
/// request.
pub(super) fn send_lag(input: &CheckInput<'_>) -> Check {
    let name = "send lag";
    let limit = LagLimit::of(input);
    let Some(p99) = p99(input) else {
        return Check::new(name, "–", CheckVerdict::Ok, "no request was sent in the judged period");
    };
    let lag = ms(p99, &[limit.ms]);
    let value = format!("p99 {lag}");
    let finding = format!(
        "99 % of the requests were sent within {lag} of their intended start; over {} is a notice, as {}",
        format_limit(limit.ms, Unit::Milliseconds),
        limit.basis
    );
    if p99 > limit.ms {
        let advice = input.advice();
        let why = format!("{finding}; requests that are slow only because of it prove no breach; {advice}");
        return Check::new(name, value, CheckVerdict::Notice, why);
    }
    Check::new(name, value, CheckVerdict::Ok, finding)
}

/// Checks how often and how long a thread did not run when its heartbeat was due.
pub(super) fn stalls(input: &CheckInput<'_>) -> Check {
    let name = "stalls";
    let workers = || input.summary.health.workers.values();
    let seconds: u64 = workers().map(|worker| worker.stalls).sum();
    let longest = workers().map(|worker| worker.longest).max().unwrap_or_default();
    let in_ms =
        |time: Duration, limit: Duration| ms(1000.0 * time.as_secs_f64(), &[1000.0 * limit.as_secs_f64()]);
    if seconds == 0 && longest <= MAX_STALL {
        let why = "no worker's heartbeat, due every 10 ms, was late by more than 50 ms";
        return Check::new(name, "none", CheckVerdict::Ok, why);
    }
    let together = workers().map(|worker| worker.stalled).max().unwrap_or_default();
    let value = format!("in {seconds}, longest {}", in_ms(longest, MAX_STALL));
    let share = together.as_secs_f64() / input.judged_s();
    let times = if seconds == 1 { "in one second".to_owned() } else { format!("in {seconds} seconds") };
    let finding = format!(
        "the heartbeat of a worker, due every 10 ms, was late by more than 50 ms {times} of the judged period: by {} \
         together on the worst worker, {} of the period; by at most {} at a time in the whole phase",
        in_ms(together, MIN_STALLED_TOTAL),
        percent(share, &[MAX_STALLED_SHARE]),
        in_ms(longest, MAX_STALL)
    );
    let is_long = longest > MAX_STALL || (share > MAX_STALLED_SHARE && together >= MIN_STALLED_TOTAL);
    let advice = input.advice();
    if is_long && !input.is_stamped() {
        let why = format!(
            "{finding}; over 1 s at a time, or over 0.5 % of the period and at least 500 ms together, excuses a breach \
             where the kernel does not stamp responses; {advice}"
        );
        return Check::failed(name, value, Excused::Breach, why);
    }
    let why = format!("{finding}; requests that are slow only because of it prove no breach; {advice}");
    Check::new(name, value, CheckVerdict::Notice, why)
}

/// Checks whether the threads had processor time to spare.
pub(super) fn processor(input: &CheckInput<'_>) -> Check {
    let name = "processor";
    let workers = || input.summary.health.workers.values().filter(|worker| worker.seconds > 0);
    let Some(cpu) = workers().map(|worker| worker.cpu).max() else {
        return Check::new(name, "–", CheckVerdict::Ok, "the judged period is too short to measure it");
    };
    let share = |mille: u16| percent(f64::from(mille) / 1000.0, &[]);
    let (value, finding) = match workers().filter_map(|worker| worker.delay).max() {
        Some(delay) => (
            format!("{} busy, {} waiting", share(cpu), share(delay)),
            format!(
                "in its busiest second a worker used {} of a core; in the worst one it waited {} of the time for one",
                share(cpu),
                share(delay)
            ),
        ),
        None => (
            format!("{} busy", share(cpu)),
            format!(
                "in its busiest second a worker used {} of a core; this kernel does not report the wait for a core",
                share(cpu)
            ),
        ),
    };
    let part = |worker: &WorkerHealth| worker.saturated as f64 / worker.seconds as f64;
    let saturated = workers().map(part).max_by(f64::total_cmp).unwrap_or_default();
    let limit = LagLimit::of(input).ms;
    let is_late = saturated > MAX_SATURATED_SHARE && p99(input).is_some_and(|lag| lag > limit);
    if is_late && !input.is_stamped() {
        let why = format!(
            "{finding}; in {} of the seconds it used at least 90 % or waited over 50 %, with a send lag over {}; over \
             20 % of the seconds excuses a breach where the kernel does not stamp responses; {}",
            percent(saturated, &[MAX_SATURATED_SHARE]),
            format_limit(limit, Unit::Milliseconds),
            input.advice()
        );
        return Check::failed(name, value, Excused::Breach, why);
    }
    let pressed = workers().any(|worker| worker.pressed > 0);
    let verdict = if pressed { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, value, verdict, format!("{finding}; 90 % used or over 25 % waited is a notice"))
}

/// Shows the clock by which the arrival of responses is known.
pub(super) fn arrival_times(input: &CheckInput<'_>) -> Check {
    let name = "arrival times";
    let GeneratorHealth { stamped, unstamped, bad_stamps, .. } = input.summary.health;
    if stamped + unstamped + bad_stamps == 0 {
        return Check::new(name, "–", CheckVerdict::Ok, "no response arrived in the judged period");
    }
    if unstamped + bad_stamps == 0 {
        let why =
            "the kernel noted when responses arrived, so a late generator does not lengthen their times";
        return Check::new(name, "by the kernel", CheckVerdict::Ok, why);
    }
    let why = format!(
        "of {} responses the kernel gave {unstamped} no receive stamp and {bad_stamps} one that cannot be right, so their \
         arrival is the time at which the generator read them",
        stamped + unstamped + bad_stamps
    );
    let value = if stamped == 0 { "by the generator's clock" } else { "partly by the generator's clock" };
    Check::new(name, value, CheckVerdict::Notice, why)
}
