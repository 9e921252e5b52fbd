//! Tests of the judged periods of a phase and the active periods of its users.

use super::*;
use crate::diagnostic::FileId;

fn span(text: &str) -> TimeSpan {
    text.parse().unwrap()
}

fn phase(stages: &[(u32, &str, &str)], warmup: &str) -> Phase {
    let stages: Vec<Stage> = stages
        .iter()
        .map(|(users, over, hold)| Stage { users: *users, over: span(over), hold: span(hold) })
        .collect();
    let all = stages.iter().map(|stage| stage.over.duration() + stage.hold.duration());
    Phase {
        name: "p".to_owned(),
        scenario: "p".to_owned(),
        duration: TimeSpan::from(all.sum::<std::time::Duration>()),
        iterations: None,
        users: stages.iter().map(|stage| stage.users).max().unwrap(),
        stages,
        warmup: span(warmup),
        mix: Vec::new(),
        load: Load::Closed,
        span: Span { file: FileId::default(), start: 0, end: 0 },
    }
}

#[test]
fn users_start_in_order_leave_in_reverse_and_may_return() {
    let phase = phase(&[(4, "4s", "6s"), (2, "2s", "8s"), (3, "0s", "10s")], "0s");
    assert_eq!(phase.active_periods(0), [(0.0, 30.0)]);
    assert_eq!(phase.active_periods(1), [(1.0, 30.0)]);
    assert_eq!(phase.active_periods(2), [(2.0, 12.0), (20.0, 30.0)]);
    assert_eq!(phase.active_periods(3), [(3.0, 11.0)]);
    assert_eq!(phase.active_periods(4), []);
}

#[test]
fn holds_are_judged_without_the_warm_up_of_the_first() {
    let phase = phase(&[(4, "2500ms", "6s"), (2, "2s", "8500ms")], "2s");
    assert_eq!(phase.judged(), [JudgedPeriod { from: 5, to: 8.0 }, JudgedPeriod { from: 11, to: 19.0 }]);
    assert_eq!(phase.judged_seconds(), 11.0);
}

#[test]
fn a_phase_without_stages_is_judged_to_its_very_end() {
    assert_eq!(phase(&[(4, "2s", "8500ms")], "1s").judged(), [JudgedPeriod { from: 3, to: 10.5 }]);
}
