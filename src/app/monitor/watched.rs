//! One host, looked at again and again.

use std::time::Duration;

use crate::monitor::Probe;
use crate::resources::difference::{alone, between, covers};
use crate::resources::look::Look;
use crate::resources::metric::Metric;
use crate::resources::reading::Values;
use crate::resources::source::Source;

/// Files are read at once; nobody is asked who could take long.
const LIMIT: Duration = Duration::from_secs(1);

/// A host, and what was seen of it last.
pub(super) struct Watched {
    probe: Probe,
    /// What it is, in words.
    pub(super) told: String,
    before: Option<Look>,
}

/// What two looks come to.
pub(super) struct Interval {
    /// The time between them, in seconds; 0 where there were no two.
    pub(super) covers: f64,
    pub(super) values: Values,
    /// What happened to the host or to the counting since the look before, in words.
    pub(super) events: Vec<String>,
}

impl Watched {
    /// Gets ready; looks at nothing yet.
    pub(super) fn open(source: &Source) -> Result<Self, String> {
        Ok(Self { probe: Probe::open(source)?, told: source.told(), before: None })
    }

    /// The look from which the first reading counts: what cannot be had, with the reason, or why nothing can.
    pub(super) async fn begin(&mut self) -> Result<Vec<(Metric, String)>, String> {
        let look = self.probe.look(LIMIT).await?;
        let missing = look.missing.clone().into_iter().collect();
        self.before = Some(look);
        Ok(missing)
    }

    /// Looks once more. A look that fails is an event, and the next one counts from the last that did not.
    pub(super) async fn read(&mut self) -> Interval {
        match self.probe.look(LIMIT).await {
            Err(why) => Interval { covers: 0.0, values: Values::nothing(why.clone()), events: vec![why] },
            Ok(now) => {
                let interval = Interval::until(&now, self.before.as_ref());
                self.before = Some(now);
                interval
            }
        }
    }
}

impl Interval {
    fn until(now: &Look, before: Option<&Look>) -> Self {
        let Some(before) = before else {
            let values = alone(now);
            return Self { covers: 0.0, events: values.troubles.clone(), values };
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
        Self { covers: covers(before, now), values, events }
    }
}
