//! The load generator's own checks of a phase, over its judged periods.
//!
//! Every check is reported, also one that finds no fault. An [`Invalid`](CheckVerdict::Invalid) check takes away verdicts
//! in one direction: load that was not delivered excuses a pass, and a delay that no stamp shows excuses a breach.

mod load;
mod machine;
mod threads;

use crate::measure::generator_health::GeneratorHealth;
use crate::measure::generator_vitals::BUSY_PERMILLE;
use crate::measure::summary::PhaseSummary;
use crate::plan::model::{Load, Phase, PhaseId, Plan};
use crate::slo::judge::Excuses;
use crate::slo::objective::{Objective, ObjectiveKind};
use crate::units::text_enum;
use crate::units::{Unit, format_against, format_amount_against};

/// Above this share of responses without a usable stamp, a late generator may have made responses look slow.
const MAX_UNSTAMPED_SHARE: f64 = 0.01;
/// Above this share of the processor time, other processes are the cause of a delay.
const CROWDED_SHARE: f64 = 0.5;

/// The result of one check of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name of the check in reports.
    pub name: &'static str,
    /// The finding in a few words.
    pub value: String,
    pub verdict: CheckVerdict,
    /// The verdicts that it takes away, if it is invalid.
    pub excuses: Option<Excused>,
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
        /// Some verdicts about the target are not possible.
        Invalid = "invalid",
    }
}

text_enum! {
    /// The verdicts that an invalid check takes away.
    pub enum Excused {
        /// The target got less load than the plan asks for. Of throughput, a breach.
        Pass = "pass",
        /// The generator may have made requests slow or made them fail.
        Breach = "breach",
        /// Any.
        Both = "pass and breach",
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
        threads::arrival_times(&input),
    ]
}

/// The verdicts that the failed checks of a phase take away.
pub fn excuses(context: CheckContext<'_>, id: PhaseId, summary: &PhaseSummary, checks: &[Check]) -> Excuses {
    let of = |excused: Excused| {
        let takes = |check: &&Check| check.excuses == Some(excused) || check.excuses == Some(Excused::Both);
        named(checks.iter().filter(takes))
    };
    let input = CheckInput {
        plan: context.plan,
        phase: &context.plan.phases[id.index()],
        summary,
        tightest_limit_ms: None,
    };
    Excuses { pass: of(Excused::Pass), breach: of(Excused::Breach), missing_load: load::missing(&input) }
}

/// Failed checks in one sentence; `None` without any.
fn named<'c>(failed: impl Iterator<Item = &'c Check>) -> Option<String> {
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
        Self { name, value: value.into(), verdict, excuses: None, why: why.into() }
    }

    /// A check that takes away verdicts.
    fn failed(
        name: &'static str,
        value: impl Into<String>,
        excuses: Excused,
        why: impl Into<String>,
    ) -> Self {
        Self { excuses: Some(excuses), ..Self::new(name, value, CheckVerdict::Invalid, why) }
    }
}

impl CheckInput<'_> {
    /// The judged time, in seconds.
    fn judged_s(&self) -> f64 {
        self.summary.judged_seconds
    }

    /// Whether the kernel's stamps show when responses arrived, however late they were read.
    fn is_stamped(&self) -> bool {
        let GeneratorHealth { stamped, unstamped, bad_stamps, .. } = self.summary.health;
        (unstamped + bad_stamps) as f64 <= MAX_UNSTAMPED_SHARE * stamped as f64
    }

    /// The next step for a generator that is late, by the cause.
    fn advice(&self) -> String {
        let health = &self.summary.health;
        let others = health.machine.used_by_others as f64 / health.machine.ticks.max(1) as f64;
        let busiest = health.workers.values().map(|worker| worker.cpu).max().unwrap_or_default();
        match () {
            () if busiest >= BUSY_PERMILLE => {
                "a worker used all of its core: add workers, use a faster machine, or ask for less load"
                    .to_owned()
            }
            () if others > CROWDED_SHARE => format!(
                "other processes used {} of this machine: raise the runner's priority or move it",
                percent(others, &[])
            ),
            () => "use a machine that is not paused or busy with other work".to_owned(),
        }
    }

    /// The time that the phase ran, in seconds. While it runs: the time that has been folded.
    fn ran(&self) -> f64 {
        self.summary.ran.unwrap_or(self.summary.settled).as_secs_f64()
    }
}

/// The tightest time limit of the gated objectives of a phase at the gate's tier, in ms.
pub fn tightest_limit(plan: &Plan, objectives: &[Objective], id: PhaseId) -> Option<f64> {
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
            Check::failed("conservation", "does not add up", Excused::Both, why)
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
