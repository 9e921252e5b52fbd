//! Whether the load generator itself can be believed: its own checks of a phase, over the judged window.
//!
//! Every check is shown, also where all is well. One that is [`Invalid`](CheckVerdict::Invalid) says that the numbers may be
//! the generator's doing, and with them no verdict about the target is possible.

mod load;
mod machine;
mod threads;

use crate::measure::summary::PhaseSummary;
use crate::plan::model::{Load, Phase, PhaseId, Plan};
use crate::slo::objective::{Objective, Statistic};
use crate::units::format_number;

/// A check of the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// What was found.
    pub value: String,
    /// What that means.
    pub verdict: CheckVerdict,
    /// One sentence with the numbers and the limits, and what to do where it is invalid.
    pub why: String,
}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckVerdict {
    /// As it should be.
    Ok,
    /// Worth knowing; it changes nothing.
    Notice,
    /// The phase cannot be believed.
    Invalid,
}

/// What is known of a run besides its numbers.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'f> {
    /// What was run.
    pub plan: &'f Plan,
    /// What is expected of the target.
    pub objectives: &'f [Objective],
    /// Whether the target is on the generator's machine.
    pub target_is_local: bool,
}

/// A phase under suspicion.
struct CheckInput<'s> {
    plan: &'s Plan,
    phase: &'s Phase,
    summary: &'s PhaseSummary,
    /// The tightest time limit that decides, in ms.
    tightest_limit_ms: Option<f64>,
}

impl CheckVerdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Invalid => "invalid",
        }
    }
}

/// All checks of a phase that ran, or of what is known of one that runs.
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

/// Why a phase cannot be believed, if it cannot.
pub fn invalid(checks: &[Check]) -> Option<String> {
    let failed = checks.iter().filter(|check| check.verdict == CheckVerdict::Invalid);
    let failed: Vec<String> = failed.map(|check| format!("{} ({})", check.name, check.value)).collect();
    (!failed.is_empty()).then(|| {
        let checks = if failed.len() == 1 { "check" } else { "checks" };
        format!("the load generator did not hold its own {checks}: {}", failed.join(", "))
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
    /// The length of the judged window, in seconds.
    fn window(&self) -> f64 {
        self.summary.judged_seconds
    }

    /// How long it ran, in seconds; while it runs, how far it is known.
    fn ran(&self) -> f64 {
        self.summary.ran.unwrap_or(self.summary.settled).as_secs_f64()
    }
}

/// Of the gated objectives of a phase the tightest time limit at the gate's tier, in ms.
fn tightest_limit(plan: &Plan, objectives: &[Objective], id: PhaseId) -> Option<f64> {
    let of_time = |statistic| matches!(statistic, Statistic::Quantile(_) | Statistic::Mean | Statistic::Max);
    let here = objectives.iter().filter(|objective| objective.phase == id && of_time(objective.statistic));
    here.filter_map(|objective| Some(objective.gated_limit(plan.gate.tier)?.1)).min_by(f64::total_cmp)
}

/// Whether every request and arrival is accounted for, in every second and over the whole phase.
fn conservation(input: &CheckInput<'_>) -> Check {
    let open = matches!(input.phase.load, Load::Open(_));
    match input.summary.contradiction(open) {
        None => {
            let subject = if open { "requests and arrivals" } else { "requests" };
            let why = format!("in every second {subject} add up to what became of them");
            Check::new("conservation", "adds up", CheckVerdict::Ok, why)
        }
        Some(why) => {
            let why =
                format!("{why}: the runner cannot count, which is a mistake of its own; please report it");
            Check::new("conservation", "does not add up", CheckVerdict::Invalid, why)
        }
    }
}

/// A share in percent, as people write it.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p == 0.0 || p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.01 => {
            let text = format!("{p:.2}");
            format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => "under 0.01 %".to_owned(),
    }
}

/// Milliseconds, as people read them.
fn ms(value: f64) -> String {
    format!("{} ms", format_number(value))
}

#[cfg(test)]
mod tests;
