//! Decides whether the counters of two snapshots belong together, and how much time passed between them.

use crate::resources::rates::cpu_time::is_stalled;
use crate::resources::reading::CounterReset;
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::Snapshot;

/// An age is the difference of two clocks with whole seconds, so only a larger decrease is a real one.
const AGE_ROUNDING_S: f64 = 1.0;
/// The host's clock was set if its advance and that of the host's age differ by more than this.
const CLOCK_STEP_MIN_S: f64 = 1.5;
/// Time advances equally on all hosts. If the host's time differs from the runner's by more than this plus the response
/// time, the counters are from another host or from another time.
const MAX_CLOCK_SKEW_S: f64 = 2.0;

/// The relation of two consecutive snapshots of a host.
#[derive(Debug, Clone, PartialEq)]
pub enum Continuity {
    /// Seconds between the snapshots, more than 0.
    Elapsed(f64),
    /// The host's clock or its counters did not advance, so the response repeats an earlier one. Holds the reason.
    Stalled(&'static str),
    /// The counters started over, or a different host answered.
    CounterReset {
        /// Seconds between the snapshots by the runner's clock, at least 0.
        seconds: f64,
        kind: CounterReset,
        /// The event, such as `the machine was booted 3 s ago`.
        message: String,
    },
}

/// Compares two consecutive snapshots. If the host's clock was set in between, the elapsed time is that of the host's
/// age, or else that of the runner's clock.
pub fn continuity(before: &Snapshot, now: &Snapshot) -> Continuity {
    let own = now.observed_at - before.observed_at;
    let by_clock = now.at - before.at;
    let aged = before.incarnation.age.zip(now.incarnation.age).map(|(earlier, later)| later - earlier);
    let slack = MAX_CLOCK_SKEW_S + before.took_s.max(now.took_s);
    let is_skewed = |time: f64| (time - own).abs() > slack;
    // On a different host only the age jumps; in an old response of the same host, clock and age differ alike.
    let clock_was_set = aged.is_some_and(|aged| (aged - by_clock).abs() > CLOCK_STEP_MIN_S);
    let counter_reset = |kind, message| Continuity::CounterReset { seconds: own.max(0.0), kind, message };
    let elsewhere = |how: String| match clock_was_set {
        true => counter_reset(
            CounterReset::OtherHost,
            format!("a different host answered, or its counters were restored: {how}"),
        ),
        false => counter_reset(CounterReset::Changed, format!("the counters are from another time: {how}")),
    };
    if let Some((before, now)) = before.identity.changed(&now.identity) {
        let message =
            format!("a different host answered: `{}` instead of `{}`", sanitise(now), sanitise(before));
        return counter_reset(CounterReset::OtherHost, message);
    }
    if before.incarnation.start_event != now.incarnation.start_event {
        let kind = if was_replaced(before, now) { CounterReset::Restart } else { CounterReset::Changed };
        return counter_reset(kind, start_event(before, now));
    }
    if let Some(back) = aged.map(|aged| -aged).filter(|back| *back > AGE_ROUNDING_S) {
        // A host that was booted since the first snapshot cannot be older than the time since then.
        let older = own >= 0.0 && now.incarnation.age.is_some_and(|age| age > own + slack);
        return match older {
            true => elsewhere(format!("uptime decreased by {back:.0} s in {own:.0} s")),
            false => counter_reset(CounterReset::Restart, start_event(before, now)),
        };
    }
    let elapsed = match aged {
        Some(aged) if clock_was_set => aged,
        None if by_clock > 0.0 && is_skewed(by_clock) => own,
        _ => by_clock,
    };
    if elapsed <= 0.0 || !elapsed.is_finite() {
        return Continuity::Stalled("the host's clock did not advance between two snapshots");
    }
    if is_stalled(before, now) {
        return Continuity::Stalled("stale response: the processor counted no time between two snapshots");
    }
    match aged.filter(|aged| is_skewed(*aged)) {
        Some(aged) => elsewhere(format!("uptime advanced {aged:.0} s in {own:.0} s")),
        None => Continuity::Elapsed(elapsed),
    }
}

/// Whether a process is gone and another one has started since, and not only one of both. A machine has none.
fn was_replaced(before: &Snapshot, now: &Snapshot) -> bool {
    let (before, now) = (&before.incarnation.processes, &now.incarnation.processes);
    let is_machine = before.is_empty() && now.is_empty();
    is_machine
        || (before.iter().any(|known| !now.contains(known)) && now.iter().any(|new| !before.contains(new)))
}

fn start_event(before: &Snapshot, now: &Snapshot) -> String {
    let ago = now.incarnation.age.map(|age| format!(" {age:.0} s ago")).unwrap_or_default();
    let other = before.incarnation.start_event != now.incarnation.start_event
        && !before.incarnation.start_event.is_empty();
    let other = if other {
        format!("; at the previous snapshot: {}", before.incarnation.start_event)
    } else {
        String::new()
    };
    format!("{}{ago}{other}", now.incarnation.start_event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::metric::Metric;
    use crate::resources::snapshot::{Identity, Incarnation};

    fn snapshot(observed_at: f64, at: f64, age: Option<f64>) -> Snapshot {
        let incarnation = Incarnation {
            start_event: "the machine was booted".to_owned(),
            age,
            shows_restarts: true,
            processes: Vec::new(),
        };
        Snapshot { at, observed_at, incarnation, ..Snapshot::default() }
    }

    #[test]
    fn another_host_at_the_same_address_has_another_uptime() {
        let before = snapshot(0.0, 1000.0, Some(500.0));
        let older = continuity(&before, &snapshot(10.0, 1010.0, Some(900_510.0)));
        let message =
            "a different host answered, or its counters were restored: uptime advanced 900010 s in 10 s";
        assert_eq!(
            older,
            Continuity::CounterReset {
                seconds: 10.0,
                kind: CounterReset::OtherHost,
                message: message.to_owned()
            }
        );
        let slower = continuity(&before, &snapshot(10.0, 1003.0, Some(503.0)));
        let message = "the counters are from another time: uptime advanced 3 s in 10 s";
        assert_eq!(
            slower,
            Continuity::CounterReset {
                seconds: 10.0,
                kind: CounterReset::Changed,
                message: message.to_owned()
            }
        );
        assert_eq!(continuity(&before, &snapshot(10.0, 1011.5, Some(511.5))), Continuity::Elapsed(11.5));
    }

    #[test]
    fn a_younger_host_without_a_reboot_is_another_host() {
        let before = snapshot(0.0, 1000.0, Some(90_000.0));
        let counter_reset = |age| match continuity(&before, &snapshot(10.0, 1010.0, Some(age))) {
            Continuity::CounterReset { kind, message, .. } => (kind, message),
            time => panic!("{time:?}"),
        };
        assert_eq!(counter_reset(9.0), (CounterReset::Restart, "the machine was booted 9 s ago".to_owned()));
        let message =
            "a different host answered, or its counters were restored: uptime decreased by 85000 s in 10 s";
        assert_eq!(counter_reset(5000.0), (CounterReset::OtherHost, message.to_owned()));
        // An old response of the same host.
        let older = continuity(&before, &snapshot(10.0, 990.0, Some(89_990.0)));
        assert!(matches!(older, Continuity::CounterReset { kind: CounterReset::Changed, .. }), "{older:?}");
    }

    #[test]
    fn a_process_that_joins_or_leaves_is_no_restart() {
        let of = |observed_at: f64, processes: &[(u32, u64)]| {
            let mut snapshot = snapshot(observed_at, observed_at, Some(1.0));
            snapshot.incarnation.start_event = format!("{processes:?} were started");
            snapshot.incarnation.processes = processes.to_vec();
            snapshot
        };
        let kind =
            |before: &[(u32, u64)], now: &[(u32, u64)]| match continuity(&of(0.0, before), &of(10.0, now)) {
                Continuity::CounterReset { kind, .. } => kind,
                time => panic!("{time:?}"),
            };
        assert_eq!(kind(&[(1, 5), (2, 5)], &[(1, 5), (2, 5), (3, 90)]), CounterReset::Changed);
        assert_eq!(kind(&[(1, 5), (2, 5)], &[(1, 5)]), CounterReset::Changed);
        assert_eq!(kind(&[(1, 5), (2, 5)], &[(1, 5), (3, 90)]), CounterReset::Restart);
        // The number was used again.
        assert_eq!(kind(&[(1, 5)], &[(1, 90)]), CounterReset::Restart);
        let values = crate::resources::rates::between(&of(0.0, &[(1, 5)]), &of(10.0, &[(1, 5), (2, 90)]));
        assert_eq!(values.of(Metric::Restarts), Some(0.0));
        let older = crate::resources::rates::between(
            &snapshot(0.0, 1000.0, Some(90_000.0)),
            &snapshot(10.0, 990.0, Some(89_990.0)),
        );
        assert_eq!(older.of(Metric::Restarts), None);
    }

    #[test]
    fn two_names_are_two_hosts_though_they_were_booted_together() {
        let of = |observed_at: f64, name: Option<&str>, instance: Option<&str>| {
            let [name, instance] = [name, instance].map(|it| it.map(str::to_owned));
            Snapshot {
                identity: Identity { name, instance },
                ..snapshot(observed_at, 1000.0 + observed_at, Some(500.0 + observed_at))
            }
        };
        let passed = |before: [Option<&str>; 2], now: [Option<&str>; 2]| {
            continuity(&of(0.0, before[0], before[1]), &of(10.0, now[0], now[1]))
        };
        let message = "a different host answered: `web2` instead of `web1`".to_owned();
        let other = Continuity::CounterReset { seconds: 10.0, kind: CounterReset::OtherHost, message };
        assert_eq!(passed([Some("web1"), None], [Some("web2"), None]), other);
        assert_eq!(passed([None, Some("web1")], [None, Some("web2")]), other);
        // A name that only one of the two snapshots has decides nothing.
        for (before, now) in [
            ([Some("web1"), None], [None, None]),
            ([None, None], [Some("web2"), Some("web2:9100")]),
            ([Some("web1"), None], [None, Some("web1:9100")]),
            ([Some("web1"), Some("10.0.0.1")], [Some("web1"), Some("10.0.0.2")]),
        ] {
            assert_eq!(passed(before, now), Continuity::Elapsed(10.0), "{before:?} {now:?}");
        }
    }

    #[test]
    fn a_slow_response_may_be_of_another_moment() {
        let before = snapshot(0.0, 1000.0, Some(500.0));
        let now = Snapshot { took_s: 4.0, ..snapshot(10.0, 1005.0, Some(505.0)) };
        assert_eq!(continuity(&before, &now), Continuity::Elapsed(5.0));
    }

    #[test]
    fn a_clock_change_is_no_counter_reset() {
        let before = snapshot(0.0, 1000.0, Some(500.0));
        assert_eq!(continuity(&before, &snapshot(10.0, 9000.0, Some(510.0))), Continuity::Elapsed(10.0));
        assert_eq!(continuity(&before, &snapshot(10.0, 9.0, Some(510.0))), Continuity::Elapsed(10.0));
        let before = snapshot(0.0, 1000.0, None);
        assert_eq!(continuity(&before, &snapshot(10.0, 9000.0, None)), Continuity::Elapsed(10.0));
    }

    #[test]
    fn a_stalled_clock_is_stalled_though_our_time_passes() {
        for age in [Some(500.0), None] {
            let passed = continuity(&snapshot(0.0, 9.0, age), &snapshot(60.0, 9.0, age));
            assert!(matches!(passed, Continuity::Stalled(_)), "{passed:?}");
        }
    }
}
