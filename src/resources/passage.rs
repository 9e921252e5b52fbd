//! What passed between two looks at a host: time, or one life of it into another.

use crate::resources::look::Look;
use crate::resources::processor::stands_still;
use crate::resources::quote::quote;
use crate::resources::reading::Anew;

/// An age is told by two clocks of whole seconds: it shrank where it did so by more, in seconds.
const SHRANK: f64 = 1.0;
/// A clock was set where it and the age went on by times that differ by more, in seconds.
const SET: f64 = 1.5;
/// Time goes on alike everywhere: where it differs from ours by more, in seconds and beside what an answer took, it is
/// the time of someone else.
const APART: f64 = 2.0;

/// What passed between two looks.
#[derive(Debug, Clone, PartialEq)]
pub enum Passage {
    /// So many seconds, more than 0.
    Time(f64),
    /// No time by the host's clock, as these words say: what is told was so before.
    Nothing(&'static str),
    /// The counters are those of another life, or of another host.
    Anew {
        /// Seconds by our own clock.
        seconds: f64,
        /// Which of both.
        what: Anew,
        /// What happened, in words.
        told: String,
    },
}

/// What passed between two looks. The time of a clock that was set in between is taken from the host's age, or else from
/// our own clock.
pub fn passage(before: &Look, now: &Look) -> Passage {
    let own = now.heard - before.heard;
    let by_clock = now.at - before.at;
    let aged = before.life.age.zip(now.life.age).map(|(earlier, later)| later - earlier);
    let slack = APART + before.took.max(now.took);
    let apart = |time: f64| (time - own).abs() > slack;
    // Of another host that answers the clock goes on as ever; of an older answer of the same host it does not.
    let set = aged.is_some_and(|aged| (aged - by_clock).abs() > SET);
    let anew = |what, told| Passage::Anew { seconds: own.max(0.0), what, told };
    let elsewhere = |how: String| match set {
        true => anew(Anew::Host, format!("another host answers, or what is counted was put back: {how}")),
        false => anew(Anew::Life, format!("what is told was so at another time: {how}")),
    };
    if let Some((before, now)) = before.who.changed(&now.who) {
        let told = format!("another host answers: `{}`, and not `{}` any more", quote(now), quote(before));
        return anew(Anew::Host, told);
    }
    if before.life.began != now.life.began {
        return anew(Anew::Life, began(before, now));
    }
    if let Some(back) = aged.map(|aged| -aged).filter(|back| *back > SHRANK) {
        // Whoever was booted since then is not that old yet.
        let older = own >= 0.0 && now.life.age.is_some_and(|age| age > own + slack);
        return match older {
            true => elsewhere(format!("its age went back by {back:.0} s within {own:.0} s")),
            false => anew(Anew::Life, began(before, now)),
        };
    }
    let elapsed = match aged {
        Some(aged) if set => aged,
        None if by_clock > 0.0 && apart(by_clock) => own,
        _ => by_clock,
    };
    if elapsed <= 0.0 || !elapsed.is_finite() {
        return Passage::Nothing("no time has passed between two looks by the host's clock");
    }
    if stands_still(before, now) {
        return Passage::Nothing(
            "what is told stands still: the processor counted no time between two looks",
        );
    }
    match aged.filter(|aged| apart(*aged)) {
        Some(aged) => elsewhere(format!("its age went on by {aged:.0} s within {own:.0} s")),
        None => Passage::Time(elapsed),
    }
}

fn began(before: &Look, now: &Look) -> String {
    let ago = now.life.age.map(|age| format!(" {age:.0} s ago")).unwrap_or_default();
    let other = before.life.began != now.life.began && !before.life.began.is_empty();
    let other = if other { format!("; at the look before: {}", before.life.began) } else { String::new() };
    format!("{}{ago}{other}", now.life.began)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::look::{Life, Who};

    fn look(heard: f64, at: f64, age: Option<f64>) -> Look {
        let life = Life { began: "the machine was booted".to_owned(), age };
        Look { at, heard, life, ..Look::default() }
    }

    #[test]
    fn another_life_behind_the_same_address_has_another_age() {
        let before = look(0.0, 1000.0, Some(500.0));
        let older = passage(&before, &look(10.0, 1010.0, Some(900_510.0)));
        let told =
            "another host answers, or what is counted was put back: its age went on by 900010 s within 10 s";
        assert_eq!(older, Passage::Anew { seconds: 10.0, what: Anew::Host, told: told.to_owned() });
        let slower = passage(&before, &look(10.0, 1003.0, Some(503.0)));
        let told = "what is told was so at another time: its age went on by 3 s within 10 s";
        assert_eq!(slower, Passage::Anew { seconds: 10.0, what: Anew::Life, told: told.to_owned() });
        assert_eq!(passage(&before, &look(10.0, 1011.5, Some(511.5))), Passage::Time(11.5));
    }

    #[test]
    fn who_is_younger_than_before_and_was_not_booted_since_is_another_host() {
        let before = look(0.0, 1000.0, Some(90_000.0));
        let anew = |age| match passage(&before, &look(10.0, 1010.0, Some(age))) {
            Passage::Anew { what, told, .. } => (what, told),
            time => panic!("{time:?}"),
        };
        assert_eq!(anew(9.0), (Anew::Life, "the machine was booted 9 s ago".to_owned()));
        let told =
            "another host answers, or what is counted was put back: its age went back by 85000 s within 10 s";
        assert_eq!(anew(5000.0), (Anew::Host, told.to_owned()));
        // An older answer of the same host.
        let older = passage(&before, &look(10.0, 990.0, Some(89_990.0)));
        assert!(matches!(older, Passage::Anew { what: Anew::Life, .. }), "{older:?}");
    }

    #[test]
    fn two_names_are_two_hosts_though_they_were_booted_together() {
        let of = |heard: f64, name: Option<&str>, instance: Option<&str>| {
            let [name, instance] = [name, instance].map(|it| it.map(str::to_owned));
            Look { who: Who { name, instance }, ..look(heard, 1000.0 + heard, Some(500.0 + heard)) }
        };
        let passed = |before: [Option<&str>; 2], now: [Option<&str>; 2]| {
            passage(&of(0.0, before[0], before[1]), &of(10.0, now[0], now[1]))
        };
        let told = "another host answers: `web2`, and not `web1` any more".to_owned();
        let other = Passage::Anew { seconds: 10.0, what: Anew::Host, told };
        assert_eq!(passed([Some("web1"), None], [Some("web2"), None]), other);
        assert_eq!(passed([None, Some("web1")], [None, Some("web2")]), other);
        // A name that only one of them tells says nothing.
        for (before, now) in [
            ([Some("web1"), None], [None, None]),
            ([None, None], [Some("web2"), Some("web2:9100")]),
            ([Some("web1"), None], [None, Some("web1:9100")]),
            ([Some("web1"), Some("10.0.0.1")], [Some("web1"), Some("10.0.0.2")]),
        ] {
            assert_eq!(passed(before, now), Passage::Time(10.0), "{before:?} {now:?}");
        }
    }

    #[test]
    fn an_answer_that_took_long_may_be_of_another_moment() {
        let before = look(0.0, 1000.0, Some(500.0));
        let now = Look { took: 4.0, ..look(10.0, 1005.0, Some(505.0)) };
        assert_eq!(passage(&before, &now), Passage::Time(5.0));
    }

    #[test]
    fn a_clock_that_was_set_is_no_other_life() {
        let before = look(0.0, 1000.0, Some(500.0));
        assert_eq!(passage(&before, &look(10.0, 9000.0, Some(510.0))), Passage::Time(10.0));
        assert_eq!(passage(&before, &look(10.0, 9.0, Some(510.0))), Passage::Time(10.0));
        let before = look(0.0, 1000.0, None);
        assert_eq!(passage(&before, &look(10.0, 9000.0, None)), Passage::Time(10.0));
    }

    #[test]
    fn what_stands_still_is_nothing_though_our_time_goes_on() {
        for age in [Some(500.0), None] {
            let passed = passage(&look(0.0, 9.0, age), &look(60.0, 9.0, age));
            assert!(matches!(passed, Passage::Nothing(_)), "{passed:?}");
        }
    }
}
