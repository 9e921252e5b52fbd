//! A timeline of bounded size: equal slices of time that double in length when there are too many.

/// This number of slices stays, however much they weigh.
const MIN_SLICES: usize = 30;

/// The content of a slice.
pub trait RollupItem {
    /// Adds the content of a later slice.
    fn join(&mut self, later: Self);

    /// How much of the memory of all slices it takes, in any unit.
    fn weight(&self) -> usize {
        0
    }
}

/// Equal slices of time, of bounded number and weight. The longer the time and the more they hold, the longer each slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup<T> {
    /// Index and content of each slice that has content, ascending.
    items: Vec<(u64, T)>,
    /// The length of a slice, in seconds.
    width: f64,
    max_slices: usize,
    max_weight: usize,
    weight: usize,
}

impl<T: RollupItem> Rollup<T> {
    /// No slices yet. Each has `width` seconds until there would be more than `max_slices`.
    pub fn new(width: f64, max_slices: usize) -> Self {
        Self { items: Vec::new(), width, max_slices, max_weight: usize::MAX, weight: 0 }
    }

    /// With slices that also double in length when they weigh more than `max_weight` in all.
    #[must_use]
    pub fn weighing_at_most(self, max_weight: usize) -> Self {
        Self { max_weight, ..self }
    }

    /// Adds an item at a second. Seconds must not decrease.
    pub fn push(&mut self, second: f64, item: T) {
        let mut place = (second / self.width) as u64;
        while self.items.len() >= self.max_slices && self.items.last().is_some_and(|(last, _)| *last != place)
        {
            self.halve();
            place = (second / self.width) as u64;
        }
        self.add(place, item);
        while self.weight > self.max_weight && self.items.len() > MIN_SLICES {
            self.halve();
        }
    }

    fn add(&mut self, place: u64, item: T) {
        match self.items.last_mut().filter(|(last, _)| *last == place) {
            Some((_, last)) => {
                self.weight -= last.weight();
                last.join(item);
                self.weight += last.weight();
            }
            None => {
                self.weight += item.weight();
                self.items.push((place, item));
            }
        }
    }

    fn halve(&mut self) {
        self.width *= 2.0;
        self.weight = 0;
        for (place, item) in std::mem::take(&mut self.items) {
            self.add(place / 2, item);
        }
    }

    /// The slices with content, each with the second at which it starts.
    pub fn iter(&self) -> impl Iterator<Item = (f64, &T)> {
        self.items.iter().map(|(place, item)| (*place as f64 * self.width, item))
    }

    /// The length of a slice, in seconds.
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
    fn slices_double_in_length_and_keep_every_item() {
        let mut rollup = Rollup::new(1.0, 64);
        for second in 0..604_800_u32 {
            rollup.push(f64::from(second), 1);
        }
        let sums: Vec<u32> = rollup.iter().map(|(_, sum)| *sum).collect();
        assert!(sums.len() > 32 && sums.len() <= 64, "{}", sums.len());
        assert_eq!(sums.iter().sum::<u32>(), 604_800);
        assert!(sums[..sums.len() - 1].iter().all(|sum| f64::from(*sum) == rollup.width()));
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Heavy(usize);

    impl RollupItem for Heavy {
        fn join(&mut self, later: Self) {
            self.0 = (self.0 + later.0).min(50);
        }

        fn weight(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn heavy_slices_double_in_length_too() {
        let mut rollup = Rollup::new(1.0, 1000).weighing_at_most(2000);
        for second in 0..900_u32 {
            rollup.push(f64::from(second), Heavy(10));
            assert!(rollup.iter().map(|(_, heavy)| heavy.0).sum::<usize>() <= 2000);
        }
        assert!(rollup.width() > 1.0 && rollup.iter().count() > MIN_SLICES / 2);
    }

    #[test]
    fn a_gap_has_no_slice_and_keeps_its_place() {
        let mut rollup = Rollup::new(10.0, 8);
        for second in [3.0, 5.0, 42.0] {
            rollup.push(second, 1);
        }
        assert_eq!(rollup.iter().collect::<Vec<_>>(), [(0.0, &2), (40.0, &1)]);
    }
}
