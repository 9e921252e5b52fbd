//! A mean that is kept as its sum.

/// How many requests had a time, and the sum of the times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    /// How many.
    pub requests: u64,
    /// In milliseconds.
    pub sum_ms: f64,
}

impl Mean {
    /// The mean, in milliseconds; `None` without data.
    pub fn ms(self) -> Option<f64> {
        (self.requests > 0).then(|| self.sum_ms / self.requests as f64)
    }

    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        let Self { requests, sum_ms } = other;
        self.requests += requests;
        self.sum_ms += sum_ms;
    }
}
