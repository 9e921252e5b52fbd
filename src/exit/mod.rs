//! The exit-code contract, in one table.

use crate::slo::judge::{Judgement, Verdict};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that counts was kept.
    Passed,
    /// The same of a shortened run.
    Rehearsed,
    /// The target is not good enough.
    Breached,
    /// Never begun: what was asked makes no sense.
    Refused,
    /// Nobody can tell from this run.
    Inconclusive,
    /// The same, in a plan that says `inconclusive = "warn"`.
    Tolerated,
    /// The numbers cannot be trusted.
    Invalid,
    /// Never begun: nobody answered.
    Unavailable,
    /// Our own mistake.
    Internal,
    /// Over, but nowhere to put the report.
    Unwritten,
    /// Told to stop before the end.
    Interrupted(Signal),
}

/// What told the run to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Ending {
    /// All endings, with the code, the word and the meaning; `docs/exit-codes.md` is this table.
    pub const TABLE: &[(Self, u8, &str, &str)] = &[
        (
            Self::Passed,
            0,
            "passed",
            "all objectives that count were kept, at the tier that the gate asks for",
        ),
        (Self::Tolerated, 0, "inconclusive", "the same as 3, in a plan that says `inconclusive = \"warn\"`"),
        (
            Self::Rehearsed,
            0,
            "rehearsed",
            "a shortened run in which nothing that counts was missed and each operation it tried worked at least once",
        ),
        (Self::Breached, 1, "breached", "an objective that counts was missed"),
        (
            Self::Refused,
            2,
            "refused",
            "the command line or the plan is wrong, or asks for what the plan cannot reach; not a byte was sent",
        ),
        (
            Self::Inconclusive,
            3,
            "inconclusive",
            "too little was seen, or nothing, to decide an objective that counts",
        ),
        (Self::Invalid, 4, "invalid", "the numbers may be this machine's doing instead of the target's"),
        (
            Self::Unavailable,
            5,
            "unavailable",
            "the target did not get ready, or a host that is judged could not be read, so no load was sent",
        ),
        (Self::Internal, 70, "internal", "the runner itself is at fault"),
        (Self::Unwritten, 74, "unwritten", "the run is over, but its report could not be stored"),
        (
            Self::Interrupted(Signal::Interrupt),
            130,
            "interrupted",
            "stopped by SIGINT with no objective missed so far; the report tells of the part that ran",
        ),
        (
            Self::Interrupted(Signal::Terminate),
            143,
            "interrupted",
            "stopped by SIGTERM with no objective missed so far; the report tells of the part that ran",
        ),
    ];

    fn row(self) -> &'static (Self, u8, &'static str, &'static str) {
        Self::TABLE.iter().find(|(ending, ..)| *ending == self).expect("every ending is in the table")
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        self.row().1
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        self.row().2
    }

    /// Where several endings hold, the one that comes first here is the run's.
    pub fn most_severe(endings: impl IntoIterator<Item = Self>) -> Self {
        let rank = |ending: &Self| match ending {
            Self::Refused | Self::Unavailable => 0,
            Self::Internal => 1,
            Self::Breached => 2,
            Self::Unwritten => 3,
            Self::Interrupted(_) => 4,
            Self::Invalid => 5,
            Self::Inconclusive => 6,
            Self::Tolerated => 7,
            Self::Rehearsed => 8,
            Self::Passed => 9,
        };
        endings.into_iter().min_by_key(rank).unwrap_or(Self::Passed)
    }
}

/// What the gated objectives come to.
pub fn of_objectives<'j>(judged: impl IntoIterator<Item = &'j Judgement>) -> Ending {
    Ending::most_severe(judged.into_iter().filter(|judged| judged.gated).map(|judged| match judged.verdict {
        Verdict::Missed => Ending::Breached,
        Verdict::Inconclusive | Verdict::NoData => Ending::Inconclusive,
        Verdict::Met | Verdict::NotAssessed => Ending::Passed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_ending_wins() {
        let order = [
            Ending::Internal,
            Ending::Breached,
            Ending::Unwritten,
            Ending::Interrupted(Signal::Interrupt),
            Ending::Invalid,
            Ending::Inconclusive,
            Ending::Passed,
        ];
        for (index, ending) in order.iter().enumerate() {
            assert_eq!(Ending::most_severe(order[index..].iter().rev().copied()), *ending);
        }
        assert_eq!(order.map(Ending::code), [70, 1, 74, 130, 4, 3, 0]);
    }

    #[test]
    fn an_objective_that_is_not_gated_changes_nothing() {
        let judged = |verdict, gated| Judgement {
            observed: None,
            interval: None,
            samples: 0,
            effective_samples: None,
            tier: None,
            beyond_all: false,
            verdict,
            gated,
            why: String::new(),
        };
        assert_eq!(of_objectives(&[judged(Verdict::Missed, false)]), Ending::Passed);
        assert_eq!(of_objectives(&[judged(Verdict::NoData, true)]), Ending::Inconclusive);
        let both = [judged(Verdict::NoData, true), judged(Verdict::Missed, true)];
        assert_eq!(of_objectives(&both), Ending::Breached);
    }
}
