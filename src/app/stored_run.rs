//! A stored run: the journal in its folder, folded, with the plan that its start describes.

use std::fs::File;
use std::path::Path;

use crate::app::failure;
use crate::app::prepare::{RunPlan, prepare_stored};
use crate::diagnostic::Problems;
use crate::event::{RunEvent, RunStart};
use crate::gate::Ending;
use crate::journal::FILE_NAME;
use crate::journal::reader::JournalReader;
use crate::measure::ledger::Ledger;
use crate::plan::model::PhaseId;
use crate::plan::{GateTier, ThresholdsFile};
use crate::session::RunFold;
use crate::slo::objective::Objective;

/// A run as its journal describes it.
pub(super) struct StoredRun {
    pub(super) run: RunPlan,
    pub(super) start: RunStart,
    pub(super) fold: RunFold,
}

/// The journal of a run, read up to the start of the run.
pub(super) struct StoredJournal {
    pub(super) start: RunStart,
    events: JournalReader<File>,
}

/// Opens the journal in the folder of a run.
///
/// # Errors
/// When there is none, or when it does not begin with the start of a run.
pub(super) fn open(folder: &Path) -> anyhow::Result<StoredJournal> {
    let path = folder.join(FILE_NAME);
    let help = "name the folder of a run, such as `reports/latest`";
    let refused =
        |why: String| failure(Ending::Refused, format!("could not read `{}`: {why}", path.display()));
    let file = File::open(&path).map_err(|error| refused(format!("{error}; {help}")))?;
    let mut events = JournalReader::new(file).map_err(|why| refused(why.to_string()))?;
    match events.next() {
        Some(RunEvent::Started(start)) => Ok(StoredJournal { start: *start, events }),
        _ if events.unknown > 0 => Err(refused("a newer version wrote it; use that version".to_owned())),
        _ => Err(refused(format!("it ends before the start of the run; {help}"))),
    }
}

impl StoredJournal {
    /// Compiles the run's plan and folds its events. `gate` and `thresholds` replace those of the plan. `None` after
    /// problems were reported.
    ///
    /// # Errors
    /// When this version compiles the plan in another way than the one that ran it.
    pub(super) fn fold(
        self,
        gate: Option<GateTier>,
        thresholds: Option<&[ThresholdsFile]>,
        problems: &mut Problems,
    ) -> anyhow::Result<Option<StoredRun>> {
        let Self { start, mut events } = self;
        let Some((run, notices)) = prepare_stored(&start, gate, thresholds, problems) else {
            return Ok(None);
        };
        check_names(&start, &run)?;
        let indicators = run.objectives.indicators.clone();
        let mut fold = RunFold::new(Ledger::new(&run.plan, indicators, &start.limits, start.sources()));
        for event in events.by_ref() {
            if !is_of_run(&start, &event) {
                let why = "an event names a phase, worker or host that the run does not have";
                return Err(failure(Ending::Refused, format!("the journal is not consistent: {why}")));
            }
            fold.add(&event);
        }
        for notice in notices {
            if !fold.notices.contains(&notice) {
                fold.notices.push(notice);
            }
        }
        settle(&mut fold, &start, &events);
        Ok(Some(StoredRun { run, start, fold }))
    }
}

/// Notes what is missing in the events of a run.
fn settle(fold: &mut RunFold, start: &RunStart, events: &JournalReader<File>) {
    if fold.end.is_none() {
        fold.close(start.at);
        fold.doubt(match events.is_torn {
            true => "the journal stops within an event: the run still goes on or was killed, or the file is damaged",
            false => "the journal stops before the end of the run, which still goes on or was killed",
        });
    } else if events.is_torn {
        fold.doubt("the journal is damaged after the end of the run");
    }
    if events.unknown > 0 {
        let unknown = events.unknown;
        fold.doubt(&format!(
            "{unknown} events were written by a newer version and are left out; use that version"
        ));
    }
}

/// Why the journal of a run that is about to start could not be judged again, if so: its secrets are masked there.
pub(super) fn unreadable(start: &RunStart, run: &RunPlan) -> Option<String> {
    let mut problems = Problems::default();
    let names = |run: &RunPlan| -> Vec<_> { run.objectives.all.iter().map(Objective::full_name).collect() };
    let again = prepare_stored(start, None, None, &mut problems);
    let same =
        again.is_some_and(|(again, _)| check_names(start, &again).is_ok() && names(&again) == names(run));
    (!same).then(|| {
        "`runner gate` and `runner report` will not read this run: a secret stands where the plan needs its very \
         value, and the journal has a stand-in for it; use `${env:NAME}` there"
            .to_owned()
    })
}

/// Whether the phase, the source and the host of an event are those of the run.
fn is_of_run(start: &RunStart, event: &RunEvent) -> bool {
    let has = |phase: PhaseId| phase.index() < start.phases.len();
    match event {
        RunEvent::PhaseStarted { phase, .. } | RunEvent::PhaseEnded { phase, .. } => has(*phase),
        RunEvent::Recorded(batch) => has(batch.phase) && usize::from(batch.source) < start.sources(),
        RunEvent::HostReading(reading) => has(reading.phase) && reading.host.index() < start.hosts.len(),
        RunEvent::EndedEarly(ended) => has(ended.phase),
        _ => true,
    }
}

/// Events refer to phases, operations and hosts by their place in the plan, so these must be the same.
fn check_names(start: &RunStart, run: &RunPlan) -> anyhow::Result<()> {
    let RunPlan { plan, .. } = run;
    let phases = plan.phases.iter().map(|phase| &phase.name);
    let hosts = plan.monitor.iter().flat_map(|it| &it.hosts).map(|host| &host.name);
    let is_same =
        start.phases.iter().eq(phases) && start.operations == plan.operations && start.hosts.iter().eq(hosts);
    if is_same {
        return Ok(());
    }
    let (this, that) = (env!("CARGO_PKG_VERSION"), &start.runner);
    Err(failure(
        Ending::Refused,
        format!("this version ({this}) compiles the plan of the run in another way than {that}; use {that}"),
    ))
}
