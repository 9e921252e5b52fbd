//! One host, looked at again and again.

use std::time::Duration;

use crate::monitor::Probe;
use crate::resources::metric::Metric;
use crate::resources::rates::{between, covered_s, initial};
use crate::resources::reading::Values;
use crate::resources::snapshot::Snapshot;
use crate::resources::source::Source;

/// Files are read at once; nobody is asked who could take long.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A host, and what was seen of it last.
pub(super) struct SampledHost {
    probe: Probe,
    /// What it is, in words.
    pub(super) name: String,
    before: Option<Snapshot>,
}

/// What two looks come to.
pub(super) struct IntervalReading {
    /// The time between them, in seconds; 0 where there were no two.
    pub(super) covered_s: f64,
    pub(super) values: Values,
    /// What happened to the host or to the counting since the look before, in words.
    pub(super) events: Vec<String>,
}

impl SampledHost {
    /// Gets ready; looks at nothing yet.
    pub(super) fn open(source: &Source) -> Result<Self, String> {
        Ok(Self { probe: Probe::open(source)?, name: source.description(), before: None })
    }

    /// The look from which the first reading counts: what cannot be had, with the reason, or why nothing can.
    pub(super) async fn begin(&mut self) -> Result<Vec<(Metric, String)>, String> {
        let snapshot = self.probe.snapshot(PROBE_TIMEOUT).await?;
        let missing = snapshot.missing.clone().into_iter().collect();
        self.before = Some(snapshot);
        Ok(missing)
    }

    /// Looks once more. A look that fails is an event, and the next one counts from the last that did not.
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
        // What can never be had was said once, at the start.
        let new = values.missing.iter().filter(|(metric, _)| !now.missing.contains_key(metric));
        for (_, why) in new {
            if !events.contains(why) {
                events.push(why.clone());
            }
        }
        Self { covered_s: covered_s(before, now), values, events }
    }
}
