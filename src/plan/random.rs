//! Seeded random streams: the source of every random value of a run.

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The purpose of a random stream, which selects the stream within a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKey {
    /// A task of a closed user: number of the user and number of the task, both from 0.
    Task(u32, u64),
    /// An arrival of an open phase: its number, from 0.
    Arrival(u64),
    /// An attempt of a user to start: number of the user and number of the attempt, both from 0.
    Start(u32, u64),
    /// `on_stop` of a user: number of the user, and how often it left before.
    Stop(u32, u64),
    /// Properties of a user that stay constant, such as its network latency: number of the user.
    User(u32),
    /// The gaps between the arrivals of a phase.
    ArrivalGaps,
}

/// A stream of random values.
///
/// A value depends only on the seed, the phase, the key and the number of values drawn before it. It does not depend on
/// the worker, the clock or the responses. The generator is xoshiro256++ (Blackman & Vigna, 2018), seeded by
/// SplitMix64.
#[derive(Debug, Clone)]
pub struct RandomStream {
    rng: Xoshiro256PlusPlus,
}

impl RandomStream {
    /// Starts the stream of a key in a phase.
    pub fn new(seed: u64, phase: u16, key: StreamKey) -> Self {
        let parts = match key {
            StreamKey::Task(user, task) => [1, u64::from(user), task],
            StreamKey::Arrival(number) => [2, number, 0],
            StreamKey::Start(user, attempt) => [3, u64::from(user), attempt],
            StreamKey::Stop(user, time) => [4, u64::from(user), time],
            StreamKey::User(user) => [5, u64::from(user), 0],
            StreamKey::ArrivalGaps => [6, 0, 0],
        };
        let start = mix(seed ^ mix(u64::from(phase)));
        let state = parts.iter().fold(start, |state, part| mix(state ^ mix(*part)));
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(state) }
    }

    /// An integer from `low` to `high`, both included, uniformly distributed.
    pub fn integer(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }

    /// A number from `low` to `high`, uniformly distributed.
    pub fn float(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.random::<f64>()
    }

    /// An index below `count`, uniformly distributed.
    ///
    /// # Panics
    /// When `count` is 0.
    pub fn index(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count)
    }

    /// An index into a list of weights, with a probability in proportion to its weight. `cumulative` holds the running
    /// sums of the weights.
    pub fn weighted(&mut self, cumulative: &[f64]) -> usize {
        let total = cumulative.last().copied().unwrap_or(0.0);
        let at = self.rng.random::<f64>() * total;
        cumulative.partition_point(|sum| *sum <= at).min(cumulative.len().saturating_sub(1))
    }

    /// A number from an exponential distribution with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.rng.random::<f64>()).ln()
    }

    /// Begins another stream, which takes one value of this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(self.rng.random()) }
    }

    pub fn bytes(&mut self) -> [u8; 16] {
        self.rng.random()
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood, 2014): every bit of the input affects every bit of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_depends_on_seed_phase_and_key_only() {
        let first = |seed, phase, key| RandomStream::new(seed, phase, key).integer(0, i64::MAX);
        let one = first(7, 0, StreamKey::Task(3, 5));
        assert_eq!(one, first(7, 0, StreamKey::Task(3, 5)));
        let others = [
            first(8, 0, StreamKey::Task(3, 5)),
            first(7, 1, StreamKey::Task(3, 5)),
            first(7, 0, StreamKey::Task(5, 3)),
            first(7, 0, StreamKey::Arrival(3)),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn integers_reach_both_ends_and_stay_within_them() {
        let mut seen: Vec<i64> =
            (0..2000).map(|k| RandomStream::new(1, 0, StreamKey::Arrival(k)).integer(5, 15)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (5..=15).collect::<Vec<_>>());
    }

    #[test]
    fn indices_are_drawn_in_proportion_to_their_weights() {
        let mut counts = [0_u32; 3];
        for k in 0..22_000 {
            counts[RandomStream::new(3, 0, StreamKey::Arrival(k)).weighted(&[1.0, 9.0, 11.0])] += 1;
        }
        // Five standard deviations around 2 000, 16 000 and 4 000.
        assert!(counts[0].abs_diff(2000) < 215, "{counts:?}");
        assert!(counts[1].abs_diff(16_000) < 330, "{counts:?}");
        assert!(counts[2].abs_diff(4000) < 290, "{counts:?}");
    }
}
