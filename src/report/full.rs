//! A finished run with all that its files show: the report, the numbers over time, and the plan as it ran.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::measure::causes::Failures;
use crate::measure::hosts::HostSummary;
use crate::measure::summary::{OperationSummary, PhaseRun, Summary};
use crate::measure::timeline::Timeline;
use crate::plan::InputFile;
use crate::plan::model::{JudgedPeriod, OperationId, Phase, Plan};
use crate::report::model::{PhaseReport, Report};

/// A finished run with all that its files show. Renderers turn it into files and compute no results.
#[derive(Debug, Clone)]
pub struct FullReport<'r> {
    pub report: Report,
    /// The numbers behind the phases of the report, in the same order.
    pub details: Vec<PhaseDetails<'r>>,
    /// The methods of the requests of each operation, by [`OperationId`].
    pub methods: Vec<BTreeSet<&'r str>>,
    /// The plan, its included files and its threshold files as they ran, without secrets.
    pub files: &'r [InputFile],
}

/// The numbers behind the report of a phase.
#[derive(Debug, Clone)]
pub struct PhaseDetails<'r> {
    pub started_at: Timestamp,
    /// Names by [`OperationId`].
    pub names: &'r [String],
    /// The distributions of times of the operations that occurred, over the judged periods.
    pub operations: &'r BTreeMap<OperationId, OperationSummary>,
    pub timeline: &'r Timeline,
    /// The judged periods.
    pub judged: &'r [JudgedPeriod],
    /// When each kind of failure occurred first and last.
    pub failures: &'r Failures,
    /// The readings of each monitored host, by its name.
    pub hosts: Vec<(&'r str, &'r HostSummary)>,
    /// The number of users from each of these seconds on, ascending.
    pub users: Vec<(f64, u32)>,
}

impl<'r> FullReport<'r> {
    /// The run of a report, without the files of its plan.
    pub fn of(report: Report, plan: &'r Plan, summary: &'r Summary, phases: &[PhaseRun]) -> Self {
        let details = phases.iter().map(|run| {
            let counted = &summary.phases[run.phase.index()];
            let hosts = plan.monitor.iter().flat_map(|monitor| &monitor.hosts);
            PhaseDetails {
                started_at: run.started_at,
                names: &plan.operations,
                operations: &counted.operations,
                timeline: &counted.timeline,
                judged: &counted.judged,
                failures: &counted.causes.failures,
                hosts: hosts.map(|host| host.name.as_str()).zip(&counted.readings.hosts).collect(),
                users: users_over_time(&plan.phases[run.phase.index()]),
            }
        });
        let mut methods = vec![BTreeSet::new(); plan.operations.len()];
        for request in plan.requests() {
            methods[request.operation.index()].insert(request.method.as_str());
        }
        Self { report, details: details.collect(), methods, files: &[] }
    }

    /// With the files of its plan.
    #[must_use]
    pub fn with_files(self, files: &'r [InputFile]) -> Self {
        Self { files, ..self }
    }

    /// Each phase with the numbers behind it.
    pub fn phases(&self) -> impl Iterator<Item = (&PhaseReport, &PhaseDetails<'r>)> {
        self.report.phases.iter().zip(&self.details)
    }
}

impl PhaseDetails<'_> {
    /// The name of an operation.
    pub fn name(&self, operation: OperationId) -> &str {
        &self.names[operation.index()]
    }

    /// The time of a second of the phase; `None` if no calendar has it.
    pub fn at(&self, second: f64) -> Option<Timestamp> {
        let offset = SignedDuration::try_from_secs_f64(second).ok()?;
        self.started_at.checked_add(offset).ok()
    }
}

/// The number of users of a phase from each second on in which it changes.
fn users_over_time(phase: &Phase) -> Vec<(f64, u32)> {
    let periods = (0..phase.users).flat_map(|user| phase.active_periods(user));
    let mut changes: Vec<(f64, i64)> = periods.flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
    changes.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut steps: Vec<(f64, u32)> = Vec::new();
    let mut users = 0_i64;
    for (at, change) in changes {
        users += change;
        let now = u32::try_from(users).unwrap_or(0);
        match steps.last_mut().filter(|(since, _)| since.floor() == at.floor()) {
            Some(last) => last.1 = now,
            None => steps.push((at.floor(), now)),
        }
    }
    steps
}
