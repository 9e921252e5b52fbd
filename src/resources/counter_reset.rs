//! What passed between two looks at a host: time, or one life of it into another.

use crate::resources::cpu_time::is_stalled;
use crate::resources::reading::CounterReset;
use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::Snapshot;

/// An age is told by two clocks of whole seconds: it shrank where it did so by more, in seconds.
const AGE_ROUNDING_S: f64 = 1.0;
/// A clock was set where it and the age went on by times that differ by more, in seconds.
const CLOCK_STEP_MIN_S: f64 = 1.5;
/// Time goes on alike everywhere: where it differs from ours by more, in seconds and beside what an answer took, it is
/// the time of someone else.
const MAX_CLOCK_SKEW_S: f64 = 2.0;

/// What passed between two looks.
#[derive(Debug, Clone, PartialEq)]
pub enum Continuity {
    /// So many seconds, more than 0.
    Elapsed(f64),
    /// No time by the host's clock, as these words say: what is told was so before.
    Stalled(&'static str),
    /// The counters are those of another life, or of another host.
    CounterReset {
        /// Seconds by our own clock.
        seconds: f64,
        /// Which of both.
        kind: CounterReset,
        /// What happened, in words.
        message: String,
    },
}

/// What passed between two looks. The time of a clock that was set in between is taken from the host's age, or else from
/// our own clock.
pub fn continuity(before: &Snapshot, now: &Snapshot) -> Continuity {
    let own = now.observed_at - before.observed_at;
    let by_clock = now.at - before.at;
    let aged = before.incarnation.age.zip(now.incarnation.age).map(|(earlier, later)| later - earlier);
    let slack = MAX_CLOCK_SKEW_S + before.took_s.max(now.took_s);
    let is_skewed = |time: f64| (time - own).abs() > slack;
    // Of another host that answers the clock goes on as ever; of an older answer of the same host it does not.
    let clock_was_set = aged.is_some_and(|aged| (aged - by_clock).abs() > CLOCK_STEP_MIN_S);
    let counter_reset = |kind, message| Continuity::CounterReset { seconds: own.max(0.0), kind, message };
    let elsewhere = |how: String| match clock_was_set {
        true => counter_reset(
            CounterReset::OtherHost,
            format!("another host answers, or what is counted was put back: {how}"),
        ),
        false => counter_reset(CounterReset::Restart, format!("what is told was so at another time: {how}")),
    };
    if let Some((before, now)) = before.identity.changed(&now.identity) {
        let message =
            format!("another host answers: `{}`, and not `{}` any more", sanitise(now), sanitise(before));
        return counter_reset(CounterReset::OtherHost, message);
    }
    if before.incarnation.start_event != now.incarnation.start_event {
        return counter_reset(CounterReset::Restart, start_event(before, now));
    }
    if let Some(back) = aged.map(|aged| -aged).filter(|back| *back > AGE_ROUNDING_S) {
        // Whoever was booted since then is not that old yet.
        let older = own >= 0.0 && now.incarnation.age.is_some_and(|age| age > own + slack);
        return match older {
            true => elsewhere(format!("its age went back by {back:.0} s within {own:.0} s")),
            false => counter_reset(CounterReset::Restart, start_event(before, now)),
        };
    }
    let elapsed = match aged {
        Some(aged) if clock_was_set => aged,
        None if by_clock > 0.0 && is_skewed(by_clock) => own,
        _ => by_clock,
    };
    if elapsed <= 0.0 || !elapsed.is_finite() {
        return Continuity::Stalled("no time has passed between two looks by the host's clock");
    }
    if is_stalled(before, now) {
        return Continuity::Stalled(
            "what is told stands still: the processor counted no time between two looks",
        );
    }
    match aged.filter(|aged| is_skewed(*aged)) {
        Some(aged) => elsewhere(format!("its age went on by {aged:.0} s within {own:.0} s")),
        None => Continuity::Elapsed(elapsed),
    }
}

fn start_event(before: &Snapshot, now: &Snapshot) -> String {
    let ago = now.incarnation.age.map(|age| format!(" {age:.0} s ago")).unwrap_or_default();
    let other = before.incarnation.start_event != now.incarnation.start_event
        && !before.incarnation.start_event.is_empty();
    let other = if other {
        format!("; at the look before: {}", before.incarnation.start_event)
    } else {
        String::new()
    };
    format!("{}{ago}{other}", now.incarnation.start_event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::snapshot::{Identity, Incarnation};

    fn snapshot(observed_at: f64, at: f64, age: Option<f64>) -> Snapshot {
        let incarnation = Incarnation { start_event: "the machine was booted".to_owned(), age };
        Snapshot { at, observed_at, incarnation, ..Snapshot::default() }
    }

    #[test]
    fn another_life_behind_the_same_address_has_another_age() {
        let before = snapshot(0.0, 1000.0, Some(500.0));
        let older = continuity(&before, &snapshot(10.0, 1010.0, Some(900_510.0)));
        let message =
            "another host answers, or what is counted was put back: its age went on by 900010 s within 10 s";
        assert_eq!(
            older,
            Continuity::CounterReset {
                seconds: 10.0,
                kind: CounterReset::OtherHost,
                message: message.to_owned()
            }
        );
        let slower = continuity(&before, &snapshot(10.0, 1003.0, Some(503.0)));
        let message = "what is told was so at another time: its age went on by 3 s within 10 s";
        assert_eq!(
            slower,
            Continuity::CounterReset {
                seconds: 10.0,
                kind: CounterReset::Restart,
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
            "another host answers, or what is counted was put back: its age went back by 85000 s within 10 s";
        assert_eq!(counter_reset(5000.0), (CounterReset::OtherHost, message.to_owned()));
        // An older answer of the same host.
        let older = continuity(&before, &snapshot(10.0, 990.0, Some(89_990.0)));
        assert!(matches!(older, Continuity::CounterReset { kind: CounterReset::Restart, .. }), "{older:?}");
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
        let message = "another host answers: `web2`, and not `web1` any more".to_owned();
        let other = Continuity::CounterReset { seconds: 10.0, kind: CounterReset::OtherHost, message };
        assert_eq!(passed([Some("web1"), None], [Some("web2"), None]), other);
        assert_eq!(passed([None, Some("web1")], [None, Some("web2")]), other);
        // A name that only one of them tells says nothing.
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
    fn an_answer_that_took_long_may_be_of_another_moment() {
        let before = snapshot(0.0, 1000.0, Some(500.0));
        let now = Snapshot { took_s: 4.0, ..snapshot(10.0, 1005.0, Some(505.0)) };
        assert_eq!(continuity(&before, &now), Continuity::Elapsed(5.0));
    }

    #[test]
    fn a_clock_that_was_set_is_no_other_life() {
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
