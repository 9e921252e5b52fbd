//! `--rehearse`: shortens a plan, with its objectives in proportion.

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::plan::model::{PhaseId, Plan};
use crate::plan::rehearse;
use crate::slo::Objectives;
use crate::units::TimeSpan;

/// The shortest share of a phase, in seconds.
const MIN_PHASE_S: f64 = 2.0;

/// Shortens the selected phases to `total`, each to an equal share. Reports a total that is too short.
pub(super) fn apply(
    total: TimeSpan,
    plan: &mut Plan,
    objectives: &mut Objectives,
    phases: &[PhaseId],
    problems: &mut Problems,
) {
    let shortest = MIN_PHASE_S * phases.len() as f64;
    if total.seconds() < shortest {
        let place = problems.add_option("--rehearse", &total.to_string());
        let message = format!("a rehearsal of {total} is too short for {} phases", phases.len());
        let help = format!("each phase needs at least 2s; use `--rehearse {shortest}s` or longer");
        let diagnostic = Diagnostic::new(Code::OutOfRange, message).at(place, "too short").help(help);
        problems.report(diagnostic);
    }
    let lengths =
        |plan: &Plan| -> Vec<f64> { plan.phases.iter().map(|phase| phase.duration.seconds()).collect() };
    let before = lengths(plan);
    rehearse(plan, phases, total);
    let after = lengths(plan);
    objectives.shrink(|phase| after[phase.index()] / before[phase.index()]);
}
