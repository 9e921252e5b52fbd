//! The endings of a run with their codes, words and meanings, in one table.

use serde::{Deserialize, Serialize};

use crate::slo::judge::{Judgement, Verdict};
use crate::units::text_enum;

text_enum! {
    /// The verdict on a run: the word of its ending.
    pub enum RunVerdict {
        /// Every gated objective was met.
        Passed = "passed",
        /// A gated objective could not be decided.
        Inconclusive = "inconclusive",
        /// A shortened run in which no gated objective was missed.
        Rehearsed = "rehearsed",
        /// A gated objective was missed.
        Breached = "breached",
        /// Not started: the command line or the plan is wrong.
        Refused = "refused",
        /// The numbers may be caused by the generator's machine.
        Invalid = "invalid",
        /// Not started: the target or a judged host did not respond.
        Unavailable = "unavailable",
        /// A fault of the runner.
        Internal = "internal",
        /// Finished, but the report could not be stored.
        Unwritten = "unwritten",
        /// Stopped by a signal before the end.
        Interrupted = "interrupted",
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Every gated objective was met.
    Passed,
    /// The same for a shortened run.
    Rehearsed,
    /// A gated objective was missed.
    Breached,
    /// Not started: the command line or the plan is wrong.
    Refused,
    /// A gated objective could not be decided.
    Inconclusive,
    /// The same, in a plan with `inconclusive = "warn"`.
    Tolerated,
    /// The numbers may be caused by the generator's machine.
    Invalid,
    /// Not started: the target or a judged host did not respond.
    Unavailable,
    /// A fault of the runner.
    Internal,
    /// Finished, but the report could not be stored.
    Unwritten,
    /// Stopped by a signal before the end.
    Interrupted(Signal),
}

/// The signal that stopped a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// SIGINT, as from Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Ending {
    /// All endings with code, word and meaning. `docs/reference/exit-codes.md` shows this table.
    pub const TABLE: &[(Self, u8, RunVerdict, &str)] = &[
        (
            Self::Passed,
            0,
            RunVerdict::Passed,
            "every gated objective was met, at the tier that the gate requires",
        ),
        (
            Self::Tolerated,
            0,
            RunVerdict::Inconclusive,
            "the same as 3, in a plan with `inconclusive = \"warn\"`",
        ),
        (
            Self::Rehearsed,
            0,
            RunVerdict::Rehearsed,
            "a shortened run in which no gated objective was missed and each operation it tried succeeded at least once",
        ),
        (Self::Breached, 1, RunVerdict::Breached, "a gated objective was missed, or the target collapsed"),
        (
            Self::Refused,
            2,
            RunVerdict::Refused,
            "the command line or the plan is wrong, or the plan can never meet or prove an objective; nothing was sent",
        ),
        (
            Self::Inconclusive,
            3,
            RunVerdict::Inconclusive,
            "a gated objective could not be decided: too little data, or none; or a phase did not finish its `iterations`",
        ),
        (
            Self::Invalid,
            4,
            RunVerdict::Invalid,
            "a check of the load generator took away a verdict that the counts of a gated objective prove",
        ),
        (
            Self::Unavailable,
            5,
            RunVerdict::Unavailable,
            "the target did not become ready, or a judged host could not be read; no load was sent",
        ),
        (Self::Internal, 70, RunVerdict::Internal, "the runner itself is at fault"),
        (Self::Unwritten, 74, RunVerdict::Unwritten, "the run is over, but its report could not be stored"),
        (
            Self::Interrupted(Signal::Interrupt),
            130,
            RunVerdict::Interrupted,
            "stopped by SIGINT with no objective missed so far; the report covers the part that ran",
        ),
        (
            Self::Interrupted(Signal::Terminate),
            143,
            RunVerdict::Interrupted,
            "stopped by SIGTERM with no objective missed so far; the report covers the part that ran",
        ),
    ];

    fn row(self) -> &'static (Self, u8, RunVerdict, &'static str) {
        Self::TABLE.iter().find(|(ending, ..)| *ending == self).expect("every ending is in the table")
    }

    pub fn code(self) -> u8 {
        self.row().1
    }

    pub fn verdict(self) -> RunVerdict {
        self.row().2
    }

    /// The ending that sets the exit code if several apply. [`Passed`](Self::Passed) if there is none.
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

/// The ending that the verdicts of the gated objectives lead to.
pub fn of_objectives<'j>(judged: impl IntoIterator<Item = &'j Judgement>) -> Ending {
    Ending::most_severe(judged.into_iter().filter(|judged| judged.gated).map(|judged| match judged.verdict {
        Verdict::Missed => Ending::Breached,
        Verdict::Inconclusive | Verdict::NoData => Ending::Inconclusive,
        Verdict::Met | Verdict::NotAssessed | Verdict::NotJudged => Ending::Passed,
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
            excused: None,
            gated,
            why: String::new(),
            reason: String::new(),
        };
        assert_eq!(of_objectives(&[judged(Verdict::Missed, false)]), Ending::Passed);
        assert_eq!(of_objectives(&[judged(Verdict::NoData, true)]), Ending::Inconclusive);
        let both = [judged(Verdict::NoData, true), judged(Verdict::Missed, true)];
        assert_eq!(of_objectives(&both), Ending::Breached);
    }
}
