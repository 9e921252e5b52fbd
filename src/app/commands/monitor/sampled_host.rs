//! A host of `runner monitor` and its consecutive snapshots.

use std::time::Duration;

use crate::monitor::Probe;
use crate::resources::metric::Metric;
use crate::resources::rates::{between, covered_s, initial};
use crate::resources::reading::Values;
use crate::resources::snapshot::Snapshot;
use crate::resources::source::Source;

/// Generous, because both kinds of source are local files.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A host and its last snapshot.
pub(super) struct SampledHost {
    probe: Probe,
    /// The description of its source, for messages.
    pub(super) name: String,
    before: Option<Snapshot>,
}

/// The difference of two consecutive snapshots.
pub(super) struct IntervalReading {
    /// The time between the snapshots in seconds; 0 if there is only one.
    pub(super) covered_s: f64,
    pub(super) values: Values,
    /// Messages about restarts, counter resets and newly missing metrics since the previous snapshot.
    pub(super) events: Vec<String>,
}

impl SampledHost {
    /// Opens the source without taking a snapshot.
    ///
    /// # Errors
    /// A message about a source that cannot be used.
    pub(super) fn open(source: &Source) -> Result<Self, String> {
        Ok(Self { probe: Probe::open(source)?, name: source.description(), before: None })
    }

    /// Takes the first snapshot. Returns the metrics that the source does not provide, with the reasons.
    ///
    /// # Errors
    /// A message about a snapshot that failed.
    pub(super) async fn begin(&mut self) -> Result<Vec<(Metric, String)>, String> {
        let snapshot = self.probe.snapshot(PROBE_TIMEOUT).await?;
        let missing = snapshot.missing.clone().into_iter().collect();
        self.before = Some(snapshot);
        Ok(missing)
    }

    /// Takes a snapshot and returns the difference from the previous one. A failed snapshot is an event, and the next
    /// reading covers the time since the last successful one.
    pub(super) async fn read(&mut self) -> IntervalReading {
        match self.probe.snapshot(PROBE_TIMEOUT).await {
            Err(why) => {
                IntervalReading { covered_s: 0.0, values: Values::failed(why.clone()), events: vec![why] }
            }
            Ok(now) => {
                let interval = IntervalReading::until(&now, self.before.as_ref());
                self.before = Some(now);
                interval
            }
        }
    }
}

impl IntervalReading {
    fn until(now: &Snapshot, before: Option<&Snapshot>) -> Self {
        let Some(before) = before else {
            let values = initial(now);
            return Self { covered_s: 0.0, events: values.troubles.clone(), values };
        };
        let values = between(before, now);
        let mut events = values.troubles.clone();
        // Metrics that the source never provides were reported at the start.
        let new = values.missing.iter().filter(|(metric, _)| !now.missing.contains_key(metric));
        for (_, why) in new {
            if !events.contains(why) {
                events.push(why.clone());
            }
        }
        Self { covered_s: covered_s(before, now), values, events }
    }
}
