//! Limits: of the three tiers, and which side of one is good.

use crate::plan::{GateTier, Tier};

/// The limits of an objective, best first. Only the last one is required.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiers {
    pub target: Option<f64>,
    pub acceptable: Option<f64>,
    /// The limit of the tier maximum; for throughput the minimum.
    pub last: f64,
}

/// A limit and its good side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    /// Whether a value is at the limit or on its good side.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// Whether another limit is at least as loose as this one.
    pub fn allows(self, looser: f64) -> bool {
        match self {
            Self::AtMost(limit) => looser >= limit,
            Self::AtLeast(limit) => looser <= limit,
        }
    }
}

impl Tiers {
    /// The present limits with their tiers, best first.
    pub fn all(&self) -> impl Iterator<Item = (Tier, f64)> {
        let target = self.target.map(|limit| (Tier::Target, limit));
        let acceptable = self.acceptable.map(|limit| (Tier::Acceptable, limit));
        [target, acceptable, Some((Tier::Maximum, self.last))].into_iter().flatten()
    }

    /// The tier at which an objective is judged: the gate's tier, or the next looser one that has a limit.
    pub fn at_gate(&self, gate: GateTier) -> Option<(Tier, f64)> {
        let wanted = gate.0?;
        self.all().find(|(tier, _)| *tier >= wanted)
    }
}
