//! The load generator's own checks of a phase, over its judged periods.
//!
//! Every check is reported, also one that finds no fault. An [`Invalid`](CheckVerdict::Invalid) check means
//! that the generator may have caused the numbers. Then no verdict about the target is possible.

mod load;
mod machine;
mod threads;

use crate::measure::summary::PhaseSummary;
use crate::plan::model::{Load, Phase, PhaseId, Plan};
use crate::slo::objective::{Objective, ObjectiveKind};
use crate::units::text_enum;
use crate::units::{Unit, format_against, format_amount_against};

/// The result of one check of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name of the check in reports.
    pub name: &'static str,
    /// The finding in a few words.
    pub value: String,
    pub verdict: CheckVerdict,
    /// One sentence with the numbers, the limits and, if invalid, the next step.
    pub why: String,
}

text_enum! {
    /// The verdict of a check.
    pub enum CheckVerdict {
        /// No limit is exceeded.
        Ok = "ok",
        /// Worth knowing; it changes no verdict of the target.
        Notice = "notice",
        /// The numbers of the phase cannot be trusted.
        Invalid = "invalid",
    }
}

/// Facts about a run that the checks need, apart from its numbers.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'f> {
    pub plan: &'f Plan,
    pub objectives: &'f [Objective],
    /// Whether the target is on the generator's machine.
    pub target_is_local: bool,
}

/// The input of the checks of one phase.
struct CheckInput<'s> {
    plan: &'s Plan,
    phase: &'s Phase,
    summary: &'s PhaseSummary,
    /// The tightest gated time limit, in ms.
    tightest_limit_ms: Option<f64>,
}

/// All checks of a phase that ran, or of the folded part of one that runs.
pub fn checks(context: CheckContext<'_>, id: PhaseId, summary: &PhaseSummary) -> Vec<Check> {
    let CheckContext { plan, objectives, target_is_local } = context;
    let tightest_limit_ms = tightest_limit(plan, objectives, id);
    let input = CheckInput { plan, phase: &plan.phases[id.index()], summary, tightest_limit_ms };
    vec![
        threads::send_lag(&input),
        threads::stalls(&input),
        threads::processor(&input),
        machine::steal(&input),
        machine::throttling(&input),
        machine::local_errors(&input),
        conservation(&input),
        load::load(&input),
        load::draws(&input),
        machine::clocks(&input),
        machine::target(target_is_local),
    ]
}

/// The failed checks of a phase in one sentence. `None` if its numbers can be trusted.
pub fn invalid(checks: &[Check]) -> Option<String> {
    let failed = checks.iter().filter(|check| check.verdict == CheckVerdict::Invalid);
    let failed: Vec<String> = failed.map(|check| format!("{} ({})", check.name, check.value)).collect();
    (!failed.is_empty()).then(|| {
        let checks = if failed.len() == 1 { "check" } else { "checks" };
        format!("the load generator failed its own {checks}: {}", failed.join(", "))
    })
}

impl Check {
    fn new(
        name: &'static str,
        value: impl Into<String>,
        verdict: CheckVerdict,
        why: impl Into<String>,
    ) -> Self {
        Self { name, value: value.into(), verdict, why: why.into() }
    }
}

impl CheckInput<'_> {
    /// The judged time, in seconds.
    fn judged_s(&self) -> f64 {
        self.summary.judged_seconds
    }

    /// The time that the phase ran, in seconds. While it runs: the time that has been folded.
    fn ran(&self) -> f64 {
        self.summary.ran.unwrap_or(self.summary.settled).as_secs_f64()
    }
}

/// The tightest time limit of the gated objectives of a phase at the gate's tier, in ms.
fn tightest_limit(plan: &Plan, objectives: &[Objective], id: PhaseId) -> Option<f64> {
    let of_time = |objective: &&Objective| objective.family.kind() == ObjectiveKind::ResponseTime;
    let here = objectives.iter().filter(|objective| objective.phase == id).filter(of_time);
    here.filter_map(|objective| Some(objective.gated_limit(plan.gate.tier)?.1)).min_by(f64::total_cmp)
}

/// Checks whether the outcomes account for all requests and arrivals, in every second and over the whole
/// phase.
fn conservation(input: &CheckInput<'_>) -> Check {
    let open = matches!(input.phase.load, Load::Open(_));
    match input.summary.contradiction(open) {
        None => {
            let subject = if open { "requests and arrivals" } else { "requests" };
            let why = format!("in every second the outcomes account for all {subject}");
            Check::new("conservation", "adds up", CheckVerdict::Ok, why)
        }
        Some(why) => {
            let why = format!("{why}: this is a bug of the runner; report it together with the run folder");
            Check::new("conservation", "does not add up", CheckVerdict::Invalid, why)
        }
    }
}

/// A share as text in percent, with enough digits to show on which side of each limiting share it is.
fn percent(share: f64, limits: &[f64]) -> String {
    let limits: Vec<f64> = limits.iter().map(|limit| 100.0 * limit).collect();
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 0.01 {
        return "under 0.01 %".to_owned();
    }
    format!("{} %", format_against(percent, &limits))
}

/// Milliseconds as text, with enough digits to show on which side of each limit they are.
fn ms(value: f64, limits: &[f64]) -> String {
    format_amount_against(value, limits, Unit::Milliseconds)
}

#[cfg(test)]
mod tests;
