//! `--rehearse`: shortens a plan, with its objectives in proportion.

use crate::diagnostic::{Code, Diagnostic, Problems};
use crate::forecast::{PhaseForecast, forecast};
use crate::plan::model::{Phase, PhaseId, Plan};
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
    let usual_s = usual_seconds(plan, objectives);
    let factors = rehearse(plan, phases, total, &usual_s);
    objectives.shrink(|phase| factors[phase.index()]);
}

/// The usual length of each phase, in seconds. Of a phase that ends with its tasks it is unknown: at least the time of its
/// waits, and two of the intervals in which it is judged.
fn usual_seconds(plan: &Plan, objectives: &Objectives) -> Vec<f64> {
    let of_phase = |(id, (phase, forecast)): (PhaseId, (&Phase, PhaseForecast))| {
        let Some(least) = forecast.least_seconds else { return phase.duration.seconds() };
        let here = objectives.all.iter().filter(|objective| objective.phase == id);
        let intervals = here.filter_map(|objective| objective.family.interval());
        intervals.map(|interval| 2.0 * f64::from(interval.every)).fold(least.max(MIN_PHASE_S), f64::max)
    };
    let forecasts = forecast(plan);
    (0..).map(PhaseId).zip(plan.phases.iter().zip(forecasts)).map(of_phase).collect()
}
