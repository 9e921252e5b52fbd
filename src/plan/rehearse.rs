//! Rehearsals: a plan with shorter phases.

use std::time::Duration;

use crate::plan::model::{Phase, PhaseId, Plan};
use crate::units::TimeSpan;

/// Shortens these phases to about `total`, in equal shares, with ramps and warm-ups in proportion. `usual_s` is the usual
/// length of each phase of the plan, in seconds. Returns by phase to which part of it the phase is shortened.
///
/// Users, waits, arrivals, timeouts and mix do not change, nor does a phase that is shorter than its share.
pub fn rehearse(plan: &mut Plan, phases: &[PhaseId], total: TimeSpan, usual_s: &[f64]) -> Vec<f64> {
    let share = total.duration() / u32::try_from(phases.len().max(1)).unwrap_or(u32::MAX);
    let mut factors = vec![1.0; plan.phases.len()];
    for id in phases {
        let factor = (share.as_secs_f64() / usual_s[id.index()]).min(1.0);
        shorten(&mut plan.phases[id.index()], share, factor);
        factors[id.index()] = factor;
    }
    factors
}

/// Shortens a phase to its share, which is this part of its usual length.
fn shorten(phase: &mut Phase, share: Duration, factor: f64) {
    let shrunk = phase.duration.duration().min(share);
    let lead = phase.ramp().seconds() + phase.warmup.seconds();
    // The usual length of a phase that ends with its tasks is a guess, and half of its share must remain.
    let factor = match phase.ends_with_its_tasks() {
        true if lead > 0.0 => factor.min(shrunk.as_secs_f64() / 2.0 / lead),
        _ => factor,
    };
    let scaled = |span: TimeSpan| TimeSpan::from(Duration::from_secs_f64(span.seconds() * factor));
    for stage in &mut phase.stages {
        (stage.over, stage.hold) = (scaled(stage.over), scaled(stage.hold));
    }
    phase.warmup = scaled(phase.warmup);
    if let ([only], Some(_)) = (&mut phase.stages[..], phase.iterations) {
        only.hold = TimeSpan::from(shrunk.saturating_sub(only.over.duration()));
    }
    if shrunk < phase.duration.duration() && !phase.ends_with_its_tasks() {
        phase.iterations = None;
    }
    phase.duration = TimeSpan::from(shrunk);
}
