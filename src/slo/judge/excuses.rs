//! The verdicts that the load generator's own checks take away.

use crate::slo::objective::{Change, DriftObjective, Family, RequestStatistic};

/// The verdicts on a phase that the load generator's checks take away.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Excuses {
    /// The failed checks that excuse a pass: the target got less load than the plan asks for.
    pub pass: Option<String>,
    /// The failed checks that excuse a breach: the generator may have made requests slow, or made them fail.
    pub breach: Option<String>,
    /// The share of the load that is missing for no fault of the target, from 0 to 1.
    pub missing_load: f64,
}

impl Excuses {
    /// The reasons why a pass and a breach of such an objective are excused.
    pub(super) fn of(&self, family: &Family) -> (Option<&str>, Option<&str>) {
        let (pass, breach) = (self.pass.as_deref(), self.breach.as_deref());
        match family {
            // With more load there would have been more throughput, which `missing_load` takes into account, but not for
            // each interval.
            Family::Requests(requests) if requests.statistic == RequestStatistic::Throughput => {
                (None, breach.or(pass.filter(|_| requests.interval.is_some())))
            }
            // A late generator does not use more of the target's resources.
            Family::Host(_) | Family::Drift(DriftObjective { change: Change::Growth { .. }, .. }) => {
                (pass, None)
            }
            Family::Requests(_) | Family::Drift(_) | Family::Outage => (pass, breach),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_excused_in_both_directions() {
        let (pass, breach) = (Some("load".to_owned()), Some("steal".to_owned()));
        let excuses = Excuses { pass, breach, missing_load: 0.0 };
        assert_eq!(excuses.of(&Family::Outage), (Some("load"), Some("steal")));
    }
}
