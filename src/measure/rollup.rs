//! Something that is measured over time, in memory that does not grow with it.

/// Something that can be joined with what came right after it.
pub trait RollupItem {
    /// Takes in what came after it.
    fn join(&mut self, later: Self);
}

/// Equal stretches of time, at most so many of them: the longer the time, the longer each.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup<T> {
    /// Each with its place: that many stretches came before, filled or not.
    items: Vec<(u64, T)>,
    /// In seconds.
    width: f64,
    max_slices: usize,
}

impl<T: RollupItem> Rollup<T> {
    /// None yet; of `width` seconds each, until there would be more than `most`.
    pub fn new(width: f64, max_slices: usize) -> Self {
        Self { items: Vec::new(), width, max_slices }
    }

    /// Adds what happened at a second; times do not go back.
    pub fn push(&mut self, second: f64, item: T) {
        let mut place = (second / self.width) as u64;
        while self.items.len() >= self.max_slices && self.items.last().is_some_and(|(last, _)| *last != place)
        {
            self.halve();
            place = (second / self.width) as u64;
        }
        self.add(place, item);
    }

    fn add(&mut self, place: u64, item: T) {
        match self.items.last_mut().filter(|(last, _)| *last == place) {
            Some((_, last)) => last.join(item),
            None => self.items.push((place, item)),
        }
    }

    fn halve(&mut self) {
        self.width *= 2.0;
        for (place, item) in std::mem::take(&mut self.items) {
            self.add(place / 2, item);
        }
    }

    /// Those in which something happened, each with the second at which it begins.
    pub fn iter(&self) -> impl Iterator<Item = (f64, &T)> {
        self.items.iter().map(|(place, item)| (*place as f64 * self.width, item))
    }

    /// How long each is, in seconds.
    pub fn width(&self) -> f64 {
        self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl RollupItem for u32 {
        fn join(&mut self, later: Self) {
            *self += later;
        }
    }

    #[test]
    fn the_longer_the_time_the_longer_each_stretch_and_nothing_is_lost() {
        let mut rollup = Rollup::new(1.0, 64);
        for second in 0..604_800_u32 {
            rollup.push(f64::from(second), 1);
        }
        let sums: Vec<u32> = rollup.iter().map(|(_, sum)| *sum).collect();
        assert!(sums.len() > 32 && sums.len() <= 64, "{}", sums.len());
        assert_eq!(sums.iter().sum::<u32>(), 604_800);
        assert!(sums[..sums.len() - 1].iter().all(|sum| f64::from(*sum) == rollup.width()));
    }

    #[test]
    fn a_gap_is_no_stretch_and_keeps_its_place() {
        let mut rollup = Rollup::new(10.0, 8);
        for second in [3.0, 5.0, 42.0] {
            rollup.push(second, 1);
        }
        assert_eq!(rollup.iter().collect::<Vec<_>>(), [(0.0, &2), (40.0, &1)]);
    }
}
