//! Checks of the load: the arrivals and users that the plan asks for, and the draws of tasks.

use std::time::Duration;

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::generator::{Check, CheckInput, CheckVerdict, Excused, percent};
use crate::measure::generator_vitals::STALL_THRESHOLD;
use crate::plan::Spacing;
use crate::plan::model::{Load, OpenLoad, Phase, UserClass, Wait};
use crate::schedule::{Arrivals, deal};

/// Missing share of the load: above the first a notice, above the second no pass is proven.
const MISSING_LOAD_LIMITS: (f64, f64) = (0.01, 0.03);
/// Draws with a lower p-value are a notice.
const MIN_DRAW_PROBABILITY: f64 = 0.001;
/// The chi-square test needs at least this many expected draws of each task.
const MIN_EXPECTED_DRAWS: f64 = 5.0;

/// Compares the load achieved with the load asked for, as far as the target is not the cause.
pub(super) fn load(input: &CheckInput<'_>) -> Check {
    match input.phase.load {
        Load::Open(load) => check_arrivals(input, load),
        Load::Closed => check_users(input),
    }
}

/// The share of the load that is missing for no fault of the target, from 0 to 1.
pub(super) fn missing(input: &CheckInput<'_>) -> f64 {
    let share = |part: f64, of: f64| if of > 0.0 { (part / of).clamp(0.0, 1.0) } else { 0.0 };
    match input.phase.load {
        Load::Open(load) => share(missing_arrivals(input, load), asked(input, load) as f64),
        Load::Closed => share(input.summary.health.lost.as_secs_f64(), user_seconds(input)),
    }
}

/// The number of arrivals in the judged periods that the plan asks for.
fn asked(input: &CheckInput<'_>, load: OpenLoad) -> u64 {
    match load.spacing {
        Spacing::Even => scheduled(input, load),
        // The gaps are random, so only the workers that drew them know the number of arrivals.
        Spacing::Poisson => input.summary.health.scheduled,
    }
}

/// The number of arrivals that the target did not get because of the generator.
fn missing_arrivals(input: &CheckInput<'_>, load: OpenLoad) -> f64 {
    let health = &input.summary.health;
    asked(input, load).saturating_sub(health.issued) as f64 + health.starved
}

/// Compares the missing share of the load with the limits. Only `lasting`, the share without the worst second
/// of a closed phase, can take away a pass.
fn compare_missing(input: &CheckInput<'_>, missing: f64, lasting: f64, finding: &str) -> Check {
    let (notice, invalid) = MISSING_LOAD_LIMITS;
    let value = format!("{} missing", missing_percent(missing));
    let finding = format!("{finding}; over 1 % is a notice, and over 3 % excuses a pass");
    if lasting > invalid {
        let why = format!("{finding}; {}", input.advice());
        return Check::failed("load", value, Excused::Pass, why);
    }
    let verdict = if missing > notice { CheckVerdict::Notice } else { CheckVerdict::Ok };
    let once = if missing > invalid { ", but without the worst second it is within 3 %" } else { "" };
    Check::new("load", value, verdict, finding + once)
}

fn missing_percent(missing: f64) -> String {
    percent(missing, &[MISSING_LOAD_LIMITS.0, MISSING_LOAD_LIMITS.1])
}

/// Compares the arrivals issued to the users with those of the schedule in the judged periods.
fn check_arrivals(input: &CheckInput<'_>, load: OpenLoad) -> Check {
    let health = &input.summary.health;
    let asked = asked(input, load);
    if asked == 0 {
        let why = "the schedule has no arrival in the judged period";
        return Check::new("load", "no arrivals", CheckVerdict::Ok, why);
    }
    let late = asked.saturating_sub(health.issued);
    let missing = missing_arrivals(input, load) / asked as f64;
    let finding = format!(
        "of {asked} scheduled arrivals in the judged period {late} were not issued by its end, and {:.0} waited for a \
         user while their worker was short of processor time, together {}",
        health.starved,
        missing_percent(missing.min(1.0))
    );
    compare_missing(input, missing.min(1.0), missing, &finding)
}

/// The number of evenly spaced arrivals in the judged periods, up to the end of an interrupted phase.
fn scheduled(input: &CheckInput<'_>, load: OpenLoad) -> u64 {
    let phase = input.phase;
    let arrivals = Arrivals::new((load.from, load.to), phase.ramp(), phase.duration);
    let stopped = input.ran() < phase.duration.seconds();
    // Arrivals that were due just before an interrupt need not have been issued.
    let reached = if stopped { input.ran() - STALL_THRESHOLD.as_secs_f64() } else { f64::INFINITY };
    let counts = phase.judged().into_iter().map(|judged| {
        let before = |seconds: f64| arrivals.count_before(Duration::from_secs_f64(seconds.max(0.0)));
        before(judged.to.min(reached)).saturating_sub(before(f64::from(judged.from)))
    });
    counts.sum()
}

/// Compares the time by which the generator's lag lengthened the cycles of users with think time with the
/// total time of these users. By the response-time law `X = N / (Z + R)` the ratio is the missing share of
/// the load.
fn check_users(input: &CheckInput<'_>) -> Check {
    let waits = |class: &UserClass| class.wait != Wait::Nothing;
    if !input.plan.classes_of(input.phase).any(waits) {
        let why = "users without think time ask for no set load, but for as much as the target can handle";
        return Check::new("load", "no set load", CheckVerdict::Ok, why);
    }
    let time = user_seconds(input);
    if time <= 0.0 {
        return Check::new(
            "load",
            "no users",
            CheckVerdict::Ok,
            "there is no user with think time in the judged period",
        );
    }
    let health = &input.summary.health;
    let lost = health.lost.as_secs_f64();
    let missing = (lost / time).min(1.0);
    // One bad second may be a stall, which has its own check, or chance.
    let lasting = (lost - health.max_lost_in_a_second.as_secs_f64()) / time;
    let finding = format!(
        "the generator's own lag took {lost:.3} s of the {time:.0} s of all users with think time, and with it {} of \
         their load",
        missing_percent(missing)
    );
    compare_missing(input, missing, lasting, &finding)
}

/// The total time of users with think time in the judged periods, in seconds.
fn user_seconds(input: &CheckInput<'_>) -> f64 {
    let phase = input.phase;
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    let waits: Vec<bool> = input.plan.classes_of(phase).map(|class| class.wait != Wait::Nothing).collect();
    let periods = phase.judged().into_iter().map(|judged| {
        let waiting =
            deal(&weights, users_at(phase, f64::from(judged.from))).into_iter().filter(|share| waits[*share]);
        let seconds = judged.to.min(input.ran()) - f64::from(judged.from);
        waiting.count() as f64 * seconds.max(0.0)
    });
    periods.sum()
}

/// The number of users at a time of a judged period.
fn users_at(phase: &Phase, moment: f64) -> u32 {
    let mut end = 0.0;
    let stage = phase.stages.iter().find(|stage| {
        end += stage.over.seconds() + stage.hold.seconds();
        moment < end
    });
    stage.map_or(phase.users, |stage| stage.users)
}

/// Checks whether tasks were drawn as often as their weights ask for.
pub(super) fn draws(input: &CheckInput<'_>) -> Check {
    let name = "draws";
    let drawn = &input.summary.health.draws;
    let mut first = 0;
    let mut p_values = Vec::new();
    for (index, class) in input.plan.classes.iter().enumerate() {
        let counts: Vec<u64> =
            (first..first + class.tasks.len()).map(|task| drawn.get(task).copied().unwrap_or(0)).collect();
        first += class.tasks.len();
        if input.phase.mix.iter().any(|(id, _)| id.index() == index) {
            p_values.extend(p_value(class, &counts).map(|p_value| (p_value, class.name.as_str())));
        }
    }
    let Some((least, class)) = p_values.into_iter().min_by(|(one, _), (other, _)| one.total_cmp(other))
    else {
        let why = "no user class has several tasks with at least five expected draws each";
        return Check::new(name, "too few", CheckVerdict::Ok, why);
    };
    let p_value = if least < MIN_DRAW_PROBABILITY { "under 0.001".to_owned() } else { format!("{least:.3}") };
    let finding = format!(
        "draws at least as far from the tasks' weights as those of user class `{class}` have a probability of \
         {p_value}; under 0.001 is a notice"
    );
    let verdict = if least < MIN_DRAW_PROBABILITY { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, format!("p {p_value}"), verdict, finding)
}

/// The p-value of the draws of a class: the probability of draws at least as far from its weights. `None` if
/// the class has one task or too few draws.
fn p_value(class: &UserClass, counts: &[u64]) -> Option<f64> {
    let total: f64 = class.tasks.iter().map(|task| task.weight).sum();
    let all: u64 = counts.iter().sum();
    let expected = class.tasks.iter().map(|task| all as f64 * task.weight / total);
    if counts.len() < 2 || expected.clone().any(|expected| expected < MIN_EXPECTED_DRAWS) {
        return None;
    }
    let square =
        counts.iter().zip(expected).map(|(count, expected)| (*count as f64 - expected).powi(2) / expected);
    let distribution = ChiSquared::new(counts.len() as f64 - 1.0).expect("there are at least two tasks");
    Some(distribution.sf(square.sum()))
}
