//! Limits: of the three tiers, and which side of one is good.

use crate::diagnostic::Span;
use crate::document::Spanned;
use crate::plan::{GateTier, Tier};

/// The limits of an objective, best first. Only the last one is required.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiers {
    pub target: Option<f64>,
    pub acceptable: Option<f64>,
    /// The limit of the tier maximum; for throughput the minimum.
    pub last: f64,
}

/// The places of the limits in the threshold file, by tier.
#[derive(Debug, Clone, Default)]
pub struct LimitSpans(Vec<(Tier, Span)>);

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

    /// How far a value is from the limit, as a ratio: above 1 on its bad side, below 1 on its good side. Infinite if only
    /// one of both is 0 and the value is on the bad side.
    pub fn ratio(self, value: f64) -> f64 {
        let (over, under) = match self {
            Self::AtMost(limit) => (value, limit),
            Self::AtLeast(limit) => (limit, value),
        };
        if over == under { 1.0 } else { over / under }
    }
}

impl LimitSpans {
    /// The places of these limits, best first.
    pub(in crate::slo) fn of<T>(written: &[Option<Spanned<T>>; 3]) -> Self {
        let tiers = [Tier::Target, Tier::Acceptable, Tier::Maximum];
        let place = |(tier, limit): (Tier, &Option<Spanned<T>>)| Some((tier, limit.as_ref()?.span));
        Self(tiers.into_iter().zip(written).filter_map(place).collect())
    }

    /// The place of the only limit.
    pub(in crate::slo) fn of_last(span: Span) -> Self {
        Self(vec![(Tier::Maximum, span)])
    }

    /// The place of a tier's limit; `None` if it has no limit.
    pub fn of_tier(&self, tier: Tier) -> Option<Span> {
        self.0.iter().find(|(known, _)| *known == tier).map(|(_, span)| *span)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_1_is_on_the_bad_side_of_either_kind() {
        for (bound, value, ratio) in [
            (Bound::AtMost(200.0), 300.0, 1.5),
            (Bound::AtMost(200.0), 100.0, 0.5),
            (Bound::AtLeast(30.0), 20.0, 1.5),
            (Bound::AtLeast(30.0), 60.0, 0.5),
            (Bound::AtMost(0.0), 3.0, f64::INFINITY),
            (Bound::AtMost(0.0), 0.0, 1.0),
            (Bound::AtLeast(30.0), 0.0, f64::INFINITY),
        ] {
            assert_eq!(bound.ratio(value), ratio, "{bound:?}, {value}");
            assert_eq!(bound.holds(value), ratio <= 1.0, "{bound:?}, {value}");
        }
    }
}
