//! A mean, stored as a count and a sum so that means can be added.

/// The number of requests with a response time, and the sum of these times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    pub requests: u64,
    pub sum_ms: f64,
}

impl Mean {
    /// The mean, in milliseconds; `None` without data.
    pub fn ms(self) -> Option<f64> {
        (self.requests > 0).then(|| self.sum_ms / self.requests as f64)
    }

    /// Adds the requests of another mean.
    pub fn add(&mut self, other: Self) {
        let Self { requests, sum_ms } = other;
        self.requests += requests;
        self.sum_ms += sum_ms;
    }
}
