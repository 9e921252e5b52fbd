//! Counters of disks and network devices, and their rates between two snapshots.

use std::collections::BTreeMap;

use crate::resources::sanitise::sanitise;
use crate::resources::snapshot::{Disk, Traffic};

/// The kernel counts the milliseconds of a disk in 32 bits, which wrap after this many seconds.
const DISK_TIME_WRAP_S: f64 = 4_294_967.296;
/// Old kernels count bytes of network devices in 32 bits.
const NETWORK_WRAP_BYTES: f64 = 4_294_967_296.0;
/// Old kernels count a disk's sectors of 512 bytes in 32 bits.
const DISK_WRAP_BYTES: f64 = NETWORK_WRAP_BYTES * 512.0;
/// A counter that decreased has wrapped if its increase is less than this share of its range; otherwise it was reset.
const MAX_WRAP_SHARE: f64 = 0.25;

/// The limits within which a counter that decreased has wrapped and was not reset.
#[derive(Debug, Clone, Copy)]
pub struct WrapLimits {
    /// The value at which it wraps to 0.
    range: f64,
    /// The largest possible increase per second; a faster one means a reset.
    fastest: f64,
}

/// A counter of a kind of device.
pub struct Counter<T> {
    kind: &'static str,
    counted: &'static str,
    of: fn(&T) -> Option<f64>,
    wrap_limits: WrapLimits,
}

/// Seconds with a request in flight; clocks that are read one after another may put it slightly above the elapsed time.
pub const DISK_BUSY_TIME: Counter<Disk> = Counter {
    kind: "disk",
    counted: "busy time",
    of: |disk| disk.busy,
    wrap_limits: WrapLimits { range: DISK_TIME_WRAP_S, fastest: 1.05 },
};
/// Sum of the times of all requests, in seconds; a disk is assumed to hold at most 128 requests at a time.
pub const DISK_QUEUE_TIME: Counter<Disk> = Counter {
    kind: "disk",
    counted: "request time",
    of: |disk| disk.queued,
    wrap_limits: WrapLimits { range: DISK_TIME_WRAP_S, fastest: 128.0 },
};
/// Bytes read; a disk whose counter wraps reads at most 1 GB/s.
pub const DISK_BYTES_READ: Counter<Disk> = Counter {
    kind: "disk",
    counted: "bytes read",
    of: |disk| disk.read,
    wrap_limits: WrapLimits { range: DISK_WRAP_BYTES, fastest: 1e9 },
};
pub const DISK_BYTES_WRITTEN: Counter<Disk> = Counter {
    counted: "bytes written",
    of: |disk| disk.written,
    kind: "disk",
    wrap_limits: DISK_BYTES_READ.wrap_limits,
};
/// Bytes received; a device whose counter wraps receives at most 1 Gbit/s.
pub const NETWORK_BYTES_RECEIVED: Counter<Traffic> = Counter {
    kind: "network device",
    counted: "bytes received",
    of: |device| device.received,
    wrap_limits: WrapLimits { range: NETWORK_WRAP_BYTES, fastest: 125e6 },
};
pub const NETWORK_BYTES_SENT: Counter<Traffic> = Counter {
    kind: "network device",
    counted: "bytes sent",
    of: |device| device.sent,
    wrap_limits: NETWORK_BYTES_RECEIVED.wrap_limits,
};

/// Why a counter gives no rate.
#[derive(Debug, Clone, PartialEq)]
pub enum RateError {
    /// Counters were reset; one message for each.
    Reset(Vec<String>),
    /// The counter is not in both snapshots, or its increase is unusable. Holds the reason.
    Uncounted(String),
}

/// Increase of a counter within `elapsed` seconds; `None` if it decreased and cannot have wrapped.
pub fn increase(before: f64, now: f64, elapsed: f64, wrap_limits: Option<WrapLimits>) -> Option<f64> {
    if now >= before {
        return Some(now - before);
    }
    let WrapLimits { range, fastest } = wrap_limits.filter(|wrap_limits| before < wrap_limits.range)?;
    let wrapped = now + range - before;
    (wrapped < range * MAX_WRAP_SHARE && wrapped <= fastest * elapsed).then_some(wrapped)
}

/// The devices of one kind at two snapshots.
pub struct Devices<'a, T> {
    /// `None` if the first snapshot has no devices of this kind.
    pub before: Option<&'a BTreeMap<String, T>>,
    pub now: &'a BTreeMap<String, T>,
    /// Seconds between the snapshots.
    pub elapsed: f64,
    /// Whether the counters are known to have 64 bits, so that they cannot wrap.
    pub wide: bool,
}

/// A message for each device that only the first of two snapshots has. If the second has no devices at all, there is no
/// message here: that snapshot contains the reason.
pub fn gone<T>(
    kind: &str,
    before: Option<&BTreeMap<String, T>>,
    now: Option<&BTreeMap<String, T>>,
) -> Vec<String> {
    let Some((before, now)) = before.zip(now) else { return Vec::new() };
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    gone.map(|name| format!("{kind} `{}` is gone", sanitise(name))).collect()
}

/// The reason for a metric whose counter is missing in the first snapshot.
pub const NOT_COUNTED_BEFORE: &str = "not counted at the previous snapshot";

impl<T> Devices<'_, T> {
    /// The rates per second of all devices that are in both snapshots.
    fn rates(&self, counter: &Counter<T>) -> Result<Vec<f64>, RateError> {
        let Some(before) = self.before else {
            return Err(RateError::Uncounted(NOT_COUNTED_BEFORE.to_owned()));
        };
        // A kernel that counts beyond 32 bits for one device does so for all.
        let wide = self.wide
            || before.values().filter_map(counter.of).any(|value| value >= counter.wrap_limits.range);
        let wrap_limits = (!wide).then_some(counter.wrap_limits);
        let (mut rates, mut resets) = (Vec::new(), Vec::new());
        for (name, now) in self.now {
            let Some(before) = before.get(name) else { continue };
            let device = || format!("{} `{}`", counter.kind, sanitise(name));
            let Some(now) = (counter.of)(now) else {
                return Err(RateError::Uncounted(format!("{} has no such counter", device())));
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
            (true, true) => Err(RateError::Uncounted(format!("no {} is in both snapshots", counter.kind))),
            (true, false) => Ok(rates),
        }
    }

    /// Rate of all devices together, per second.
    ///
    /// # Errors
    /// If the counter of a device was reset or is missing.
    pub fn sum(&self, counter: &Counter<T>) -> Result<f64, RateError> {
        Ok(self.rates(counter)?.iter().sum())
    }

    /// Rate of the device with the largest one, per second.
    ///
    /// # Errors
    /// As for [`Self::sum`].
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
    fn an_impossibly_fast_wrap_is_a_reset() {
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
