//! Rehearsals: a plan with shorter phases.

use std::time::Duration;

use crate::plan::model::{PhaseId, Plan};
use crate::units::TimeSpan;

/// Shortens these phases to about `total`, in equal shares, with ramps and warm-ups in proportion.
///
/// Users, waits, arrivals, timeouts and mix do not change, nor does a phase that is shorter than its share. Of a phase that
/// ends with its tasks, whose usual length is unknown, ramp and warm-up get at most half of the share.
pub fn rehearse(plan: &mut Plan, phases: &[PhaseId], total: TimeSpan) {
    let share = total.duration() / u32::try_from(phases.len().max(1)).unwrap_or(u32::MAX);
    for id in phases {
        let phase = &mut plan.phases[id.index()];
        let shrunk = phase.duration.duration().min(share);
        let lead = phase.ramp().seconds() + phase.warmup.seconds();
        let factor = match phase.ends_with_its_tasks() {
            false => shrunk.as_secs_f64() / phase.duration.seconds(),
            true if lead > 0.0 => (shrunk.as_secs_f64() / 2.0 / lead).min(1.0),
            true => 1.0,
        };
        let scaled = |span: TimeSpan| TimeSpan::from(Duration::from_secs_f64(span.seconds() * factor));
        for stage in &mut phase.stages {
            (stage.over, stage.hold) = (scaled(stage.over), scaled(stage.hold));
        }
        phase.warmup = scaled(phase.warmup);
        match &mut phase.stages[..] {
            [only] if phase.iterations.is_some() => {
                only.hold = TimeSpan::from(shrunk.saturating_sub(only.over.duration()));
            }
            _ => {}
        }
        if shrunk < phase.duration.duration() && !phase.ends_with_its_tasks() {
            phase.iterations = None;
        }
        phase.duration = TimeSpan::from(shrunk);
    }
}
