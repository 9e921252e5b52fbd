//! What passed between two looks at a host: time, or one life of it into another.

use crate::resources::look::Look;

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
    /// No time by the host's clock: what is told was so before.
    Nothing,
    /// The counters are those of another life.
    Anew {
        /// Seconds by our own clock.
        seconds: f64,
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
    let apart = |time: f64| (time - own).abs() > APART + before.took.max(now.took);
    let anew = |told| Passage::Anew { seconds: own.max(0.0), told };
    if before.life.began != now.life.began || aged.is_some_and(|aged| aged < -SHRANK) {
        return anew(began(before, now));
    }
    let elapsed = match aged {
        Some(aged) if (aged - by_clock).abs() > SET => aged,
        None if by_clock > 0.0 && apart(by_clock) => own,
        _ => by_clock,
    };
    if elapsed <= 0.0 || !elapsed.is_finite() {
        return Passage::Nothing;
    }
    match aged.filter(|aged| apart(*aged)) {
        Some(aged) => anew(format!(
            "another host answers, or what is counted was put back: its age went on by {aged:.0} s within {own:.0} s"
        )),
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
    use crate::resources::look::Life;

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
        assert_eq!(older, Passage::Anew { seconds: 10.0, told: told.to_owned() });
        let slower = passage(&before, &look(10.0, 1003.0, Some(503.0)));
        assert!(matches!(slower, Passage::Anew { seconds: 10.0, .. }), "{slower:?}");
        assert_eq!(passage(&before, &look(10.0, 1011.5, Some(511.5))), Passage::Time(11.5));
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
            assert_eq!(passage(&look(0.0, 9.0, age), &look(60.0, 9.0, age)), Passage::Nothing);
        }
    }
}
