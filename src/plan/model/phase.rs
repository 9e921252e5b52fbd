use crate::diagnostic::Span;
use crate::plan::document::Spacing;
use crate::plan::model::ClassId;
use crate::units::{Rate, TimeSpan};

/// A stretch of the plan with one load.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// The name that throughput objectives select on.
    pub scenario: String,
    /// From its start, ramps included.
    pub duration: TimeSpan,
    /// Virtual users; the most of any stage.
    pub users: u32,
    /// How many users there are when; a phase without `stages` has one, whose `over` is its ramp.
    pub stages: Vec<Stage>,
    /// Not judged, in addition to the first ramp.
    pub warmup: TimeSpan,
    /// User classes and their weights.
    pub mix: Vec<(ClassId, f64)>,
    /// Closed or open.
    pub load: Load,
    /// Where the phase was written.
    pub span: Span,
}

/// A number of users, and the way there from the number before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// So many users.
    pub users: u32,
    /// In this time the number before becomes this one, evenly. Not judged.
    pub over: TimeSpan,
    /// For so long they stay.
    pub hold: TimeSpan,
}

/// What starts a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Users loop through task and wait.
    Closed,
    /// A schedule starts tasks, even where answers stay out.
    Open(OpenLoad),
}

/// The schedule of an open phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenLoad {
    /// The rate at the phase's start.
    pub from: Rate,
    /// The rate at its end; between them it changes evenly.
    pub to: Rate,
    /// How the arrivals are spaced.
    pub spacing: Spacing,
}

impl OpenLoad {
    /// The highest rate, per second.
    pub fn most_per_second(&self) -> f64 {
        self.per_second_at(0.0).max(self.per_second_at(1.0))
    }

    /// The rate at this part of the phase, per second.
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

/// A stretch of whole seconds that is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedPeriod {
    /// The first second.
    pub from: u32,
    /// Where it ends, in seconds from the phase's start.
    pub to: f64,
}

impl JudgedPeriod {
    /// How long it is.
    pub fn seconds(self) -> f64 {
        (self.to - f64::from(self.from)).max(0.0)
    }
}

impl Phase {
    /// The time in which the first users are started.
    pub fn ramp(&self) -> TimeSpan {
        self.stages.first().map_or_else(TimeSpan::default, |stage| stage.over)
    }

    /// What is judged: of every hold the whole seconds, of the first one those after the warm-up. The last one ends
    /// with the phase, be it in the middle of a second.
    pub fn judged(&self) -> Vec<JudgedPeriod> {
        let mut stretches = Vec::new();
        let mut at = 0.0;
        for (index, stage) in self.stages.iter().enumerate() {
            let warmup = if index == 0 { self.warmup.seconds() } else { 0.0 };
            let from = (at + stage.over.seconds() + warmup - 1e-6).ceil().max(0.0) as u32;
            at += stage.over.seconds() + stage.hold.seconds();
            let to =
                if index + 1 == self.stages.len() { self.duration.seconds() } else { (at + 1e-6).floor() };
            if f64::from(from) < to {
                stretches.push(JudgedPeriod { from, to });
            }
        }
        stretches
    }

    /// How many seconds are judged.
    pub fn judged_seconds(&self) -> f64 {
        self.judged().into_iter().map(JudgedPeriod::seconds).fold(0.0, |sum, seconds| sum + seconds)
    }

    /// When a user is there, as seconds from the phase's start: from the first to before the second of each pair.
    ///
    /// Users come in the order of their numbers and leave in the opposite one, evenly over a stage's `over`.
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

    /// How many users there are from the first moment on.
    pub fn users_at_once(&self) -> u32 {
        self.stages.first().filter(|stage| stage.over.seconds() <= 0.0).map_or(0, |stage| stage.users)
    }

    /// How many users there are on average in the judged time.
    pub fn mean_users(&self) -> f64 {
        let holds: f64 = self.stages.iter().map(|stage| stage.hold.seconds()).sum();
        let users: f64 = self.stages.iter().map(|stage| f64::from(stage.users) * stage.hold.seconds()).sum();
        if holds > 0.0 { users / holds } else { f64::from(self.users) }
    }
}

#[cfg(test)]
mod tests;
