//! Counters of disks and network devices, and how far they went on between two looks.

use std::collections::BTreeMap;

use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{Disk, Traffic};

/// The kernel counts the milliseconds of a disk in 32 bits: after so many seconds it begins at 0.
const DISK_TIME_WRAP_S: f64 = 4_294_967.296;
/// Old kernels count bytes of network devices in 32 bits.
const NETWORK_WRAP_BYTES: f64 = 4_294_967_296.0;
/// Old kernels count a disk's sectors of 512 bytes in 32 bits.
const DISK_WRAP_BYTES: f64 = NETWORK_WRAP_BYTES * 512.0;
/// A counter that went back has wrapped if it then went on by less than this share of its range; else it was reset.
const MAX_WRAP_SHARE: f64 = 0.25;

/// What a counter that went back without being reset is like.
#[derive(Debug, Clone, Copy)]
pub struct WrapLimits {
    /// Where it begins anew.
    range: f64,
    /// The fastest that it can go on, per second: what would be faster was reset.
    fastest: f64,
}

/// A counter of a kind of device.
pub struct Counter<T> {
    kind: &'static str,
    counted: &'static str,
    of: fn(&T) -> Option<f64>,
    wrap_limits: WrapLimits,
}

/// Seconds with a request under way; clocks that are read one after another may make it a little more than all.
pub const DISK_BUSY_TIME: Counter<Disk> = Counter {
    kind: "disk",
    counted: "busy time",
    of: |disk| disk.busy,
    wrap_limits: WrapLimits { range: DISK_TIME_WRAP_S, fastest: 1.05 },
};
/// Seconds of all requests together: more than these wait at no disk.
pub const DISK_QUEUE_TIME: Counter<Disk> = Counter {
    kind: "disk",
    counted: "the time of its requests",
    of: |disk| disk.queued,
    wrap_limits: WrapLimits { range: DISK_TIME_WRAP_S, fastest: 128.0 },
};
/// Bytes read.
pub const DISK_BYTES_READ: Counter<Disk> = Counter {
    kind: "disk",
    counted: "bytes read",
    of: |disk| disk.read,
    wrap_limits: WrapLimits { range: DISK_WRAP_BYTES, fastest: 1e9 },
};
/// Bytes written.
pub const DISK_BYTES_WRITTEN: Counter<Disk> = Counter {
    counted: "bytes written",
    of: |disk| disk.written,
    kind: "disk",
    wrap_limits: DISK_BYTES_READ.wrap_limits,
};
/// Bytes received; what counts in 32 bits is no faster than a gigabit per second.
pub const NETWORK_BYTES_RECEIVED: Counter<Traffic> = Counter {
    kind: "network device",
    counted: "bytes received",
    of: |device| device.received,
    wrap_limits: WrapLimits { range: NETWORK_WRAP_BYTES, fastest: 125e6 },
};
/// Bytes sent.
pub const NETWORK_BYTES_SENT: Counter<Traffic> = Counter {
    kind: "network device",
    counted: "bytes sent",
    of: |device| device.sent,
    wrap_limits: NETWORK_BYTES_RECEIVED.wrap_limits,
};

/// Why there is no rate.
#[derive(Debug, Clone, PartialEq)]
pub enum RateError {
    /// These counters were reset, in words.
    Reset(Vec<String>),
    /// It was not counted.
    Uncounted(String),
}

/// How far a counter went on in so many seconds; of one that went back, only if it has wrapped.
pub fn increase(before: f64, now: f64, elapsed: f64, wrap_limits: Option<WrapLimits>) -> Option<f64> {
    if now >= before {
        return Some(now - before);
    }
    let WrapLimits { range, fastest } = wrap_limits.filter(|wrap_limits| before < wrap_limits.range)?;
    let wrapped = now + range - before;
    (wrapped < range * MAX_WRAP_SHARE && wrapped <= fastest * elapsed).then_some(wrapped)
}

/// The same kind of devices at two looks.
pub struct Devices<'a, T> {
    /// At the first; `None` where none were told.
    pub before: Option<&'a BTreeMap<String, T>>,
    /// At the second.
    pub now: &'a BTreeMap<String, T>,
    /// Seconds in between.
    pub elapsed: f64,
    /// Whether they are known to be counted in 64 bits.
    pub wide: bool,
}

/// The devices of a kind that only the first of two looks had, in words. Where the second has none at all, it says why.
pub fn gone<T>(
    kind: &str,
    before: Option<&BTreeMap<String, T>>,
    now: Option<&BTreeMap<String, T>>,
) -> Vec<String> {
    let Some((before, now)) = before.zip(now) else { return Vec::new() };
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    gone.map(|name| format!("{kind} `{}` is gone", sanitise(name))).collect()
}

/// What is said of what the first look did not tell.
pub const NOT_COUNTED_BEFORE: &str = "it was not counted at the look before";

impl<T> Devices<'_, T> {
    /// The rates per second of all devices that were there at both looks.
    fn rates(&self, counter: &Counter<T>) -> Result<Vec<f64>, RateError> {
        let Some(before) = self.before else {
            return Err(RateError::Uncounted(NOT_COUNTED_BEFORE.to_owned()));
        };
        // Who counts further than 32 bits for one device does so for all.
        let wide = self.wide
            || before.values().filter_map(counter.of).any(|value| value >= counter.wrap_limits.range);
        let wrap_limits = (!wide).then_some(counter.wrap_limits);
        let (mut rates, mut resets) = (Vec::new(), Vec::new());
        for (name, now) in self.now {
            let Some(before) = before.get(name) else { continue };
            let device = || format!("{} `{}`", counter.kind, sanitise(name));
            let Some(now) = (counter.of)(now) else {
                return Err(RateError::Uncounted(format!("{} does not count it", device())));
            };
            let Some(before) = (counter.of)(before) else {
                return Err(RateError::Uncounted(NOT_COUNTED_BEFORE.to_owned()));
            };
            match increase(before, now, self.elapsed, wrap_limits) {
                Some(increase) => rates.push(increase / self.elapsed),
                None => resets.push(format!("{}: the counter of {} was reset", device(), counter.counted)),
            }
        }
        match (resets.is_empty(), rates.is_empty()) {
            (false, _) => Err(RateError::Reset(resets)),
            (true, true) => Err(RateError::Uncounted(format!("no {} was there at both looks", counter.kind))),
            (true, false) => Ok(rates),
        }
    }

    /// Of all devices together, per second.
    ///
    /// # Errors
    /// When one that counts was reset, or does not tell it.
    pub fn sum(&self, counter: &Counter<T>) -> Result<f64, RateError> {
        Ok(self.rates(counter)?.iter().sum())
    }

    /// Of the device with the most, per second.
    ///
    /// # Errors
    /// As for the sum.
    pub fn largest(&self, counter: &Counter<T>) -> Result<f64, RateError> {
        Ok(self.rates(counter)?.into_iter().fold(0.0, f64::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_went_back_has_wrapped_or_was_reset() {
        let network = Some(NETWORK_BYTES_RECEIVED.wrap_limits);
        assert_eq!(increase(5.0, 7.0, 1.0, None), Some(2.0));
        assert_eq!(increase(7.0, 5.0, 1.0, None), None);
        assert_eq!(increase(4_294_967_000.0, 704.0, 1.0, network), Some(1000.0));
        assert_eq!(increase(2_000_000_000.0, 704.0, 60.0, network), None);
        assert_eq!(increase(5e9, 704.0, 1.0, network), None);
    }

    #[test]
    fn a_wrap_that_would_be_faster_than_can_be_is_a_reset() {
        // 295 MB in one second, and in ten.
        assert_eq!(increase(4.0e9, 704.0, 1.0, Some(NETWORK_BYTES_RECEIVED.wrap_limits)), None);
        assert_eq!(
            increase(4.0e9, 704.0, 10.0, Some(NETWORK_BYTES_RECEIVED.wrap_limits)),
            Some(294_968_000.0)
        );
        assert_eq!(increase(2.19e12, 0.0, 1.0, Some(DISK_BYTES_READ.wrap_limits)), None);
        assert_eq!(
            increase(2.19e12, 0.0, 10.0, Some(DISK_BYTES_READ.wrap_limits)),
            Some(DISK_WRAP_BYTES - 2.19e12)
        );
        let almost = DISK_TIME_WRAP_S - 5.0;
        assert_eq!(increase(almost, 0.0, 4.0, Some(DISK_BUSY_TIME.wrap_limits)), None);
        assert!(increase(almost, 0.1, 5.0, Some(DISK_BUSY_TIME.wrap_limits)).is_some());
    }

    #[test]
    fn a_counter_beyond_32_bits_does_not_wrap() {
        let traffic = |received| Traffic { received: Some(received), sent: None };
        let before = [("a".to_owned(), traffic(5e9)), ("b".to_owned(), traffic(4.29e9))].into();
        let now = [("a".to_owned(), traffic(5e9)), ("b".to_owned(), traffic(1.0))].into();
        let devices = Devices { before: Some(&before), now: &now, elapsed: 10.0, wide: false };
        let message = "network device `b`: the counter of bytes received was reset".to_owned();
        assert_eq!(devices.sum(&NETWORK_BYTES_RECEIVED), Err(RateError::Reset(vec![message])));
    }
}
