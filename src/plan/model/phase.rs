//! Phases: the load over time and the periods that are judged.

use crate::diagnostic::Span;
use crate::plan::document::Spacing;
use crate::plan::model::ClassId;
use crate::units::{Rate, TimeSpan};

/// A part of the plan with one load.
#[derive(Debug, Clone)]
pub struct Phase {
    pub name: String,
    /// Name by which throughput objectives select the phase.
    pub scenario: String,
    /// Length of the phase, ramps included; of a phase that ends with its last task the longest.
    pub duration: TimeSpan,
    /// Number of tasks, if the plan sets it instead of the length.
    pub iterations: Option<u64>,
    /// Number of virtual users; the maximum of all stages.
    pub users: u32,
    /// Number of users over time. A phase without `stages` has one stage, whose `over` is its ramp.
    pub stages: Vec<Stage>,
    /// Time after the first ramp that is not judged either.
    pub warmup: TimeSpan,
    /// User classes and their weights.
    pub mix: Vec<(ClassId, f64)>,
    pub load: Load,
    /// Place of the phase in the plan.
    pub span: Span,
}

/// A step of the load: a number of users and the change to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    pub users: u32,
    /// Time of the linear change from the number before to this one. Not judged.
    pub over: TimeSpan,
    /// Time for which the number stays constant.
    pub hold: TimeSpan,
}

/// The load model of a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Each user starts its next task after the task before it and a wait.
    Closed,
    /// A schedule starts tasks, even while responses are late.
    Open(OpenLoad),
}

/// The schedule of an open phase. The rate changes linearly over the phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenLoad {
    /// Rate at the start of the phase.
    pub from: Rate,
    /// Rate at the end of the phase.
    pub to: Rate,
    pub spacing: Spacing,
}

impl OpenLoad {
    /// Highest rate, per second.
    pub fn most_per_second(&self) -> f64 {
        self.per_second_at(0.0).max(self.per_second_at(1.0))
    }

    /// The length of a phase with this many arrivals, in seconds. Its `ramp_s` is part of it.
    ///
    /// With the rates a and b at its ends, a phase of length D with a ramp R from zero has `(D·(a + b) − R·a) / 2` arrivals.
    pub fn seconds_for(&self, arrivals: u64, ramp_s: f64) -> f64 {
        let (from, to) = (self.from.per_second(), self.to.per_second());
        (2.0 * arrivals as f64 + ramp_s * from) / (from + to)
    }

    /// Rate per second at a part of the phase, from 0 (its start) to 1 (its end).
    pub fn per_second_at(&self, part: f64) -> f64 {
        let (from, to) = (self.from.per_second(), self.to.per_second());
        from + (to - from) * part
    }
}

impl std::fmt::Display for OpenLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.from == self.to {
            true => write!(f, "{}", self.from),
            false => write!(f, "{} to {}", self.from, self.to),
        }
    }
}

/// A judged period of a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedPeriod {
    /// Start, in seconds from the phase's start.
    pub from: u32,
    /// End, in seconds from the phase's start.
    pub to: f64,
}

impl JudgedPeriod {
    pub fn seconds(self) -> f64 {
        (self.to - f64::from(self.from)).max(0.0)
    }
}

impl Phase {
    /// Whether the phase ends with its last task, so that its length depends on the target's speed.
    pub fn ends_with_its_tasks(&self) -> bool {
        self.iterations.is_some() && self.load == Load::Closed
    }

    /// Number of tasks of a user of a closed phase: all users have the same, and the first ones the rest.
    pub fn tasks_of(&self, user: u32) -> u64 {
        self.iterations.map_or(u64::MAX, |all| {
            let (users, user) = (u64::from(self.users.max(1)), u64::from(user));
            all / users + u64::from(user < all % users)
        })
    }

    /// Time in which the first users start.
    pub fn ramp(&self) -> TimeSpan {
        self.stages.first().map_or_else(TimeSpan::default, |stage| stage.over)
    }

    /// Judged periods: the whole seconds of each hold, without the warm-up in the first hold. The last period ends with
    /// the phase, even in the middle of a second.
    pub fn judged(&self) -> Vec<JudgedPeriod> {
        let mut periods = Vec::new();
        let mut at = 0.0;
        for (index, stage) in self.stages.iter().enumerate() {
            let warmup = if index == 0 { self.warmup.seconds() } else { 0.0 };
            let from = (at + stage.over.seconds() + warmup - 1e-6).ceil().max(0.0) as u32;
            at += stage.over.seconds() + stage.hold.seconds();
            let to =
                if index + 1 == self.stages.len() { self.duration.seconds() } else { (at + 1e-6).floor() };
            if f64::from(from) < to {
                periods.push(JudgedPeriod { from, to });
            }
        }
        periods
    }

    /// Length of all judged periods, in seconds.
    pub fn judged_seconds(&self) -> f64 {
        self.judged().into_iter().map(JudgedPeriod::seconds).fold(0.0, |sum, seconds| sum + seconds)
    }

    /// Periods in which a user is active, as pairs of start and end in seconds from the phase's start.
    ///
    /// Users start in the order of their numbers and leave in reverse order, evenly over a stage's `over`.
    pub fn active_periods(&self, user: u32) -> Vec<(f64, f64)> {
        let mut active_periods = Vec::new();
        let (mut before, mut at, mut since) = (0, 0.0, None);
        let user = f64::from(user);
        for stage in &self.stages {
            let (old, new) = (f64::from(before), f64::from(stage.users));
            let over = stage.over.seconds();
            if old <= user && user < new {
                since = Some(at + over * (user - old) / (new - old));
            } else if new <= user && user < old {
                let until = at + over * (old - user) / (old - new);
                active_periods.extend(since.take().map(|since| (since, until)));
            }
            before = stage.users;
            at += over + stage.hold.seconds();
        }
        active_periods.extend(since.map(|since| (since, self.duration.seconds())));
        active_periods.retain(|(since, until)| since < until);
        active_periods
    }

    /// Number of users that exist when the phase starts.
    pub fn users_at_once(&self) -> u32 {
        self.stages.first().filter(|stage| stage.over.seconds() <= 0.0).map_or(0, |stage| stage.users)
    }

    /// Mean number of users over all holds.
    pub fn mean_users(&self) -> f64 {
        let holds: f64 = self.stages.iter().map(|stage| stage.hold.seconds()).sum();
        let users: f64 = self.stages.iter().map(|stage| f64::from(stage.users) * stage.hold.seconds()).sum();
        if holds > 0.0 { users / holds } else { f64::from(self.users) }
    }
}

#[cfg(test)]
mod tests;
