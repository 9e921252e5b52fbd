//! The buckets of the histograms in `metrics.txt`.

use std::time::Duration;

/// The upper bounds of the buckets of response times, and their spelling as `le`. A bound never changes its spelling,
/// because each spelling is a series of its own; a whole number has `.0`, as OpenMetrics requires.
pub(super) const BUCKETS: [(Duration, &str); 37] = [
    (Duration::from_micros(100), "0.0001"),
    (Duration::from_micros(250), "0.00025"),
    (Duration::from_micros(500), "0.0005"),
    (Duration::from_millis(1), "0.001"),
    (Duration::from_millis(2), "0.002"),
    (Duration::from_millis(3), "0.003"),
    (Duration::from_millis(5), "0.005"),
    (Duration::from_micros(7500), "0.0075"),
    (Duration::from_millis(10), "0.01"),
    (Duration::from_millis(15), "0.015"),
    (Duration::from_millis(20), "0.02"),
    (Duration::from_millis(25), "0.025"),
    (Duration::from_millis(30), "0.03"),
    (Duration::from_millis(40), "0.04"),
    (Duration::from_millis(50), "0.05"),
    (Duration::from_millis(75), "0.075"),
    (Duration::from_millis(100), "0.1"),
    (Duration::from_millis(150), "0.15"),
    (Duration::from_millis(200), "0.2"),
    (Duration::from_millis(250), "0.25"),
    (Duration::from_millis(300), "0.3"),
    (Duration::from_millis(400), "0.4"),
    (Duration::from_millis(500), "0.5"),
    (Duration::from_millis(750), "0.75"),
    (Duration::from_secs(1), "1.0"),
    (Duration::from_millis(1500), "1.5"),
    (Duration::from_secs(2), "2.0"),
    (Duration::from_millis(2500), "2.5"),
    (Duration::from_secs(3), "3.0"),
    (Duration::from_secs(4), "4.0"),
    (Duration::from_secs(5), "5.0"),
    (Duration::from_millis(7500), "7.5"),
    (Duration::from_secs(10), "10.0"),
    (Duration::from_secs(15), "15.0"),
    (Duration::from_secs(20), "20.0"),
    (Duration::from_secs(30), "30.0"),
    (Duration::from_secs(60), "60.0"),
];

/// The spelling of the bucket that ends at a limit, if there is one.
pub fn response_time_bucket(limit: Duration) -> Option<&'static str> {
    BUCKETS.iter().find(|(bound, _)| *bound == limit).map(|(_, spelling)| *spelling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_never_changes_its_bound_or_its_spelling() {
        assert!(BUCKETS.is_sorted());
        for (bound, spelling) in BUCKETS {
            assert_eq!(spelling.parse(), Ok(bound.as_secs_f64()));
            assert_eq!(spelling, format!("{:?}", bound.as_secs_f64()), "the spelling of OpenMetrics");
            assert_eq!(response_time_bucket(bound), Some(spelling));
        }
        assert_eq!(response_time_bucket(Duration::from_millis(180)), None);
    }
}
