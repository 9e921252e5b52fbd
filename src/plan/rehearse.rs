use std::time::Duration;

use crate::plan::model::Plan;
use crate::units::TimeSpan;

/// Shrinks the plan to about this long: equal shares for the phases, ramps and warm-ups in proportion.
///
/// Users, waits, arrivals, timeouts and mix stay. A phase that is shorter than its share stays as it is.
pub fn rehearse(plan: &mut Plan, total: TimeSpan) {
    let share = total.duration() / u32::try_from(plan.phases.len().max(1)).unwrap_or(u32::MAX);
    for phase in &mut plan.phases {
        let shrunk = phase.duration.duration().min(share);
        let factor = shrunk.as_secs_f64() / phase.duration.seconds();
        let scaled = |span: TimeSpan| TimeSpan::from(Duration::from_secs_f64(span.seconds() * factor));
        phase.ramp = scaled(phase.ramp);
        phase.warmup = scaled(phase.warmup);
        phase.duration = TimeSpan::from(shrunk);
    }
}
