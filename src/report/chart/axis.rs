//! Axes: from values to places, and ticks at round values.

use crate::units::{Unit, format_amount, format_number};

/// Steps of a time axis, in seconds.
const TIME_STEPS: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0,
    21_600.0, 43_200.0, 86_400.0, 172_800.0,
];
/// The most ticks of an axis.
const MAX_TICKS: f64 = 7.0;

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) enum Scale {
    /// From zero.
    Linear(Unit),
    /// For values above zero.
    Logarithmic(Unit),
    /// Seconds from the start of a phase, at least up to these.
    Time(f64),
    /// Shares below one by the number of their nines: 0.9, 0.99, 0.999.
    Nines,
}

/// An axis from one value to another, in units of its scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that shows all of these values.
    pub(in crate::report) fn over(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let highest = finite.clone().fold(0.0_f64, f64::max);
        let (from, to) = match scale {
            Scale::Linear(_) => (0.0, if highest > 0.0 { highest * 1.08 } else { 1.0 }),
            Scale::Time(until) => (0.0, highest.max(until).max(1.0)),
            Scale::Nines => (0.0, nines(highest).max(1.0)),
            Scale::Logarithmic(_) => {
                let lowest = finite.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
                match lowest.is_finite() {
                    true => (lowest.log10() - 0.05, highest.log10() + 0.08),
                    false => (0.0, 1.0),
                }
            }
        };
        // A single value needs some room too.
        let to = if to - from < 0.3 && matches!(scale, Scale::Logarithmic(_)) { from + 0.3 } else { to };
        Self { scale, from, to }
    }

    /// The place of a value, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear(_) | Scale::Time(_) => value,
            Scale::Logarithmic(_) => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Nines => nines(value),
        };
        ((at - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// The scale in a form that scripts can invert: its kind, and the values at both ends.
    pub(super) fn inverse(&self) -> String {
        let kind = match self.scale {
            Scale::Linear(_) => "linear",
            Scale::Time(_) => "time",
            Scale::Logarithmic(_) => "log",
            Scale::Nines => "nines",
        };
        format!("{kind} {} {}", self.from, self.to)
    }

    /// The unit of its values, for scripts; empty if they have none.
    pub(super) fn unit(&self) -> String {
        match self.scale {
            Scale::Linear(unit) | Scale::Logarithmic(unit) => unit.to_string(),
            Scale::Time(_) | Scale::Nines => String::new(),
        }
    }

    /// Round values on the axis, with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear(unit) => self.linear_ticks(unit),
            Scale::Logarithmic(unit) => self.logarithmic_ticks(unit),
            Scale::Time(_) => self.time_ticks(),
            Scale::Nines => {
                let shares =
                    [(0.0, "0 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];
                let more = [(0.99999, "99.999 %"), (0.999_999, "99.9999 %")];
                let all = shares.into_iter().chain(more);
                all.filter(|(share, _)| nines(*share) <= self.to)
                    .map(|(at, text)| (at, text.to_owned()))
                    .collect()
            }
        }
    }

    fn linear_ticks(&self, unit: Unit) -> Vec<(f64, String)> {
        let raw = self.to / (MAX_TICKS - 2.0);
        let magnitude = match unit {
            // Sizes have round values in powers of 1024.
            Unit::Bytes | Unit::BytesPerSecond => 2_f64.powf((raw.log2() / 10.0).floor() * 10.0),
            _ => 10_f64.powf(raw.log10().floor()),
        };
        let factors = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1024.0];
        let step =
            factors.into_iter().map(|factor| factor * magnitude).find(|step| *step >= raw).unwrap_or(raw);
        // Half a thing and half a byte do not exist.
        let is_whole = matches!(unit, Unit::Count | Unit::Bytes | Unit::BytesPerSecond);
        let whole = if is_whole { step.max(1.0) } else { step };
        let ticks = (0..100).map(|index| f64::from(index) * whole).take_while(|tick| *tick <= self.to);
        ticks.map(|tick| (tick, label(tick, unit))).collect()
    }

    fn logarithmic_ticks(&self, unit: Unit) -> Vec<(f64, String)> {
        let decades = self.to - self.from;
        let factors: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = self.from.floor() as i32..=self.to.ceil() as i32;
        let all = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)));
        let inside = all.filter(|tick| (self.from..=self.to).contains(&tick.log10()));
        inside.map(|tick| (tick, label(tick, unit))).collect()
    }

    fn time_ticks(&self) -> Vec<(f64, String)> {
        let raw = self.to / (MAX_TICKS - 1.0);
        let step =
            TIME_STEPS.into_iter().find(|step| *step >= raw).unwrap_or((raw / 86_400.0).ceil() * 86_400.0);
        let ticks = (0..100).map(|index| f64::from(index) * step).take_while(|tick| *tick <= self.to);
        ticks.map(|tick| (tick, time_label(tick, step))).collect()
    }
}

/// A value at a tick. Sizes have their unit; that of others is in the title.
fn label(tick: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes | Unit::BytesPerSecond => format_amount(tick, Unit::Bytes),
        _ => format_number(tick),
    }
}

fn time_label(tick: f64, step: f64) -> String {
    let seconds = tick.round() as u64;
    match step {
        step if step >= 3600.0 => format!("{} h", seconds / 3600),
        step if step >= 60.0 && seconds >= 3600 => format!("{} h {:02}", seconds / 3600, seconds / 60 % 60),
        step if step >= 60.0 => format!("{} min", seconds / 60),
        _ if seconds >= 60 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{seconds} s"),
    }
}

/// The number of nines of a share: 1 for 0.9, 2 for 0.99.
fn nines(share: f64) -> f64 {
    -(1.0 - share).max(1e-7).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, values: &[f64]) -> Vec<String> {
        Axis::over(scale, values.iter().copied()).ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_stand_at_round_values() {
        assert_eq!(labels(Scale::Linear(Unit::PerSecond), &[0.0, 47.0]), ["0", "20", "40"]);
        assert_eq!(labels(Scale::Linear(Unit::Count), &[1.0]), ["0", "1"]);
        assert_eq!(labels(Scale::Linear(Unit::BytesPerSecond), &[0.0]), ["0B", "1B"]);
        assert_eq!(labels(Scale::Linear(Unit::Bytes), &[3e9]), ["0B", "1GiB", "2GiB", "3GiB"]);
        assert_eq!(
            labels(Scale::Logarithmic(Unit::Milliseconds), &[0.4, 12.0]),
            ["0.5", "1", "2", "5", "10"]
        );
        assert_eq!(labels(Scale::Logarithmic(Unit::Milliseconds), &[0.02, 5000.0]).len(), 5);
        assert_eq!(labels(Scale::Time(0.0), &[50_400.0]), ["0 h", "4 h", "8 h", "12 h"]);
        assert_eq!(
            labels(Scale::Time(0.0), &[90.0]),
            ["0 s", "15 s", "30 s", "45 s", "1:00", "1:15", "1:30"]
        );
        assert_eq!(labels(Scale::Nines, &[0.9995]), ["0 %", "90 %", "99 %", "99.9 %"]);
    }

    #[test]
    fn without_values_there_is_still_an_axis() {
        for scale in [
            Scale::Linear(Unit::Count),
            Scale::Logarithmic(Unit::Milliseconds),
            Scale::Time(0.0),
            Scale::Nines,
        ] {
            let axis = Axis::over(scale, std::iter::empty());
            assert!(axis.place(0.0).is_finite() && !axis.ticks().is_empty(), "{scale:?}");
        }
    }

    #[test]
    fn every_value_has_its_place() {
        let axis = Axis::over(Scale::Logarithmic(Unit::Milliseconds), [1.0, 100.0].into_iter());
        assert!((axis.place(10.0) - 0.5).abs() < 0.02);
        assert_eq!((axis.place(0.0), axis.place(1e9)), (0.0, 1.0));
    }
}
