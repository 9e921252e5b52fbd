//! Whether the workers' threads did what they had to when they had to.

use std::time::Duration;

use crate::generator::{Check, CheckInput, CheckVerdict, ms, percent};
use crate::measure::generator_health::WorkerHealth;

/// One stall longer than this condemns alone.
const MAX_STALL: Duration = Duration::from_secs(1);
/// Stalls together may be this share of the window …
const MAX_STALLED_SHARE: f64 = 0.005;
/// … or less than this.
const MIN_STALLED_TOTAL: Duration = Duration::from_millis(500);
/// In at most this share of the seconds a worker may have been saturated.
const MAX_SATURATED_SHARE: f64 = 0.2;

/// The limits of the 99th percentile of the send lag, in ms.
struct LagLimits {
    notice: f64,
    invalid: f64,
    basis: String,
}

impl LagLimits {
    fn of(input: &CheckInput<'_>) -> Self {
        match input.tightest_limit_ms {
            None => Self { notice: 10.0, invalid: 50.0, basis: "no time limit decides here".to_owned() },
            Some(limit) => Self {
                notice: (0.05 * limit).max(2.0),
                invalid: (0.1 * limit).max(5.0),
                basis: format!("the tightest time limit that decides is {}", ms(limit)),
            },
        }
    }
}

/// The 99th percentile of the send lag, in ms.
fn p99(input: &CheckInput<'_>) -> Option<f64> {
    Some(input.summary.send_lag.quantile(0.99)?.as_secs_f64() * 1000.0)
}

/// How long requests waited for nobody but us.
pub(super) fn send_lag(input: &CheckInput<'_>) -> Check {
    let name = "send lag";
    let LagLimits { notice, invalid, basis } = LagLimits::of(input);
    let Some(p99) = p99(input) else {
        return Check::new(name, "–", CheckVerdict::Ok, "nothing was sent in the judged window");
    };
    let value = format!("p99 {}", ms(p99));
    let finding = format!("99 % of the requests were sent within {} of their intended start", ms(p99));
    let limits = format!("{} is worth a notice and {} is too much, as {basis}", ms(notice), ms(invalid));
    if p99 > invalid {
        let why = format!("{finding}; {limits}: use a faster or less busy machine, or ask for less load");
        return Check::new(name, value, CheckVerdict::Invalid, why);
    }
    let verdict = if p99 > notice { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, value, verdict, format!("{finding}; {limits}"))
}

/// How often a thread did not get to run when its heart was to beat.
pub(super) fn stalls(input: &CheckInput<'_>) -> Check {
    let name = "stalls";
    let workers = || input.summary.health.workers.values();
    let seconds: u64 = workers().map(|worker| worker.stalls).sum();
    let longest = workers().map(|worker| worker.longest).max().unwrap_or_default();
    let in_ms = |time: Duration| ms(time.as_secs_f64() * 1000.0);
    if seconds == 0 && longest <= MAX_STALL {
        let why = "no worker's heartbeat, due every 10 ms, was late by more than 50 ms";
        return Check::new(name, "none", CheckVerdict::Ok, why);
    }
    let together = workers().map(|worker| worker.stalled).max().unwrap_or_default();
    let value = format!("in {seconds}, longest {}", in_ms(longest));
    let share = together.as_secs_f64() / input.window();
    let times = if seconds == 1 { "in one second".to_owned() } else { format!("in {seconds} seconds") };
    let finding = format!(
        "the heartbeat of a worker, due every 10 ms, was late by more than 50 ms {times} of the judged window, by {} \
         together on the worker that it befell most, {} of the window; by {} at most in the whole phase",
        in_ms(together),
        percent(share),
        in_ms(longest)
    );
    if longest > MAX_STALL || (share > MAX_STALLED_SHARE && together >= MIN_STALLED_TOTAL) {
        let why = format!(
            "{finding}; more than 1 s, or than 0.5 % of the window and 500 ms, is too much: something stopped the generator, \
             such as a busy or paused machine"
        );
        return Check::new(name, value, CheckVerdict::Invalid, why);
    }
    Check::new(name, value, CheckVerdict::Notice, finding)
}

/// Whether the threads had processor time to spare.
pub(super) fn processor(input: &CheckInput<'_>) -> Check {
    let name = "processor";
    let workers = || input.summary.health.workers.values().filter(|worker| worker.seconds > 0);
    let Some(cpu) = workers().map(|worker| worker.cpu).max() else {
        return Check::new(name, "–", CheckVerdict::Ok, "the judged window is too short to look at it");
    };
    let share = |mille: u16| percent(f64::from(mille) / 1000.0);
    let (value, finding) = match workers().filter_map(|worker| worker.delay).max() {
        Some(delay) => (
            format!("{} busy, {} waiting", share(cpu), share(delay)),
            format!(
                "in its worst second a worker used {} of a core, and in its worst one it waited {} of the time for one",
                share(cpu),
                share(delay)
            ),
        ),
        None => (
            format!("{} busy", share(cpu)),
            format!(
                "in its worst second a worker used {} of a core; this kernel does not tell how long it waited for one",
                share(cpu)
            ),
        ),
    };
    let part = |worker: &WorkerHealth| worker.saturated as f64 / worker.seconds as f64;
    let saturated = workers().map(part).max_by(f64::total_cmp).unwrap_or_default();
    let LagLimits { notice, .. } = LagLimits::of(input);
    if saturated > MAX_SATURATED_SHARE && p99(input).is_some_and(|lag| lag > notice) {
        let why = format!(
            "{finding}; in {} of the seconds it used 90 % or waited more than 50 %, with more send lag than {}, and 20 % of them \
             are too many: use a faster or less busy machine, or ask for less load",
            percent(saturated),
            ms(notice)
        );
        return Check::new(name, value, CheckVerdict::Invalid, why);
    }
    let pressed = workers().any(|worker| worker.pressed > 0);
    let verdict = if pressed { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, value, verdict, format!("{finding}; 90 % and 25 % are worth a notice"))
}
