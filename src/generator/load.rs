//! Whether the load was the one that the plan asks for.

use std::time::Duration;

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::generator::{Check, CheckInput, CheckVerdict, percent};
use crate::measure::generator_vitals::STALL_THRESHOLD;
use crate::plan::Spacing;
use crate::plan::model::{Load, OpenLoad, Phase, UserClass, Wait};
use crate::schedule::{Arrivals, deal};

/// Of the load asked for, missing: worth a notice, too much.
const MISSING_LOAD_LIMITS: (f64, f64) = (0.01, 0.03);
/// Draws that are less likely than this are worth a notice.
const MIN_DRAW_PROBABILITY: f64 = 0.001;
/// The chi-square test says nothing where fewer are expected of something.
const MIN_EXPECTED_DRAWS: f64 = 5.0;

/// The load achieved against the load asked for, as far as the target is not the cause.
pub(super) fn load(input: &CheckInput<'_>) -> Check {
    match input.phase.load {
        Load::Open(load) => check_arrivals(input, load),
        Load::Closed => check_users(input),
    }
}

/// Compares what is missing of the load with the limits; only the `lasting` part of it can condemn.
fn compare_missing(missing: f64, lasting: f64, finding: &str) -> Check {
    let (notice, invalid) = MISSING_LOAD_LIMITS;
    let value = format!("{} missing", percent(missing));
    let finding = format!("{finding}; 1 % is worth a notice and 3 % too much");
    if lasting > invalid {
        let why = format!("{finding}: use a faster or less busy machine, or ask for less load");
        return Check::new("load", value, CheckVerdict::Invalid, why);
    }
    let verdict = if missing > notice { CheckVerdict::Notice } else { CheckVerdict::Ok };
    let once =
        if missing > invalid { ", but too much of it in one second, which proves nothing" } else { "" };
    Check::new("load", value, verdict, finding + once)
}

/// Arrivals that were offered to users, against those that the schedule has in the judged window.
fn check_arrivals(input: &CheckInput<'_>, load: OpenLoad) -> Check {
    let health = &input.summary.health;
    let asked = match load.spacing {
        Spacing::Even => scheduled(input, load),
        // The gaps are drawn, so how many there are is known only to whoever drew them.
        Spacing::Poisson => health.scheduled,
    };
    if asked == 0 {
        let why = "the schedule has no arrival in the judged window";
        return Check::new("load", "nothing asked", CheckVerdict::Ok, why);
    }
    let late = asked.saturating_sub(health.issued);
    let missing = (late as f64 + health.starved) / asked as f64;
    let finding = format!(
        "of {asked} arrivals that the schedule has in the judged window {late} were not handed out by its end, and {:.0} \
         waited for a user while their worker was short of processor time, together {}",
        health.starved,
        percent(missing.min(1.0))
    );
    compare_missing(missing.min(1.0), missing, &finding)
}

/// How many evenly spaced arrivals the judged window has, as far as the phase got.
fn scheduled(input: &CheckInput<'_>, load: OpenLoad) -> u64 {
    let phase = input.phase;
    let arrivals = Arrivals::new((load.from, load.to), phase.ramp(), phase.duration);
    let stopped = input.ran() < phase.duration.seconds();
    // What was due when the phase was stopped need not have been handed out.
    let reached = if stopped { input.ran() - STALL_THRESHOLD.as_secs_f64() } else { f64::INFINITY };
    let counts = phase.judged().into_iter().map(|judged| {
        let before = |seconds: f64| arrivals.count_before(Duration::from_secs_f64(seconds.max(0.0)));
        before(judged.to.min(reached)).saturating_sub(before(f64::from(judged.from)))
    });
    counts.sum()
}

/// The time by which our lag lengthened the cycles of users that wait, against the time that they had. By the
/// response-time law `X = N / (Z + R)` that is the part of the load that is missing.
fn check_users(input: &CheckInput<'_>) -> Check {
    let waits = |class: &UserClass| class.wait != Wait::Nothing;
    if !input.plan.classes_of(input.phase).any(waits) {
        let why = "users that do not wait ask for no particular load, but for as much as the target can do";
        return Check::new("load", "as it comes", CheckVerdict::Ok, why);
    }
    let time = user_seconds(input);
    if time <= 0.0 {
        return Check::new(
            "load",
            "nothing asked",
            CheckVerdict::Ok,
            "no user that waits is there in the judged window",
        );
    }
    let health = &input.summary.health;
    let lost = health.lost.as_secs_f64();
    let missing = (lost / time).min(1.0);
    // One bad second is a stall, and where it was none, chance.
    let lasting = (lost - health.max_lost_in_a_second.as_secs_f64()) / time;
    let finding = format!(
        "the generator's own lag took {lost:.3} s of the {time:.0} s that users who wait had together, and with them {} of \
         their load",
        percent(missing)
    );
    compare_missing(missing, lasting, &finding)
}

/// The time that users who wait were there in the judged window, in seconds, together.
fn user_seconds(input: &CheckInput<'_>) -> f64 {
    let phase = input.phase;
    let weights: Vec<f64> = phase.mix.iter().map(|(_, weight)| *weight).collect();
    let waits: Vec<bool> = input.plan.classes_of(phase).map(|class| class.wait != Wait::Nothing).collect();
    let stretches = phase.judged().into_iter().map(|judged| {
        let waiting =
            deal(&weights, users_at(phase, f64::from(judged.from))).into_iter().filter(|share| waits[*share]);
        let seconds = judged.to.min(input.ran()) - f64::from(judged.from);
        waiting.count() as f64 * seconds.max(0.0)
    });
    stretches.sum()
}

/// How many users there are at a judged moment.
fn users_at(phase: &Phase, moment: f64) -> u32 {
    let mut end = 0.0;
    let stage = phase.stages.iter().find(|stage| {
        end += stage.over.seconds() + stage.hold.seconds();
        moment < end
    });
    stage.map_or(phase.users, |stage| stage.users)
}

/// Whether tasks were drawn as often as their weights ask for.
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
        let why = "no class has several tasks of which each was to be drawn five times at least";
        return Check::new(name, "too few", CheckVerdict::Ok, why);
    };
    let p_value = if least < MIN_DRAW_PROBABILITY { "under 0.001".to_owned() } else { format!("{least:.3}") };
    let finding = format!(
        "draws of tasks that are as far from their weights as those of `{class}` have a chance of {p_value}; under 0.001 is \
         worth a notice"
    );
    let verdict = if least < MIN_DRAW_PROBABILITY { CheckVerdict::Notice } else { CheckVerdict::Ok };
    Check::new(name, format!("p {p_value}"), verdict, finding)
}

/// How likely draws are that are as far from a class's weights as these; `None` where that cannot be said.
fn p_value(class: &UserClass, counts: &[u64]) -> Option<f64> {
    let total: f64 = class.tasks.iter().map(|task| task.weight).sum();
    let all: u64 = counts.iter().sum();
    let expected = class.tasks.iter().map(|task| all as f64 * task.weight / total);
    if counts.len() < 2 || expected.clone().any(|expected| expected < MIN_EXPECTED_DRAWS) {
        return None;
    }
    let square =
        counts.iter().zip(expected).map(|(count, expected)| (*count as f64 - expected).powi(2) / expected);
    let distribution = ChiSquared::new(counts.len() as f64 - 1.0).expect("there are two tasks at least");
    Some(distribution.sf(square.sum()))
}
